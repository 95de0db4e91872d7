"""From logits to labels: windows are pooled, probabilities calibrated, labels chosen."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from data.taxonomy import Task, Taxonomy
from serving.model_folder import DEFAULT_THRESHOLD
from serving.prediction import Answer, Choice

FloatArray = npt.NDArray[np.float32]


def pool_windows(rows: FloatArray, weights: FloatArray, taxonomy: Taxonomy) -> FloatArray:
    """Pool the logits of a text's windows, (windows, labels) to (labels,).

    Single tasks: mean weighted by what each window reads. Multi tasks: a topic named anywhere counts (maximum), and a label
    that stands alone must hold everywhere (minimum).
    """
    if len(rows) == 1:
        only: FloatArray = rows[0]
        return only
    pooled = np.average(rows, axis=0, weights=weights).astype(np.float32)
    for task in taxonomy:
        if not task.single:
            start = taxonomy.columns(task.name).start
            for offset, label in enumerate(task.labels):
                column = rows[:, start + offset]
                pooled[start + offset] = column.min() if label.exclusive else column.max()
    return pooled


def probabilities(task: Task, logits: FloatArray, temperature: float) -> FloatArray:
    """Calibrated probabilities of a task's labels: softmax (single) or sigmoid (multi) of logits / temperature.

    logits: (..., labels of the task), before softmax.
    """
    scaled = logits.astype(np.float64) / temperature
    if task.single:
        exponents = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
        result: FloatArray = (exponents / exponents.sum(axis=-1, keepdims=True)).astype(np.float32)
    else:
        result = (1.0 / (1.0 + np.exp(-np.clip(scaled, -60, 60)))).astype(np.float32)
    return result


def decide_task(task: Task, scores: FloatArray, thresholds: Mapping[str, float]) -> Answer:
    """Choose a task's labels from its calibrated scores, shape (labels of the task,)."""
    chosen = [int(scores.argmax())] if task.single else _choose_multi(task, scores, thresholds)
    best = max((float(scores[index]) for index in chosen), default=float(1.0 - scores.max()))
    return Answer(
        choices=tuple(Choice(task.names[index], float(scores[index])) for index in chosen),
        single=task.single,
        abstained=best < task.abstain_below,
        scores={name: float(score) for name, score in zip(task.names, scores, strict=True)},
    )


def _choose_multi(task: Task, scores: FloatArray, thresholds: Mapping[str, float]) -> list[int]:
    # How far a score is above its threshold, so that labels with thresholds of their own can be compared.
    margins = [
        float(score) / max(thresholds.get(name, DEFAULT_THRESHOLD), 1e-6) for name, score in zip(task.names, scores, strict=True)
    ]
    chosen = [index for index, margin in enumerate(margins) if margin >= 1.0]
    if not chosen and task.at_least_one:
        chosen = [max(range(len(margins)), key=margins.__getitem__)]
    alone = [index for index in chosen if task.labels[index].exclusive]
    if alone and len(chosen) > 1:
        best = max(chosen, key=margins.__getitem__)
        chosen = [best] if best in alone else [index for index in chosen if index not in alone]
    return chosen
