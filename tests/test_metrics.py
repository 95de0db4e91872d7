import numpy as np
import pytest
from sklearn.metrics import f1_score, recall_score

from data.taxonomy import Taxonomy
from training.intervals import bootstrap_macro_f1, resample_counts
from training.metrics import (
    accuracy,
    calibration_error,
    f1_by_label,
    jaccard,
    judge,
    macro_f1,
    macro_recall,
    surest_error_share,
)

TONE = Taxonomy.read()["tone"]
CATEGORY = Taxonomy.read()["category"]
GENERATOR = np.random.default_rng(3)


def one_hot(indices, size):
    return np.eye(size, dtype=np.float32)[indices]


def random_single(rows=300):
    scores = GENERATOR.dirichlet(np.ones(6), rows).astype(np.float32)
    true = GENERATOR.integers(0, 6, rows)
    judged, _ = judge(TONE, one_hot(scores.argmax(1), 6) > 0, scores, one_hot(true, 6), np.ones((rows, 6), np.float32))
    return judged, true, scores.argmax(1)


def test_single_figures_are_those_of_scikit_learn():
    judged, true, given = random_single()
    assert macro_f1(judged) == pytest.approx(f1_score(true, given, average="macro"))
    assert macro_recall(judged) == pytest.approx(recall_score(true, given, average="macro"))
    assert accuracy(judged) == pytest.approx((true == given).mean())


def test_multi_figures_are_those_of_scikit_learn():
    true = GENERATOR.random((200, 12)) < 0.2
    given = GENERATOR.random((200, 12)) < 0.2
    judged, _ = judge(CATEGORY, given, given.astype(np.float32), true.astype(np.float32), np.ones((200, 12), np.float32))
    assert f1_by_label(judged) == pytest.approx(f1_score(true, given, average=None))


def test_a_row_that_could_not_have_been_neutral_is_judged_between_the_others():
    sentiment = Taxonomy.read()["sentiment"]
    scores = np.array([[0.3, 0.6, 0.1]], dtype=np.float32)
    chosen = np.array([[False, True, False]])
    judged, rows = judge(sentiment, chosen, scores, np.array([[1, 0, 0]], np.float32), np.array([[1, 0, 1]], np.float32))
    assert rows.tolist() == [True]
    assert judged.given.tolist() == [[True, False, False]]
    assert judged.scores[0].tolist() == pytest.approx([0.75, 0, 0.25])


def test_unknown_labels_of_a_multi_task_change_no_figure():
    true, given = np.zeros((4, 12), bool), np.zeros((4, 12), bool)
    true[:2, 3] = given[:3, 3] = given[:, 5] = True
    considered = np.zeros((4, 12), np.float32)
    considered[:, 3] = 1
    judged, _ = judge(CATEGORY, given, given.astype(np.float32), true.astype(np.float32), considered)
    assert macro_f1(judged) == pytest.approx(0.8)
    assert jaccard(judged) == pytest.approx(0.75)


def test_rows_that_leave_several_labels_open_are_not_judged():
    positive = np.array([[1, 1, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0]], np.float32)
    scores = np.full((2, 6), 1 / 6, np.float32)
    _, rows = judge(TONE, scores > 1, scores, positive, np.ones((2, 6), np.float32))
    assert rows.tolist() == [False, True]


def test_calibration_error_is_nought_for_honest_and_large_for_boastful_probabilities():
    probability = np.repeat([0.2, 0.5, 0.9], 1000)
    honest = np.concatenate([np.arange(1000) < 1000 * p for p in (0.2, 0.5, 0.9)])
    assert calibration_error(probability, honest, bins=3) == pytest.approx(0.0, abs=1e-9)
    assert calibration_error(np.full(100, 0.9), np.arange(100) < 50) == pytest.approx(0.4)


def test_leaving_out_the_least_sure_fifth_takes_away_the_errors_that_lie_there():
    scores = np.tile(np.array([[0.9, 0.02, 0.02, 0.02, 0.02, 0.02]], np.float32), (10, 1))
    scores[:2] = [0.4, 0.3, 0.1, 0.1, 0.05, 0.05]
    true = np.array([1, 0, 0, 0, 0, 0, 0, 0, 0, 1])  # one error among the two that were unsure, one among the sure
    judged, _ = judge(TONE, one_hot(scores.argmax(1), 6) > 0, scores, one_hot(true, 6), np.ones((10, 6), np.float32))
    assert surest_error_share(judged) == pytest.approx((1 / 8) / (2 / 10))
    perfect = judged.take(np.arange(1, 9))
    assert np.isnan(surest_error_share(perfect))


def test_of_a_multi_task_all_decisions_of_a_message_count_for_how_sure_it_is():
    scores = np.full((10, 12), 0.05, np.float32)
    scores[:2, 4] = 0.45  # a label that was nearly given
    given, true = scores > 0.5, np.zeros((10, 12), np.float32)
    true[0, 4] = 1
    judged, _ = judge(CATEGORY, given, scores, true, np.ones((10, 12), np.float32))
    assert surest_error_share(judged) == 0.0


def test_the_bootstrap_surrounds_the_figure():
    judged, _, _ = random_single()
    samples = bootstrap_macro_f1(judged, resample_counts(len(judged), 300, seed=1))
    assert len(samples) == 300
    assert np.quantile(samples, 0.025) < macro_f1(judged) < np.quantile(samples, 0.975)
    again = bootstrap_macro_f1(judged, resample_counts(len(judged), 300, seed=1))
    assert (samples == again).all()
