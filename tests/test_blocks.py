"""Labelling many texts at a time gives what each text gives alone, to the bit."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving import blocks
from serving.classifier import FeedbackClassifier
from serving.prediction import Failure, Prediction
from serving.settings import SHIPPED_MODEL
from serving.watch import Stopped

WORDS = ["great", "terrible", "parcel", "late", "refund", "crash", "快递", "退款", "崩溃", "好用", "عالی", "افتضاح", "پیک", "ممنون"]


def messages(count: int) -> list[str]:
    drawn = random.Random(4)
    return [" ".join(drawn.choices(WORDS, k=drawn.choice([1, 2, 3, 5, 9, 40, 400]))) for _ in range(count)]


@pytest.fixture(scope="module")
def shipped() -> Any:
    classifier = FeedbackClassifier.load(SHIPPED_MODEL, threads=2)
    yield classifier
    classifier.close()


@pytest.mark.parametrize("pieces", [3, 7, 16, 33, 128])
def test_a_window_gets_the_same_logits_alone_and_beside_others_of_its_length(shipped: FeedbackClassifier, pieces: int) -> None:
    drawn = np.random.default_rng(pieces)
    windows = [[0, *drawn.integers(4, 30_000, pieces - 2).tolist(), 2] for _ in range(9)]
    together = shipped.network(windows)
    alone = np.stack([shipped.window_logits(window) for window in windows])
    assert together.shape == (9, shipped.taxonomy.size)
    assert np.allclose(together, alone, atol=0.05)
    # Where the classifier saw that on this processor neighbours change no bit, they change none at these lengths either.
    assert np.array_equal(together, alone) or not shipped.shares_runs
    assert np.abs(together[0] - together[1]).max() > 0  # they are different texts


def test_a_block_gets_the_same_predictions_as_text_by_text(shipped: FeedbackClassifier) -> None:
    texts: list[Any] = [
        *messages(120),
        "",
        "   ",
        7,
        "great parcel",
        "great parcel",
        "x" * (shipped.max_characters + 1),
        "پیک دیر آمد",
    ]
    codes: list[str | None] = [None] * (len(texts) - 1) + ["en"]
    expected = shipped.predict(texts, languages=codes)
    assert shipped.predict_block(texts, codes) == expected
    assert {type(one) for one in expected} == {Prediction, Failure}
    assert [one.code for one in expected if isinstance(one, Failure)] == ["empty", "empty", "not_text", "too_long"]
    assert len([window for text in texts[:120] for window in shipped.read_windows(text)]) > 130  # some have several windows


def test_runs_hold_windows_of_one_length_and_few_pieces(model_path: Path) -> None:
    classifier = FeedbackClassifier.load(model_path, threads=1)
    waiting = [blocks._Message(text, None, read=classifier.read(text, None)) for text in messages(200) if len(text) <= 2000]
    made = list(blocks.runs(waiting))
    assert sum(map(len, made)) == sum(len(message.read.windows) for message in waiting if message.read)
    for run in made:
        assert len({len(window.ids) for window in run}) == 1
        assert len(run) <= blocks.WINDOWS_A_RUN
        assert len(run) == 1 or len(run) * len(run[0].ids) <= blocks.PIECES_A_RUN
    assert len(made) < len(waiting)
    lengths = [len(run[0].ids) for run in made]
    assert lengths == sorted(lengths, reverse=True)
    classifier.close()


def test_where_neighbours_change_an_answer_every_window_runs_alone(model_path: Path) -> None:
    class Leaking(FeedbackClassifier):
        most = 0

        def network(self, windows: Any) -> Any:
            rows = super().network(windows)
            if self.__dict__.get("shares_runs") is not None:
                self.most = max(self.most, len(windows))
            return rows + (len(windows) - 1) * 1e-3

    classifier = Leaking.load(model_path, threads=1)
    assert isinstance(classifier, Leaking)
    texts = messages(50)
    assert classifier.predict_block(texts, [None] * 50) == classifier.predict(texts)
    assert classifier.shares_runs is False
    assert classifier.most == 1
    classifier.close()


def test_the_same_text_is_run_once_in_a_block_and_remembered_for_the_next(model_path: Path) -> None:
    class Counting(FeedbackClassifier):
        windows = 0

        def network(self, windows: Any) -> Any:
            self.windows += len(windows)
            return super().network(windows)

    classifier = Counting.load(model_path, threads=1, cache_texts=10)
    assert isinstance(classifier, Counting)
    _ = classifier.shares_runs  # looked at before runs are counted
    classifier.windows = 0
    first = classifier.predict_block(["great", "late", "great"], [None] * 3)
    assert classifier.windows == 2
    assert first[0] == first[2] != first[1]
    assert classifier.predict_block(["late", "great"], [None] * 2) == [first[1], first[0]]
    assert classifier.windows == 2
    classifier.predict_block(["late"], ["en"])  # another language is another question
    assert classifier.windows == 3
    classifier.close()


def test_a_block_that_is_stopped_runs_nothing_more(model_path: Path) -> None:
    class Stopping(FeedbackClassifier):
        ran = 0

        def network(self, windows: Any) -> Any:
            self.ran += 1
            return super().network(windows)

    classifier = Stopping.load(model_path, threads=1)
    assert isinstance(classifier, Stopping)
    _ = classifier.shares_runs  # looked at before runs are counted
    classifier.ran = 0
    with pytest.raises(Stopped):
        classifier.predict_block(messages(60), [None] * 60, lambda: classifier.ran >= 2)
    assert classifier.ran == 2
    classifier.close()


def test_what_a_step_raises_reaches_the_caller(model_path: Path) -> None:
    class Broken(FeedbackClassifier):
        def network(self, windows: Any) -> Any:
            raise RuntimeError("no network")

    classifier = Broken.load(model_path, threads=1)
    with ThreadPoolExecutor(1) as pool, pytest.raises(RuntimeError, match="no network"):
        blocks.predict_block(classifier, pool, ["great"], [None])
    classifier.close()
