"""The JSON form is exactly contract 4 of docs/contracts.md."""

from __future__ import annotations

import json

from data.language import Language
from serving.prediction import Answer, Choice, Failure, Prediction, Sentence

PREDICTION = Prediction(
    id="42",
    language=Language("fa", 0.99, True),
    answers={
        "sentiment": Answer((Choice("negative", 0.94),), True, False, {"positive": 0.02, "neutral": 0.04, "negative": 0.94}),
        "tone": Answer((Choice("frustrated", 0.71),), True, False, {"calm": 0.29, "frustrated": 0.71}),
        "category": Answer(
            (Choice("customer_service", 0.63), Choice("delivery", 0.91)),
            False,
            False,
            {"customer_service": 0.63, "delivery": 0.91, "general": 0.051234},
        ),
    },
    departments=("support", "logistics"),
    priority=1,
    repairs=("arabic_letters",),
    warnings=(),
    model="2026.11.0+3f9c1a",
)

CONTRACT = """
{"id": "42", "language": {"code": "fa", "probability": 0.99, "supported": true},
 "answers": {
   "sentiment": {"label": "negative", "probability": 0.94, "abstained": false},
   "tone": {"label": "frustrated", "probability": 0.71, "abstained": false},
   "category": {"labels": [{"label": "customer_service", "probability": 0.63}, {"label": "delivery", "probability": 0.91}], "abstained": false}},
 "departments": ["support", "logistics"], "priority": 1, "repairs": ["arabic_letters"], "warnings": [], "model": "2026.11.0+3f9c1a"}
"""  # noqa: E501  # the document as it stands in the docs


def test_a_prediction_becomes_the_contracts_json_keys_in_order() -> None:
    assert json.dumps(PREDICTION.to_dict()) == json.dumps(json.loads(CONTRACT))


def test_scores_add_every_label_of_every_task_rounded_to_four_decimals() -> None:
    answers = PREDICTION.to_dict(scores=True)["answers"]
    assert answers["category"]["scores"] == {"customer_service": 0.63, "delivery": 0.91, "general": 0.0512}
    assert answers["tone"]["scores"] == {"calm": 0.29, "frustrated": 0.71}


def test_only_the_tasks_asked_for_are_given_and_nothing_else_changes() -> None:
    whole, part = PREDICTION.to_dict(), PREDICTION.to_dict(tasks=["tone"])
    assert part["answers"] == {"tone": whole["answers"]["tone"]}
    assert {**part, "answers": whole["answers"]} == whole


def test_sentences_stand_with_the_label_that_they_carried() -> None:
    choice = Choice("calm", 0.71, (Sentence(3, 9, 0.41237), Sentence(0, 2, -0.00001)))
    answer = Answer((choice,), False, False, {"calm": 0.71})
    assert json.dumps(answer.to_dict()["labels"]) == (
        '[{"label": "calm", "probability": 0.71, '
        '"sentences": [{"start": 3, "end": 9, "effect": 0.4124}, {"start": 0, "end": 2, "effect": 0.0}]}]'
    )


def test_a_failure_has_an_id_and_an_error_and_nothing_else() -> None:
    failure = Failure("7", "empty", "nothing to read")
    assert failure.to_dict() == {"id": "7", "error": {"code": "empty", "message": "nothing to read"}}
    assert failure.to_dict(scores=True, tasks=["tone"]) == failure.to_dict()


def test_abstained_names_the_tasks_whose_answer_is_for_a_person() -> None:
    unsure = Answer((Choice("calm", 0.3),), True, True, {"calm": 0.3})
    prediction = Prediction("1", PREDICTION.language, {**PREDICTION.answers, "tone": unsure}, (), 0, (), (), "v")
    assert prediction.abstained == ("tone",)
