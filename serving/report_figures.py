"""What a report counts and keeps of a labelled file, in one pass and in memory that does not grow with its rows."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import count

from serving.labelled_file import LabelledRow

EXAMPLES = 5
"""Surest and least sure messages of a label that are shown."""
ABSTAINED_SHOWN = 100
CONTRADICTIONS = 10
"""Kept for each label and rating."""
MAX_RATINGS = 201
"""Different values; a column with more is no rating."""
SHOWN_CHARACTERS = 600
"""Of a message; the page says where it was cut."""


@dataclass(frozen=True)
class Example:
    """One message as it is shown."""

    line: int
    id: str | None
    text: str
    language: str
    probability: float
    labels: tuple[str, ...] = ()
    """Of the task that it is shown for."""
    rating: float | None = None
    abstained: tuple[str, ...] = ()


class Kept:
    """The `size` rows with the highest keys; equal texts once."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._heap: list[tuple[float, int, str, float, tuple[str, ...], LabelledRow]] = []
        self._texts: set[str] = set()
        self._number = count(0, -1)  # of equal keys the first stays

    def offer(self, key: float, row: LabelledRow, probability: float, labels: tuple[str, ...] = ()) -> None:
        if len(self._heap) == self._size and (not self._size or key <= self._heap[0][0]):
            return
        same = " ".join(row.text.split()).lower()
        if same in self._texts:
            return
        item = (key, next(self._number), same, probability, labels, row)
        self._texts.add(same)
        if len(self._heap) < self._size:
            heapq.heappush(self._heap, item)
        else:
            self._texts.remove(heapq.heapreplace(self._heap, item)[2])

    def rows(self) -> list[LabelledRow]:
        """Highest key first, whole."""
        return [row for *_, row in self._sorted()]

    def examples(self) -> list[Example]:
        """Highest key first, as they are shown."""
        return [_example(row, probability, labels) for *_, probability, labels, row in self._sorted()]

    def _sorted(self) -> list[tuple[float, int, str, float, tuple[str, ...], LabelledRow]]:
        return sorted(self._heap, key=lambda item: item[:2], reverse=True)


def _example(row: LabelledRow, probability: float, labels: tuple[str, ...]) -> Example:
    text = row.text if len(row.text) <= SHOWN_CHARACTERS else row.text[: SHOWN_CHARACTERS - 1] + "…"
    return Example(row.line, row.id, text, row.language, probability, labels, row.rating, row.abstained)


@dataclass
class TaskFigures:
    rows: Counter[str] = field(default_factory=Counter)
    """By language, rows with an answer."""
    labels: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By language and label."""
    days: Counter[tuple[date, str]] = field(default_factory=Counter)
    abstained: Counter[str] = field(default_factory=Counter)
    """By language."""
    ratings: Counter[tuple[str, float]] = field(default_factory=Counter)
    """By label and rating."""
    surest: defaultdict[str, Kept] = field(default_factory=lambda: defaultdict(lambda: Kept(EXAMPLES)))
    least: defaultdict[str, Kept] = field(default_factory=lambda: defaultdict(lambda: Kept(EXAMPLES)))
    rated: defaultdict[tuple[str, float], Kept] = field(default_factory=lambda: defaultdict(lambda: Kept(CONTRADICTIONS)))
    """By label and rating: the surest rows, of which some contradict."""

    def names(self) -> list[str]:
        """Labels by how often they were given."""
        counts: Counter[str] = Counter()
        for (_, label), number in self.labels.items():
            counts[label] += number
        return [label for label, _ in counts.most_common()]


class Figures:
    """Add every row; then read."""

    def __init__(self, single: tuple[str, ...], multi: tuple[str, ...]) -> None:
        self.single = single
        self.multi = multi
        self.rows = 0
        self.languages: Counter[str] = Counter()
        self.days: Counter[date] = Counter()
        self.departments: Counter[tuple[str, str]] = Counter()
        """By language and department."""
        self.priorities: Counter[tuple[str, int]] = Counter()
        self.ratings: Counter[float] = Counter()
        self.ratings_by_language: Counter[tuple[str, float]] = Counter()
        self.unread: Counter[str] = Counter()
        self.abstained = 0
        """Rows on which at least one task abstains."""
        self.tasks = {task: TaskFigures() for task in (*single, *multi)}
        self.for_a_person = Kept(ABSTAINED_SHOWN)

    def add(self, row: LabelledRow) -> None:
        self.rows += 1
        self.languages[row.language] += 1
        self.unread.update(row.unread)
        if row.day is not None:
            self.days[row.day] += 1
        for department in row.departments:
            self.departments[row.language, department] += 1
        if row.priority is not None:
            self.priorities[row.language, row.priority] += 1
        rating = None if row.rating is None else round(row.rating * 2) / 2
        if rating is not None:
            if rating not in self.ratings and len(self.ratings) >= MAX_RATINGS:
                rating = None
                self.unread["rating"] += 1
            else:
                self.ratings[rating] += 1
                self.ratings_by_language[row.language, rating] += 1
        for task, answer in row.answers.items():
            self._add_answer(self.tasks[task], row, task, answer.labels, answer.probabilities, rating)
        if row.abstained:
            self.abstained += 1
            lowest = min((row.answers[task].surest for task in row.abstained if task in row.answers), default=0.0)
            self.for_a_person.offer(-lowest, row, lowest)

    def _add_answer(
        self,
        figures: TaskFigures,
        row: LabelledRow,
        task: str,
        labels: tuple[str, ...],
        sure: tuple[float, ...],
        rating: float | None,
    ) -> None:
        figures.rows[row.language] += 1
        if task in row.abstained:
            figures.abstained[row.language] += 1
        for label, probability in zip(labels, sure, strict=True):
            figures.labels[row.language, label] += 1
            if row.day is not None:
                figures.days[row.day, label] += 1
            figures.surest[label].offer(probability, row, probability, labels)
            figures.least[label].offer(-probability, row, probability, labels)
            if rating is not None and task in self.single:
                figures.ratings[label, rating] += 1
                figures.rated[label, rating].offer(probability, row, probability, labels)

    def unsure(self) -> list[Example]:
        """Abstained rows, the least sure first."""
        return self.for_a_person.examples()


@dataclass(frozen=True)
class Period:
    start: date
    name: str


def periods(days: Counter[date]) -> tuple[str, list[Period]]:
    """What one step of a chart over time is (day, week, month, year), and every step from the first day to the last."""
    if not days:
        return "day", []
    first, last = min(days), max(days)
    span = (last - first).days
    step = "day" if span <= 62 else "week" if span <= 800 else "month" if span <= 6000 else "year"
    found = list(_steps(step, period_of(first, step), last))
    return step, [Period(start, _name(start, step)) for start in found]


def period_of(day: date, step: str) -> date:
    """The first day of the step that a day lies in."""
    if step == "week":
        return day - timedelta(days=day.weekday())
    if step == "month":
        return day.replace(day=1)
    return day.replace(month=1, day=1) if step == "year" else day


def _steps(step: str, start: date, last: date) -> Iterator[date]:
    while start <= last:
        yield start
        forward = {"day": 1, "week": 7, "month": 32, "year": 366}[step]
        start = period_of(start + timedelta(days=forward), step)


def _name(start: date, step: str) -> str:
    return start.strftime({"month": "%Y-%m", "year": "%Y"}.get(step, "%Y-%m-%d"))
