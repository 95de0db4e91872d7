"""How fast an archive is labelled, against the other ways to run the same model on the same texts (make bench-label).

    python -m benchmarks.label [FILE ...] [--model FOLDER] [--texts 2000] [--slow-texts 300] [--rounds 3] [--sizes 1000 10000]

FILE: real texts of mixed length (CSV, JSON Lines, Parquet; the column is found or named); the corpus if none is given. A sample of
--texts different ones goes through labelling and the bare session, its first --slow-texts through labelling and the slow ways. The
ways are run in turn, round after round, so that a machine that is busy with other things slows all alike; medians are shown. Each
rate is by the clock and, beside it, by processor time of this process.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.usual import transformers_pipeline
from data.table_writer import TableWriter
from data.tables import Record, open_table
from data.text import mend
from serving.archive import label
from serving.cache import AnswerCache
from serving.classifier import FeedbackClassifier, available_cores
from serving.columns import LabelledColumns, find_text_column, joined
from serving.inputs import find_files
from serving.labelling import REMEMBERED, Reading, results
from serving.prediction import Prediction

CORPUS = [Path("data/corpus") / f"{language}.jsonl" for language in ("en", "fa", "zh")]
BATCH = 32
LABEL, PLAIN, BARE = "feedback label", "the same without the journal", "bare session"
PADDED, ARRIVAL, PIPELINE = "all padded to one length", "batches in order of arrival", "transformers pipeline"
MIN_OF_BARE, MAX_JOURNAL = 0.85, 0.02
MIN_FASTER = {PADDED: 4.0, ARRIVAL: 2.5, PIPELINE: 8.0}
"""Labelling is so many times as fast; of the pipeline's batch sizes, the better one counts."""


@dataclass
class Way:
    """One way to go through the texts."""

    name: str
    run: Callable[[], Any]
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def measure(self) -> None:
        wall, cpu = time.perf_counter(), time.process_time()
        self.run()
        self.wall.append(time.perf_counter() - wall)
        self.cpu.append(time.process_time() - cpu)
        print(f"  {self.name}: {self.wall[-1]:.1f} s, {self.cpu[-1]:.1f} s of processor", file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--model", default="serving/model")
    parser.add_argument("--text-column")
    parser.add_argument("--texts", type=int, default=2000, help="for labelling against the bare session")
    parser.add_argument("--slow-texts", type=int, default=300, help="for labelling against the slow ways; the first of --texts")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--sizes", type=int, nargs="*", default=[1000, 10_000, 100_000], help="rows for the straight line; none: --sizes"
    )
    parser.add_argument("--threads", type=int, default=available_cores())
    parser.add_argument("--without-pipeline", action="store_true", help="leave out transformers, which needs torch")
    options = parser.parse_args()

    every = list(dict.fromkeys(read(options.files or CORPUS, options.text_column)))
    random.Random(0).shuffle(every)
    classifier = FeedbackClassifier.load(options.model, threads=options.threads)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(classifier, every[: options.texts], options.threads, Path(folder) / "fast")
        lengths = sorted(len(ids) for ids in bench.tokenized)
        print(f"{len(bench.texts):,} distinct texts, {options.threads} threads, model {classifier.version}")
        print(f"pieces a window: 5 % under {lengths[len(lengths) // 20]}, half under {lengths[len(lengths) // 2]}, "
              f"95 % under {lengths[len(lengths) * 19 // 20]}", flush=True)  # fmt: skip
        measured = interleaved(bench.fast(), options.rounds)
        show(measured, len(bench.texts))
        against_bare(measured)
        slow = Bench(classifier, every[: min(options.slow_texts, options.texts)], options.threads, Path(folder) / "slow")
        measured = interleaved(slow.slow(pipeline=not options.without_pipeline), options.rounds)
        show(measured, len(slow.texts))
        against_slow(measured)
        line(classifier, every, options.sizes, Path(folder))


def interleaved(ways: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, Way]:
    measured = {name: Way(name, run) for name, run in ways.items()}
    for number in range(rounds):
        print(f"round {number + 1} of {rounds}", file=sys.stderr, flush=True)
        for way in measured.values():
            way.measure()
    return measured


def read(files: Sequence[Path], column: str | None) -> Iterator[str]:
    for path in find_files(files):
        table = open_table(path)
        name = find_text_column(str(path), table.columns, column)
        for record in table.records():
            text = record.values.get(name) if isinstance(record, Record) else None
            if isinstance(text, str) and text.strip():
                yield text


