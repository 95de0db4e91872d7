"""What a model is held against: figures of an evaluation beside the targets of a TOML file, reached or short by how much."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.errors import ConfigError
from data.toml_files import read_toml
from training.evaluation import ALL

F1_OF = "f1 "
"""Before a label's name: the F1 of that label alone."""


@dataclass(frozen=True)
class Target:
    name: str
    task: str
    metric: str
    """A figure of a cell of `metrics.json`, or `f1 LABEL`."""
    target: float
    """0 to 1."""
    slice: str = ""
    """Name of a slice; empty: all test rows that know the task."""
    at_most: bool = False
    """Less is better."""
    published: str = ""
    """What others report on the same rows."""


@dataclass(frozen=True)
class Reached:
    """A target beside what was measured; figures from 0 to 1, None where no test row has any."""

    target: Target
    rows: int
    value: float | None
    interval: tuple[float, float] | None
    baseline: float | None

    @property
    def missing(self) -> float | None:
        """How much is missing; 0 where the target is reached, None where nothing was measured."""
        if self.value is None:
            return None
        gap = self.value - self.target.target if self.target.at_most else self.target.target - self.value
        return max(gap, 0.0)


def read_targets(path: str | Path) -> list[Target]:
    """Read a file of targets. ConfigError names what is wrong in which of them."""
    document = read_toml(Path(path), ConfigError, ". See training/recipe/targets.toml for an example.")
    targets, faults = [], []
    for number, entry in enumerate(document.get("targets", []), 1):
        try:
            targets.append(Target(**entry))
        except TypeError as error:
            faults.append(f"target {number}: {str(error).removeprefix('Target.__init__() ')}")
    if faults or not targets:
        raise ConfigError(f"{path}:\n  " + "\n  ".join(faults or ["it has no [[targets]]"]))
    return targets


def compare_with_targets(test: Mapping[str, Any], targets: Sequence[Target]) -> list[Reached]:
    """test: what `evaluation.evaluate` gives."""
    return [_reached(test, target) for target in targets]


def targets_text(reached: Sequence[Reached]) -> str:
    """A table for the terminal."""
    lines = [f"{'target':<44}{'rows':>7}{'model':>7}{'interval':>13}{'baseline':>10}{'target':>8}  "]
    for found in reached:
        target = found.target
        value = "-" if found.value is None else f"{100 * found.value:.1f}"
        between = "-" if found.interval is None else f"{100 * found.interval[0]:.1f}-{100 * found.interval[1]:.1f}"
        baseline = "-" if found.baseline is None else f"{100 * found.baseline:.1f}"
        verdict = (
            "no test rows" if found.missing is None else "reached" if found.missing == 0 else f"short by {100 * found.missing:.1f}"
        )
        lines.append(
            f"{target.name:<44}{found.rows:>7,}{value:>7}{between:>13}{baseline:>10}{100 * target.target:>8.1f}  {verdict}"
            + (f"  ({target.published})" if target.published else "")
        )
    return "\n".join(lines)


def _reached(test: Mapping[str, Any], target: Target) -> Reached:
    cells = test["slices"].get(target.slice, {}) if target.slice else {name: of.get(ALL) for name, of in test["tasks"].items()}
    cell = cells.get(target.task)
    if cell is None:
        return Reached(target, 0, None, None, None)
    beside = cell.get("baseline", {})
    if target.metric.startswith(F1_OF):
        label = target.metric.removeprefix(F1_OF)
        value = cell["labels"].get(label, {}).get("f1")
        return Reached(target, cell["labels"].get(label, {}).get("rows", 0), value, None, beside.get("labels", {}).get(label))
    interval = cell.get(f"{target.metric}_interval")
    return Reached(target, cell["rows"], cell.get(target.metric), tuple(interval) if interval else None, beside.get(target.metric))
