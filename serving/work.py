"""What is to be labelled and how, without the model: the same for a thread here and for a worker on another machine."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from math import ceil
from typing import Any

from data.errors import DataError
from data.tables import BadRecord, Record, Table
from serving.classifier import FeedbackClassifier
from serving.inputs import Archive
from serving.journal import Journal, Shard
from serving.labelling import Reading, results
from serving.shards import Form, ShardWriter

Watch = Callable[[Table, Record | BadRecord, dict[str, Any] | None], None]
"""Called after each row, with its reject if it became one; what it raises stops the shard."""


@dataclass(frozen=True)
class Work:
    archive: Archive
    rows: tuple[int, ...]
    """Of each file, under the limit."""
    form: Form
    reading: Reading
    shard_rows: int
    stamps: tuple[tuple[int, int], ...]
    """Of each file, when it was read through."""

    @property
    def total(self) -> int:
        return sum(self.rows)

    @property
    def shards(self) -> int:
        """At least one: it carries the names of the columns."""
        return max(1, ceil(self.total / self.shard_rows))

    def label(
        self,
        numbers: range,
        classifier: FeedbackClassifier,
        journal: Journal,
        watch: Watch,
        waiting: Callable[[], None] = lambda: None,
    ) -> Generator[Shard]:
        """Label some shards in a row: the texts of the next ones are read ahead while one is written."""
        items = self.archive.records(self.rows, numbers.start * self.shard_rows, min(numbers.stop * self.shard_rows, self.total))
        # Closed, and so stopped, also where a shard cannot be written or the caller wants no more.
        with closing(results(items, self.reading, classifier, shard_rows=self.shard_rows, waiting=waiting)) as labelled:
            for number in numbers:
                yield self._label_shard(number, labelled, journal, watch)

    def _label_shard(self, number: int, labelled: Iterator[Any], journal: Journal, watch: Watch) -> Shard:
        left = min(self.shard_rows, self.total - number * self.shard_rows)
        with ShardWriter(journal, number, self.form) as writer:
            for table, record, result in islice(labelled, left):
                watch(table, record, writer.add(table, record, result))
                left -= 1
            if left:
                raise DataError(f"{self.archive.where}: has fewer rows than when it was counted. Has it changed?")
            return writer.commit(self._check_input)

    def _check_input(self) -> None:
        for table, before, now in zip(self.archive.tables, self.stamps, self.archive.stamps(), strict=True):
            if now != before:
                raise DataError(
                    f"{table.path}: changed while it was read. Label it anew with --restart, or bring back what it was."
                )