class Bench:
    def __init__(self, classifier: FeedbackClassifier, texts: Sequence[str], threads: int, folder: Path) -> None:
        self.classifier, self.texts, self.threads, self.folder = classifier, texts, threads, folder
        self.session, self.window = classifier._session, classifier.folder.window.length
        self.tokenized = self.tokenize()
        folder.mkdir()
        write(folder / "texts.csv", texts)
        write(folder / "few.csv", texts[:50])
        self.labelled("few.csv")  # what is imported and loaded on first use

    def fast(self) -> dict[str, Callable[[], Any]]:
        return {
            LABEL: self.labelled,
            PLAIN: self.plain,
            f"{BARE}, one at a time": lambda: self.batched([[ids] for ids in self.tokenized]),
            f"{BARE}, sorted by length, 8": lambda: self.batched(cut(sorted(self.tokenized, key=len), 8)),
        }

    def slow(self, pipeline: bool) -> dict[str, Callable[[], Any]]:
        ways: dict[str, Callable[[], Any]] = {
            LABEL: self.labelled,
            PADDED: lambda: self.batched(cut(self.tokenize(), BATCH), pad=self.window),
            ARRIVAL: lambda: self.batched(cut(self.tokenize(), BATCH)),
        }
        if pipeline:
            classify = transformers_pipeline(self.classifier, self.threads)
            classify(list(self.texts[:8]), batch_size=1)
            for size in (1, BATCH):
                ways[f"{PIPELINE}, batch {size}"] = lambda size=size: classify(list(self.texts), batch_size=size)
        return ways

    def labelled(self, name: str = "texts.csv") -> None:
        self.forget()
        label(self.folder / name, self.folder / f"out-{name}", self.classifier, restart=True)

    def forget(self) -> None:
        """Have no text answered from memory, but every one looked for there."""
        self.classifier._cache = AnswerCache(REMEMBERED)

    def plain(self) -> None:
        """Read, label, write; nothing to go on with."""
        self.forget()
        columns = LabelledColumns(self.classifier.taxonomy)
        table = open_table(self.folder / "texts.csv")
        items = ((table, record) for record in table.records())
        with TableWriter(self.folder / "plain.csv", ("text", *columns.names)) as writer:
            for _, row, result in results(items, Reading("text"), self.classifier):
                assert isinstance(row, Record)
                assert isinstance(result, Prediction)
                writer.write({**row.values, **joined(columns.values(result))})

    def tokenize(self) -> list[list[int]]:
        return [window.ids for text in self.texts for window in self.classifier.read_windows(mend(text).text)]

    def batched(self, batches: Sequence[Sequence[list[int]]], pad: int = 0) -> None:
        """Run the bare session on batches, several side by side."""
        with ThreadPoolExecutor(self.threads) as pool:
            list(pool.map(lambda batch: self.session_run(batch, pad), batches))

    def session_run(self, batch: Sequence[list[int]], pad: int) -> None:
        length = pad or max(map(len, batch))
        ids = np.ones((len(batch), length), dtype=np.int64)
        mask = np.zeros((len(batch), length), dtype=np.int64)
        for row, pieces in enumerate(batch):
            ids[row, : len(pieces)], mask[row, : len(pieces)] = pieces, 1
        self.session.run(None, {"input_ids": ids, "attention_mask": mask})


def cut(windows: Sequence[list[int]], size: int) -> list[Sequence[list[int]]]:
    return [windows[start : start + size] for start in range(0, len(windows), size)]


def show(ways: Mapping[str, Way], count: int) -> None:
    print(f"\n{count:,} texts{'':{max(27 - len(f'{count:,}'), 0)}}{'texts/s':>12}{'CPU s':>9}   label is faster by, clock (CPU)")
    ours = ways[LABEL]
    for way in ways.values():
        print(f"{way.name:36}{count / statistics.median(way.wall):9.1f}{statistics.median(way.cpu):9.2f}   "
              f"{ratio(way.wall, ours.wall):.2f} ({ratio(way.cpu, ours.cpu):.2f})", flush=True)  # fmt: skip


def ratio(theirs: Sequence[float], mine: Sequence[float]) -> float:
    """The median over the rounds: what is compared was measured one after the other."""
    return statistics.median(other / own for other, own in zip(theirs, mine, strict=True))


def better(ways: Mapping[str, Way], name: str, of: str) -> list[float]:
    """The lowest of each round among the ways whose name begins so; of: `wall` or `cpu`."""
    times = [getattr(way, of) for way in ways.values() if way.name.startswith(name)]
    return [min(each) for each in zip(*times, strict=True)]


def against_bare(ways: Mapping[str, Way]) -> None:
    share, share_cpu = (ratio(better(ways, BARE, of), getattr(ways[LABEL], of)) for of in ("wall", "cpu"))
    print(
        f"\nof the bare session's best rate: {share:.1%} by the clock, {share_cpu:.1%} by processor time "
        f"(at least {MIN_OF_BARE:.0%})"
    )
    over, over_cpu = (ratio(getattr(ways[LABEL], of), getattr(ways[PLAIN], of)) - 1 for of in ("wall", "cpu"))
    print(
        f"going on after a kill costs: {over:.1%} by the clock, {over_cpu:.1%} by processor time (at most {MAX_JOURNAL:.0%})",
        flush=True,
    )


def against_slow(ways: Mapping[str, Way]) -> None:
    print()
    for name, least in MIN_FASTER.items():
        if any(way.startswith(name) for way in ways):
            wall, cpu = (ratio(better(ways, name, of), getattr(ways[LABEL], of)) for of in ("wall", "cpu"))
            print(
                f"faster than {name}: {wall:.1f} times by the clock, {cpu:.1f} by processor time (at least {least:g})", flush=True
            )


def line(classifier: FeedbackClassifier, every: Sequence[str], sizes: Sequence[int], folder: Path) -> None:
    """The cost of labelling by number of rows; texts are told apart by a number where there are too few of them."""
    if sizes:
        print(f"\n{'rows':>9}{'seconds':>10}{'CPU s':>9}{'CPU ms a row':>14}", flush=True)
    for size in sizes:
        write(folder / "line.csv", (every[n] if n < len(every) else f"{every[n % len(every)]} {n}" for n in range(size)))
        classifier._cache = AnswerCache(REMEMBERED)
        way = Way(f"{size:,} rows", lambda size=size: label(folder / "line.csv", folder / f"line-{size}.csv", classifier))
        way.measure()
        print(f"{size:9,}{way.wall[0]:10.1f}{way.cpu[0]:9.1f}{1000 * way.cpu[0] / size:14.2f}", flush=True)


def write(path: Path, texts: Any) -> None:
    with TableWriter(path, ["text"]) as writer:
        for text in texts:
            writer.write({"text": text})


if __name__ == "__main__":
    main()
