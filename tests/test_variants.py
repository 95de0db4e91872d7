"""What the model reads as one."""

from __future__ import annotations

import pytest
from tiny_model import make_tiny_model

from data.variants import TABLE, as_read
from serving.classifier import FeedbackClassifier


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("快遞太慢，我要退貨。", "快递太慢，我要退货。"),
        ("這個應用很難用，後來就刪了", "这个应用很难用，后来就删了"),
        ("気に入る 著名", "気に入る 著名"),
        ("so sad 🥺🥺", "so sad 😢😢"),
        ("غذا سرد بود 🤬", "غذا سرد بود 😡"),
        ("plain", "plain"),
        ("خیلی خوب بود، ممنون", "خیلی خوب بود، ممنون"),
    ],
)
def test_forms_of_one_character_are_read_as_one(text: str, read: str):
    assert as_read(text) == read


def test_a_fold_is_one_character_for_one_so_that_offsets_hold_and_a_second_fold_changes_nothing():
    lines = [line for line in TABLE.read_text("utf-8").splitlines() if not line.startswith("#")]
    assert len(lines) > 3000
    assert all(len(line) == 3 and line[1] == " " and line[0] != line[2] for line in lines)
    sources = [line[0] for line in lines]
    assert len(set(sources)) == len(sources)
    everything = "".join(sources)
    assert len(as_read(everything)) == len(everything)
    assert as_read(as_read(everything)) == as_read(everything)


def test_both_scripts_get_the_same_answer(tmp_path):
    classifier = FeedbackClassifier.load(make_tiny_model(tmp_path / "model"))
    simplified, traditional = classifier.predict(["快递太差了，我要退款。", "快遞太差了，我要退款。"])
    classifier.close()
    assert simplified.to_dict(scores=True) == traditional.to_dict(scores=True)
