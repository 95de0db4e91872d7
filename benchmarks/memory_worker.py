"""What a worker of the service holds in memory, and how long it takes from its start until it is ready.

    python -m benchmarks.memory_worker [--model FOLDER] [--workers 2] [--starts 3]        (make bench-worker)

Of every process of the service, after texts in three languages: resident memory; of it, what is its own alone, and what the model's
files take (mapped: all workers share them); and its share, where what is shared is divided among those that share it. Beside it a
BentoML service that does nothing. Linux only: the figures are the kernel's own (/proc/PID/smaps).
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.load import closed_load, request_of, run_load
from benchmarks.server import Server, launched, service

MOST_MB, MOST_SECONDS = 150.0, 3.0
TEXTS = ("快递太慢了，客服也不理人。", "The phone is great, but the parcel was two days late.", "کیفیت خوب است ولی پیک بی‌ادب بود.")
REQUESTS = 300
OURS = "serving.service:FeedbackService"
COLUMNS = ("Rss", "Private", "Model", "Pss")


@dataclass(frozen=True)
class Start:
    seconds: float
    """From its start until /readyz says 200."""
    cpu_seconds: float
    """Processor time of all its processes in them."""
    processes: Mapping[str, Mapping[str, float]]
    """Megabytes by process and column."""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", type=Path, default=Path("serving/model"))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--starts", type=int, default=3, help="cold starts of which the median is shown (default 3)")
    options = parser.parse_args()
    if not Path("/proc/self/smaps").exists():
        sys.exit("error: /proc/PID/smaps is needed, which Linux has.")
    model = options.model.resolve()
    empty = ready("benchmarks.empty:Empty", model, 1, ask=False)
    starts = [ready(OURS, model, 1) for _ in range(options.starts)]
    processes = ready(OURS, model, options.workers).processes
    print(f"{'MB':26}{'resident':>10}{'its own':>10}{'of model':>10}{'share':>10}")
    for name, memory in (*processes.items(), *((f"empty BentoML, {name}", memory) for name, memory in empty.processes.items())):
        print(f"{name:26}" + "".join(f"{memory[column]:10.1f}" for column in COLUMNS))
    print(f"{'ours, shared once':26}{sum(memory['Pss'] for memory in processes.values()):40.1f}")
    most = max(memory["Rss"] for name, memory in processes.items() if name.startswith("worker"))
    seconds, busy = (statistics.median(values) for values in zip(*((one.seconds, one.cpu_seconds) for one in starts), strict=True))
    print(f"a worker    {most:.1f} MB resident (aim: under {MOST_MB:g})")
    print(
        f"cold start  {seconds:.2f} s to ready (aim: under {MOST_SECONDS:g}), processor time {busy:.2f} s; median of {len(starts)}"
    )
    print(f"            empty BentoML: {empty.seconds:.2f} s, {empty.cpu_seconds:.2f} s")
    missed = [name for name, late in (("memory", most >= MOST_MB), ("start", seconds >= MOST_SECONDS)) if late]
    if missed:
        sys.exit("missed: " + ", ".join(missed))


def ready(what: str, model: Path, workers: int, ask: bool = True) -> Start:
    """Start a service, wait until it is ready, send it texts, and look."""
    environment = {"MODEL_FOLDER": str(model), "FEEDBACK_WORKERS": str(workers), "FEEDBACK_NOTICE_SECONDS": "0"}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        begun = time.perf_counter()
        with launched(service(what), environment, None, Path(folder) / "log") as server:
            while not _answers(server.port):
                if not server.runs():
                    raise SystemExit(f"the service did not start:\n{(Path(folder) / 'log').read_text('utf-8')[-2000:]}")
                time.sleep(0.01)
            seconds, busy = time.perf_counter() - begun, server.cpu_seconds()
            if ask:
                requests = [request_of([f"{text} {number}"], server.port) for number in range(REQUESTS) for text in TEXTS]
                run_load(closed_load(server.port, requests, 4 * workers, len(requests)))
            return Start(seconds, busy, dict(memories(server, model)))


def memories(server: Server, model: Path) -> Iterator[tuple[str, dict[str, float]]]:
    """Name and megabytes of every process."""
    first, *others = server.all()
    yield "supervisor", figures(first, model)
    workers = 0
    for process in others:
        worker = any("bentoml" in word and "worker" in word for word in process.cmdline())
        workers += worker
        yield f"worker {workers}" if worker else f"{process.name()} {process.pid}", figures(process, model)


def figures(process: psutil.Process, model: Path) -> dict[str, float]:
    """Megabytes by column."""
    sums = dict.fromkeys(COLUMNS, 0.0)
    mapped = False
    for line in Path(f"/proc/{process.pid}/smaps").read_text("utf-8").splitlines():
        name, _, value = line.partition(":")
        if "-" in name.split(" ")[0]:
            mapped = str(model) in line
        elif value.endswith(" kB"):
            size = int(value.removesuffix(" kB")) * 1024 / 1e6
            if name in ("Rss", "Pss"):
                sums[name] += size
            if name.startswith("Private_"):
                sums["Private"] += size
            if name == "Rss" and mapped:
                sums["Model"] += size
    return sums


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


if __name__ == "__main__":
    main()
