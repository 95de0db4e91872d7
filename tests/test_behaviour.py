import json
from collections import Counter

import pytest
from tiny_model import make_tiny_model

from data.taxonomy import Taxonomy
from data.text import mend
from serving.classifier import FeedbackClassifier
from serving.prediction import Failure
from training.behaviour import PARALLEL, _contrast, _direction, _sameness, measure_behaviour
from training.behaviour_cases import ADDITIONS, ERASED, SLOTS, Message, invariance_cases, own_messages, read_records, slots
from training.behaviour_table import behaviour_text
from training.report import summary

TAXONOMY = Taxonomy.read()
LANGUAGES = ("zh", "en", "fa")


@pytest.fixture(scope="module")
def cases():
    return invariance_cases()


@pytest.fixture(scope="module")
def measured(classifier):
    return measure_behaviour(classifier)


def test_the_own_messages_are_enough_labelled_and_full_of_what_is_changed():
    messages = own_messages()
    counts = Counter(message.language for message in messages)
    assert all(counts[language] >= 60 for language in LANGUAGES)
    assert len({message.text for message in messages}) == len(messages) == len({message.id for message in messages})
    for message in messages:
        assert "{" not in message.text
        for task in TAXONOMY:
            labels = message.labels[task.name]
            assert {labels} if task.single else set(labels) <= set(task.names)
    for language in LANGUAGES:
        for label in TAXONOMY["tone"].names:
            assert sum(message.labels["tone"] == label for message in messages if message.language == language) >= 4


def test_additions_speak_every_language_and_name_labels_of_the_taxonomy():
    for addition in read_records(ADDITIONS):
        assert set(addition["text"]) == set(LANGUAGES), addition["name"]
        named = [labels for way in ("to", "falls", "rises", "adds") for labels in addition.get(way, {}).items()]
        assert named
        for task, labels in named:
            assert set(labels) <= set(TAXONOMY[task].names), addition["name"]


def test_the_behaviour_messages_are_in_no_row_that_is_trained_on(corpus_rows):
    trained = {mend(row["text"]).text for language in LANGUAGES for row in corpus_rows(language)}
    assert trained.isdisjoint(message.text for message in own_messages())


def test_every_kind_has_cases_in_its_languages_and_changes_the_text(cases):
    kinds = {(case.kind, case.language) for case in cases}
    for kind in ("digits", "emoji", "names", "order numbers", "greeting", "typo"):
        assert {(kind, language) for language in LANGUAGES} <= kinds
    assert {("casing", "en"), ("half-spaces", "fa"), ("arabic letters", "fa"), ("full width", "zh")} <= kinds
    assert all(case.original != case.changed for case in cases)
    assert cases == invariance_cases()


def test_the_kinds_counted_apart_are_those_that_the_normaliser_erases(cases):
    for case in cases:
        same = mend(case.original).text == mend(case.changed).text
        assert same == (case.kind in ERASED), case


def test_names_and_order_numbers_take_each_others_place(cases):
    names = [case for case in cases if case.kind == "names" and case.language == "fa"]
    first, *others = slots()["names"]["fa"]
    assert all(first in case.original and first not in case.changed for case in names)
    assert {other for case in names for other in others if other in case.changed} == set(others)
    orders = slots()["orders"]
    assert all(orders[0] not in case.changed for case in cases if case.kind == "order numbers")
    assert SLOTS.exists()


def test_a_figure_goes_up_by_one_step_and_an_order_number_or_version_stays(cases):
    digits = {case.original: case.changed for case in cases if case.kind == "digits" and case.language == "en"}
    changed = digits["Order A-48213 came a day early and the driver carried it up 3 floors"]
    assert changed == "Order A-48213 came a day early and the driver carried it up 4 floors"
    assert "Since version 3.2 it crashes whenever I open the camera 😡" not in digits


