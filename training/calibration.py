"""Fit what turns logits into probabilities and probabilities into labels: temperatures and thresholds."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from data.taxonomy import Task, Taxonomy
from serving.labels import probabilities
from serving.model_folder import ALL_LANGUAGES
from training.encoding import Targets

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]

MIN_CALIBRATION_ROWS = 30
"""With fewer rows that know a task, its temperature stays 1 and its thresholds stay 0.5."""
MIN_LANGUAGE_ROWS = 500
"""A language gets a temperature of its own only with more rows than this."""
SHRINKAGE_ROWS = 500
"""Rows that the temperature of all languages counts for when a language's own is drawn towards it."""
THRESHOLD_SHRINKAGE = 20
"""Positive rows that the common threshold counts for when a label's own is drawn towards it."""
LOG_TEMPERATURE_BOUNDS = (math.log(0.25), math.log(8.0))
THRESHOLD_GRID = np.linspace(0.05, 0.9, 86)


def fit_temperature(task: Task, logits: FloatArray, positive: FloatArray, considered: FloatArray) -> float:
    """Return the divisor of the logits that gives the lowest log loss; 1.0 below MIN_CALIBRATION_ROWS rows.

    logits, positive, considered: (messages, labels of the task), see `encoding.Targets`.
    Source: Guo et al. 2017, On Calibration of Modern Neural Networks, section 4.2.
    """
    from scipy.optimize import minimize_scalar

    if len(logits) < MIN_CALIBRATION_ROWS:
        return 1.0

    def log_loss(log_temperature: float) -> float:
        scores = logits.astype(np.float64) / math.exp(log_temperature)
        if task.single:
            every = _log_sum_exp(np.where(considered > 0, scores, -np.inf))
            right = _log_sum_exp(np.where(positive > 0, scores, -np.inf))
            return float((every - right).mean())
        signed = np.where(positive > 0, -scores, scores)
        return float((np.logaddexp(0.0, signed) * considered).sum() / considered.sum())

    found = minimize_scalar(log_loss, bounds=LOG_TEMPERATURE_BOUNDS, method="bounded")
    return math.exp(float(found.x))


def fit_temperatures(
    taxonomy: Taxonomy, logits: FloatArray, targets: Targets, languages: Sequence[str]
) -> dict[str, dict[str, float]]:
    """One temperature a task, and one a language (drawn towards it) where there are more than MIN_LANGUAGE_ROWS rows.

    logits: (messages, labels of all tasks), pooled over windows. languages: (messages,) codes as identified.
    """
    codes = np.array(languages)
    result: dict[str, dict[str, float]] = {}
    for task in taxonomy:
        columns = taxonomy.columns(task.name)
        known = targets.known(taxonomy, task.name)

        def fit(rows: BoolArray, task: Task = task, columns: slice = columns) -> float:
            return fit_temperature(task, logits[rows, columns], targets.positive[rows, columns], targets.considered[rows, columns])

        overall = fit(known)
        result[task.name] = {ALL_LANGUAGES: round(overall, 4)}
        for code in sorted(set(languages)):
            rows = known & (codes == code)
            count = int(rows.sum())
            if count > MIN_LANGUAGE_ROWS:
                own = math.log(fit(rows))
                drawn = (count * own + SHRINKAGE_ROWS * math.log(overall)) / (count + SHRINKAGE_ROWS)
                result[task.name][code] = round(math.exp(drawn), 4)
    return result


def calibrated(
    taxonomy: Taxonomy, logits: FloatArray, temperatures: dict[str, dict[str, float]], languages: Sequence[str]
) -> FloatArray:
    """Calibrated probabilities, (messages, labels of all tasks), as the classifier computes them."""
    result = np.zeros_like(logits)
    for task in taxonomy:
        columns = taxonomy.columns(task.name)
        own = temperatures[task.name]
        divisors = np.array([own.get(code, own[ALL_LANGUAGES]) for code in languages])[:, None]
        result[:, columns] = probabilities(task, logits[:, columns] / divisors, 1.0)
    return result


def fit_thresholds(taxonomy: Taxonomy, scores: FloatArray, targets: Targets) -> dict[str, dict[str, float]]:
    """For each label of the multi tasks, the probability from which it is given: best F1, drawn towards the common best.

    scores: (messages, labels of all tasks), calibrated. Where enough rows know every label of a task, only they are used:
    a source that knows one label alone would bend the balance of that label.
    """
    result: dict[str, dict[str, float]] = {}
    for task in taxonomy:
        if task.single:
            continue
        columns = taxonomy.columns(task.name)
        considered = targets.considered[:, columns] > 0
        whole = considered.all(axis=1)
        rows = whole if whole.sum() >= 100 else considered.any(axis=1)
        if rows.sum() < MIN_CALIBRATION_ROWS:
            result[task.name] = dict.fromkeys(task.names, 0.5)
            continue
        own_scores, right, open_ = scores[rows, columns], targets.positive[rows, columns] > 0, considered[rows]
        curves = np.stack([_f1_curve(own_scores[:, i], right[:, i], open_[:, i]) for i in range(len(task.names))])
        counts = (right & open_).sum(0)
        occurring = counts > 0
        common = _best_threshold(curves[occurring].mean(0)) if occurring.any() else 0.5
        result[task.name] = {
            # A label without positive rows gets the common threshold.
            name: round(
                float(counts[i] * _best_threshold(curves[i]) + THRESHOLD_SHRINKAGE * common) / (counts[i] + THRESHOLD_SHRINKAGE), 4
            )
            for i, name in enumerate(task.names)
        }
    return result


def _best_threshold(curve: npt.NDArray[np.float64]) -> float:
    """The threshold of the highest F1; the middle one where several are as good, so that neither side is near."""
    best = np.flatnonzero(curve >= curve.max() - 1e-9)
    return float(THRESHOLD_GRID[best[len(best) // 2]])


def _f1_curve(scores: FloatArray, right: BoolArray, considered: BoolArray) -> npt.NDArray[np.float64]:
    """F1 of one label at each threshold of THRESHOLD_GRID, smoothed over neighbouring thresholds."""
    scores, right = scores[considered], right[considered]
    given = scores[None, :] >= THRESHOLD_GRID[:, None]  # (thresholds, messages)
    hits = (given & right).sum(1)
    f1 = 2 * hits / np.maximum(given.sum(1) + right.sum(), 1)
    padded = np.pad(f1, 2, mode="edge")
    smooth: npt.NDArray[np.float64] = np.convolve(padded, np.ones(5) / 5, mode="valid")
    return smooth


def _log_sum_exp(scores: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    top = scores.max(axis=1, keepdims=True)
    total: npt.NDArray[np.float64] = top[:, 0] + np.log(np.exp(scores - top).sum(axis=1))
    return total
