"""What a check of rows found, for programs and for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Finding:
    kind: str
    """Stable, for programs: unreadable, fault, no_rows, empty, too_long, leakage, contradiction; long, duplicate,
    near_duplicate, language, garbled, column, unlabelled, repeated_id."""
    message: str
    rows: int
    """How many rows it concerns."""
    places: tuple[str, ...]
    """`FILE:LINE` of the first of them (MAX_PLACES in data/checks.py); pairs as `FILE:LINE = FILE:LINE`."""


@dataclass(frozen=True)
class CheckReport:
    files: tuple[str, ...]
    rows: int
    """Those that could be read; rows with a fault are not among them."""
    errors: tuple[Finding, ...]
    warnings: tuple[Finding, ...]
    duplicate_rate: float
    """Share of the rows whose mended text stood before, 0 to 1."""
    near_duplicate_rate: float
    """Share of the rows that are like an earlier one, but not the same, 0 to 1."""
    splits: Mapping[str, int]
    sources: Mapping[str, int]
    languages: Mapping[str, int]
    labels: Mapping[str, Mapping[str, Mapping[str, int]]]
    """Rows by task, label and language; the label `unknown` counts rows whose task is unknown."""

    @property
    def fit(self) -> bool:
        """No errors: exit code 0."""
        return not self.errors

    def to_dict(self) -> dict[str, Any]:
        """For JSON: the fields by name, and `fit`."""
        return {"fit": self.fit, **asdict(self)}

    def to_text(self) -> str:
        """For people: findings, then the counts as tables."""
        lines = [f"{len(self.files)} file{'s' * (len(self.files) != 1)}, {self.rows} rows"]
        for title, findings in (("errors", self.errors), ("warnings", self.warnings)):
            lines += ["", f"{title}: {len(findings) or 'none'}"]
            for finding in findings:
                count = f" ({finding.rows} row{'s' * (finding.rows != 1)})" if finding.rows else ""  # none: it is of a file
                lines.append(f"  {finding.message}{count}")
                lines += [f"    {place}" for place in finding.places]
                if finding.rows > len(finding.places) > 0:
                    lines.append("    ...")
        lines += ["", f"duplicates {self.duplicate_rate:.2%}, near duplicates {self.near_duplicate_rate:.2%}"]
        for title, counts in (("split", self.splits), ("source", self.sources)):
            lines += ["", *_table([[title, "rows"], *([name, str(count)] for name, count in counts.items())])]
        for task, by_label in self.labels.items():
            head = [task, *self.languages, "all"]
            body = [
                [label, *(str(counts.get(language, 0)) for language in self.languages), str(sum(counts.values()))]
                for label, counts in by_label.items()
            ]
            lines += ["", *_table([head, *body])]
        return "\n".join(lines)


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width) for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
