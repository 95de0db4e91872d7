"""What became of every row of a set that was imported."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from data.rows import Row
from data.sources import Source
from data.taxonomy import Task, Taxonomy


@dataclass(frozen=True)
class ImportReport:
    source: Source
    origin: str
    read: int
    written: int
    dropped: Mapping[str, int]
    """Rows by the reason for which they were left out; `read` is these and `written` together."""
    splits: Mapping[str, int]
    """Written rows by split; "" are those whose split is decided later."""
    labels: Mapping[str, Mapping[str, int]]
    """By task and label: written rows that have it."""
    excluded: Mapping[str, Mapping[str, int]]
    """By task and label: written rows known not to have it, and without a label of that task."""
    weak: int
    """Written rows with a weak label."""
    not_found: tuple[str, ...] = ()
    """Splits of the set that were not at hand; rows were not compared with those that test."""
    output: str = ""

    def to_text(self) -> str:
        """For people: what was read, written and dropped, and the counts of labels."""
        lines = [f"{self.source.name} ({self.source.language}, licence {self.source.licence}): {self.source.licence_note}"]
        lines.append(f"read {self.read:,} rows, wrote {self.written:,}" + (f" to {self.output}" if self.output else ""))
        lines += [f"  dropped {count:,}: {reason}" for reason, count in self.dropped.items()]
        lines += [f"  split {name or 'decided later by the hash of the text'}: {n:,}" for name, n in self.splits.items()]
        for title, tasks in (("", self.labels), (" not", self.excluded)):
            for task, counts in tasks.items():
                lines.append(f"  {task}{title}: " + ", ".join(f"{label} {count:,}" for label, count in counts.items()))
        if self.weak:
            lines.append(f"  weak labels: {self.weak:,} rows")
        if self.not_found:
            lines.append(f"  not at hand, so not compared with: {', '.join(self.not_found)}")
        return "\n".join(lines)


def report_on(
    source: Source,
    taxonomy: Taxonomy,
    tasks: Sequence[str],
    rows: Sequence[Row],
    origin: str,
    read: int,
    dropped: Counter[str],
    not_found: tuple[str, ...],
) -> ImportReport:
    """Count the written rows of a set by split, by label and by label that they are known not to have."""

    def by_label(task: str, counts: Counter[str]) -> dict[str, int]:
        return {label: counts[label] for label in taxonomy[task].names if counts[label]}

    given = {task: Counter(label for row in rows for label in row.labels.get(task, ())) for task in tasks}
    wrong = {
        task: Counter(label for row in rows if task not in row.labels for label in row.excluded.get(task, ())) for task in tasks
    }
    for task in tasks:
        if none := sum(row.labels.get(task) == () for row in rows):
            given[task]["none of those known"] = none
    labels = {task: {**by_label(task, counts), **_rest(counts, taxonomy[task])} for task, counts in given.items()}
    return ImportReport(
        source,
        origin,
        read,
        len(rows),
        dict(dropped.most_common()),
        dict(Counter(row.split or "" for row in rows)),
        {task: counts for task, counts in labels.items() if counts},
        {task: found for task, counts in wrong.items() if (found := by_label(task, counts))},
        sum("weak" in row.extra for row in rows),
        not_found,
    )


def _rest(counts: Counter[str], task: Task) -> dict[str, int]:
    return {name: count for name, count in counts.items() if name not in task.names}
