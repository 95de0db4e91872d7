"""The plain baseline beside every figure: TF-IDF of character n-grams and a linear model, trained on the same rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from data.rows import Row
from data.taxonomy import Taxonomy
from data.text import normalise
from serving.labels import decide_task
from training.answers import Answers
from training.calibration import fit_thresholds
from training.encoding import encode_targets, without_unlearnable

FloatArray = npt.NDArray[np.float32]

NGRAMS = (1, 4)
"""Lengths of the character n-grams."""
MAX_FEATURES = 300_000
MIN_POSITIVE_ROWS = 3
"""A label with fewer rows cannot be learnt; its probability is its frequency."""


class Baseline:
    """One linear model a single task, one a label of a multi task."""

    def __init__(self, taxonomy: Taxonomy, seed: int = 0) -> None:
        self.taxonomy = taxonomy
        self._seed = seed
        self._vectorizer: Any = None
        self._models: dict[str, Any] = {}
        self._thresholds: dict[str, dict[str, float]] = {}

    def fit(self, rows: Sequence[Row], validation: Sequence[Row]) -> Baseline:
        """Train on the rows; thresholds of the multi tasks are fitted on the validation rows, as the model's are."""
        from sklearn.feature_extraction.text import TfidfVectorizer

        self._vectorizer = TfidfVectorizer(
            analyzer="char",
            ngram_range=NGRAMS,
            sublinear_tf=True,
            min_df=2 if len(rows) > 50 else 1,
            max_features=MAX_FEATURES,
            dtype=np.float32,
        )
        features = self._vectorizer.fit_transform([normalise(row.text) for row in rows])
        targets, _ = without_unlearnable(encode_targets(rows, self.taxonomy), self.taxonomy)
        for task in self.taxonomy:
            columns = self.taxonomy.columns(task.name)
            positive, considered = targets.positive[:, columns] > 0, targets.considered[:, columns] > 0
            if task.single:
                one = (positive.sum(1) == 1) & (considered.sum(1) > 1)
                self._models[task.name] = self._train(features[one], positive[one].argmax(1))
            else:
                for index, name in enumerate(task.names):
                    open_ = considered[:, index]
                    self._models[f"{task.name}.{name}"] = self._train(features[open_], positive[open_, index].astype(int))
        if validation:
            self._thresholds = fit_thresholds(self.taxonomy, self._scores(validation), encode_targets(validation, self.taxonomy))
        return self

    def answer(self, rows: Sequence[Row]) -> Answers:
        """Decisions for rows, made with the same rules as the classifier's."""
        scores = self._scores(rows)
        chosen = np.zeros(scores.shape, dtype=bool)
        abstained = np.zeros((len(rows), len(self.taxonomy.tasks)), dtype=bool)
        for column, task in enumerate(self.taxonomy):
            place = self.taxonomy.columns(task.name)
            for number in range(len(rows)):
                given = decide_task(task, scores[number, place], self._thresholds.get(task.name, {}))
                chosen[number, place] = [name in given.labels for name in task.names]
                abstained[number, column] = given.abstained
        return Answers(chosen, scores, abstained, np.ones(len(rows), dtype=bool), tuple(row.primary_language for row in rows))

    def _train(self, features: Any, labels: npt.NDArray[np.int64]) -> Any:
        """A logistic regression; the labels' frequencies, (classes,), where there is nothing to learn."""
        from sklearn.linear_model import LogisticRegression, SGDClassifier

        counts = np.bincount(labels, minlength=2)
        if (counts >= MIN_POSITIVE_ROWS).sum() < 2:
            return counts / max(len(labels), 1)
        if features.shape[0] > 20_000:  # the same model by stochastic gradient descent: minutes become seconds
            return SGDClassifier(loss="log_loss", alpha=1e-6, max_iter=20, class_weight="balanced", random_state=self._seed).fit(
                features, labels
            )
        return LogisticRegression(C=10.0, max_iter=300, class_weight="balanced", random_state=self._seed).fit(features, labels)

    def _scores(self, rows: Sequence[Row]) -> FloatArray:
        features = self._vectorizer.transform([normalise(row.text) for row in rows])
        scores = np.zeros((len(rows), self.taxonomy.size), dtype=np.float32)
        for task in self.taxonomy:
            start = self.taxonomy.columns(task.name).start
            names = [task.name] if task.single else [f"{task.name}.{name}" for name in task.names]
            for offset, name in enumerate(names):
                model = self._models[name]
                if isinstance(model, np.ndarray):
                    place = slice(start, start + len(model)) if task.single else start + offset
                    scores[:, place] = model if task.single else model[1]
                elif task.single:
                    scores[:, start + model.classes_] = model.predict_proba(features)
                else:
                    scores[:, start + offset] = model.predict_proba(features)[:, 1]
        return scores
