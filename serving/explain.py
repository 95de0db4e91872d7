"""Which sentences carried each label: every sentence is left out in turn, and what a label loses is that sentence's effect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from data.errors import MessageError
from data.taxonomy import Task
from data.text import Mended
from serving.labels import FloatArray, pool_windows, probabilities
from serving.prediction import Answer, Sentence
from serving.sentences import sentences

if TYPE_CHECKING:
    from serving.classifier import FeedbackClassifier
    from serving.windows import ReadWindow

MAX_PASSAGES = 32
"""A message of more sentences is read in so many passages of neighbouring sentences, so that its cost is bounded."""
MAX_RUNS = 64
"""Passages times windows up to which the whole rest is read again. Where there are more, only the windows that a passage touches
are, without its pieces: nearly the same at a fraction of the cost."""
MAX_NAMED = 3
"""Sentences named for a label."""
NAMED_SHARE = 0.5
"""Beside the sentence that carried a label most, those are named that have at least this share of its effect in log-odds."""


def explain(
    classifier: FeedbackClassifier,
    mended: Mended,
    answers: Mapping[str, Answer],
    logits: FloatArray,
    temperatures: Mapping[str, float],
) -> dict[str, Answer]:
    """Return the answers with the sentences that carried each chosen label, as offsets into the original text.

    logits: of the whole text, (labels,). temperatures: by task, those that gave the answers.
    Costs one more reading of the text a sentence, MAX_RUNS runs of the network at most; in a text that would cost more, one run for
    each sentence and window that it touches.
    """
    found = passages(mended.text)
    spans = [_original(mended, start, end) for start, end in found]
    without = leave_each_out(classifier, mended.text, found) if len(found) > 1 else None  # (passages, labels)
    explained = {}
    for name, answer in answers.items():
        task, columns, temperature = classifier.taxonomy[name], classifier.taxonomy.columns(name), temperatures[name]
        choices = []
        for choice in answer.choices:
            if without is None:
                named = [Sentence(*spans[0], None)]
            else:
                place = task.index(choice.label)
                # Log-odds order sentences as probabilities do, but are never saturated.
                lost = log_odds(task, logits[columns], place, temperature) - log_odds(task, without[:, columns], place, temperature)
                left = probabilities(task, without[:, columns], temperature)[:, place]
                named = [Sentence(*spans[index], choice.probability - float(left[index])) for index in strongest(lost)]
            choices.append(replace(choice, sentences=tuple(named)))
        explained[name] = replace(answer, choices=tuple(choices))
    return explained


def passages(text: str) -> list[tuple[int, int]]:
    """The sentences of a text; of more than MAX_PASSAGES, neighbours together, as even in length as they come."""
    found = sentences(text)
    if len(found) <= MAX_PASSAGES:
        return found
    bounds: dict[int, tuple[int, int]] = {}
    for start, end in found:
        group = start * MAX_PASSAGES // len(text)
        bounds[group] = (bounds.get(group, (start, end))[0], end)
    return list(bounds.values())


def leave_each_out(classifier: FeedbackClassifier, text: str, found: Sequence[tuple[int, int]]) -> FloatArray:
    """Joint logits of the text without each passage, (passages, labels): those of a message in which it had not been written.

    Over MAX_RUNS, a passage's pieces are taken out of the windows that hold them, which stay where they are: only these run again.
    """
    windows = classifier.read_windows(text)
    if len(windows) * len(found) <= MAX_RUNS:
        return np.stack([_rest(classifier, windows, text[:start] + text[end:]) for start, end in found])
    untouched: dict[int, FloatArray] = {}
    result = []
    for start, end in found:
        rows, weights = [], []
        for number, window in enumerate(windows):
            rest = window.without(start, end)
            if rest is window:
                if number not in untouched:
                    untouched[number] = classifier.window_logits(window.ids)
                rows.append(untouched[number])
            elif rest.pieces:
                rows.append(classifier.window_logits(rest.ids))
            else:
                continue
            weights.append(max(rest.fresh, 1))
        if rows:
            result.append(pool_windows(np.stack(rows), np.array(weights, dtype=np.float32), classifier.taxonomy))
        else:
            result.append(_nothing(classifier, windows))
    return np.stack(result)


def _rest(classifier: FeedbackClassifier, windows: Sequence[ReadWindow], text: str) -> FloatArray:
    try:
        return classifier.logits(text)
    except MessageError:
        return _nothing(classifier, windows)


def _nothing(classifier: FeedbackClassifier, windows: Sequence[ReadWindow]) -> FloatArray:
    """Joint logits of a message of which nothing can be read: only special tokens."""
    special = [piece for piece, span in zip(windows[0].ids, windows[0].spans, strict=True) if span is None]
    return classifier.window_logits(special)


def log_odds(task: Task, logits: FloatArray, place: int, temperature: float) -> npt.NDArray[np.float64]:
    """Log-odds of the calibrated probability of the label at `place`; logits: (..., labels of the task)."""
    scaled: npt.NDArray[np.float64] = logits.astype(np.float64) / temperature
    own: npt.NDArray[np.float64] = scaled[..., place]
    if not task.single:
        return own
    others = np.delete(scaled, place, axis=-1)
    odds: npt.NDArray[np.float64] = own - np.logaddexp.reduce(others, axis=-1)
    return odds


def strongest(lost: npt.NDArray[np.float64]) -> list[int]:
    """The passage without which a label loses most, and those that cost it nearly as much."""
    order = [int(index) for index in np.argsort(-lost, kind="stable")[:MAX_NAMED]]
    best = float(lost[order[0]])
    return [index for index in order if index == order[0] or (best > 0 and lost[index] >= NAMED_SHARE * best)]


def _original(mended: Mended, start: int, end: int) -> tuple[int, int]:
    """Where a passage of the mended text, without the spaces around it, stands in the original."""
    words = mended.text[start:end]
    start += len(words) - len(words.lstrip())
    return mended.original_span(start, start + len(words.strip()))
