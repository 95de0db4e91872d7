"""Which of two model folders is better on the same rows, by how much, and which answers changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data.errors import ConfigError, DataError
from data.rows import Row
from data.taxonomy import Taxonomy
from serving.classifier import FeedbackClassifier
from training.answers import Answers, answer
from training.encoding import encode_targets
from training.evaluation import ALL, judged_rows, read_for_evaluation
from training.intervals import CONFIDENCE_LEVEL, RESAMPLES, bootstrap_macro_f1, resample_counts
from training.metrics import macro_f1

EXCERPT_CHARACTERS = 60
LISTED_CHANGES = 20
"""Changed rows in the text form; the JSON form has all of them."""


@dataclass(frozen=True)
class Difference:
    """B minus A in one cell, macro-F1 from 0 to 1."""

    task: str
    language: str
    rows: int
    a: float
    b: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        return "B is better" if self.low > 0 else "A is better" if self.high < 0 else "no clear difference"


@dataclass(frozen=True)
class Change:
    """One row to which the two models answer differently."""

    id: str | None
    task: str
    excerpt: str
    true: tuple[str, ...] | None
    """What the row is labelled with; None where it does not know."""
    a: tuple[str, ...]
    b: tuple[str, ...]


@dataclass(frozen=True)
class Comparison:
    version_a: str
    version_b: str
    rows: int
    differences: tuple[Difference, ...]
    changes: tuple[Change, ...]

    def to_dict(self) -> dict[str, Any]:
        document = asdict(self)
        for entry, difference in zip(document["differences"], self.differences, strict=True):
            entry["verdict"] = difference.verdict
        return document

    def to_text(self) -> str:
        lines = [
            f"A {self.version_a}, B {self.version_b}, {self.rows:,} rows; macro-F1, difference B - A with its 95 % paired interval",
            "",
        ]
        lines.append(f"{'task':<14}{'language':<10}{'rows':>7}{'A':>8}{'B':>8}{'B - A':>8}{'interval':>18}")
        for cell in self.differences:
            between = f"{100 * cell.low:+.1f} to {100 * cell.high:+.1f}"
            lines.append(
                f"{cell.task:<14}{cell.language:<10}{cell.rows:>7,}{100 * cell.a:>8.1f}{100 * cell.b:>8.1f}"
                f"{100 * (cell.b - cell.a):>+8.1f}{between:>18}  {cell.verdict}"
            )
        lines += ["", f"{len(self.changes):,} answers changed" + (":" if self.changes else "")]
        for change in self.changes[:LISTED_CHANGES]:
            true = "unknown" if change.true is None else "|".join(change.true) or "none"
            lines.append(
                f"  {change.id or '-'}  {change.task}: {'|'.join(change.a)} -> {'|'.join(change.b)} (true: {true})  "
                + change.excerpt
            )
        if len(self.changes) > LISTED_CHANGES:
            lines.append(f"  and {len(self.changes) - LISTED_CHANGES:,} more: see --json")
        return "\n".join(lines)


def compare_files(folder_a: str | Path, folder_b: str | Path, paths: Sequence[str], split: str | None = None) -> Comparison:
    """Compare two model folders of the same tasks and labels on files of rows. ConfigError if their labels differ."""
    a, b = FeedbackClassifier.load(folder_a), FeedbackClassifier.load(folder_b)
    orders = [{task.name: task.names for task in classifier.taxonomy} for classifier in (a, b)]
    if orders[0] != orders[1]:
        raise ConfigError(f"{folder_a} and {folder_b} answer with different tasks or labels; only the same can be compared")
    rows = read_for_evaluation(a.taxonomy, paths, split)
    answers = answer(a, rows), answer(b, rows)
    result = compare(a.taxonomy, rows, *answers, versions=(a.version, b.version))
    a.close()
    b.close()
    return result


def compare(
    taxonomy: Taxonomy, rows: Sequence[Row], a: Answers, b: Answers, versions: tuple[str, str], seed: int = 0
) -> Comparison:
    """Differences with paired bootstrap intervals (the same resampled rows for both), and the rows that changed.

    Raises DataError if no row knows any task.
    """
    targets = encode_targets(rows, taxonomy)
    languages = np.array([row.primary_language for row in rows])
    both = a.answered & b.answered
    differences = []
    for task in taxonomy:
        for language in [*sorted(set(languages)), ALL]:
            members = both & (np.ones(len(rows), dtype=bool) if language == ALL else languages == language)
            judged_a, _ = judged_rows(task, taxonomy, targets, a, members)
            judged_b, _ = judged_rows(task, taxonomy, targets, b, members)
            if not len(judged_a) or not (judged_a.right & judged_a.considered).any():
                continue
            samples_a, samples_b = (
                bootstrap_macro_f1(judged, resample_counts(len(judged), RESAMPLES, seed)) for judged in (judged_a, judged_b)
            )
            low, high = np.nanquantile(samples_b - samples_a, [(1 - CONFIDENCE_LEVEL) / 2, (1 + CONFIDENCE_LEVEL) / 2])
            differences.append(
                Difference(task.name, str(language), len(judged_a), macro_f1(judged_a), macro_f1(judged_b), float(low), float(high))
            )
    if not differences:
        raise DataError(f"none of the {len(rows)} rows that both answered knows a label of {', '.join(taxonomy.task_names)}")
    return Comparison(*versions, len(rows), tuple(differences), tuple(_changes(taxonomy, rows, a, b)))


def _changes(taxonomy: Taxonomy, rows: Sequence[Row], a: Answers, b: Answers) -> list[Change]:
    changes = []
    for number, row in enumerate(rows):
        for task in taxonomy:
            columns = taxonomy.columns(task.name)
            labels_a, labels_b = (
                tuple(name for name, chosen in zip(task.names, answers.chosen[number, columns], strict=True) if chosen)
                for answers in (a, b)
            )
            if labels_a != labels_b:
                excerpt = row.text if len(row.text) <= EXCERPT_CHARACTERS else row.text[: EXCERPT_CHARACTERS - 1] + "…"
                changes.append(Change(row.id, task.name, excerpt.replace("\n", " "), row.labels.get(task.name), labels_a, labels_b))
    return changes
