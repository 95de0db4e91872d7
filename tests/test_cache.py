"""Answers that are kept: the same as given anew, bounded, and of one model only."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tiny_model import make_tiny_model

from serving.cache import AnswerCache
from serving.classifier import FeedbackClassifier
from serving.prediction import Prediction
from serving.watch import Stopped, Watch

TEXTS = ["快递太差，我要退款", "terrible parcel", "بسته افتضاح بود"]


@pytest.fixture(scope="module")
def cached(model_path: Path) -> Iterator[FeedbackClassifier]:
    classifier = FeedbackClassifier.load(model_path, threads=2, cache_texts=8)
    yield classifier
    classifier.close()


def test_kept_answers_are_those_of_a_classifier_without_a_cache(cached: FeedbackClassifier, classifier: FeedbackClassifier) -> None:
    first, again = Watch(), Watch()
    assert cached.predict(TEXTS, ["a", "b", "c"], watch=first) == classifier.predict(TEXTS, ["a", "b", "c"])
    assert cached.predict(TEXTS, ["d", None, "f"], watch=again) == classifier.predict(TEXTS, ["d", None, "f"])
    assert (first.cached, again.cached) == (0, 3)
    assert again.network_s == 0.0


def test_a_named_language_and_asked_for_reasons_are_answers_of_their_own(
    cached: FeedbackClassifier, classifier: FeedbackClassifier
) -> None:
    for _ in range(2):
        assert cached.predict(["terrible parcel"], None, ["fa"]) == classifier.predict(["terrible parcel"], None, ["fa"])
        assert cached.predict(["terrible parcel"], explain=True) == classifier.predict(["terrible parcel"], explain=True)


def test_texts_that_cannot_be_classified_are_not_kept(cached: FeedbackClassifier) -> None:
    for _ in range(2):
        watch = Watch()
        cached.predict([" "], watch=watch)
        assert watch.cached == 0


def test_the_oldest_of_too_many_goes_and_no_text_is_held(classifier: FeedbackClassifier) -> None:
    cache = AnswerCache(2)
    keys = [cache.key(text, None, False) for text in TEXTS]
    answers = [answer for answer in classifier.predict(TEXTS) if isinstance(answer, Prediction)]
    for key, answer in zip(keys, answers, strict=True):
        cache.put(key, answer)
        assert cache.get(keys[0], None) == (answers[0] if key != keys[2] or len(cache) < 3 else None)
    assert len(cache) == 2
    assert cache.get(keys[1], None) is None  # the first was asked for since
    assert all(TEXTS[0].encode() not in key for key in keys)


def test_another_models_answers_are_never_given(tmp_path: Path, cached: FeedbackClassifier) -> None:
    other = FeedbackClassifier.load(make_tiny_model(tmp_path / "other", max_characters=1999), threads=1, cache_texts=8)
    cached.predict(TEXTS)
    for _ in range(2):
        assert {answer.model for answer in other.predict(TEXTS) if isinstance(answer, Prediction)} == {other.version}
    assert other.version != cached.version
    other.close()


class Counting(FeedbackClassifier):
    """Stops its own call at the third text."""

    seen: list[Any]
    watch: Watch

    def network(self, windows: Any) -> Any:
        self.seen += windows
        if len(self.seen) == 3:
            self.watch.stop()
        return super().network(windows)


def test_a_call_that_is_stopped_runs_no_further_texts(model_path: Path) -> None:
    classifier = Counting.load(model_path, threads=1)
    assert isinstance(classifier, Counting)
    classifier.seen, classifier.watch = [], Watch()
    with pytest.raises(Stopped):
        classifier.predict([f"great {number}" for number in range(100)], watch=classifier.watch)
    with pytest.raises(Stopped):
        classifier.predict(["great"], watch=classifier.watch)
    assert len(classifier.seen) == 3
    classifier.close()


def test_no_more_texts_run_at_a_time_than_there_are_threads(model_path: Path) -> None:
    class Watched(FeedbackClassifier):
        now, most = 0, 0
        lock = threading.Lock()

        def network(self, windows: Any) -> Any:
            with self.lock:
                self.now += 1
                self.most = max(self.most, self.now)
            logits = super().network(windows)
            with self.lock:
                self.now -= 1
            return logits

    classifier = Watched.load(model_path, threads=1)
    assert isinstance(classifier, Watched)
    callers = [threading.Thread(target=classifier.predict, args=(["great"] * size,)) for size in (1, 40, 1, 40, 1)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert classifier.most == 1
    classifier.close()


def test_a_lower_limit_of_characters_names_its_setting(model_path: Path) -> None:
    classifier = FeedbackClassifier.load(model_path, threads=1, max_characters=10)
    [failure] = classifier.predict(["x" * 11])
    assert failure.to_dict()["error"]["message"] == "11 characters; at most 10 (FEEDBACK_MAX_CHARACTERS). Send it in parts."
    classifier.close()
