"""Agreement of two readings: the figures of scikit-learn, from readings of any labels."""

from __future__ import annotations

import math
import random

import pytest
from sklearn.metrics import cohen_kappa_score, jaccard_score

from data.agreement import agreement, cohen_kappa, disagreements
from data.errors import DataError


def readings(task, rows, seed, agreeing=0.7):
    """Two readings of a task that agree in part."""
    chance = random.Random(seed)

    def labels():
        return (chance.choice(task.names),) if task.single else tuple(chance.sample(task.names, chance.randint(1, 3)))

    first = [labels() for _ in range(rows)]
    return first, [given if chance.random() < agreeing else labels() for given in first]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", ["sentiment", "tone"])
def test_kappa_of_a_single_task_is_that_of_scikit_learn(taxonomy, name, seed):
    first, second = readings(taxonomy[name], 200, seed)
    found = agreement(taxonomy[name], first, second)
    assert found.kappa == pytest.approx(cohen_kappa_score([one for (one,) in first], [one for (one,) in second]))
    assert found.exact == found.overlap == pytest.approx(sum(a == b for a, b in zip(first, second, strict=True)) / 200)
    assert found.rows == 200


@pytest.mark.parametrize("seed", range(5))
def test_kappa_and_overlap_of_a_multi_task_are_those_of_scikit_learn(taxonomy, seed):
    task = taxonomy["category"]
    first, second = readings(task, 150, seed)
    one, other = ([[label in labels for label in task.names] for labels in reading] for reading in (first, second))
    columns = [
        cohen_kappa_score(ours, theirs) for ours, theirs in zip(zip(*one, strict=True), zip(*other, strict=True), strict=True)
    ]
    found = agreement(task, first, second)
    assert list(found.by_label) == list(task.names)
    assert list(found.by_label.values()) == pytest.approx(columns)
    assert found.kappa == pytest.approx(sum(columns) / len(columns))
    assert found.overlap == pytest.approx(jaccard_score(one, other, average="samples"))
    assert found.exact < found.overlap


def test_the_order_of_labels_in_a_row_does_not_matter(taxonomy):
    task = taxonomy["category"]
    found = agreement(task, [("price", "delivery"), ("general",)], [("delivery", "price"), ("general",)])
    assert (found.exact, found.overlap, found.kappa) == (1, 1, 1)


def test_labels_that_no_reading_used_are_left_out_of_the_mean(taxonomy):
    task = taxonomy["category"]
    found = agreement(task, [("price",), ("account",), ("account",)], [("price",), ("price",), ("account",)])
    assert set(found.by_label) == {"price", "account"}
    assert found.kappa == pytest.approx(cohen_kappa_score([1, 0, 0], [1, 1, 0]))


def test_kappa_of_readings_that_always_differ_is_negative():
    assert cohen_kappa(["a", "b"], ["b", "a"]) == -1


@pytest.mark.parametrize("reading", [[], ["calm", "calm"]], ids=["no rows", "one label throughout"])
def test_where_chance_explains_everything_kappa_is_not_a_number(reading):
    assert math.isnan(cohen_kappa(reading, reading))


def test_without_rows_there_is_no_figure(taxonomy):
    found = agreement(taxonomy["tone"], [], [])
    assert found.rows == 0
    assert math.isnan(found.exact)
    assert math.isnan(found.kappa)


def test_disagreements_count_pairs_either_way_round_the_commonest_first():
    first = [("calm",), ("angry",), ("calm",), ("calm",)]
    second = [("angry",), ("calm",), ("anxious",), ("calm",)]
    assert disagreements(first, second) == [("angry", "calm", 2), ("anxious", "calm", 1)]


def test_disagreements_of_several_labels_leave_out_what_both_gave():
    assert disagreements([("price", "delivery")], [("price", "payment")]) == [("delivery", "payment", 1)]


def test_readings_of_different_length_are_refused(taxonomy):
    with pytest.raises(DataError, match="two readings of 1 and 2 rows"):
        agreement(taxonomy["tone"], [("calm",)], [("calm",), ("angry",)])
