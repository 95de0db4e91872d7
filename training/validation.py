"""The scores of a checkpoint on validation rows; their mean chooses the best one."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from transformers import EvalPrediction

from data.rows import Row
from data.taxonomy import Taxonomy
from serving.model_folder import ALL_LANGUAGES
from training.calibration import calibrated, fit_thresholds
from training.encoding import Targets
from training.metrics import judge, macro_f1

SCORE = "mean_macro_f1"


class ValidationScores:
    """Macro-F1 by task and language, as `f1_TASK_LANGUAGE`, and their mean, as SCORE. targets: of the rows, in their order."""

    def __init__(self, taxonomy: Taxonomy, targets: Targets, rows: Sequence[Row]) -> None:
        self.taxonomy = taxonomy
        self.targets = targets
        self.languages = np.array([row.primary_language for row in rows])

    def __call__(self, evaluated: EvalPrediction) -> dict[str, float]:
        logits: npt.NDArray[np.float32] = np.asarray(evaluated.predictions, dtype=np.float32)
        scores = calibrated(
            self.taxonomy, logits, {task.name: {ALL_LANGUAGES: 1.0} for task in self.taxonomy}, list(self.languages)
        )
        thresholds = fit_thresholds(self.taxonomy, scores, self.targets)
        result = {}
        for task in self.taxonomy:
            columns = self.taxonomy.columns(task.name)
            limits = np.array([thresholds.get(task.name, {}).get(name, 0.5) for name in task.names])
            chosen = scores[:, columns] >= limits
            judged, rows = judge(
                task, chosen, scores[:, columns], self.targets.positive[:, columns], self.targets.considered[:, columns]
            )
            for code in sorted(set(self.languages[rows])):
                score = macro_f1(judged.take(self.languages[rows] == code))
                if math.isfinite(score):
                    result[f"f1_{task.name}_{code or 'unknown'}"] = score
        result[SCORE] = float(np.mean(list(result.values()))) if result else 0.0
        return result
