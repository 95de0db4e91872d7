"""Thresholds, abstention, departments, priority and names change without training; what does not exist is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from data.errors import ConfigError, ModelFolderError
from serving.classifier import FeedbackClassifier
from serving.decisions import decide
from serving.model_folder import ModelFolder
from serving.prediction import Prediction


def predict(folder: ModelFolder, text: str) -> Prediction:
    classifier = FeedbackClassifier.load(folder, threads=1)
    (prediction,) = classifier.predict([text])
    classifier.close()
    assert isinstance(prediction, Prediction)
    return prediction


def test_a_copy_with_no_change_answers_the_same(model_folder: ModelFolder, tmp_path: Path) -> None:
    copy = decide(model_folder, [], tmp_path / "copy")
    assert predict(copy, "refund").answers == predict(model_folder, "refund").answers


def test_a_changed_folder_has_a_version_of_its_own_and_opens(model_folder: ModelFolder, tmp_path: Path) -> None:
    changed = decide(model_folder, ["abstain_below.tone=0.9"], tmp_path / "changed")
    assert changed.version != model_folder.version
    assert changed.version.split("+")[0] == model_folder.version.split("+")[0]
    assert ModelFolder.open(changed.path).taxonomy["tone"].abstain_below == 0.9
    assert model_folder.taxonomy["tone"].abstain_below == 0.4


@pytest.mark.parametrize("text", ["退款", "refund", "بازپرداخت"], ids=["zh", "en", "fa"])
def test_a_threshold_decides_which_labels_are_given(model_folder: ModelFolder, tmp_path: Path, text: str) -> None:
    assert predict(model_folder, text).answers["category"].labels == ("payment",)
    low = decide(model_folder, ["thresholds.category.delivery=0.01", "thresholds.category.price=0"], tmp_path / "low")
    assert {"payment", "delivery", "price"} <= set(predict(low, text).answers["category"].labels)


def test_abstention_departments_and_priority_follow_the_decisions(model_folder: ModelFolder, tmp_path: Path) -> None:
    before = predict(model_folder, "refund terrible")
    assert (before.departments, before.priority) == (("finance",), 2)
    changed = decide(
        model_folder,
        [
            "abstain_below.sentiment=1.0",
            'departments.category.payment=["treasury", "finance"]',
            "priority.rules=[]",
            "display.category.payment.en=money",
        ],
        tmp_path / "changed",
    )
    after = predict(changed, "refund terrible")
    assert "sentiment" in after.abstained
    assert "sentiment" not in before.abstained
    assert after.departments == ("treasury", "finance")
    assert after.priority == 0
    payment = next(label for label in changed.taxonomy["category"].labels if label.name == "payment")
    assert payment.display["en"] == "money"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("thresholds.category.delivry=0.4", r"'thresholds\.category\.delivry' is not a decision \(nearest: 'delivery'\)"),
        ("threshold.category.delivery=0.4", r"'threshold' is not a decision \(nearest: 'thresholds'\)"),
        ("temperatures.tone=2", r"'temperatures' is not a decision"),
        ("thresholds.category.delivery.now=0.4", r"delivery\.now' is not a decision \(nothing stands under it\)"),
        ("thresholds.category=0.4", r"'thresholds\.category' is a table\. Name one of its keys: product_quality"),
        ("departments.category={}", "is a table"),
        ("thresholds.category.delivery", "write PATH=VALUE"),
        ("thresholds.category.delivery=1.5", "write a number from 0 to 1"),
        ("thresholds.category.delivery=nan", "write a number from 0 to 1"),
        ("thresholds.category.delivery=true", "write a number from 0 to 1"),
        ("thresholds.category.delivery=low", "write a number from 0 to 1"),
        ("departments.category.delivery=logistics", "write a list of texts"),
        ("departments.category.delivery=[1]", "write a list of texts"),
        ("priority.zero.sentiment=positive", "write a list of texts"),
        ("priority.rules=[1]", "write .*task = "),
        ("display.category.delivery.en=3", 'write a text like "delivery"'),
    ],
)
def test_what_cannot_be_decided_is_refused_and_nothing_is_written(
    model_folder: ModelFolder, tmp_path: Path, change: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        decide(model_folder, [change], tmp_path / "changed")
    assert list(tmp_path.iterdir()) == []


def test_a_priority_rule_with_an_unknown_label_is_refused(model_folder: ModelFolder, tmp_path: Path) -> None:
    with pytest.raises(ModelFolderError, match=r"sentiment 'negativ' is not in the taxonomy \(nearest: 'negative'\)"):
        decide(model_folder, ['priority.rules=[{task = "sentiment", labels = ["negativ"]}]'], tmp_path / "changed")
    assert list(tmp_path.iterdir()) == []
