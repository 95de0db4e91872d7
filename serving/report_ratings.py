"""Ratings that people gave (stars, NPS, CSAT) beside the labels that were predicted, and the messages where the two contradict."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from serving.labelled_file import LabelledFile
from serving.report_figures import CONTRADICTIONS, Example, Figures

LEAST_EXPLAINED = 0.05
"""Share of the ratings' variance that a task must explain before messages are said to contradict it."""
LEAST_RATED = 20
"""Rated rows under which nothing is said to contradict."""
COMPARABLE = 0.5
"""The first task that explains at least so much of what the best one does is the one that ratings are held against."""


@dataclass(frozen=True)
class Scale:
    low: float
    high: float
    bad: float
    """Ratings up to this one are bad."""
    good: float
    """Ratings from this one on are good."""


@dataclass(frozen=True)
class Ratings:
    column: str
    notes: tuple[str, ...]
    names: tuple[str, ...]
    """Of the steps of the scale, as shown."""
    by_task: tuple[tuple[str, list[str], list[list[int]]], ...]
    """Task, its labels, counts (labels, steps)."""
    contradicting: tuple[tuple[str, str, list[Example]], ...]
    """How they are rated, the label, the surest messages."""


def scale_of(ratings: Counter[float], column: str) -> Scale:
    """Stars 1 to 5, NPS and other scales 0 to 10, per cent, or whatever the values are; by the values, and the name for NPS."""
    low, high = min(ratings), max(ratings)
    if high <= 5 and low >= 0 and "nps" not in column.lower():
        return Scale(min(low, 1), 5, 2, 4)
    if high <= 10 and low >= 0:
        return Scale(0, 10, 6, 9) if "nps" in column.lower() or low < 1 else Scale(1, 10, 4, 8)
    if high <= 100 and low >= 0:
        return Scale(0, 100, 40, 80)
    third = (high - low) / 3
    return Scale(low, high, low + third, high - third)


def ratings_of(figures: Figures, file: LabelledFile, labels: dict[str, list[str]]) -> Ratings:
    """Ratings by label of every single task, and the contradictions of the one that follows the ratings."""
    column = file.rating_column or ""
    scale = scale_of(figures.ratings, column)
    steps = sorted(figures.ratings)
    few = len(steps) <= 8
    names = (
        [f"{step:g}" for step in steps]
        if few
        else [f"{scale.low:g} to {scale.bad:g}", "between", f"{scale.good:g} to {scale.high:g}"]
    )

    def place(rating: float) -> int:
        return steps.index(rating) if few else 0 if rating <= scale.bad else 2 if rating >= scale.good else 1

    by_task = []
    for task, names_of_labels in labels.items():
        counts = [[0] * len(names) for _ in names_of_labels]
        for (label, rating), number in figures.tasks[task].ratings.items():
            counts[names_of_labels.index(label)][place(rating)] += number
        by_task.append((task, names_of_labels, counts))
    notes = [_totals(figures.ratings, scale, column)]
    if unread := figures.unread["rating"]:
        notes.append(f"{unread:,} filled cells are no rating and are left out.")
    found, said = _contradictions(figures, scale)
    return Ratings(column, (*notes, said), tuple(names), tuple(by_task), tuple(found))


def _totals(ratings: Counter[float], scale: Scale, column: str) -> str:
    rated = sum(ratings.values())
    mean = sum(value * number for value, number in ratings.items()) / rated
    good = sum(number for value, number in ratings.items() if value >= scale.good) / rated
    bad = sum(number for value, number in ratings.items() if value <= scale.bad) / rated
    said = f"{rated:,} messages are rated, {mean:.2f} on average on a scale of {scale.low:g} to {scale.high:g}; "
    said += f"{100 * good:.0f} % are good ({scale.good:g} and more), {100 * bad:.0f} % bad ({scale.bad:g} and less)."
    return said + (f" Net promoter score: {100 * (good - bad):+.0f}." if "nps" in column.lower() else "")


def _contradictions(figures: Figures, scale: Scale) -> tuple[list[tuple[str, str, list[Example]]], str]:
    """Messages with a bad rating and the label that goes with the best ratings, and the other way round.

    No label is known to be good or bad beforehand: the ratings' own means by label say it.
    """
    explained = {task: _explained(figures.tasks[task].ratings) for task in figures.single}
    best = max(explained.values(), default=0.0)
    if sum(figures.ratings.values()) < LEAST_RATED or best < LEAST_EXPLAINED:
        return [], "The ratings hardly follow any task's labels, or are too few, so none is said to contradict its message."
    task = next(name for name, share in explained.items() if share >= COMPARABLE * best)
    ratings = figures.tasks[task].ratings
    means = {label: _mean(ratings, label) for label in {label for label, _ in ratings}}
    kindest, harshest = max(means, key=lambda label: means[label]), min(means, key=lambda label: means[label])
    found = []
    for label, bad in ((kindest, True), (harshest, False)):
        examples = [
            example
            for (name, rating), kept in figures.tasks[task].rated.items()
            if name == label and (rating <= scale.bad if bad else rating >= scale.good)
            for example in kept.examples()
        ]
        examples.sort(key=lambda example: -example.probability)
        found.append((f"{scale.bad:g} or less" if bad else f"{scale.good:g} or more", label, examples[:CONTRADICTIONS]))
    number = sum(
        count
        for (label, rating), count in ratings.items()
        if (label == kindest and rating <= scale.bad) or (label == harshest and rating >= scale.good)
    )
    said = (
        f"By {task.replace('_', ' ')}, '{kindest}' has the best ratings ({means[kindest]:.2f} on average) and '{harshest}' the "
        f"worst ({means[harshest]:.2f}). {number:,} messages contradict their rating; the surest of them:"
    )
    return found, said


def _mean(ratings: Counter[tuple[str, float]], label: str) -> float:
    mine = {rating: number for (name, rating), number in ratings.items() if name == label}
    return sum(rating * number for rating, number in mine.items()) / sum(mine.values())


def _explained(ratings: Counter[tuple[str, float]]) -> float:
    """Share of the ratings' variance that lies between the labels (eta squared), 0 to 1."""
    whole = sum(ratings.values())
    if not whole:
        return 0.0
    mean = sum(rating * number for (_, rating), number in ratings.items()) / whole
    around = sum(number * (rating - mean) ** 2 for (_, rating), number in ratings.items())
    sizes: Counter[str] = Counter()
    for (label, _), number in ratings.items():
        sizes[label] += number
    between = sum(size * (_mean(ratings, label) - mean) ** 2 for label, size in sizes.items())
    return between / around if around else 0.0
