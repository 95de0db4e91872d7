"""The whole service, as `bentoml serve` starts it, around a model that costs nothing or a fixed time.

STUB_SECONDS=0.02 bentoml serve benchmarks.stub:FeedbackService
"""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import replace
from functools import cache

from serving import service
from serving.classifier import FeedbackClassifier
from serving.prediction import Prediction
from serving.service import FeedbackService

__all__ = ["FeedbackService", "StubClassifier", "spend"]

COST_S = float(os.environ.get("STUB_SECONDS", "0"))
"""Processor time of one text, spent as the network does: outside of Python's lock."""
ROUNDS_TO_MEASURE = 200_000


@cache
def rounds_per_second() -> float:
    begun = time.thread_time()
    hashlib.pbkdf2_hmac("sha256", b"stub", b"stub", ROUNDS_TO_MEASURE)
    return ROUNDS_TO_MEASURE / (time.thread_time() - begun)


def spend(seconds: float) -> None:
    """Use so much processor time."""
    if seconds:
        hashlib.pbkdf2_hmac("sha256", b"stub", b"stub", max(1, int(seconds * rounds_per_second())))


class StubClassifier(FeedbackClassifier):
    """Says the same of every text."""

    same: Prediction | None = None

    def _predict_one(self, text: str, key: str | None, code: str | None, explain: bool) -> Prediction:
        if self.same is None:
            self.same = super()._predict_one(text, None, code, explain)
        spend(COST_S)
        return replace(self.same, id=key)


rounds_per_second()
service.FeedbackClassifier = StubClassifier  # type: ignore[misc]  # what the service loads
