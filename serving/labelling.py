"""Records and their results, in order: texts side by side on every core, texts that were met before answered from memory."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

from data.tables import BadRecord, Record, Table
from serving.classifier import FeedbackClassifier
from serving.columns import language_code
from serving.prediction import Failure, Prediction

REMEMBERED = 8192
"""Texts whose answers are kept to answer the same text again (serving/cache.py)."""

BLOCK = 1024
"""Records that are labelled together, so that texts of one length find each other (serving/blocks.py)."""
BLOCK_CHARACTERS = 100_000
"""A block with so many ends there: long texts take 60 to 180 bytes a character while they are read."""
AHEAD = 2
WAITING_SECONDS = 0.2

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
    items: Iterable[Item],
    reading: Reading,
    classifier: FeedbackClassifier,
    *,
    shard_rows: int = 0,
    waiting: Callable[[], None] = lambda: None,
) -> Generator[tuple[Table, Record, Result] | tuple[Table, BadRecord, None]]:
    """Every item with its result, in order. Blocks of them are labelled together; two are read ahead, so that no thread is idle.

    shard_rows: no block goes over a multiple of it; 0: there are no shards. waiting: called every WAITING_SECONDS while a block is
    waited for; what it raises ends the labelling. Close the iterator where it is not read to its end.
    """
    stopped = threading.Event()
    ahead: deque[tuple[_Block, Future[list[Result]]]] = deque()
    with ThreadPoolExecutor(AHEAD, thread_name_prefix="block") as threads:
        try:
            for block in _blocks(items, reading, shard_rows):
                ahead.append((block, threads.submit(classifier.predict_block, block.texts, block.codes, stopped.is_set)))
                if len(ahead) > AHEAD:
                    yield from _done(*ahead.popleft(), waiting)
            while ahead:
                yield from _done(*ahead.popleft(), waiting)
        finally:  # where a run stops, the rest is not labelled
            stopped.set()
            for _, answers in ahead:
                answers.cancel()


@dataclass
class _Block:
    items: list[Item] = field(default_factory=list)
    texts: list[Any] = field(default_factory=list)
    """Of the records among the items."""
    codes: list[str | None] = field(default_factory=list)
    characters: int = 0


def _blocks(items: Iterable[Item], reading: Reading, shard_rows: int) -> Iterator[_Block]:
    block = _Block()
    for number, (table, record) in enumerate(items, 1):
        block.items.append((table, record))
        if isinstance(record, Record):
            text = reading.text(table, record)
            block.texts.append(text)
            block.codes.append(reading.language(record))
            block.characters += len(text) if isinstance(text, str) else 0
        full = len(block.items) == BLOCK or block.characters >= BLOCK_CHARACTERS
        if full or (shard_rows and number % shard_rows == 0):
            yield block
            block = _Block()
    if block.items:
        yield block


def _done(block: _Block, answers: Future[list[Result]], waiting: Callable[[], None]) -> Any:
    while not answers.done():
        wait([answers], WAITING_SECONDS)
        waiting()
    left = iter(answers.result())
    for table, record in block.items:
        yield table, record, next(left) if isinstance(record, Record) else None
