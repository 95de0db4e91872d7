"""How long a company's own fine-tuning takes: 2,000 rows, four tasks with names of its own, from a model folder (docs/training.md).

    python -m benchmarks.own_taxonomy [--model serving/model] [--rows 2000] [--epochs 4]

The written corpus stands in for the company's messages: its three tasks under other names, so that no row of the old head fits, and
the channel as a fourth. Trained on the first rows of the training split by id, tested on the test split; times are by the clock,
from reading the rows to the finished model folder.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from data.taxonomy import Taxonomy

CORPUS = ("data/corpus/zh.jsonl", "data/corpus/en.jsonl", "data/corpus/fa.jsonl")
OWN = "own_"
"""Before the names of tasks and labels, so that nothing of the old head fits."""
EXTRA_TASK = "channel"
TEST_ROWS = 800


def own_taxonomy(channels: Sequence[str]) -> str:
    """The shipped taxonomy's tasks under other names, and a fourth task."""
    lines = ['version = "1"', "[priority]", "zero = {}"]
    for task in Taxonomy.read():
        lines += [f"[tasks.{OWN}{task.name}]", f'kind = "{"single" if task.single else "multi"}"']
        lines += [] if task.single else [f"at_least_one = {str(task.at_least_one).lower()}"]
        lines += [f'[[tasks.{OWN}{task.name}.labels]]\nname = "{OWN}{name}"' for name in task.names]
    lines += [f"[tasks.{EXTRA_TASK}]", 'kind = "single"']
    lines += [f'[[tasks.{EXTRA_TASK}.labels]]\nname = "{name}"' for name in channels]
    return "\n".join(lines) + "\n"


def own_rows(count: int) -> Iterator[dict[str, Any]]:
    """`count` training rows, and the test rows, evenly over the languages."""
    tasks = Taxonomy.read().task_names
    for path in CORPUS:
        rows = [json.loads(line) for line in Path(path).read_text("utf-8").splitlines()]
        for split, most in (("train", count), ("test", TEST_ROWS), ("validation", TEST_ROWS)):
            for row in [row for row in rows if row["split"] == split][: most // len(CORPUS)]:
                own = {OWN + task: _own(row[task]) for task in tasks}
                yield {"text": row["text"], "language": row["language"], "split": split, "channel": row["channel"], **own}


def _own(labels: str | list[str]) -> str | list[str]:
    return OWN + labels if isinstance(labels, str) else [OWN + label for label in labels]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="serving/model", help="the folder to start from")
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--epochs", type=float, default=4.0)
    options = parser.parse_args()
    from training.config import TrainingConfig
    from training.train import train

    with tempfile.TemporaryDirectory(prefix="own_taxonomy_") as aside:
        folder = Path(aside)
        rows = list(own_rows(options.rows))
        (folder / "rows.jsonl").write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
        (folder / "own.toml").write_text(own_taxonomy(sorted({row["channel"] for row in rows})), "utf-8")
        config = TrainingConfig(
            rows=(str(folder / "rows.jsonl"),),
            output=str(folder / "model"),
            base=options.model,
            taxonomy=str(folder / "own.toml"),
            epochs=options.epochs,
            behaviour=False,
        )
        begun = time.perf_counter()
        model = train(config)
        seconds = time.perf_counter() - begun
        assert model is not None
        metrics = json.loads((model.path / "metrics.json").read_text("utf-8"))
        print(f"{options.rows:,} rows, {options.epochs:g} passes, four tasks: {seconds:.0f} s from rows to model folder")
        for task, cells in metrics["test"]["tasks"].items():
            cell = cells["all"]
            print(f"  {task:<14} macro-F1 {100 * cell['macro_f1']:.1f}, linear baseline {100 * cell['baseline']['macro_f1']:.1f}")


if __name__ == "__main__":
    main()
