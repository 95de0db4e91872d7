import numpy as np
import pytest

from data.taxonomy import Taxonomy
from training.calibration import calibrated, fit_temperature, fit_temperatures, fit_thresholds
from training.encoding import Targets

TAXONOMY = Taxonomy.read()
GENERATOR = np.random.default_rng(5)


def labelled_by_softmax(logits):
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return np.stack([GENERATOR.multinomial(1, share / share.sum()) for share in shares]).astype(np.float32)


def test_the_temperature_that_made_the_logits_too_sure_is_found_again():
    task = TAXONOMY["tone"]
    honest = GENERATOR.normal(size=(6000, 6)) * 1.5
    right = labelled_by_softmax(honest)
    found = fit_temperature(task, (honest * 2.5).astype(np.float32), right, np.ones_like(right))
    assert found == pytest.approx(2.5, rel=0.1)


def test_the_temperature_of_a_multi_task_skips_unknown_labels():
    task = TAXONOMY["category"]
    honest = GENERATOR.normal(size=(3000, 12)) * 1.5
    right = (GENERATOR.random((3000, 12)) < 1 / (1 + np.exp(-honest))).astype(np.float32)
    considered = (GENERATOR.random((3000, 12)) < 0.5).astype(np.float32)
    noise = np.where(considered > 0, honest * 2.0, 50.0)  # what is unknown must not matter, however absurd
    assert fit_temperature(task, noise.astype(np.float32), right, considered) == pytest.approx(2.0, rel=0.12)


def test_with_few_rows_nothing_is_fitted():
    task = TAXONOMY["tone"]
    right = labelled_by_softmax(np.zeros((10, 6)))
    assert fit_temperature(task, np.zeros((10, 6), np.float32), right, np.ones_like(right)) == 1.0


def test_only_a_language_with_many_rows_gets_a_temperature_and_it_is_drawn_towards_the_common_one():
    count = {"zh": 1500, "fa": 100}
    logits = np.zeros((1600, TAXONOMY.size), np.float32)
    positive, considered = np.zeros_like(logits), np.zeros_like(logits)
    tone = TAXONOMY.columns("tone")
    honest = GENERATOR.normal(size=(1600, 6)) * 1.5
    logits[:, tone] = honest * np.where(np.arange(1600) < 1500, 3.0, 1.0)[:, None]
    positive[:, tone] = labelled_by_softmax(honest)
    considered[:, tone] = 1
    languages = ["zh"] * count["zh"] + ["fa"] * count["fa"]
    fitted = fit_temperatures(TAXONOMY, logits, Targets(positive, considered), languages)
    assert set(fitted["tone"]) == {"all", "zh"}
    assert fitted["tone"]["all"] < fitted["tone"]["zh"] < 3.2
    assert fitted["sentiment"] == {"all": 1.0}
    scores = calibrated(TAXONOMY, logits, fitted, languages)
    assert scores[:, tone].sum(1) == pytest.approx(1.0, abs=1e-5)


def test_thresholds_are_lower_for_labels_that_score_low():
    category = TAXONOMY.columns("category")
    scores = np.zeros((400, TAXONOMY.size), np.float32)
    positive = np.zeros_like(scores)
    considered = np.zeros_like(scores)
    considered[:, category] = 1
    positive[:200, category.start] = 1
    positive[200:, category.start + 1] = 1
    scores[:, category.start] = np.where(positive[:, category.start] > 0, 0.30, 0.10)
    scores[:, category.start + 1] = np.where(positive[:, category.start + 1] > 0, 0.85, 0.60)
    fitted = fit_thresholds(TAXONOMY, scores, Targets(positive, considered))["category"]
    low, high = fitted["product_quality"], fitted["bug_report"]
    assert 0.10 < low <= 0.30
    assert 0.45 < high <= 0.85
    assert set(fitted) == set(TAXONOMY["category"].names)


def test_of_thresholds_that_are_as_good_the_middle_one_is_taken():
    category = TAXONOMY.columns("category")
    scores, positive, considered = (np.zeros((400, TAXONOMY.size), np.float32) for _ in range(3))
    considered[:, category] = 1
    positive[:200, category.start] = 1
    scores[:, category.start] = np.where(positive[:, category.start] > 0, 0.85, 0.15)
    fitted = fit_thresholds(TAXONOMY, scores, Targets(positive, considered))["category"]
    assert fitted["product_quality"] == pytest.approx(0.5, abs=0.03)
    assert fitted["bug_report"] == pytest.approx(fitted["product_quality"])  # no row has it: the common one
