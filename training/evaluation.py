"""How good a model folder is: the exported file, through the classifier that serves it, on labelled rows."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from data.annotations import PREFIX
from data.errors import DataError
from data.rows import Row, read_rows
from data.split import assign_splits, skeleton
from data.taxonomy import Task, Taxonomy
from serving.classifier import FeedbackClassifier
from serving.model_folder import ModelFolder
from training.answers import Answers, answer
from training.config import TrainingConfig
from training.encoding import Targets, encode_targets
from training.intervals import calibration_interval, interval
from training.metrics import (
    Judged,
    accuracy,
    calibration_error,
    confidence,
    equal_mass_bins,
    f1_by_label,
    jaccard,
    judge,
    label_counts,
    macro_f1,
    macro_recall,
    surest_error_share,
)
from training.parts import OWN_CORPUS, read_parts
from training.slices import is_latin_persian, is_short, is_traditional

logger = logging.getLogger(__name__)

BoolArray = npt.NDArray[np.bool_]

MIN_SLICE_ROWS = 20
"""Slices with fewer judged rows are left out: their figures would be noise."""
ALL = "all"


def evaluate(
    taxonomy: Taxonomy, rows: Sequence[Row], answers: Answers, baseline: Answers | None = None, seed: int = 0
) -> dict[str, Any]:
    """Figures by task × language and by slice, as JSON has them; those of the baseline beside them.

    Raises DataError if no row knows any task.
    """
    if not rows:
        raise DataError("no rows to evaluate on")
    targets = encode_targets(rows, taxonomy)
    groups = dict(_groups(rows))
    result: dict[str, Any] = {
        "rows": len(rows),
        "refused": int((~answers.answered).sum()),
        "tasks": {},
        "slices": {},
    }
    for number, task in enumerate(taxonomy):
        cells = {}
        for name, members in groups.items():
            cell = _cell(task, taxonomy, targets, answers, members, number, seed)
            if cell is None or (name not in (ALL, *_languages(rows)) and cell["rows"] < MIN_SLICE_ROWS):
                continue
            if baseline is not None:
                # On the rows that the model answered, so that the two figures are of the same messages.
                cell["baseline"] = _baseline_figures(task, taxonomy, targets, baseline, members & answers.answered, seed)
            cells[name] = cell
        for name, cell in cells.items():
            kind = "tasks" if name in (ALL, *_languages(rows)) else "slices"
            result[kind].setdefault(task.name if kind == "tasks" else name, {})[name if kind == "tasks" else task.name] = cell
    if not result["tasks"]:
        raise DataError(f"none of the {len(rows)} rows knows a label of {', '.join(taxonomy.task_names)}")
    result["mean_macro_f1"] = mean_over_cells(result, "macro_f1")
    if baseline is not None:
        result["baseline_mean_macro_f1"] = mean_over_cells(result, "baseline")
    return result


def mean_over_cells(evaluation: dict[str, Any], figure: str) -> float:
    """Mean macro-F1 over language × task, the model's (`macro_f1`) or the baseline's (`baseline`)."""
    values = [
        cell["baseline"]["macro_f1"] if figure == "baseline" else cell[figure]
        for cells in evaluation["tasks"].values()
        for language, cell in cells.items()
        if language != ALL
    ]
    return _rounded(float(np.mean(values))) if values else float("nan")


def judged_rows(task: Task, taxonomy: Taxonomy, targets: Targets, answers: Answers, members: BoolArray) -> tuple[Judged, BoolArray]:
    """The answered rows among `members` that know the task; and which rows they are (rows,)."""
    columns = taxonomy.columns(task.name)
    part = np.flatnonzero(members & answers.answered)
    judged, known = judge(
        task,
        answers.chosen[part, columns],
        answers.scores[part, columns],
        targets.positive[part, columns],
        targets.considered[part, columns],
    )
    which = np.zeros(len(members), dtype=bool)
    which[part[known]] = True
    return judged, which


def _cell(
    task: Task, taxonomy: Taxonomy, targets: Targets, answers: Answers, members: BoolArray, number: int, seed: int
) -> dict[str, Any] | None:
    judged, which = judged_rows(task, taxonomy, targets, answers, members)
    if not len(judged) or not (judged.right & judged.considered).any():
        return None
    hits, given, true = label_counts(judged)
    f1 = f1_by_label(judged)
    probability, came_true = confidence(judged)
    sure = ~answers.abstained[which, number]
    cell: dict[str, Any] = {
        "rows": len(judged),
        "macro_f1": _rounded(macro_f1(judged)),
        "macro_f1_interval": [_rounded(value) for value in interval(judged, seed=seed)],
        "accuracy": _rounded(accuracy(judged)),
        "macro_recall": _rounded(macro_recall(judged)),
        "calibration_error": _rounded(calibration_error(probability, came_true)),
        "calibration_error_interval": [_rounded(value) for value in calibration_interval(judged, seed)],
        "abstained": _rounded(float((~sure).mean())),
        "accuracy_where_sure": _rounded(accuracy(judged.take(sure))) if sure.any() else None,
        "surest_error_share": _rounded(share) if np.isfinite(share := surest_error_share(judged)) else None,
        "labels": {
            name: {
                "rows": int(true[i]),
                "f1": _rounded(float(f1[i])),
                "precision": _rounded(hits[i] / given[i]) if given[i] else 0.0,
                "recall": _rounded(hits[i] / true[i]),
            }
            for i, name in enumerate(task.names)
            if true[i]
        },
        "reliability": _reliability(probability, came_true),
    }
    if task.single:
        confusion = judged.right.astype(np.int64).T @ judged.given.astype(np.int64)  # (true, answered)
        cell["confusion"] = confusion.tolist()
    else:
        cell["jaccard"] = _rounded(jaccard(judged))
    return cell


def _baseline_figures(
    task: Task, taxonomy: Taxonomy, targets: Targets, baseline: Answers, members: BoolArray, seed: int
) -> dict[str, Any]:
    judged, _ = judged_rows(task, taxonomy, targets, baseline, members)
    return {
        "macro_f1": _rounded(macro_f1(judged)),
        "macro_f1_interval": [_rounded(value) for value in interval(judged, seed=seed)],
        "accuracy": _rounded(accuracy(judged)),
        "labels": {name: _rounded(float(f1)) for name, f1 in zip(task.names, f1_by_label(judged), strict=True) if np.isfinite(f1)},
    }


def _groups(rows: Sequence[Row]) -> Iterator[tuple[str, BoolArray]]:
    """All rows, each language, and the slices."""
    languages = np.array([row.primary_language for row in rows])
    yield ALL, np.ones(len(rows), dtype=bool)
    for code in _languages(rows):
        yield code, languages == code
    yield "short texts", np.array([is_short(row) for row in rows])
    yield "Traditional characters", np.array([is_traditional(row.text) for row in rows])
    yield "Persian in Latin letters", np.array([is_latin_persian(row) for row in rows])
    sources = np.array([row.source or "" for row in rows])
    real = np.char.startswith(sources, PREFIX) if len(rows) else np.zeros(0, dtype=bool)
    for code in _languages(rows):
        yield f"corpus, written, {code}", (sources == OWN_CORPUS) & (languages == code)
        yield f"corpus, real, {code}", real & (languages == code)
    yield "corpus", (sources == OWN_CORPUS) | real
    for source in sorted({row.source for row in rows if row.source}):
        yield f"source {source}", np.array([row.source == source for row in rows])


def _languages(rows: Sequence[Row]) -> list[str]:
    return sorted({row.primary_language for row in rows})


def _reliability(probability: npt.NDArray[np.float64], came_true: BoolArray) -> list[dict[str, float]]:
    """Mean probability, share that came true and count of ten bins of equal mass, for the reliability diagram."""
    parts = equal_mass_bins(probability)
    return [
        {"probability": _rounded(probability[part].mean()), "came_true": _rounded(came_true[part].mean()), "count": len(part)}
        for part in parts
    ]


def _rounded(value: float) -> float:
    return round(float(value), 4)


def read_for_evaluation(taxonomy: Taxonomy, paths: Sequence[str], split: str | None) -> list[Row]:
    """Rows of the files, those of one split if it is named. DataError if none is left."""
    rows = [row for path in paths for row in read_rows(path, taxonomy)]
    if split:
        counts = Counter(row.split or "no split" for row in rows)
        rows = [row for row in assign_splits(rows) if row.split == split]
        if not rows:
            raise DataError(f"{', '.join(paths)}: no row of split '{split}' (splits: {dict(counts)})")
    if not rows:
        raise DataError(f"{', '.join(paths)}: no rows to evaluate on")
    if trained_on := sum(row.split == "train" for row in rows):
        logger.warning("%d of the %d rows are marked `train`: the model may have learnt them. Name a split.", trained_on, len(rows))
    return rows


def evaluate_files(
    model: str | Path, paths: Sequence[str], split: str | None = None, baseline_rows: Sequence[str] = (), behaviour: bool = True
) -> tuple[ModelFolder, dict[str, Any]]:
    """Evaluate a model folder on files of labelled rows; returns it and figures in the form of metrics.json.

    baseline_rows: files of rows to train the linear baseline on; without them no baseline stands beside the figures.
    behaviour: measure that too, on messages of its own (`training/behaviour.py`).
    """
    folder = ModelFolder.open(model)
    rows = read_for_evaluation(folder.taxonomy, paths, split)
    train, validation = [], []
    if baseline_rows:
        parts = assign_splits([row for path in baseline_rows for row in read_rows(path, folder.taxonomy)])
        tested = {skeleton(row.text) for row in rows}
        train = [row for row in parts if row.split == "train" and skeleton(row.text) not in tested]
        validation = [row for row in parts if row.split == "validation" and skeleton(row.text) not in tested]
        if not train:
            raise DataError(f"{', '.join(baseline_rows)}: no row to train the baseline on, apart from those that are evaluated")
    return folder, _measured(folder, rows, train, validation, behaviour)


def evaluate_recipe(
    model: str | Path, config: TrainingConfig, baseline: bool = False, behaviour: bool = True
) -> tuple[ModelFolder, dict[str, Any]]:
    """Evaluate a model folder on the test rows of a training configuration, all of them unless it says how many.

    baseline: fit the linear baseline on the configuration's training rows and put its figures beside the model's.
    """
    folder = ModelFolder.open(model)
    parts = read_parts(config, folder.taxonomy)
    train, validation = (parts["train"], parts["validation"]) if baseline else ([], [])
    return folder, _measured(folder, parts["test"], train, validation, behaviour)


def _measured(
    folder: ModelFolder, rows: Sequence[Row], train: Sequence[Row], validation: Sequence[Row], behaviour: bool
) -> dict[str, Any]:
    """Figures in the form of metrics.json; beside a baseline if there are rows to train it on."""
    beside = None
    if train:
        from training.baseline import Baseline

        beside = Baseline(folder.taxonomy).fit(train, validation).answer(rows)
    classifier = FeedbackClassifier.load(folder)
    test = evaluate(classifier.taxonomy, rows, answer(classifier, rows), beside)
    training = folder.manifest["training"]
    metrics = {"demonstration": training.get("demonstration", False), "training": training, "test": test}
    if behaviour:
        from training.behaviour import measure_behaviour

        metrics["behaviour"] = measure_behaviour(classifier)
    classifier.close()
    return metrics
