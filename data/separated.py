"""Separated values (CSV): the separator and the quoting, found or named, and the records.

A record that breaks off inside a quote spoils itself alone: reading goes on at the line after the one where it began.
"""

from __future__ import annotations

import csv
import io
import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.encodings import MAX_LINE_CHARACTERS, Lines, is_broken
from data.errors import DataError
from data.records import BadRecord, Record

DELIMITERS = (",", ";", "\t", "|")
QUOTINGS = {"double": ('"', None), "single": ("'", None), "backslash": ('"', "\\"), "none": (None, None)}
"""By name: what stands around a field, and what stands before a quote inside it (nothing: it is doubled)."""
MAX_RECORD_LINES = 2000
"""A record that goes on for longer has a quote that is never closed."""
SAMPLE_RECORDS = 200
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?\r?\n', re.IGNORECASE)  # Excel's own first line


@dataclass(frozen=True)
class Dialect:
    delimiter: str
    quoting: str = "double"
    """A name out of QUOTINGS."""
    lines_before: int = 0
    """Lines before the header: Excel's `sep=;`."""


def find_dialect(path: Path, head: str, delimiter: str | None, quoting: str | None) -> Dialect:
    """How a file's fields are separated and quoted, from the text of its beginning; what is named is taken as it is."""
    if quoting is not None and quoting not in QUOTINGS:
        raise DataError(f"{path}: quoting '{quoting}' is not known. Known: {', '.join(QUOTINGS)}.")
    if delimiter is not None and len(delimiter) != 1:
        raise DataError(
            f"{path}: the separator must be one character, '{delimiter}' is {len(delimiter)}. For a tab: $'\\t' or tab."
        )
    said = _SEPARATOR_LINE.match(head)
    if said:
        head = head[said.end() :]
        delimiter = delimiter or said[1]
    if delimiter is None:
        names = (quoting or "double", *(() if quoting else ("none",)))
        delimiter = max(DELIMITERS, key=lambda each: max(_fit(head, each, name) for name in names))
    if quoting is None:
        quoting = _quoting_of(head, delimiter)
    return Dialect(delimiter, quoting, 1 if said else 0)


def read_header(path: Path, encoding: str, dialect: Dialect) -> tuple[str, ...]:
    with Lines(path, encoding) as lines:
        header: list[str] = []
        try:
            header = next((record for record in _reader(_after(lines, dialect), dialect) if record), header)
        except csv.Error as error:
            raise DataError(f"{path}:{lines.number}: the header cannot be read: {error}.") from error
        if lines.broken:
            raise DataError(f"{path}:{lines.number}: the header is not {encoding}. Name the file's encoding.")
    return tuple(header)


def read_records(path: Path, encoding: str, dialect: Dialect, columns: Sequence[str]) -> Iterator[Record | BadRecord]:
    """Every record after the header."""
    width = len(columns)
    with Lines(path, encoding) as lines:
        source = _Again(_after(lines, dialect))
        reader = _reader(source, dialect)
        header_read = False
        while True:
            source.begin()
            line = lines.number + 1 - source.waiting
            try:
                fields = next(reader, None)
            except (csv.Error, _TooManyLinesError) as error:
                yield BadRecord(line, None, _fault(error, dialect))
                if source.go_back():
                    reader = _reader(source, dialect)
                continue
            if fields is None:
                return
            if not fields:
                continue
            if not header_read:
                header_read = True
            elif source.broken and any(map(is_broken, fields)):
                column = next((name for name, value in zip(columns, fields, strict=False) if is_broken(value)), None)
                yield BadRecord(line, column, f"holds bytes that are not {encoding}")
            elif len(fields) != width:
                todo = "leave none out, an empty one has its separator too"
                if len(fields) > width:
                    todo = f"double-quote a field that holds {dialect.delimiter!r}"
                reason = f"has {len(fields)} fields, the header has {width}; {todo}"
                yield BadRecord(line, None, reason)
            else:
                yield Record(dict(zip(columns, fields, strict=True)), line)


class _TooManyLinesError(Exception):
    pass


