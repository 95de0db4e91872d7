"""One record of a table, read or not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Record:
    values: dict[str, Any]
    """By column, in the file's order."""
    line: int
    """Where it begins: line of a text file (first is 1), row of a Parquet file (first is 1) or of a sheet (as it numbers them)."""


@dataclass(frozen=True)
class BadRecord:
    """A record that cannot be read; those after it can."""

    line: int
    column: str | None
    reason: str
