"""Figures beside targets."""

from __future__ import annotations

from pathlib import Path

import pytest

from data.errors import ConfigError
from training.targets import Target, compare_with_targets, read_targets, targets_text

RECIPE = Path(__file__).parent.parent / "training" / "recipe"
CELL = {
    "rows": 200,
    "macro_f1": 0.8,
    "macro_f1_interval": [0.75, 0.85],
    "calibration_error": 0.05,
    "labels": {"bug_report": {"rows": 40, "f1": 0.7}},
    "baseline": {"macro_f1": 0.6, "labels": {"bug_report": 0.5}},
}
TEST = {"tasks": {"tone": {"all": {**CELL, "macro_f1": 0.9}}}, "slices": {"source snappfood": {"tone": CELL}}}


def one(**fields):
    return compare_with_targets(TEST, [Target(**{"name": "t", "task": "tone", "metric": "macro_f1", "target": 0.83, **fields})])[0]


def test_a_target_without_a_slice_is_of_all_rows():
    assert one().value == 0.9
    assert one().missing == 0


def test_a_target_of_a_slice_tells_what_is_missing_beside_the_baseline():
    found = one(slice="source snappfood")
    assert (found.value, found.baseline, found.interval, found.rows) == (0.8, 0.6, (0.75, 0.85), 200)
    assert found.missing == pytest.approx(0.03)
    assert "short by 3.0" in targets_text([found])


def test_a_target_of_one_label_is_its_f1_and_its_rows():
    found = one(slice="source snappfood", metric="f1 bug_report")
    assert (found.value, found.baseline, found.rows) == (0.7, 0.5, 40)


def test_where_less_is_better_more_is_what_is_missing():
    found = one(slice="source snappfood", metric="calibration_error", target=0.03, at_most=True)
    assert found.missing == pytest.approx(0.02)
    assert one(slice="source snappfood", metric="calibration_error", target=0.06, at_most=True).missing == 0


def test_a_target_without_test_rows_is_neither_reached_nor_short():
    found = one(slice="source elsewhere")
    assert found.missing is None
    assert "no test rows" in targets_text([found])


def test_a_file_of_targets_with_a_wrong_key_is_refused(tmp_path):
    (tmp_path / "t.toml").write_text('[[targets]]\nname = "a"\ntask = "tone"\nmetric = "macro_f1"\ntarget = 0.5\naim = 1\n')
    with pytest.raises(ConfigError, match="target 1: got an unexpected keyword argument 'aim'"):
        read_targets(tmp_path / "t.toml")


def test_a_file_without_targets_is_refused(tmp_path):
    (tmp_path / "t.toml").write_text("x = 1")
    with pytest.raises(ConfigError, match=r"it has no \[\[targets\]\]"):
        read_targets(tmp_path / "t.toml")


def test_the_targets_of_the_recipe_can_be_read():
    targets = read_targets(RECIPE / "targets.toml")
    assert len(targets) >= 20
    assert all(0 < target.target < 1 for target in targets)
