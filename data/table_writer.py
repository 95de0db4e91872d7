"""Writing a table to a file: CSV, JSON Lines, Parquet or a spreadsheet, in bounded memory, whole or not at all.

with TableWriter("labelled.parquet", columns, schema=table.schema) as writer:
    writer.write(values)                       # appears under its name only when closed without an error
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any

from data import durable
from data.encodings import SUPERSETS
from data.errors import DataError
from data.packing import pack, packing_of
from data.spreadsheets import SheetWriter, fits_cell
from data.tables import TEXT_FORMATS, format_of, is_tsv, names_of

if TYPE_CHECKING:
    import pyarrow

WRITE_BATCH_ROWS = 16_384
WRITE_BATCH_CHARACTERS = 32 << 20
"""A Parquet row group is written when either bound is reached."""
_FORMULA = re.compile(r"[\s\x00-\x1f\u200b-\u200f\u2066-\u2069\ufeff]*[=+\-@＝＋－＠]|[\t\r\n]")
"""What a spreadsheet takes for a formula when it opens a CSV file, in full width too, whatever invisible characters precede it."""
_NUMBER = re.compile(r"[+-]?(\d+([.,]\d+)*|[.,]\d+)([eE][+-]?\d+)?%?")
GUARD = "'"
"""Before a cell that would be run as a formula: a spreadsheet then takes it as text."""


class TableWriter:
    """Writes a table aside, as `NAME.part`, and renames it when closed without an error.

    columns: those of CSV and Parquet, in order. JSON Lines takes the keys of each record.
    schema: Parquet's types by column; a column that it lacks takes the type of its values in the first row group.
    guard: cells of CSV that a spreadsheet would run as a formula get GUARD before them (numbers stay), those of spreadsheets
    are written as text.
    """

    def __init__(
        self,
        path: str | Path,
        columns: Sequence[str] = (),
        *,
        schema: pyarrow.Schema | None = None,
        encoding: str = "utf-8",
        delimiter: str | None = None,
        guard: bool = False,
    ) -> None:
        self.path = Path(path)
        self.format = format_of(path)
        self.columns = tuple(columns)
        self.rows = 0
        self._known = frozenset(columns)
        self._schema = schema
        self._encoding = SUPERSETS.get(encoding.lower(), encoding)
        self._delimiter = delimiter or _delimiter_of(self.path)
        self._guard = guard
        self._part = durable.part_of(self.path)
        self._batch: list[Mapping[str, Any]] = []
        self._characters = 0
        self._parquet: Any = None
        self._sheet: SheetWriter | None = None
        self._files: list[Any] = []

    def __enter__(self) -> TableWriter:
        try:
            raw: IO[bytes] = self._part.open("wb")
        except OSError as error:
            raise DataError(f"{self.path}: cannot be written: {error.strerror}. Name a file in a folder that exists.") from error
        self._files = [raw]
        self._binary: Any = raw
        if end := packing_of(self.path):
            self._binary = pack(raw, end)
            self._files.append(self._binary)
        if self.format in TEXT_FORMATS:
            self._text = io.TextIOWrapper(self._binary, encoding=self._encoding, newline="", write_through=False)
            self._files.append(self._text)
        if self.format == "csv":
            self._text.write(header_line(self.columns, self.path, self._guard, self._delimiter))
            self._csv = _csv_writer(self._text, self._delimiter)
        elif self.format == "xlsx":
            self._sheet = SheetWriter(self.columns, self._guard)
        return self

    def write(self, values: Mapping[str, Any]) -> None:
        """Add one record; columns that it lacks stay empty. DataError for a column or character that cannot be written."""
        if self.format != "jsonl" and not values.keys() <= self._known:
            late = names_of([name for name in values if name not in self._known])
            raise DataError(f"{self.path}: row {self.rows + 1} has columns that the file lacks: {late}. Write JSON Lines instead.")
        self.rows += 1
        try:
            if self.format == "csv":
                self._csv.writerow([_cell(values.get(column), self._guard) for column in self.columns])
            elif self.format == "jsonl":
                self._text.write(_json(values) + "\n")
            elif self._sheet is not None:
                cells = (values.get(column) for column in self.columns)
                self._sheet.write([cell if fits_cell(cell) else as_text(cell) for cell in cells])
            else:
                self._batch.append(values)
                self._characters += sum(len(value) for value in values.values() if isinstance(value, str))
                if len(self._batch) >= WRITE_BATCH_ROWS or self._characters >= WRITE_BATCH_CHARACTERS:
                    self._write_batch()
        except UnicodeEncodeError as error:
            what = ascii(error.object[error.start])
            raise DataError(f"{self.path}: row {self.rows}: {error.encoding} cannot write {what}. Write UTF-8.") from error
        except ValueError as error:
            raise DataError(f"{self.path}: row {self.rows}: cannot be written as {self.format}: {error}") from error
        except OSError as error:
            raise DataError(f"{self.path}: cannot be written: {error}") from error

    def _write_batch(self) -> None:
        import pyarrow
        import pyarrow.parquet as parquet

        arrays = []
        for name in self.columns:
            index = -1 if self._schema is None else self._schema.get_field_index(name)
            kind = None if self._schema is None or index < 0 else self._schema.field(index).type
            try:
                array = pyarrow.array([values.get(name) for values in self._batch], type=kind)
            except (pyarrow.ArrowException, UnicodeEncodeError, TypeError, OverflowError) as error:
                first = self.rows - len(self._batch) + 1
                raise DataError(
                    f"{self.path}: column '{name}', rows {first} to {self.rows}: values that are not {kind or 'of one type'} "
                    f"({str(error).splitlines()[0]})."
                ) from error
            if pyarrow.types.is_null(array.type) and kind is None:
                array = array.cast(pyarrow.string())
            arrays.append(array)
        if self._parquet is None:
            given = {} if self._schema is None else {field.name: field for field in self._schema}
            fields = [given.get(name, pyarrow.field(name, array.type)) for name, array in zip(self.columns, arrays, strict=True)]
            self._schema = pyarrow.schema(fields, None if self._schema is None else self._schema.metadata)
            self._parquet = parquet.ParquetWriter(self._binary, self._schema)
        self._parquet.write_table(pyarrow.Table.from_arrays(arrays, schema=self._schema))
        self._batch.clear()
        self._characters = 0

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if kind is None:
                self._finish()
        except OSError as fault:
            raise DataError(f"{self.path}: cannot be written: {fault}") from fault
        finally:
            # What is left open is thrown away; why it failed is being raised already.
            with suppress(Exception):
                if self._parquet is not None:
                    self._parquet.close()
            for file in reversed(self._files):
                with suppress(OSError, ValueError):
                    file.close()
            with suppress(OSError):
                self._part.unlink(missing_ok=True)

    def _finish(self) -> None:
        if self.format == "parquet":
            if self._batch or self._parquet is None:
                self._write_batch()
            self._parquet.close()
        elif self._sheet is not None:
            self._sheet.save(self._binary)
        for file in reversed(self._files[1:]):
            file.flush()
            if file is not self._binary:
                file.detach()
            else:
                file.close()
        raw = self._files[0]
        durable.sync(raw)
        raw.close()
        self._files = []
        durable.replace(self._part, self.path)


def check_output(path: str | Path, *inputs: str | Path) -> None:
    """DataError, before the work, if a table cannot be written there or would replace the one that it is made from."""
    path = Path(path)
    try:
        if path.is_dir():
            raise DataError(f"{path}: is a folder. Name a file in it.")
        format_of(path)
        folder = path.absolute().parent
        if not folder.is_dir():
            raise DataError(f"{path}: its folder does not exist. Make it, or name a file in another one.")
        if path.exists() and any(Path(each).exists() and path.samefile(each) for each in inputs):
            raise DataError(f"{path}: is what is read, and would be replaced. Name another file for the output.")
        may = os.access(folder, os.W_OK | os.X_OK)
    except PermissionError:
        may = False
    if not may:
        raise DataError(f"{path}: its folder may not be written to. Name a file in another one.")


def is_formula(cell: str) -> bool:
    """Whether a spreadsheet that opens a CSV file would run a cell; numbers and phone numbers in digits are none."""
    return _FORMULA.match(cell) is not None and _NUMBER.fullmatch(cell) is None


def header_line(columns: Sequence[str], path: Path, guard: bool, delimiter: str | None = None) -> str:
    """The first line of a CSV file."""
    line = io.StringIO(newline="")
    _csv_writer(line, delimiter or _delimiter_of(path)).writerow([_cell(column, guard) for column in columns])
    return line.getvalue()


def _csv_writer(stream: Any, delimiter: str) -> Any:
    return csv.writer(stream, delimiter=delimiter, lineterminator="\r\n")


def _delimiter_of(path: Path) -> str:
    return "\t" if is_tsv(path) else ","


def _cell(value: Any, guard: bool) -> str:
    cell = as_text(value)
    return GUARD + cell if guard and is_formula(cell) else cell


def as_text(value: Any) -> str:
    """A value as a CSV cell: text as it is, nothing as an empty cell, lists and objects as JSON."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool | list | tuple | dict):
        return _json(value)
    return str(_plain(value))


def _json(values: Any) -> str:
    try:
        return json.dumps(values, ensure_ascii=False, allow_nan=False, default=_plain)
    except ValueError:  # JSON has no sign for numbers that are none
        return json.dumps(_finite(values), ensure_ascii=False, allow_nan=False, default=_plain)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {name: _finite(inner) for name, inner in value.items()}
    return [_finite(inner) for inner in value] if isinstance(value, list | tuple) else value


def _plain(value: Any) -> Any:
    """A value that JSON does not know (date, decimal, bytes, Arrow scalar) as text."""
    if hasattr(value, "is_valid"):  # Arrow's own text needs pandas for nanoseconds; the cast does not
        with suppress(NotImplementedError):  # lists and structs
            return value.cast("string").as_py()
        return str(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
