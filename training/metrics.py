"""Figures of how good answers are. Labels that a row does not know are skipped throughout."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from data.taxonomy import Task

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]
CALIBRATION_BINS = 10
SUREST = 0.8
"""Share of the messages that is kept where the least sure ones are left to a person."""


@dataclass(frozen=True)
class Judged:
    """Answers to one task beside what is known of it; only rows that know the task.

    All arrays are (messages, labels of the task).
    """

    task: Task
    given: BoolArray
    """What was answered, among the labels that the row could have been given."""
    right: BoolArray
    considered: BoolArray
    scores: FloatArray
    """Calibrated probabilities; of a single task over the considered labels, adding up to 1."""

    def take(self, rows: npt.NDArray[np.int64] | BoolArray) -> Judged:
        return Judged(self.task, self.given[rows], self.right[rows], self.considered[rows], self.scores[rows])

    def __len__(self) -> int:
        return len(self.given)


def judge(
    task: Task, chosen: BoolArray, scores: FloatArray, positive: FloatArray, considered: FloatArray
) -> tuple[Judged, BoolArray]:
    """Set answers beside the truth. Returns the judged rows, and which of the messages they are (messages,).

    chosen: (messages, labels) as the classifier decided. Single tasks: rows whose label is open (several are possible) are left
    out, and where a row could not have been given every label the most probable of those that it could is taken.
    """
    known = considered > 0
    if task.single:
        rows = ((positive > 0).sum(1) == 1) & (known.sum(1) > 1)
        open_ = known[rows]
        among = np.where(open_, scores[rows], 0.0)
        among = among / np.maximum(among.sum(1, keepdims=True), 1e-12)
        given = np.zeros_like(open_)
        given[np.arange(len(open_)), among.argmax(1)] = True
        own_scores = among.astype(np.float32)
    else:
        rows = known.any(1)
        open_ = known[rows]
        given = chosen[rows] & open_
        own_scores = scores[rows]
    return Judged(task, given, positive[rows] > 0, open_, own_scores), rows


def label_counts(judged: Judged) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """(hits, answered, true) by label, each (labels,)."""
    open_ = judged.considered
    return (
        (judged.given & judged.right & open_).sum(0),
        (judged.given & open_).sum(0),
        (judged.right & open_).sum(0),
    )


def f1_by_label(judged: Judged) -> npt.NDArray[np.float64]:
    """(labels,); NaN for a label that no row has."""
    hits, answered, true = label_counts(judged)
    f1: npt.NDArray[np.float64] = 2 * hits / np.maximum(answered + true, 1)
    return np.where(true > 0, f1, np.nan)


def macro_f1(judged: Judged) -> float:
    """Mean F1 over the labels that occur in the truth; NaN without rows."""
    f1 = f1_by_label(judged)
    return float(np.nanmean(f1)) if np.isfinite(f1).any() else float("nan")


def macro_recall(judged: Judged) -> float:
    hits, _, true = label_counts(judged)
    return float((hits[true > 0] / true[true > 0]).mean()) if (true > 0).any() else float("nan")


def accuracy(judged: Judged) -> float:
    """Single: share of right answers. Multi: share of messages whose known labels are all right."""
    if not len(judged):
        return float("nan")
    return float(((judged.given == judged.right) | ~judged.considered).all(1).mean())


def jaccard(judged: Judged) -> float:
    """Multi: mean overlap of the answered and the true labels, 1 where both are empty."""
    both = (judged.given & judged.right & judged.considered).sum(1)
    either = ((judged.given | judged.right) & judged.considered).sum(1)
    return float(np.where(either > 0, both / np.maximum(either, 1), 1.0).mean()) if len(judged) else float("nan")


def sureness(judged: Judged) -> npt.NDArray[np.float64]:
    """(messages,): the probability that the whole answer is right: of the label (single), of all decisions together (multi)."""
    if judged.task.single:
        single: npt.NDArray[np.float64] = judged.scores.max(1).astype(np.float64)
        return single
    of_decision = np.where(judged.given, judged.scores, 1.0 - judged.scores)
    together: npt.NDArray[np.float64] = np.where(judged.considered, of_decision, 1.0).prod(1, dtype=np.float64)
    return together


def surest_error_share(judged: Judged) -> float:
    """Error of the surest four fifths of the messages as a share of the error of all; 0.5: abstaining on a fifth halves it.

    Source: risk at a coverage, Geifman and El-Yaniv 2017, Selective Classification for Deep Neural Networks. NaN without errors.
    """
    error = 1.0 - accuracy(judged)
    if not error > 0:
        return float("nan")
    kept = np.argsort(-sureness(judged), kind="stable")[: max(1, round(SUREST * len(judged)))]
    return float((1.0 - accuracy(judged.take(kept))) / error)


def confidence(judged: Judged) -> tuple[npt.NDArray[np.float64], BoolArray]:
    """Probabilities and whether they came true: of the answer (single), of every known label decision (multi)."""
    if judged.task.single:
        return judged.scores.max(1).astype(np.float64), np.asarray((judged.given & judged.right).any(1))
    came_true: BoolArray = np.asarray(judged.right[judged.considered])
    return judged.scores[judged.considered].astype(np.float64), came_true


def calibration_error(probability: npt.NDArray[np.float64], came_true: BoolArray, bins: int = CALIBRATION_BINS) -> float:
    """Expected calibration error over bins of equal mass, 0 to 1.

    Source: Nixon et al. 2019, Measuring Calibration in Deep Learning, section 3.
    """
    if not len(probability):
        return float("nan")
    parts = equal_mass_bins(probability, bins)
    return float(sum(abs(probability[part].mean() - came_true[part].mean()) * len(part) for part in parts) / len(probability))


def equal_mass_bins(probability: npt.NDArray[np.float64], bins: int = CALIBRATION_BINS) -> list[npt.NDArray[np.int64]]:
    """Positions by bin, as equal in number as ties allow: equal probabilities are never parted."""
    ordered = np.sort(probability)
    edges = np.unique(ordered[np.arange(1, bins) * len(ordered) // bins])
    which = np.searchsorted(edges, probability, side="right")
    parts = [np.flatnonzero(which == number) for number in range(len(edges) + 1)]
    return [part for part in parts if len(part)]
