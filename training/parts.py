"""Which rows train, validate and test: read, split, and drawn evenly from their sources."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from data.annotations import PREFIX
from data.errors import ConfigError, DataError
from data.rows import Row, read_rows
from data.sources import read_sources
from data.split import assign_splits
from data.taxonomy import Taxonomy
from training.config import TrainingConfig

logger = logging.getLogger(__name__)

OWN_CORPUS = "corpus"
"""Source of the rows that are ours, under CC BY 4.0."""


def read_parts(config: TrainingConfig, taxonomy: Taxonomy) -> dict[str, list[Row]]:
    """The rows of every file by split: `train`, `validation`, `test`."""
    rows = [row for path in config.rows for row in read_rows(path, taxonomy)]
    parts: dict[str, list[Row]] = {"train": [], "validation": [], "test": []}
    for row in assign_splits(rows):
        parts[row.split or "train"].append(row)
    for name in ("train", "validation"):  # thresholds and temperatures are learnt too
        parts[name] = _licensed(parts[name], config.licences)
        if config.languages:
            parts[name] = [row for row in parts[name] if row.primary_language in config.languages]
    if config.rows_per_source or config.source_rows:
        parts["train"] = _at_most_per_source(parts["train"], config.rows_per_source, config.source_rows)
    if config.validation_sources:
        parts["validation"] = [
            row for row in parts["validation"] if any(fnmatchcase(row.source or "", name) for name in config.validation_sources)
        ]
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


def source_licence(name: str) -> str | None:
    """`ok`, `silent` or `nc`, of a public set, of our labels on one, or of our own corpus; None for a source of your own."""
    if name == OWN_CORPUS:
        return "ok"
    source = read_sources().get(name.removeprefix(PREFIX))
    return source.licence if source else None


def knows(row: Row, task: str) -> bool:
    return task in row.labels or task in row.excluded


def _licensed(rows: Sequence[Row], licences: Sequence[str]) -> list[Row]:
    """The rows whose source has one of these classes of licence, or is none of the public sets."""
    if not licences:
        return list(rows)
    classes = {name: source_licence(name) for name in {row.source or "" for row in rows}}
    left_out = sorted(name for name, licence in classes.items() if licence not in (None, *licences))
    if left_out:
        logger.info("Not trained on, by their licences: %s", ", ".join(left_out))
    return [row for row in rows if classes[row.source or ""] in (None, *licences)]


def _at_most_per_source(rows: Sequence[Row], count: int, exceptions: Mapping[str, int]) -> list[Row]:
    """At most `count` rows (0: all) of each source; `exceptions` by name or pattern, the first that fits, where 0 is none."""
    by_source: dict[str, list[Row]] = defaultdict(list)
    for row in sorted(rows, key=_order):
        by_source[row.source or ""].append(row)
    unknown = [pattern for pattern in exceptions if not any(fnmatchcase(name, pattern) for name in by_source)]
    if unknown:
        raise ConfigError(f"source_rows names {', '.join(unknown)}; the training rows come from {', '.join(sorted(by_source))}")
    limits = {}
    for name, members in by_source.items():
        found = [limit for pattern, limit in exceptions.items() if fnmatchcase(name, pattern)]
        limits[name] = found[0] if found else count or len(members)
    return [row for name, members in by_source.items() for row in members[: limits[name]]]


def _order(row: Row) -> str:
    return hashlib.sha256(row.text.encode("utf-8", "surrogatepass")).hexdigest()
