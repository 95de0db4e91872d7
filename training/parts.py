"""Which rows train, validate and test: read, split, and drawn evenly from their sources."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter, defaultdict
from collections.abc import Sequence

from data.errors import DataError
from data.rows import Row, read_rows
from data.split import assign_splits
from data.taxonomy import Taxonomy
from training.config import TrainingConfig

logger = logging.getLogger(__name__)


def read_parts(config: TrainingConfig, taxonomy: Taxonomy) -> dict[str, list[Row]]:
    """The rows of every file by split: `train`, `validation`, `test`."""
    rows = [row for path in config.rows for row in read_rows(path, taxonomy)]
    parts: dict[str, list[Row]] = {"train": [], "validation": [], "test": []}
    for row in assign_splits(rows):
        parts[row.split or "train"].append(row)
    if config.rows_per_source:
        parts["train"] = _at_most_per_source(parts["train"], config.rows_per_source)
    parts["validation"] = sample_evenly(parts["validation"], config.validation_rows)
    parts["test"] = sample_evenly(parts["test"], config.test_rows)
    if not parts["train"]:
        raise DataError(f"{', '.join(config.rows)}: no row to train on (splits: {dict(Counter(row.split for row in rows))})")
    unknown = [task.name for task in taxonomy if not any(knows(row, task.name) for row in parts["train"])]
    if len(unknown) == len(taxonomy.tasks):
        raise DataError(f"{', '.join(config.rows)}: no training row has a label of {', '.join(unknown)}. Is it the right taxonomy?")
    if unknown:
        logger.warning("No training row has a label of %s: the answers to that mean nothing.", ", ".join(unknown))
    for name, lost in (("validation", "no early stopping, temperatures or thresholds"), ("test", "no evaluation")):
        if not parts[name]:
            logger.warning("No %s rows: %s.", name, lost)
    logger.info("Rows: %s", {name: len(part) for name, part in parts.items()})
    return parts


def sample_evenly(rows: Sequence[Row], count: int) -> list[Row]:
    """At most `count` rows (0: all), as many as possible from each source alike, chosen by the hash of their text."""
    if not count or len(rows) <= count:
        return list(rows)
    queues: dict[str | None, list[Row]] = defaultdict(list)
    for row in sorted(rows, key=_order):
        queues[row.source].append(row)
    taken: list[Row] = []
    turn = 0
    while len(taken) < count:
        taken += [queue[turn] for queue in queues.values() if turn < len(queue)]
        turn += 1
    return taken[:count]


def knows(row: Row, task: str) -> bool:
    return task in row.labels or task in row.excluded


def _at_most_per_source(rows: Sequence[Row], count: int) -> list[Row]:
    by_source: dict[str | None, list[Row]] = defaultdict(list)
    for row in sorted(rows, key=_order):
        by_source[row.source].append(row)
    return [row for members in by_source.values() for row in members[:count]]


def _order(row: Row) -> str:
    return hashlib.sha256(row.text.encode("utf-8", "surrogatepass")).hexdigest()
