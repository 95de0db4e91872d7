"""How the fields of a public set map to our tasks: which rows count, and what each value says about a task."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

EMPTY_LIST = "[]"
"""The value that an empty list counts as, so that a source can say what it means."""
_RANGE = re.compile(r"(-?\d+(?:\.\d+)?)?\.\.(-?\d+(?:\.\d+)?)?")


def plain(value: Any) -> str:
    """Write a cell as sources.toml does: `3.0` is "3", true is "true", a missing cell is ""."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def matches(pattern: str, value: str) -> bool:
    """Tell whether a cell matches: the same text, a number range ("1..2", "..0.5", ends included), or `*` and `?`."""
    if pattern == value:
        return True
    if bounds := _RANGE.fullmatch(pattern):
        try:
            number = float(value)
        except ValueError:
            return False
        low, high = bounds.groups()
        return (low is None or float(low) <= number) and (high is None or number <= float(high))
    return fnmatchcase(value, pattern)


@dataclass(frozen=True)
class Condition:
    """What some cells of a record must be: each named field matches one of its patterns (of a list: every element)."""

    fields: Mapping[str, tuple[str, ...]]

    def holds(self, record: Mapping[str, Any]) -> bool:
        return all(_every_matches(record.get(name), patterns) for name, patterns in self.fields.items())


@dataclass(frozen=True)
class Filter:
    condition: Condition
    keep: bool
    """True: only rows that meet the condition are kept. False: they are dropped."""
    reason: str
    files: tuple[str, ...] = ()
    """Files to which it applies; none: all."""


@dataclass(frozen=True)
class Meaning:
    """What one value says about a task: labels, or labels that are wrong, or nothing."""

    labels: tuple[str, ...] | None = None
    """None: no label is given. Empty (multi only): none of the labels that the row could have been given."""
    one_of: tuple[str, ...] = ()
    """One of these, not told which: all others are wrong (single only)."""
    excluded: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    """Labels that a row with this value could have been given; none: those of the rule."""
    weak: bool = False

    @property
    def silent(self) -> bool:
        return self.labels is None and not self.one_of and not self.excluded


@dataclass(frozen=True)
class Rule:
    """How one or more fields of a set map to one task."""

    task: str
    fields: tuple[str, ...]
    values: Mapping[str, Meaning]
    """By pattern; an exact value first, then the first pattern that matches."""
    known: tuple[str, ...] = ()
    """Labels that the set's scheme could have given; none: all of the task."""
    when: Condition = field(default_factory=lambda: Condition({}))
    pair: str = ""
    """A field beside the first one; the value is then both, joined by `|` (element by element if they are lists)."""
    json_keys: bool = False
    """The field holds a JSON object whose keys are the values."""

    def meaning(self, value: str) -> Meaning | None:
        """What a value means; None if the source does not say."""
        if value in self.values:
            return self.values[value]
        return next((meaning for pattern, meaning in self.values.items() if matches(pattern, value)), None)

    @property
    def columns(self) -> tuple[str, ...]:
        return (*self.fields, *((self.pair,) if self.pair else ()), *self.when.fields)


def _every_matches(cell: Any, patterns: tuple[str, ...]) -> bool:
    cells = [plain(element) for element in cell] if isinstance(cell, list) else [plain(cell)]
    return all(any(matches(pattern, value) for pattern in patterns) for value in cells)
