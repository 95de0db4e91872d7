"""What changed between two labelled files of the same messages, read side by side in bounded memory."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from data.errors import DataError
from serving.labelled_file import LabelledFile, LabelledRow
from serving.report_figures import Kept

AHEAD_ROWS = 2000
"""How far one file may lack rows in a row that the other has (rejects, a longer archive) and still be matched."""
CHANGES_SHOWN = 5
"""Messages for each kind of change."""
MOST_KINDS_KEPT = 500
"""Kinds of change of a task that messages are kept for."""
MOST_KINDS = 12
"""Kinds of change that are shown with messages, by task."""


@dataclass
class TaskChanges:
    same: int = 0
    moved: Counter[tuple[tuple[str, ...], tuple[str, ...]]] = field(default_factory=Counter)
    """By labels before and now."""
    examples: dict[tuple[tuple[str, ...], tuple[str, ...]], Kept] = field(default_factory=dict)

    @property
    def changed(self) -> int:
        return sum(self.moved.values())


@dataclass
class Changes:
    before: str
    """Name of the other file."""
    paired: int = 0
    only_now: int = 0
    only_before: int = 0
    tasks: dict[str, TaskChanges] = field(default_factory=dict)
    counts_before: dict[str, Counter[str]] = field(default_factory=dict)
    """By task, labels of the paired rows."""
    counts_now: dict[str, Counter[str]] = field(default_factory=dict)
    missing_tasks: tuple[str, ...] = ()
    """Tasks that only one of the files has."""


class ChangesTally:
    """Pairs the rows of the file that is read with those of the other one, and counts what differs.

    Both files keep the order of their input and may lack rows of it, so looking AHEAD_ROWS ahead finds a row's partner.
    """

    def __init__(self, now: LabelledFile, before: LabelledFile) -> None:
        shared = [task for task in now.tasks if task in before.tasks]
        if not shared:
            raise DataError(f"{before.path}: has none of the tasks of {now.path} ({', '.join(now.tasks)}).")
        self.by_id = now.id_column is not None and before.id_column is not None
        self.changes = Changes(
            before=before.path.name,
            tasks={task: TaskChanges() for task in shared},
            counts_before={task: Counter() for task in shared},
            counts_now={task: Counter() for task in shared},
            missing_tasks=tuple(sorted(set(now.tasks) ^ set(before.tasks))),
        )
        self._before = before

    def follow(self, rows: Iterable[LabelledRow]) -> Iterator[LabelledRow]:
        """Pass the rows on and compare each with its partner on the way."""
        other = _Ahead(self._before.rows(), self._key)
        mine = _Ahead(iter(rows), self._key)
        while (row := mine.head()) is not None:
            partner = other.head()
            if partner is not None and self._key(partner) != self._key(row):
                steps_other, steps_mine = other.distance(self._key(row)), mine.distance(self._key(partner))
                if steps_other is not None and (steps_mine is None or steps_other <= steps_mine):
                    self.changes.only_before += steps_other
                    other.skip(steps_other)
                    partner = other.head()
                elif steps_mine is not None:
                    self.changes.only_now += 1
                    partner = None
                else:
                    self.changes.only_now += 1
                    self.changes.only_before += 1
                    other.skip(1)
                    partner = None
            elif partner is None:
                self.changes.only_now += 1
            if partner is not None:
                self._compare(row, partner)
                other.skip(1)
            mine.skip(1)
            yield row
        while other.head() is not None:
            self.changes.only_before += 1
            other.skip(1)

    def _key(self, row: LabelledRow) -> str:
        return (row.id if self.by_id else row.text) or ""

    def _compare(self, now: LabelledRow, before: LabelledRow) -> None:
        changes = self.changes
        changes.paired += 1
        for task, tally in changes.tasks.items():
            labels_before, labels_now = before.answers[task].labels, now.answers[task].labels
            changes.counts_before[task].update(labels_before)
            changes.counts_now[task].update(labels_now)
            if set(labels_before) == set(labels_now):
                tally.same += 1
                continue
            move = (labels_before, labels_now)
            tally.moved[move] += 1
            if move not in tally.examples and len(tally.examples) >= MOST_KINDS_KEPT:
                continue
            probability = now.answers[task].surest
            tally.examples.setdefault(move, Kept(CHANGES_SHOWN)).offer(probability, now, probability, labels_now)


class _Ahead:
    """Rows with a look ahead."""

    def __init__(self, rows: Iterator[LabelledRow], key: Callable[[LabelledRow], str]) -> None:
        self._rows = rows
        self._key = key
        self._seen: deque[LabelledRow] = deque()
        self._keys: Counter[str] = Counter()
        """Of the rows seen: files that share nothing cost no search."""

    def head(self) -> LabelledRow | None:
        self._fill(1)
        return self._seen[0] if self._seen else None

    def skip(self, steps: int) -> None:
        for _ in range(steps):
            self._fill(1)
            key = self._key(self._seen.popleft())
            self._keys[key] -= 1
            if not self._keys[key]:
                del self._keys[key]

    def distance(self, key: str) -> int | None:
        """Steps to the next row with this key, None if it is not within AHEAD_ROWS."""
        self._fill(AHEAD_ROWS)
        if key not in self._keys:
            return None
        return next((steps for steps, row in enumerate(self._seen) if self._key(row) == key), None)

    def _fill(self, size: int) -> None:
        while len(self._seen) < size:
            row = next(self._rows, None)
            if row is None:
                return
            self._seen.append(row)
            self._keys[self._key(row)] += 1
