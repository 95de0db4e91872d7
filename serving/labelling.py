"""Records and their results, in order: texts side by side on every core, texts that were met before answered from memory."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any

from data.tables import BadRecord, Record, Table
from serving.classifier import FeedbackClassifier
from serving.columns import language_code
from serving.prediction import Failure, Prediction

REMEMBERED = 8192
"""Texts whose answers are kept to answer the same text again (serving/cache.py)."""

BLOCK = 1024
"""Records that are labelled together, so that texts of one length find each other (serving/blocks.py)."""
AHEAD = 2

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
    items: Iterable[Item], reading: Reading, classifier: FeedbackClassifier, block: int = BLOCK
) -> Iterator[tuple[Table, Record, Result] | tuple[Table, BadRecord, None]]:
    """Every item with its result, in order; `block` of them at a time, and two blocks are read ahead, so that no thread is idle."""
    stopped = threading.Event()
    ahead: deque[tuple[list[Item], Future[list[Result]]]] = deque()
    rest = iter(items)
    with ThreadPoolExecutor(AHEAD, thread_name_prefix="block") as blocks:
        try:
            while taken := list(islice(rest, block)):
                records = [(table, record) for table, record in taken if isinstance(record, Record)]
                texts = [reading.text(table, record) for table, record in records]
                codes = [reading.language(record) for _, record in records]
                ahead.append((taken, blocks.submit(classifier.predict_block, texts, codes, stopped.is_set)))
                if len(ahead) > AHEAD:
                    yield from _done(*ahead.popleft())
            while ahead:
                yield from _done(*ahead.popleft())
        finally:  # where a run stops, the rest is not labelled
            stopped.set()
            for _, waiting in ahead:
                waiting.cancel()


def _done(taken: list[Item], answers: Future[list[Result]]) -> Any:
    left = iter(answers.result())
    for table, record in taken:
        yield table, record, next(left) if isinstance(record, Record) else None
