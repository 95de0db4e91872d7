"""Records and their results, in order: texts side by side on every core, texts that were met before answered from memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from data.tables import BadRecord, Record, Table
from serving.classifier import FeedbackClassifier
from serving.columns import language_code
from serving.prediction import Failure, Prediction

REMEMBERED = 8192
"""Texts whose answers are kept to answer the same text again (serving/cache.py)."""

Result = Prediction | Failure
Item = tuple[Table, Record | BadRecord]


@dataclass(frozen=True)
class Reading:
    """Which columns of a record are read."""

    text_column: str
    language_column: str | None = None

    def text(self, table: Table, record: Record) -> Any:
        """The message; a number of a spreadsheet is one too, since nobody can tell a sheet that 5 is a text."""
        value = record.values.get(self.text_column)
        if value is None:
            return ""
        return str(value) if table.format == "xlsx" and not isinstance(value, str) else value

    def language(self, record: Record) -> str | None:
        return None if self.language_column is None else language_code(record.values.get(self.language_column))


def results(
    items: Iterable[Item], reading: Reading, classifier: FeedbackClassifier
) -> Iterator[tuple[Table, Record, Result] | tuple[Table, BadRecord, None]]:
    """Every item with its result, in order; as many are read ahead as keep every thread busy, and no more."""
    ahead: deque[tuple[Table, Record | BadRecord, Future[Result] | None]] = deque()
    try:
        for table, record in items:
            if len(ahead) >= classifier.in_flight:
                yield _done(*ahead.popleft())
            answer = None
            if isinstance(record, Record):
                answer = classifier.submit(reading.text(table, record), language=reading.language(record))
            ahead.append((table, record, answer))
        while ahead:
            yield _done(*ahead.popleft())
    finally:  # where a run stops, the rest is not read
        for *_, waiting in ahead:
            if waiting is not None:
                waiting.cancel()


def _done(table: Table, record: Record | BadRecord, answer: Future[Result] | None) -> Any:
    return table, record, None if answer is None else answer.result()
