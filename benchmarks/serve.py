"""What the framework costs: the processor time of a request in the whole service over that in a bare Starlette application.

    make bench-serve

Both serve the same stub, so that only what stands around a model is measured. Rounds of the two alternate; the ratio is the
median of the rounds' ratios. Bound: 2 at concurrency 1 and 32, with limits, metrics, logs and request ids on, the cache off.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

from benchmarks.load import closed_load, request_of, run_load
from benchmarks.server import Server, cores, pin, running, service

TEXTS = ("快递太慢了，客服也不理人。", "The phone is great, but the parcel was two days late.", "کیفیت خوب است ولی پیک بی‌ادب بود.")
CONCURRENCY = (1, 32)
BOUND = 2.0


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", required=True, type=Path, help="any model folder; the stub answers")
    parser.add_argument("--requests", type=int, default=3000, help="requests a round (default 3000)")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--unpinned", action="store_true", help="let the system choose cores, where others need them too")
    options = parser.parse_args()
    server_core, generator_core = (None, None) if options.unpinned else cores()
    environment = {"MODEL_FOLDER": str(options.model.resolve()), "FEEDBACK_CACHE_TEXTS": "0"}
    environment |= {"FEEDBACK_MAX_IN_FLIGHT": "32", "FEEDBACK_NOTICE_SECONDS": "0", "FEEDBACK_THREADS": "1"}
    failed = False
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        logs = Path(folder)
        with (
            running(["-m", "benchmarks.bare"], environment, server_core, logs / "bare") as bare,
            running(service("benchmarks.stub:FeedbackService"), environment, server_core, logs / "service") as ours,
        ):
            pin(generator_core)
            for callers in CONCURRENCY:
                rounds = []
                for number in range(options.rounds + 1):
                    pair = [cost(server, callers, options.requests) for server in (bare, ours)]
                    if number:  # the first warms up
                        rounds.append(pair)
                ratio = statistics.median(second / first for first, second in rounds)
                first, second = (statistics.median(round_[side] for round_ in rounds) * 1000 for side in (0, 1))
                failed = failed or ratio > BOUND
                print(
                    f"concurrency {callers:>2}: bare {first:.3f} ms, service {second:.3f} ms a request of processor time, "
                    f"difference {second - first:.3f} ms, ratio {ratio:.2f} (bound {BOUND:g})"
                )
    sys.exit(1 if failed else 0)


def cost(server: Server, callers: int, count: int) -> float:
    """Processor seconds a request."""
    requests = [request_of([text], server.port) for text in TEXTS]
    before = server.cpu_seconds()
    outcome = run_load(closed_load(server.port, requests, callers, count))
    if outcome.statuses[200] != count:
        raise SystemExit(f"not every request was answered: {dict(outcome.statuses)}, {outcome.broken} broken")
    return (server.cpu_seconds() - before) / count


if __name__ == "__main__":
    main()