def test_a_model_has_figures_of_every_section_with_counts(measured):
    assert set(measured["invariance_by_language"]) == set(LANGUAGES)
    for kind, by_language in measured["erased"].items():
        assert all(cell["all_tasks"] == 1.0 for cell in by_language.values()), kind
    assert {"falls", "rises", "adds", "addition: rude courier"} <= set(measured["direction"])
    assert all(measured["contrast"][language]["count"] > 150 for language in LANGUAGES)
    assert set(measured["parallel"]) == set(PARALLEL)
    assert all(cell["count"] == 200 for cell in measured["parallel"].values())
    assert json.loads(json.dumps(measured, allow_nan=False)) == measured


def test_the_table_shows_them_for_each_language(measured):
    text = behaviour_text(measured)
    assert "unchanged answers" in text
    assert "full width (erased before reading)" in text
    assert summary({"behaviour": measured}).endswith(text)
    assert all(f"{code:>16}" in text.splitlines()[0] for code in LANGUAGES)


def test_another_taxonomy_keeps_what_needs_no_labels(tmp_path):
    file = tmp_path / "shop.toml"
    file.write_text(
        'version = "1"\n[tasks.mood]\nkind = "single"\nlabels = [{ name = "fine" }, { name = "cross" }]\n'
        '[tasks.tone]\nkind = "single"\nlabels = [{ name = "loud" }, { name = "quiet" }]\n',
        "utf-8",
    )
    classifier = FeedbackClassifier.load(make_tiny_model(tmp_path / "model", Taxonomy.read(file)))
    measured = measure_behaviour(classifier)
    classifier.close()
    assert measured["direction"] == measured["contrast"] == {}
    assert set(measured["invariance_by_language"]["fa"]["tasks"]) == {"mood", "tone"}
    assert "contrast" not in behaviour_text(measured)


def predictions(classifier, *texts):
    return dict(zip(texts, classifier.predict(texts), strict=True))


def test_answers_count_as_the_same_only_if_no_text_of_the_group_differs(classifier):
    results = predictions(classifier, "great", "great great", "terrible", "urgent")
    cell = _sameness(classifier.taxonomy, [("great", "great great"), ("great", "terrible", "great great")], results)
    assert cell["tasks"]["sentiment"] == 0.5
    assert cell["count"] == 2
    refused = {**results, "x": Failure(None, "empty", "nothing")}
    assert _sameness(classifier.taxonomy, [("great", "x")], refused)["same"] == 0.0


def test_a_direction_passes_where_every_expectation_is_met(classifier):
    message = Message("1", "en", "great", "great", {}, True)
    worse = {"name": "worse", "falls": {"sentiment": ["positive"]}, "rises": {"sentiment": ["negative"]}, "adds": {}}
    parcel = {"name": "parcel", "falls": {}, "rises": {}, "adds": {"category": ["delivery"]}}
    texts = ("great", "great terrible", "great great", "great parcel")
    results = predictions(classifier, *texts)
    found = _direction([(worse, message, texts[1]), (worse, message, texts[2]), (parcel, message, texts[3])], results)
    assert found["addition: worse"]["en"] == {"count": 2, "passed": 0.5}
    assert found["rises"]["en"] == {"count": 2, "passed": 0.5}
    assert found["adds"]["en"]["passed"] == 1.0


def test_a_pair_counts_in_the_tasks_that_turn_and_only_if_both_are_right(classifier):
    def pair(language, one, other):
        sides = {"a": {"text": one, "sentiment": "positive"}, "b": {"text": other, "sentiment": "negative"}}
        return {"language": language, "turn": "negation", **sides}

    pairs = [pair("en", "great", "terrible"), pair("zh", "很好", "很好 很好")]
    results = predictions(classifier, "great", "terrible", "很好", "很好 很好")
    found = _contrast(classifier.taxonomy, pairs, results)
    assert (found["en"]["both_right"], found["zh"]["both_right"]) == (1.0, 0.0)
    assert found["turn: negation"] == {"count": 2, "both_right": 0.5, "tasks": {"sentiment": {"count": 2, "both_right": 0.5}}}
    same = {**pairs[0], "b": {"text": "terrible", "sentiment": "positive"}}
    unknown = {**pairs[0], "b": {"text": "terrible", "sentiment": "furious"}}
    assert _contrast(classifier.taxonomy, [same, unknown], results) == {}
