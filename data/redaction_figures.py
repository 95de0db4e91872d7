"""Precision and recall of redaction on rows with marks, such as `Call {{phone:020 7946 0854}} now` (docs/redaction.md)."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from data.errors import DataError
from data.redaction import KINDS, Found, find

_MARK = re.compile(r"\{\{(\w+):(.*?)\}\}")


@dataclass(frozen=True)
class MarkedRow:
    language: str
    text: str
    """Without the marks."""
    marked: tuple[Found, ...]


@dataclass(frozen=True)
class KindFigures:
    kind: str
    written: int
    found: int
    right: int
    """Found with the kind and the very characters that were marked."""
    hidden: int
    """Marked, and every character of it masked, as whatever kind: what counts for the person."""

    @property
    def precision(self) -> float | None:
        return self.right / self.found if self.found else None

    @property
    def recall(self) -> float | None:
        return self.right / self.written if self.written else None


@dataclass(frozen=True)
class RedactionFigures:
    rows: int
    without: int
    """Rows with nothing to mask."""
    kinds: tuple[KindFigures, ...]
    faults: tuple[str, ...]
    """For each row that is not masked as marked: language, what was missed, what was masked too much."""

    def to_text(self) -> str:
        lines = [
            f"{self.rows} rows, {self.without} of them with nothing to mask",
            f"{'kind':12} {'marked':>7} {'found':>6} {'right':>6} {'precision':>10} {'recall':>7} {'hidden':>7}",
        ]
        for each in (*self.kinds, total(self.kinds)):
            hidden = each.hidden / each.written if each.written else None
            lines.append(
                f"{each.kind:12} {each.written:7} {each.found:6} {each.right:6} {_percent(each.precision):>10}"
                f" {_percent(each.recall):>7} {_percent(hidden):>7}"
            )
        return "\n".join([*lines, *self.faults])


def total(kinds: Iterable[KindFigures]) -> KindFigures:
    listed = list(kinds)
    sums = (sum(getattr(each, name) for each in listed) for name in ("written", "found", "right", "hidden"))
    return KindFigures("all", *sums)


def read_marked(path: str | Path) -> list[MarkedRow]:
    """Read a file of tab-separated `language` and `text`. DataError names a mark that is of no kind."""
    try:
        content = Path(path).read_bytes()
        lines = io.StringIO(content.decode("utf-8"), newline="")
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}. Name a file that you may read.") from error
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(f"{path}:{line}: byte {error.start} is not UTF-8. Save the file in UTF-8.") from error
    records = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
    rows = []
    for number, record in enumerate(records, start=2):
        language, marked_text = record.get("language"), record.get("text")
        if not language or not marked_text:
            raise DataError(f"{path}:{number}: has no language or no text. Write both, with a tab between, under a header.")
        text, marks, place = "", [], 0
        for match in _MARK.finditer(marked_text):
            kind, value = match.groups()
            if kind not in KINDS:
                raise DataError(f"{path}:{number}: '{kind}' is no kind. Write one of {', '.join(KINDS)}.")
            text += marked_text[place : match.start()]
            marks.append(Found(kind, len(text), len(text) + len(value)))
            text += value
            place = match.end()
        rows.append(MarkedRow(language, text + marked_text[place:], tuple(marks)))
    return rows


def measure(rows: Sequence[MarkedRow]) -> RedactionFigures:
    """Compare what is found with what is marked."""
    counts = {kind: dict.fromkeys(("written", "found", "right", "hidden"), 0) for kind in KINDS}
    faults = []
    for row in rows:
        found = find(row.text)
        masked = {place for item in found for place in range(item.start, item.end)}
        for item in found:
            counts[item.kind]["found"] += 1
        for mark in row.marked:
            counts[mark.kind]["written"] += 1
            counts[mark.kind]["right"] += mark in found
            counts[mark.kind]["hidden"] += masked.issuperset(range(mark.start, mark.end))
        missed, extra = [item for item in row.marked if item not in found], [item for item in found if item not in row.marked]
        if missed or extra:
            listed = [f"missed {_named(row, item)}" for item in missed] + [f"masked {_named(row, item)}" for item in extra]
            faults.append(f"  {row.language}: {'; '.join(listed)}")
    kinds = tuple(KindFigures(kind, **counts[kind]) for kind in KINDS)
    return RedactionFigures(len(rows), sum(not row.marked for row in rows), kinds, tuple(faults))


def _named(row: MarkedRow, item: Found) -> str:
    return f"{item.kind} '{row.text[item.start : item.end]}'"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}%"