class _Again:
    """Lines that can be gone back to: to the second line of the record that is being read."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._ahead: deque[str] = deque()
        self._record: list[str] = []
        self.broken = False

    @property
    def waiting(self) -> int:
        """Lines that were read from the file and are to be read again."""
        return len(self._ahead)

    def begin(self) -> None:
        """A new record begins at the next line."""
        self._record.clear()
        self.broken = self._lines.broken and bool(self._ahead)
        if not self._ahead:
            self._lines.broken = False

    def go_back(self) -> bool:
        """Read all lines of the record but its first one again; False if it has no other."""
        self._ahead.extendleft(reversed(self._record[1:]))
        return len(self._record) > 1

    def __iter__(self) -> _Again:
        return self

    def __next__(self) -> str:
        if len(self._record) >= MAX_RECORD_LINES:
            raise _TooManyLinesError
        line = self._ahead.popleft() if self._ahead else next(self._lines)
        self.broken = self.broken or self._lines.broken
        self._record.append(line)
        return line


def _after(lines: Lines, dialect: Dialect) -> Lines:
    for _ in range(dialect.lines_before):
        next(lines, None)
    return lines


def _reader(lines: Any, dialect: Dialect, strict: bool = True) -> Any:
    csv.field_size_limit(MAX_LINE_CHARACTERS)  # the module's own limit, 131,072, is below a message of a megabyte
    quote, escape = QUOTINGS[dialect.quoting]
    if quote is None:
        return csv.reader(lines, delimiter=dialect.delimiter, quoting=csv.QUOTE_NONE, strict=strict)
    return csv.reader(
        lines, delimiter=dialect.delimiter, quotechar=quote, escapechar=escape, doublequote=escape is None, strict=strict
    )


def _fault(error: Exception, dialect: Dialect) -> str:
    text = str(error)
    if isinstance(error, _TooManyLinesError) or "unexpected end" in text or "field larger" in text:
        name = dialect.quoting if dialect.quoting == "single" else "double"
        return f"opens a {name} quote that is never closed; close it, or double a quote that is meant"
    if "expected after" in text:
        return 'has text after a closing double quote; write a double quote inside a field as ""'
    return text


# Finding ----------------------------------------------------------------------------------------------------------------


def _fit(head: str, delimiter: str, quoting: str = "double") -> tuple[float, int]:
    """Share of the records with as many fields as the header, and how many fields that are; (0, fields) for a single one."""
    reader = _reader(io.StringIO(head, newline=""), Dialect(delimiter, quoting), strict=False)
    try:
        counts = [len(record) for _, record in zip(range(SAMPLE_RECORDS), reader, strict=False) if record]
    except csv.Error:
        return 0.0, 0
    same = sum(count == counts[0] for count in counts) / len(counts) if counts and counts[0] > 1 else 0.0
    return same, counts[0] if counts else 0


def _sound(head: str, dialect: Dialect) -> float:
    """Share of the sample's records that can be read and have as many fields as the header."""
    stream = io.StringIO(head, newline="")
    reader = _reader(stream, dialect)
    good = bad = width = 0
    while good + bad < SAMPLE_RECORDS:
        try:
            record = next(reader, None)
        except csv.Error:
            bad += 1
            reader = _reader(stream, dialect)
            continue
        if record is None:
            break
        width = width or len(record)
        good, bad = (good + 1, bad) if len(record) == width else (good, bad + 1)
    return good / (good + bad) if good else 0.0


def _quoting_of(head: str, delimiter: str) -> str:
    """`double` unless another quoting plainly reads the sample better."""
    between = re.escape(delimiter)
    around = rf"(?:^|{between}){{0}}(?:[^{{0}}]|{{0}}{{0}})*{{0}}(?={between}|\r?$)"
    double = _sound(head, Dialect(delimiter))
    if re.search(rf'\\"(?!{between}|\r?$)', head, re.MULTILINE) and _sound(head, Dialect(delimiter, "backslash")) > double:
        return "backslash"
    if re.search(around.format('"'), head, re.MULTILINE):
        return "double"
    lines = head.count("\n") or 1
    if (
        len(re.findall(around.format("'"), head, re.MULTILINE)) >= lines * 0.5
        and _sound(head, Dialect(delimiter, "single")) >= double
    ):
        return "single"
    if delimiter not in ",;" and '"' in head and _sound(head, Dialect(delimiter, "none")) > double:
        return "none"  # nobody writes fields that hold commas without quoting
    return "double"
