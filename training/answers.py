"""What is answered to labelled rows, by the classifier or by the baseline, as arrays that the figures are computed from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from data.rows import Row
from serving.classifier import FeedbackClassifier
from serving.prediction import Prediction

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]

CHUNK = 512
"""Messages given to the classifier at once."""


@dataclass(frozen=True)
class Answers:
    """Decisions and calibrated probabilities for a list of rows, by whatever made them.

    chosen, scores: (rows, labels of all tasks). abstained: (rows, tasks). answered: (rows,) False where the text was refused.
    """

    chosen: BoolArray
    scores: FloatArray
    abstained: BoolArray
    answered: BoolArray
    languages: tuple[str, ...]


def answer(classifier: FeedbackClassifier, rows: Sequence[Row]) -> Answers:
    """Classify the rows as a user would: each text alone, its language identified by the classifier."""
    taxonomy = classifier.taxonomy
    chosen = np.zeros((len(rows), taxonomy.size), dtype=bool)
    scores = np.zeros((len(rows), taxonomy.size), dtype=np.float32)
    abstained = np.zeros((len(rows), len(taxonomy.tasks)), dtype=bool)
    answered = np.zeros(len(rows), dtype=bool)
    languages = ["und"] * len(rows)
    for start in range(0, len(rows), CHUNK):
        predictions = classifier.predict([row.text for row in rows[start : start + CHUNK]])
        for number, prediction in enumerate(predictions, start):
            if not isinstance(prediction, Prediction):
                continue
            answered[number] = True
            languages[number] = prediction.language.code
            for column, task in enumerate(taxonomy):
                given = prediction.answers[task.name]
                place = taxonomy.columns(task.name)
                scores[number, place] = [given.scores[name] for name in task.names]
                chosen[number, place] = [name in given.labels for name in task.names]
                abstained[number, column] = given.abstained
    return Answers(chosen, scores, abstained, answered, tuple(languages))
