"""The model that answers, and how another takes its place while it goes on answering."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from data.errors import FeedbackError, ModelFolderError
from serving.classifier import FeedbackClassifier
from serving.metrics import Metrics
from serving.prediction import Failure

logger = logging.getLogger(__name__)

SELF_TEST = {
    "zh": "快递很慢，我想退款。",
    "en": "The parcel is late and I want a refund.",
    "fa": "بسته دیر رسید و پولم را می‌خواهم.",
}


class ServedModel:
    """Holds the classifier that answers now. A call that has begun keeps the one it has; the old one goes with the last of them."""

    def __init__(
        self,
        classifier: FeedbackClassifier,
        load: Callable[[], FeedbackClassifier] | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        """load: reads the model folder of the settings anew. metrics: told which model answers."""
        self.classifier = classifier
        self._load = load
        self._metrics = metrics
        self._passed = False
        self._lock = threading.Lock()

    def check(self) -> bool:
        """True once the model has really answered in all three languages. ModelFolderError if it does not."""
        with self._lock:
            if not self._passed:
                self_test(self.classifier)
                self._passed = True
                self._tell()
        return True

    def reload(self) -> tuple[str, str]:
        """Load the model folder again; the versions before and after. The old model answers until the new one passed its self-test.

        Raises ModelFolderError, and leaves the old one in its place, if the folder does not open, load or answer.
        """
        try:
            before, after = self._reload()
        except FeedbackError:
            self._count("failed")
            raise
        self._count("changed" if after != before else "same")
        return before, after

    def _reload(self) -> tuple[str, str]:
        with self._lock:
            before = self.classifier.version
            if self._load is None:
                raise ModelFolderError("This model was not loaded from a folder of the settings and cannot be loaded again.")
            new = self._load()
            if new.version == before:
                return before, before
            self_test(new)
            self.classifier, self._passed = new, True
            self._tell()
        logger.info("Model %s answers now, %s does not any more", new.version, before)
        return before, new.version

    def _count(self, outcome: str) -> None:
        if self._metrics is not None:
            self._metrics.reloaded(outcome)

    def _tell(self) -> None:
        if self._metrics is not None:
            self._metrics.model(self.classifier.version)


def self_test(classifier: FeedbackClassifier) -> None:
    """ModelFolderError unless the classifier gives probabilities for a message in each language."""
    path = classifier.folder.path
    for language, result in zip(SELF_TEST, classifier.predict(list(SELF_TEST.values())), strict=True):
        if isinstance(result, Failure):
            raise ModelFolderError(f"{path}: self-test in '{language}' failed: {result.message}")
        scores = [score for answer in result.answers.values() for score in answer.scores.values()]
        if not all(0.0 <= score <= 1.0 for score in scores):  # false for NaN too
            raise ModelFolderError(f"{path}: self-test in '{language}' gave no probabilities.")
