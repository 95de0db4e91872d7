"""A labelled row: a message with what is known of it (contract 2 of docs/contracts.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Row:
    """One message and what is known of it. Unknown is never "no".

    A task that is missing from `labels` is unknown, as is every label outside `known`.
    """

    text: str
    """As its source has it, before any mending."""
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By task: one label (single) or all that apply (multi, may be empty). Missing task: unknown."""
    known: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By task, column `<task>_known`: the labels that the row could have been given. Missing: all of them."""
    excluded: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By task, column `<task>_not`: labels known to be wrong, whatever else holds."""
    language: str | None = None
    source: str | None = None
    split: str | None = None
    id: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Every other column of the file, as it was."""
    line: int = 0
    """Where it stands in its file: line of a text file (first is 1), row of a Parquet file; 0 if made in memory."""
