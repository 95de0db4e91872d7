"""How fast an archive is labelled, against the other ways to run the same model on the same texts (make bench-label).

    python benchmarks/label.py [FILE ...] [--model FOLDER] [--texts 1000] [--rounds 3] [--sizes 1000 10000 100000]

FILE: real texts of mixed length (CSV, JSON Lines, Parquet; the column is found or named); the corpus if none is given. Ways are run
in turn, round after round, so that a machine that is busy with other things slows all alike; medians are shown. Each rate is by
the clock and, beside it, by processor time of this process.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from data.table_writer import TableWriter
from data.tables import Record, open_table
from data.text import mend
from serving.archive import label
from serving.classifier import FeedbackClassifier, available_cores
from serving.columns import LabelledColumns, find_text_column, joined
from serving.inputs import find_files
from serving.model_folder import CONFIG, TOKENIZER, WEIGHTS
from serving.prediction import Prediction

CORPUS = [Path("data/corpus") / f"{language}.jsonl" for language in ("en", "fa", "zh")]
BATCH = 32


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


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--model", default="serving/model")
    parser.add_argument("--text-column")
    parser.add_argument("--texts", type=int, default=1000, help="for the ratios")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sizes", type=int, nargs="*", default=[1000, 10_000, 100_000], help="rows for the straight line")
    parser.add_argument("--threads", type=int, default=available_cores())
    parser.add_argument("--without-pipeline", action="store_true", help="leave out transformers, which needs torch")
    options = parser.parse_args()

    every = list(dict.fromkeys(read(options.files or CORPUS, options.text_column)))
    random.Random(0).shuffle(every)
    texts = every[: options.texts]
    classifier = FeedbackClassifier.load(options.model, threads=options.threads)
    bench = Bench(classifier, texts, options.threads)
    lengths = sorted(len(ids) for ids in bench.tokenized)
    print(f"{len(texts):,} distinct texts, {options.threads} threads, model {classifier.version}")
    print(f"pieces a window: 5 % under {lengths[len(lengths) // 20]}, half under {lengths[len(lengths) // 2]}, "
          f"95 % under {lengths[len(lengths) * 19 // 20]}")  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        ways = bench.ways(Path(folder), pipeline=not options.without_pipeline)
        for _ in range(options.rounds):
            for way in ways.values():
                way.measure()
        show(ways, len(texts))
        line(classifier, every, options.sizes, Path(folder))


def read(files: Sequence[Path], column: str | None) -> Iterator[str]:
    for path in find_files(files):
        table = open_table(path)
        name = find_text_column(str(path), table.columns, column)
        for record in table.records():
            text = record.values.get(name) if isinstance(record, Record) else None
            if isinstance(text, str) and text.strip():
                yield text


class Bench:
    def __init__(self, classifier: FeedbackClassifier, texts: Sequence[str], threads: int) -> None:
        self.classifier, self.texts, self.threads = classifier, texts, threads
        self.session, self.window = classifier._session, classifier.folder.window.length
        self.tokenized = [window.ids for text in texts for window in classifier.read_windows(mend(text).text)]

    def ways(self, folder: Path, pipeline: bool) -> dict[str, Way]:
        write(folder / "texts.csv", self.texts)
        runs: dict[str, Callable[[], Any]] = {
            "feedback label": lambda: self.labelled(folder),
            "the same without the journal": lambda: self.plain(folder),
            "bare session, one at a time": lambda: self.batched([[ids] for ids in self.tokenized]),
            "bare session, sorted by length, 8": lambda: self.batched(cut(sorted(self.tokenized, key=len), 8)),
            "all padded to one length": lambda: self.batched(cut(self.tokenize(), BATCH), pad=self.window),
            "batches in order of arrival": lambda: self.batched(cut(self.tokenize(), BATCH)),
        }
        if pipeline:
            classify = transformers_pipeline(self.classifier, self.window, self.threads)
            for size in (1, BATCH):
                runs[f"transformers pipeline, batch {size}"] = lambda size=size: classify(list(self.texts), batch_size=size)
        return {name: Way(name, run) for name, run in runs.items()}

    def labelled(self, folder: Path) -> None:
        label(folder / "texts.csv", folder / "out.csv", self.classifier, restart=True)

    def plain(self, folder: Path) -> None:
        """Read, label, write; nothing to go on with."""
        columns = LabelledColumns(self.classifier.taxonomy)
        rows = [record for record in open_table(folder / "texts.csv").records() if isinstance(record, Record)]
        with TableWriter(folder / "plain.csv", ("text", *columns.names)) as writer:
            for row, result in zip(rows, self.classifier.stream(row.values["text"] for row in rows), strict=True):
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


def transformers_pipeline(classifier: FeedbackClassifier, window: int, threads: int) -> Any:
    """The usual way: the same checkpoint under a head of as many labels, in torch."""
    import torch
    from safetensors.torch import load_file
    from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedTokenizerFast, pipeline

    torch.set_num_threads(threads)
    folder = classifier.folder.path
    config = AutoConfig.for_model(**json.loads((folder / CONFIG).read_text("utf-8")), num_labels=classifier.taxonomy.size)
    model = AutoModelForSequenceClassification.from_config(config).eval()
    weights = {name: value.float() for name, value in load_file(str(folder / WEIGHTS)).items()}
    missing = model.base_model.load_state_dict(weights, strict=False).missing_keys
    assert all("pooler" in name or "position_ids" in name for name in missing), missing[:5]
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(folder / TOKENIZER), pad_token="<pad>", model_max_length=window, truncation_side="right"
    )
    made = pipeline("text-classification", model=model, tokenizer=tokenizer, top_k=None, function_to_apply="sigmoid")
    return lambda texts, batch_size: made(texts, batch_size=batch_size, truncation=True, max_length=window)


def show(ways: dict[str, Way], count: int) -> None:
    print(f"\n{'':36}{'texts/s':>9}{'CPU s':>9}   label is faster by, clock (CPU)")
    ours = ways["feedback label"]
    for way in ways.values():
        ratio, cpu = (statistics.median(other / own for other, own in zip(theirs, mine, strict=True))
                      for theirs, mine in ((way.wall, ours.wall), (way.cpu, ours.cpu)))  # fmt: skip
        print(f"{way.name:36}{count / statistics.median(way.wall):9.1f}{statistics.median(way.cpu):9.2f}   {ratio:.2f} ({cpu:.2f})")
    bare = [way for name, way in ways.items() if name.startswith("bare")]
    share, share_cpu = (
        statistics.median(min(each) / own for *each, own in zip(*others, mine, strict=True))
        for others, mine in (([way.wall for way in bare], ours.wall), ([way.cpu for way in bare], ours.cpu))
    )
    print(f"\nof the bare session's best rate: {share:.1%} by the clock, {share_cpu:.1%} by processor time")
    plain = ways["the same without the journal"]
    over, over_cpu = (
        statistics.median(own / without - 1 for own, without in zip(mine, theirs, strict=True))
        for mine, theirs in ((ours.wall, plain.wall), (ours.cpu, plain.cpu))
    )
    print(f"going on after a kill costs: {over:.1%} by the clock, {over_cpu:.1%} by processor time")


def line(classifier: FeedbackClassifier, every: Sequence[str], sizes: Sequence[int], folder: Path) -> None:
    """The cost of labelling by number of rows; texts are told apart by a number where there are too few of them."""
    if sizes:
        print(f"\n{'rows':>9}{'seconds':>10}{'CPU s':>9}{'CPU ms a row':>14}")
    for size in sizes:
        write(folder / "line.csv", (every[n] if n < len(every) else f"{every[n % len(every)]} {n}" for n in range(size)))
        way = Way("", lambda size=size: label(folder / "line.csv", folder / f"line-{size}.csv", classifier))
        way.measure()
        print(f"{size:9,}{way.wall[0]:10.1f}{way.cpu[0]:9.1f}{1000 * way.cpu[0] / size:14.2f}", flush=True)


def write(path: Path, texts: Any) -> None:
    with TableWriter(path, ["text"]) as writer:
        for text in texts:
            writer.write({"text": text})


if __name__ == "__main__":
    main()
