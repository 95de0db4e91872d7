"""What labelling an archive tells: while it goes on, when it is done, and beforehand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Progress:
    rows: int
    """Done: labelled and rejected, in this call and in earlier ones that were broken off."""
    rejects: int
    seconds: float
    """Of this call."""
    total: int
    """Rows that there are."""
    before: int = 0
    """Rows that were done by earlier calls."""

    @property
    def rate(self) -> float:
        """Rows a second."""
        return (self.rows - self.before) / self.seconds if self.seconds else 0.0

    @property
    def seconds_left(self) -> float | None:
        """None while nobody can tell."""
        return (self.total - self.rows) / self.rate if self.rate else None

    def to_text(self) -> str:
        """One line for people."""
        left = "" if self.seconds_left is None else f", {duration(self.seconds_left)} left"
        share = f" ({self.rows / self.total:.0%})" if self.total else ""
        return f"{self.rows:,} of {self.total:,} rows{share}, {self.rate:,.0f} a second{left}, {self.rejects:,} rejects"


@dataclass(frozen=True)
class LabelReport:
    """What was done. `labelled + rejected` are the input's rows."""

    output: Path
    rejects: Path | None
    """None if there are none."""
    manifest: Path
    labelled: int
    rejected: Mapping[str, int]
    """By code."""
    languages: Mapping[str, int]
    seconds: float
    model: str
    text_column: str
    masked: Mapping[str, int] | None
    """What was masked in the output's copy of the messages, by kind; None if that was not asked for."""
    language_column: str | None = None
    before: int = 0
    """Rows of these that earlier calls had done."""
    finished_before: bool = False
    """All was done already; this call has changed nothing."""

    @property
    def rows(self) -> int:
        return self.labelled + sum(self.rejected.values())

    @property
    def rate(self) -> float:
        """Rows a second."""
        return (self.rows - self.before) / self.seconds if self.seconds else 0.0

    def to_text(self) -> str:
        """A few lines for people."""
        languages = ", ".join(f"{code} {count:,}" for code, count in self.languages.items())
        counts = f"{self.labelled:,} of {self.rows:,} rows in {self.seconds:.1f} s ({self.rate:,.0f} a second)"
        if not self.rows:
            counts = "no rows: the input has names of columns and nothing under them"
        elif self.finished_before:
            counts = f"{self.labelled:,} of {self.rows:,} rows, all of them before: there was nothing left to do"
        elif self.before:
            counts += f"; {self.before:,} of them before this call"
        known = f" (language from '{self.language_column}')" if self.language_column else ""
        lines = [
            f"labelled  {counts}",
            f"messages  column '{self.text_column}'{known}" + (f"; {languages}" if languages else ""),
            f"model     {self.model}",
            f"output    {self.output}",
        ]
        if self.masked is not None:
            found = ", ".join(f"{kind} {count:,}" for kind, count in self.masked.items() if count)
            lines.append(f"masked    {found or 'nothing was found to mask'}")
        if self.rejects is not None:
            codes = ", ".join(f"{code} {count:,}" for code, count in self.rejected.items())
            lines.append(f"rejects   {self.rejects}  ({codes})")
        return "\n".join(lines)


@dataclass(frozen=True)
class Plan:
    """What labelling would do."""

    files: Mapping[str, str]
    """How each would be read, by name."""
    columns: tuple[str, ...]
    text_column: str
    id_column: str | None
    language_column: str | None
    added: tuple[str, ...]
    rows: int
    languages: Mapping[str, float]
    """Share of a sample."""
    rejects: float
    """Share of the sample that would be rejected."""
    seconds: float
    """To expect on this machine."""
    sample: int

    def to_text(self) -> str:
        languages = ", ".join(f"{code} {share:.0%}" for code, share in self.languages.items())
        columns = [f"{name!r}" for name in self.columns]
        lines = [f"file      {name}: {how}" for name, how in self.files.items()]
        lines += [
            f"columns   {', '.join(columns[:30])}" + (f" and {len(columns) - 30} more" if len(columns) > 30 else ""),
            f"messages  column '{self.text_column}'",
            f"id        {f'column {self.id_column!r}' if self.id_column else 'none (rows are told by file and line)'}",
            f"language  {f'column {self.language_column!r}, the rest is identified' if self.language_column else 'identified'}"
            + (f"; in {self.sample} rows: {languages}" if languages else ""),
            f"adds      {', '.join(self.added)}",
            f"rows      {self.rows:,}" + (f"; about {self.rejects:.1%} rejects" if self.rejects else ""),
            f"time      about {duration(self.seconds)} on this machine; nothing was written",
        ]
        return "\n".join(lines)


def duration(seconds: float) -> str:
    """`40 s`, `12 min`, `3 h 20 min`, `2 days 4 h`."""
    minutes, hours = round(seconds / 60), round(seconds / 3600)
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if minutes < 90:
        return f"{minutes} min"
    if hours < 36:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{hours // 24} days {hours % 24} h"
