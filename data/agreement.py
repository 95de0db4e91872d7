"""How far two readings of the same messages agree, beyond what chance would give."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from data.errors import DataError
from data.taxonomy import Task


@dataclass(frozen=True)
class Agreement:
    """Two readings of one task."""

    task: str
    rows: int
    exact: float
    """Share of the rows with the same label, of a multi task the same set of labels, 0 to 1; NaN without rows."""
    overlap: float
    """Mean Jaccard overlap of the two sets of labels, 0 to 1; of a single task the same as `exact`."""
    kappa: float
    """Single: Cohen's kappa. Multi: mean kappa over the labels that a reading used. -1 to 1; NaN where chance explains all."""
    by_label: Mapping[str, float] = field(default_factory=dict)
    """Kappa of each label against all others, in the taxonomy's order; only labels that a reading used."""


def cohen_kappa(first: Sequence[object], second: Sequence[object]) -> float:
    """Return Cohen's kappa of two readings, -1 to 1; NaN where both give every row the same one label, or without rows.

    Source: Cohen 1960, A Coefficient of Agreement for Nominal Scales.
    """
    _check_lengths(first, second)
    rows = len(first)
    if not rows:
        return math.nan
    observed = sum(one == other for one, other in zip(first, second, strict=True)) / rows
    counts, other_counts = Counter(first), Counter(second)
    by_chance = sum(count * other_counts[label] for label, count in counts.items()) / rows**2
    return math.nan if by_chance == 1 else (observed - by_chance) / (1 - by_chance)


def agreement(task: Task, first: Sequence[Sequence[str]], second: Sequence[Sequence[str]]) -> Agreement:
    """Compare two readings, each with a row's labels in any order. DataError when they are not equally long."""
    _check_lengths(first, second)
    ours, theirs = [frozenset(labels) for labels in first], [frozenset(labels) for labels in second]
    rows = len(ours)
    pairs = list(zip(ours, theirs, strict=True))
    exact = sum(one == other for one, other in pairs) / rows if rows else math.nan
    overlap = sum(len(one & other) / len(one | other) if one | other else 1.0 for one, other in pairs) / rows if rows else math.nan
    used = frozenset().union(*ours, *theirs)
    by_label = {
        label: cohen_kappa([label in labels for labels in ours], [label in labels for labels in theirs])
        for label in task.names
        if label in used
    }
    return Agreement(task.name, rows, exact, overlap, cohen_kappa(ours, theirs) if task.single else _mean(by_label), by_label)


def disagreements(first: Sequence[Sequence[str]], second: Sequence[Sequence[str]]) -> list[tuple[str, str, int]]:
    """Pairs of labels that one reading gave where the other gave the other one, either way round, the commonest first."""
    _check_lengths(first, second)
    counts: Counter[tuple[str, str]] = Counter()
    for one, other in zip(first, second, strict=True):
        only_one, only_other = sorted(set(one) - set(other)), sorted(set(other) - set(one))
        counts.update((min(a, b), max(a, b)) for a in only_one for b in only_other)
    return [(*pair, count) for pair, count in sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))]


def _mean(by_label: Mapping[str, float]) -> float:
    known = [value for value in by_label.values() if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan


def _check_lengths(first: Sequence[object], second: Sequence[object]) -> None:
    if len(first) != len(second):
        raise DataError(f"two readings of {len(first)} and {len(second)} rows. Give both for the same rows, in the same order.")
