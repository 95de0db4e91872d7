"""What requests feel of a job: latency of `POST /v1/classify` without one and with one beside it.

    python -m benchmarks.jobs --model FOLDER [--per-second 5] [--seconds 60] [--pairs 3]

Rounds without and with a job alternate, so that a change of the machine's load falls on both.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
import urllib.request
from pathlib import Path

from benchmarks.load import Outcome, open_load, request_of, run_load
from benchmarks.server import running, service

TEXTS = ("快递太慢了，客服也不理人。", "The phone is great, but the parcel was two days late.", "کیفیت خوب است ولی پیک بی‌ادب بود.")
ROWS = 200_000
"""Of the job: more than it can finish in a round."""
BOUND = 1.5
BEGIN_SECONDS = 60


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", required=True, type=Path)
    parser.add_argument("--per-second", type=float, default=5.0, help="requests a second, one text each")
    parser.add_argument("--seconds", type=float, default=60.0, help="of a round")
    parser.add_argument("--pairs", type=int, default=3, help="rounds without and with a job")
    options = parser.parse_args()
    without, beside = Outcome(), Outcome()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        environment = {"MODEL_FOLDER": str(options.model.resolve()), "FEEDBACK_CACHE_TEXTS": "0", "FEEDBACK_NOTICE_SECONDS": "0"}
        environment["FEEDBACK_JOBS_FOLDER"] = str(Path(folder) / "jobs")
        with running(service("serving.service:FeedbackService"), environment, None, Path(folder) / "log") as server:
            requests = [request_of([text], server.port) for text in TEXTS]
            rows = 0
            for _ in range(options.pairs):
                _add(without, run_load(open_load(server.port, requests, options.per_second, options.seconds)))
                job = _begin(server.port)
                _add(beside, run_load(open_load(server.port, requests, options.per_second, options.seconds)))
                rows += int(str(_call(server.port, "GET", f"/v1/jobs/{job}")["rows"]))
                _call(server.port, "DELETE", f"/v1/jobs/{job}")
    for name, outcome in (("without a job", without), ("with a job", beside)):
        times = "  ".join(f"p{100 * share:g} {1000 * outcome.quantile(share):.1f} ms" for share in (0.5, 0.95, 0.99))
        print(f"{name:14} {outcome.statuses[200]} answers  {times}")
    ratio = beside.quantile(0.99) / without.quantile(0.99)
    print(f"p99 with a job is {ratio:.2f} times that without (bound {BOUND}); the jobs labelled {rows:,} rows meanwhile")
    raise SystemExit(ratio > BOUND)


def _add(sum_of: Outcome, one: Outcome) -> None:
    sum_of.accepted_s += one.accepted_s
    sum_of.statuses += one.statuses


def _begin(port: int) -> str:
    """Send a job, and wait until rows of it are being labelled."""
    content = "text\n" + "".join(f'"{TEXTS[number % len(TEXTS)]} {number}"\n' for number in range(ROWS))
    job = str(_call(port, "POST", "/v1/jobs?name=a.csv", content.encode())["id"])
    deadline = time.monotonic() + BEGIN_SECONDS
    while _call(port, "GET", f"/v1/jobs/{job}")["rows"] == 0:
        if time.monotonic() > deadline:
            raise SystemExit("the job does not begin")
        time.sleep(0.2)
    return job


def _call(port: int, method: str, path: str, body: bytes | None = None) -> dict[str, object]:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, {"Content-Type": "text/csv"}, method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        document: dict[str, object] = json.load(answer)
    return document


if __name__ == "__main__":
    main()
