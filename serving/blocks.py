"""Many texts at a time, as archives have them: windows of one length share a run of the network; answers stay what they are alone.

For a short text the network's two hundred steps cost more to begin than to do; shared runs take a quarter to a third less time for
an archive (`make bench-label`). Only windows of equal length share one, so nothing is padded: integer products are exact, all else
is computed row by row, in the same order; so not a bit of an answer depends on its neighbours (tests/test_blocks.py). Whether that
holds on the machine at hand is looked at before the first shared run; where it does not, every window runs alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from data.errors import MessageError
from serving.labels import FloatArray
from serving.prediction import Failure, Prediction
from serving.watch import Stopped
from serving.windows import ReadMessage

if TYPE_CHECKING:
    from serving.classifier import FeedbackClassifier

WINDOWS_A_RUN = 32
PIECES_A_RUN = 1024
"""At most so many, so that a run's activations stay in the processor's cache."""

FEWEST_TO_SHARE = 128
"""With fewer windows it does not pay to look whether they may share runs (half a second)."""
PROBES = ((3, 32), (7, 8), (16, 8), (33, 5), (128, 8))
"""Lengths, and how many windows of each: small runs and the largest one."""

Result = Prediction | Failure


@dataclass
class _Message:
    """One text of a block, with all places where it stands."""

    text: Any
    code: str | None
    places: list[int] = field(default_factory=list)
    read: ReadMessage | None = None
    rows: dict[int, FloatArray] = field(default_factory=dict)
    """Logits by window."""
    result: Result | None = None


@dataclass(frozen=True)
class _Window:
    message: _Message
    number: int
    ids: list[int]


def predict_block(
    classifier: FeedbackClassifier,
    pool: Executor,
    texts: Sequence[Any],
    codes: Sequence[str | None],
    stopped: Callable[[], bool] = lambda: False,
) -> list[Result]:
    """One result for each text, in order, as `FeedbackClassifier.predict` gives it.

    codes: languages known beforehand, None elsewhere. pool: where texts are read and runs are made, side by side.
    Raises Stopped soon after `stopped` says so.
    """
    messages: dict[Any, _Message] = {}
    for place, (text, code) in enumerate(zip(texts, codes, strict=True)):
        key = (text, code) if isinstance(text, str) else place
        messages.setdefault(key, _Message(text, code)).places.append(place)

    def unless_stopped(step: Callable[[Any], None]) -> Callable[[Any], None]:
        def run(item: Any) -> None:
            if stopped():
                raise Stopped
            step(item)

        return run

    def each(step: Callable[[Any], None], items: Iterable[Any]) -> None:
        for _ in pool.map(unless_stopped(step), items):  # what a step raises is raised here
            pass

    each(lambda message: _read(classifier, message), messages.values())
    open_ = [message for message in messages.values() if message.result is None]
    many = sum(len(message.read.windows) for message in open_ if message.read) >= FEWEST_TO_SHARE
    each(lambda run: _run(classifier, run), runs(open_, WINDOWS_A_RUN if many and classifier.shares_runs else 1))
    for message in open_:  # here and not in the pool, where the runs of the next block wait already
        if stopped():
            raise Stopped
        _answer(classifier, message)
    results: list[Any] = [None] * len(texts)
    for message in messages.values():
        assert message.result is not None
        for place in message.places:
            results[place] = message.result
    return results


def rows_are_alone(classifier: FeedbackClassifier) -> bool:
    """Whether windows in one run get, to the bit, the logits that each gets alone, with this network, runtime and processor."""
    drawn = np.random.default_rng(0)
    pieces = classifier.tokenizer.get_vocab_size()
    for length, count in PROBES:
        windows = drawn.integers(0, pieces, (count, length)).tolist()
        together = classifier.network(windows)
        if not all(np.array_equal(row, classifier.window_logits(window)) for row, window in zip(together, windows, strict=True)):
            return False
    return True


def runs(messages: Iterable[_Message], most: int = WINDOWS_A_RUN) -> Iterator[list[_Window]]:
    """Windows of one length together, the longest first, so that no thread is left with a long run at the end."""
    by_length: dict[int, list[_Window]] = {}
    for message in messages:
        assert message.read is not None
        for number, window in enumerate(message.read.windows):
            by_length.setdefault(len(window.ids), []).append(_Window(message, number, window.ids))
    for length in sorted(by_length, reverse=True):
        size = max(1, min(most, PIECES_A_RUN // length))
        windows = by_length[length]
        for start in range(0, len(windows), size):
            yield windows[start : start + size]


def _read(classifier: FeedbackClassifier, message: _Message) -> None:
    message.result = classifier.remembered(message.text, message.code)
    if message.result is None:
        try:
            message.read = classifier.read(message.text, message.code)
        except MessageError as error:
            message.result = Failure(None, error.code, str(error))


def _run(classifier: FeedbackClassifier, windows: Sequence[_Window]) -> None:
    for window, row in zip(windows, classifier.network([window.ids for window in windows]), strict=True):
        window.message.rows[window.number] = row


def _answer(classifier: FeedbackClassifier, message: _Message) -> None:
    assert message.read is not None
    rows = np.stack([message.rows[number] for number in range(len(message.read.windows))])  # (windows, labels)
    try:
        message.result = classifier.answer(message.read, classifier.pool_rows(message.read.windows, rows))
    except MessageError as error:
        message.result = Failure(None, error.code, str(error))
    else:
        classifier.remember(message.text, message.code, message.result)
    message.read = None  # its windows take a hundred bytes a character
    message.rows.clear()
