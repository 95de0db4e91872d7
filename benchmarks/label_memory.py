"""Memory of labelling: the highest resident set with many rows against few, with a stub in place of inference (make bench-memory).

    python benchmarks/label_memory.py [--few 100000] [--many 10000000] [--kinds csv parquet] [--model FOLDER]

Each run is a process of its own. The stub answers every text alike; reading, shards, journal and writing are real.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MAX_GROWTH = 0.10


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--few", type=int, default=100_000)
    parser.add_argument("--many", type=int, default=10_000_000)
    parser.add_argument("--kinds", nargs="+", default=["csv", "jsonl", "parquet"])
    parser.add_argument("--model", default="serving/model")
    parser.add_argument("--run", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        run(Path(options.run[0]), Path(options.run[1]), int(options.run[2]), options.model)
        return
    failed = False
    print(f"{'kind':8}{'rows':>12}{'seconds':>10}{'highest MB':>12}{'growth':>9}")
    for kind in options.kinds:
        few = 0.0
        for rows in (options.few, options.many):
            with tempfile.TemporaryDirectory() as folder:
                archive = Path(folder) / f"in.{kind}"
                write(archive, rows)
                begun = time.perf_counter()
                command = [
                    sys.executable,
                    __file__,
                    "--model",
                    options.model,
                    "--run",
                    str(archive),
                    f"{folder}/out.{kind}",
                    str(rows),
                ]
                highest = float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
                seconds = time.perf_counter() - begun
            few = few or highest
            growth = highest / few - 1
            failed = failed or growth > MAX_GROWTH
            print(f"{kind:8}{rows:12,}{seconds:10.1f}{highest:12.1f}{growth:9.1%}", flush=True)
    sys.exit(f"error: memory grows by more than {MAX_GROWTH:.0%}" if failed else 0)


def write(path: Path, rows: int) -> None:
    from data.table_writer import TableWriter

    texts = (
        "The parcel took a week and nobody answered",
        "快递太慢了，等了一个星期才到，客服也不理人",
        "پیک خیلی دیر رسید و پشتیبانی جواب نداد",
    )
    with TableWriter(path, ["id", "text"]) as writer:
        for number in range(rows):
            writer.write({"id": number, "text": f"{texts[number % 3]} {number}"})


def run(archive: Path, output: Path, rows: int, model: str) -> None:
    from serving.archive import label
    from serving.classifier import FeedbackClassifier

    classifier = FeedbackClassifier.load(model, threads=1)
    (answer,) = classifier.predict(["The parcel took a week"])
    classifier.predict_block = lambda texts, *_: [answer] * len(texts)  # type: ignore[method-assign]  # the stub
    report = label(archive, output, classifier)
    assert (report.labelled, report.rows) == (rows, rows)
    highest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # KB; bytes on macOS
    sys.stdout.write(str(highest / (1 << 20 if sys.platform == "darwin" else 1 << 10)))


if __name__ == "__main__":
    main()
