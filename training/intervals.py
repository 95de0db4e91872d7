"""How far figures would move with other messages of the same kind: bootstrap intervals over the messages."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from training.metrics import Judged, calibration_error, confidence

RESAMPLES = 1000
"""Bootstrap samples behind an interval of F1."""
CALIBRATION_RESAMPLES = 200
CONFIDENCE_LEVEL = 0.95


def interval(judged: Judged, resamples: int = RESAMPLES, seed: int = 0) -> tuple[float, float]:
    """Bootstrap percentile interval of macro-F1 over messages."""
    samples = bootstrap_macro_f1(judged, resample_counts(len(judged), resamples, seed))
    low, high = np.nanquantile(samples, [(1 - CONFIDENCE_LEVEL) / 2, (1 + CONFIDENCE_LEVEL) / 2])
    return float(low), float(high)


def resample_counts(rows: int, resamples: int, seed: int) -> Iterator[npt.NDArray[np.float64]]:
    """How often each row is drawn, (some resamples, rows) at a time, so that memory stays bounded."""
    generator = np.random.default_rng(seed)
    at_once = max(1, min(resamples, 4_000_000 // max(rows, 1)))
    done = 0
    while done < resamples:
        count = min(at_once, resamples - done)
        yield generator.multinomial(rows, np.full(rows, 1 / rows), size=count).astype(np.float64)
        done += count


def bootstrap_macro_f1(judged: Judged, counts: Iterator[npt.NDArray[np.float64]]) -> npt.NDArray[np.float64]:
    """(resamples,) macro-F1, each over the labels that occur in that sample, as `macro_f1` has it; NaN where none does."""
    open_ = judged.considered
    hits = (judged.given & judged.right & open_).astype(np.float64)
    true = (judged.right & open_).astype(np.float64)
    both = (judged.given & open_) + true
    samples = []
    for drawn in counts:
        f1 = 2 * (drawn @ hits) / np.maximum(drawn @ both, 1.0)  # (resamples, labels)
        occurring = drawn @ true > 0
        some = occurring.any(1)
        samples.append(np.where(some, (f1 * occurring).sum(1) / np.maximum(occurring.sum(1), 1), np.nan))
    return np.concatenate(samples)


def calibration_interval(judged: Judged, seed: int) -> tuple[float, float]:
    """Bootstrap interval of the calibration error over messages, 0 to 1.

    Drawing rows twice makes every bin look worse, so the samples lie above the error itself by that much on average: it is
    taken off again (Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapter 10).
    """
    generator = np.random.default_rng(seed)
    samples = []
    for _ in range(CALIBRATION_RESAMPLES):
        probability, came_true = confidence(judged.take(generator.integers(0, len(judged), len(judged))))
        samples.append(calibration_error(probability, came_true))
    excess = float(np.mean(samples)) - calibration_error(*confidence(judged))
    low, high = np.quantile(samples, [(1 - CONFIDENCE_LEVEL) / 2, (1 + CONFIDENCE_LEVEL) / 2]) - excess
    return max(float(low), 0.0), min(float(high), 1.0)
