"""What became of every row of a set that was imported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from data.sources import Source


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
