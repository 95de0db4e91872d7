"""The sentences that carried a label: the right ones, where they stand in the message as it was sent, at a bounded cost."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from tiny_model import make_tiny_model

from data.taxonomy import Taxonomy
from data.text import mend
from serving.classifier import FeedbackClassifier
from serving.explain import MAX_PASSAGES, MAX_RUNS, leave_each_out, log_odds, passages, strongest
from serving.prediction import Choice, Prediction
from serving.sentences import sentences

MESSAGES = {
    "zh": "手机颜色不错。快递一直没有到！客服说要等。",
    "en": "The colour of the phone is fine. The parcel has not come! They say I have to wait.",
    "fa": "رنگ گوشی خوب است. بسته هنوز نرسیده! می‌گویند باید صبر کنم.",
}
CARRIERS = {"zh": "快递一直没有到！", "en": "The parcel has not come!", "fa": "بسته هنوز نرسیده!"}
DAMAGE = (
    "\ufeff",
    "&amp;",
    "&#39;",
    "\u200c\u200c",
    "ـــ",
    "ي",
    "ك",
    "Ａ",
    "aaaa",
    "哈哈哈哈哈",
    "\x00",
    "\r\n",
    "\u00a0",
    "好(hǎo)",
    "杩欎釜",
    "\ud83d",
)


def choice_of(classifier: FeedbackClassifier, text: str, task: str, label: str) -> Choice:
    prediction = classifier.predict([text], explain=True)[0]
    assert isinstance(prediction, Prediction)
    return next(choice for choice in prediction.answers[task].choices if choice.label == label)


@pytest.mark.parametrize("language", MESSAGES)
def test_the_sentence_that_speaks_of_it_is_named(classifier: FeedbackClassifier, language: str) -> None:
    text = MESSAGES[language]
    choice = choice_of(classifier, text, "category", "delivery")
    assert choice.sentences
    strongest = choice.sentences[0]
    assert text[strongest.start : strongest.end] == CARRIERS[language]
    rest = text.replace(CARRIERS[language], "")
    without = classifier.predict([rest], languages=[language])[0]
    assert isinstance(without, Prediction)
    # The cut may fall between other pieces than in the text itself, so nearly and not quite.
    assert strongest.effect == pytest.approx(choice.probability - without.answers["category"].scores["delivery"], abs=0.02)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("language", MESSAGES)
def test_offsets_lead_into_the_message_before_it_was_mended(classifier: FeedbackClassifier, language: str, seed: int) -> None:
    """Damage stands in the other sentences and between them; the one that is named comes back untouched."""
    chance = random.Random(f"{language} {seed}")
    before, after = (list(part) for part in MESSAGES[language].split(CARRIERS[language]))
    for part in (before, after):
        for _ in range(chance.randint(1, 4)):
            part.insert(chance.randint(0, len(part) - 1), chance.choice(DAMAGE))
    text = "".join(before) + CARRIERS[language] + "".join(after)
    assert mend(text).repairs
    choice = choice_of(classifier, text, "category", "delivery")
    assert choice.sentences
    named = [text[sentence.start : sentence.end] for sentence in choice.sentences]
    assert any(CARRIERS[language] in sentence for sentence in named), named


def test_a_sentence_that_was_mended_is_named_as_it_was_sent(classifier: FeedbackClassifier) -> None:
    for text, sent in (
        ("رنگش خوب است. بسته ي من نرسيده! صبر مي‌كنم.", "بسته ي من نرسيده!"),
        ("Fine colour. \u200b The ｐａｒｃｅｌ is looooost &amp; gone! I wait.", "The ｐａｒｃｅｌ is looooost &amp; gone!"),
        ("顏色不錯。快递沒到，內(nèi)容也不對(duì)！再等等。", "快递沒到，內(nèi)容也不對(duì)！"),
    ):
        choice = choice_of(classifier, text, "category", "delivery")
        assert choice.sentences
        assert text[choice.sentences[0].start : choice.sentences[0].end] == sent


@pytest.mark.parametrize("text", ["great", "عالی", "很好"])
def test_a_message_of_one_sentence_is_carried_by_it(classifier: FeedbackClassifier, text: str) -> None:
    choice = choice_of(classifier, f" {text}!\n", "sentiment", "positive")
    assert choice.sentences is not None
    assert [sentence.to_dict() for sentence in choice.sentences] == [{"start": 1, "end": len(text) + 2, "effect": None}]


def test_asking_for_an_explanation_changes_no_answer(classifier: FeedbackClassifier) -> None:
    texts = [*MESSAGES.values(), "", "great. " * 60, "?!"]
    plain = [result.to_dict(scores=True) for result in classifier.predict(texts)]
    explained = [result.to_dict(scores=True) for result in classifier.predict(texts, explain=True)]
    for result in explained:
        for answer in result.get("answers", {}).values():
            for label in answer.get("labels", [answer]):
                assert label.pop("sentences")
    assert explained == plain


def test_in_a_text_of_many_windows_the_right_place_is_found(classifier: FeedbackClassifier) -> None:
    filler = "They say that I have to wait. "
    text = filler * 20 + "The parcel is lost. " + filler * 20
    choice = choice_of(classifier, text, "category", "delivery")
    assert choice.sentences
    named = text[choice.sentences[0].start : choice.sentences[0].end]
    assert "The parcel is lost." in named
    assert len(passages(text)) == MAX_PASSAGES


class Counting(FeedbackClassifier):
    runs = 0

    def window_logits(self, ids: Sequence[int]) -> np.ndarray:
        self.runs += 1
        return super().window_logits(ids)


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counting]:
    folder = make_tiny_model(tmp_path_factory.mktemp("wide") / "model", window={"length": 128, "stride": 32})
    classifier = Counting.load(folder, threads=1)
    assert isinstance(classifier, Counting)
    yield classifier
    classifier.close()


def test_the_cost_is_a_run_a_sentence_and_bounded_in_long_texts(wide: Counting) -> None:
    classifier = wide
    for language, text in MESSAGES.items():
        classifier.runs = 0
        classifier.predict([text], explain=True)
        assert classifier.runs == 1 + len(sentences(text)), language
    text = "abc. " * 390
    windows = len(classifier.read_windows(text))
    assert windows > 10
    classifier.runs = 0
    classifier.predict([text], explain=True)
    assert classifier.runs <= 4 * windows + 2 * MAX_PASSAGES


@pytest.mark.parametrize("language", MESSAGES)
def test_leaving_a_sentence_out_is_as_if_it_had_not_been_written(wide: FeedbackClassifier, language: str) -> None:
    text = MESSAGES[language]
    found = sentences(text)
    assert len(wide.read_windows(text)) == 1
    for row, (start, end) in zip(leave_each_out(wide, text, found), found, strict=True):
        assert np.array_equal(row, wide.logits(text[:start] + text[end:]))


@pytest.mark.parametrize("most", [0, MAX_RUNS])
def test_in_several_windows_the_same_sentence_counts_most(
    classifier: FeedbackClassifier, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr("serving.explain.MAX_RUNS", most)  # 0: window by window, as in a very long text
    text = "great phone, fine phone. terrible parcel, at last! urgent refund, if you please"
    found = sentences(text)
    assert len(classifier.read_windows(text)) > 1
    left = leave_each_out(classifier, text, found)
    rests = np.stack([classifier.logits(text[:start] + text[end:]) for start, end in found])
    assert np.array_equal(left, rests) == bool(most)
    for cue, task, label in ((0, "sentiment", "positive"), (1, "category", "delivery"), (2, "category", "payment")):
        column = classifier.taxonomy.columns(task).start + classifier.taxonomy[task].index(label)
        assert left[:, column].argmin() == rests[:, column].argmin() == cue


@pytest.mark.parametrize("length", [16, 128])
def test_where_nothing_else_can_be_read_the_effect_is_that_of_an_empty_message(tmp_path: Path, length: int) -> None:
    classifier = FeedbackClassifier.load(make_tiny_model(tmp_path / "model", window={"length": length, "stride": 4}), threads=1)
    text = "terrible parcel " * 4
    whole = leave_each_out(classifier, text, [(0, len(text))])
    first = classifier.read_windows(text)[0]
    special = [piece for piece, span in zip(first.ids, first.spans, strict=True) if span is None]
    assert np.array_equal(whole[0], classifier.window_logits(special))
    classifier.close()


@pytest.mark.parametrize("count", [1, 2, 31, 32, 33, 34, 63, 64, 65, 200])
def test_passages_are_whole_sentences_and_never_too_many(count: int) -> None:
    chance = random.Random(count)
    text = "".join("字" * chance.randint(1, 60) + "。" for _ in range(count))
    found, whole = passages(text), sentences(text)
    assert len(found) <= MAX_PASSAGES
    assert (found == whole) == (count <= MAX_PASSAGES)
    assert found[0][0] == 0
    assert found[-1][1] == len(text)
    assert all(one[1] == two[0] for one, two in pairwise(found))
    assert {start for start, _ in found} <= {start for start, _ in whole}


def test_log_odds_order_as_probabilities_and_do_not_saturate() -> None:
    tone, category = Taxonomy.read()["tone"], Taxonomy.read()["category"]
    single = np.array([[50.0, 1, 0, 0, 0, 0], [60.0, 1, 0, 0, 0, 0]], dtype=np.float32)
    low, high = log_odds(tone, single, 0, 2.0)
    assert low < high < 100
    multi = np.full((1, len(category.names)), 3.0, dtype=np.float32)
    assert log_odds(category, multi, 4, 2.0) == pytest.approx([1.5])


def test_sentences_beside_the_strongest_are_named_only_if_they_count_nearly_as_much() -> None:
    assert strongest(np.array([0.1, 2.0, 1.2, 0.9])) == [1, 2]
    assert strongest(np.array([3.0, 3.0, 3.0, 3.0])) == [0, 1, 2]
    assert strongest(np.array([-2.0, -1.0, -3.0])) == [1]
