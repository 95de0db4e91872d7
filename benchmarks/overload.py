"""What becomes of a small service at ten times the load that it can carry.

    make bench-overload

The model is a stub of fixed processor time on a core of its own, the generator runs on the other one. Bounds: refusals are 429 or
503 and all say when to try again; goodput at least 90 % of the best that the same service gives; the 99th percentile of accepted
requests at most three times that of one caller alone; memory grows less than 10 %; every request gets an answer.

Some requests once got none: the service closed connections that had been idle for 5 seconds (BentoML's default), and the generator
used one that it had closed. `--keep-alive 5 --careless` shows it again; the service keeps its connections longer now
(FEEDBACK_KEEP_ALIVE_SECONDS), and the generator looks, as every HTTP client does, whether a connection is still open.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.load import closed_load, open_load, request_of, run_load
from benchmarks.server import cores, pin, running, service

IN_FLIGHT = 1
QUEUE = 1
"""The last in the queue waits for one before it, so its time is at most twice the cost of a request."""
TIMES = 10
LEAST_GOODPUT, MOST_P99, MOST_GROWTH = 0.9, 3.0, 0.1


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", required=True, type=Path, help="any model folder; the stub answers")
    parser.add_argument("--cost", type=float, default=0.05, help="processor seconds of a text (default 0.05)")
    parser.add_argument("--seconds", type=float, default=60, help="of overload (default 60)")
    parser.add_argument("--keep-alive", type=int, default=75, help="seconds that the service keeps an idle connection (default 75)")
    parser.add_argument("--careless", action="store_true", help="use kept connections without looking whether they are open")
    parser.add_argument("--unpinned", action="store_true", help="let the system choose cores, where others need them too")
    options = parser.parse_args()
    server_core, generator_core = (None, None) if options.unpinned else cores()
    environment = {
        "MODEL_FOLDER": str(options.model.resolve()),
        "STUB_SECONDS": str(options.cost),
        "FEEDBACK_CACHE_TEXTS": "0",
        "FEEDBACK_THREADS": "1",
        "FEEDBACK_MAX_IN_FLIGHT": str(IN_FLIGHT),
        "FEEDBACK_MAX_QUEUE": str(QUEUE),
        "FEEDBACK_NOTICE_SECONDS": "0",
        "FEEDBACK_KEEP_ALIVE_SECONDS": str(options.keep_alive),
    }
    faults = []
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        running(service("benchmarks.stub:FeedbackService"), environment, server_core, Path(folder) / "log") as server,
    ):
        pin(generator_core)
        requests = [request_of([f"The parcel is late, order {number}."], server.port) for number in range(100)]
        count = max(20, int(options.seconds / 4 / options.cost))
        run_load(closed_load(server.port, requests, 1, count // 4))  # warm up
        alone = run_load(closed_load(server.port, requests, 1, count))
        best = max(alone.goodput, run_load(closed_load(server.port, requests, IN_FLIGHT + QUEUE, count)).goodput)
        run_load(open_load(server.port, requests, TIMES * best, min(5.0, options.seconds)))  # every connection once
        before = server.resident_bytes()
        over = run_load(open_load(server.port, requests, TIMES * best, options.seconds, careless=options.careless))
        growth = server.resident_bytes() / before - 1
        kept, slower = over.goodput / best, over.quantile(0.99) / alone.quantile(0.99)
        print(f"unloaded    p50 {alone.quantile(0.5) * 1000:.1f} ms  p99 {alone.quantile(0.99) * 1000:.1f} ms")
        print(f"best        {best:.1f} requests a second")
        print(
            f"overload    {TIMES * best:.0f} requests a second sent, answers {dict(over.statuses)}, {over.broken} without an answer"
        )
        if over.broken:
            idle = ", ".join(f"{seconds:.1f}" for seconds in sorted(over.broken_idle_s))
            print(f"            {len(over.broken_idle_s)} of these on a connection that had been idle for {idle or '-'} s")
        print(f"goodput     {over.goodput:.1f} a second, {kept:.1%} of the best (at least {LEAST_GOODPUT:.0%})")
        print(
            f"accepted    p50 {over.quantile(0.5) * 1000:.1f} ms  p99 {over.quantile(0.99) * 1000:.1f} ms, "
            f"{slower:.2f} times unloaded (at most {MOST_P99:g})"
        )
        print(f"memory      {before / 1e6:.1f} MB, growth {growth:.1%} (under {MOST_GROWTH:.0%})")
        faults += [f"answers with status {status}" for status in over.statuses if status not in (200, 429, 503)]
        faults += [f"{over.without_retry_after} refusals without Retry-After"] if over.without_retry_after else []
        faults += [f"{over.broken} requests without an answer"] if over.broken else []
        faults += ["goodput"] if kept < LEAST_GOODPUT else []
        faults += ["p99"] if slower > MOST_P99 else []
        faults += ["memory"] if growth >= MOST_GROWTH else []
    if faults:
        sys.exit("missed: " + ", ".join(faults))


if __name__ == "__main__":
    main()
