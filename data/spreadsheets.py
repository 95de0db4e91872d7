"""Spreadsheets (.xlsx), read and written row by row.

What Excel has no cell for is written as text: whole numbers of over 15 digits, times with a zone, lists and objects (as JSON).
"""

from __future__ import annotations

import math
import re
import zipfile
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import IO, Any

from data.errors import DataError
from data.records import BadRecord, Record

MAX_ROWS = 1_048_575
"""Of a sheet, under the header."""
MAX_CELL_CHARACTERS = 32_767
"""As Excel counts them: characters beyond the first 65,536 of Unicode count twice."""
MAX_EXACT = 10**15
"""Excel keeps 15 digits of a number."""
_ILLEGAL = re.compile("[\x00-\x08\x0b-\x1f\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")
"""Characters that XML has no sign for or would alter (a carriage return), and text that looks like how they are written."""
_ESCAPED = re.compile("_x(00[01][0-9A-Fa-f]|005[Ff](?=_x[0-9A-Fa-f]{4}_)|[Ff]{3}[EeFf])_")
"""How Excel writes them."""
_OLD = b"\xd0\xcf\x11\xe0"


def read_header(path: Path, sheet: str | None) -> tuple[str, tuple[str, ...]]:
    """The sheet that is read, and its columns: the cells of its first row that is not empty.

    DataError if no sheet has rows, if several have and none is named, or if the file is no spreadsheet.
    """
    with _Book(path) as book:
        names = [each.title for each in book.worksheets]
        if sheet is not None:
            if sheet not in names:
                raise DataError(f"{path}: no sheet '{sheet}'. Sheets: {', '.join(names)}.")
            names = [sheet]
        filled = [name for name in names if any(_some(row) for row in book.rows(name))]
        if not filled:
            raise DataError(f"{path}: the file is empty, it has no rows.")
        if len(filled) > 1:
            raise DataError(f"{path}: several sheets have rows. Name one with --sheet. Sheets: {', '.join(filled)}.")
        header = next(row for row in book.rows(filled[0]) if _some(row))
        width = max(number for number, value in enumerate(header, 1) if value is not None)
        return filled[0], tuple(str(value) if value is not None else f"column_{n}" for n, value in enumerate(header[:width], 1))


def read_records(path: Path, sheet: str, columns: Sequence[str]) -> Iterator[Record | BadRecord]:
    """Every row under the header that is not empty. Formulas are read as the values that the file holds for them."""
    width = len(columns)
    with _Book(path) as book:
        header_read = False
        for number, row in enumerate(book.rows(sheet), 1):
            if not _some(row):
                continue
            if not header_read:
                header_read = True
            elif any(value is not None for value in row[width:]):
                yield BadRecord(number, None, f"has cells right of the last column of the header ('{columns[-1]}')")
            else:
                values = [*row[:width], *([None] * (width - len(row)))]
                yield Record(dict(zip(columns, values, strict=True)), number)


class SheetWriter:
    """Writes one sheet. `guard`: text is written so that it is never taken for a formula; else text that begins with = is one."""

    def __init__(self, columns: Sequence[str], guard: bool) -> None:
        from openpyxl import Workbook

        self._guard = guard
        self._book = Workbook(write_only=True)
        self._sheet = self._book.create_sheet("labelled")
        self._rows = 0
        self._sheet.append([self._text(name) for name in columns])

    def write(self, values: Sequence[Any]) -> None:
        """ValueError for more rows than a sheet has, or more text than a cell holds."""
        if self._rows == MAX_ROWS:
            raise ValueError(f"a sheet has at most {MAX_ROWS:,} rows; write CSV or Parquet")
        self._sheet.append([self._text(value) if isinstance(value, str) else value for value in values])
        self._rows += 1

    def save(self, stream: IO[bytes]) -> None:
        self._book.save(stream)

    def _text(self, value: str) -> Any:
        from openpyxl.cell import WriteOnlyCell

        check_cell(value)
        cell = WriteOnlyCell(self._sheet, value=_escaped(value))
        if self._guard or cell.data_type != "f":
            cell.data_type = "s"
        if self._guard and value.startswith(("=", "+", "-", "@")):
            cell.quotePrefix = 1  # stays text when someone edits the cell
        return cell


def check_cell(value: str) -> None:
    """ValueError for more text than a cell holds."""
    if len(value) <= MAX_CELL_CHARACTERS // len("_x000D_"):
        return
    # As it is written: openpyxl cuts what is longer without a word.
    if (length := len(_escaped(value).encode("utf-16-le", "surrogatepass")) // 2) > MAX_CELL_CHARACTERS:
        raise ValueError(f"text of {length:,} characters as written; a cell of a spreadsheet holds {MAX_CELL_CHARACTERS:,}")


def fits_cell(value: Any) -> bool:
    """Whether Excel has a cell for a value as it is; others are to be written as text."""
    if isinstance(value, bool) or value is None:
        return True
    if isinstance(value, int):
        return abs(value) < MAX_EXACT
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, datetime | time):
        return value.tzinfo is None and (isinstance(value, time) or value.year >= 1900)
    return isinstance(value, timedelta) or (isinstance(value, date) and value.year >= 1900)


def _escaped(value: str) -> str:
    return _ILLEGAL.sub(lambda found: f"_x{ord(found[0]):04X}_", value)


def _unescaped(value: str) -> str:
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), value)


def _some(row: Sequence[Any]) -> bool:
    return any(value is not None for value in row)


class _Book:
    def __init__(self, path: Path) -> None:
        from openpyxl import load_workbook
        from openpyxl.utils.exceptions import InvalidFileException

        self._path = path
        with path.open("rb") as stream:
            begin = stream.read(4)
        if begin == _OLD:
            raise DataError(f"{path}: an old Office document (.xls), or one with a password. Save it as .xlsx without a password.")
        try:
            self._book = load_workbook(path, read_only=True, data_only=True)
        except (InvalidFileException, zipfile.BadZipFile, KeyError, ValueError, OSError) as error:
            if isinstance(error, FileNotFoundError):
                raise
            raise DataError(f"{path}: not a spreadsheet (.xlsx), or cut off: {error}") from error

    def __enter__(self) -> _Book:
        return self

    def __exit__(self, *_: object) -> None:
        self._book.close()

    @property
    def worksheets(self) -> list[Any]:
        return list(self._book.worksheets)

    def rows(self, sheet: str) -> Iterator[tuple[Any, ...]]:
        worksheet = self._book[sheet]
        worksheet.reset_dimensions()  # some programs write wrong ones
        try:
            for row in worksheet.iter_rows(values_only=True):
                yield tuple(_unescaped(value) if isinstance(value, str) and "_x" in value else value for value in row)
        except (zipfile.BadZipFile, SyntaxError, KeyError, ValueError) as error:  # SyntaxError: what the XML parser raises
            raise DataError(f"{self._path}: sheet '{sheet}' cannot be read to its end: {error}. Is the file cut off?") from error
