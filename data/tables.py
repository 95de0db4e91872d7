"""Tables in files: CSV, JSON Lines and Parquet, read record by record in bounded memory.

    table = open_table("archive.csv")              # format by the name; encoding and separator found, or named
    for record in table.records():                 # Record(values, line) or BadRecord(line, column, reason)
        ...

Values come through as they are: text from CSV, JSON's types from JSON Lines, the column's type from Parquet.
data/table_writer.py writes them.
"""

from __future__ import annotations

import csv
import io
import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data.encodings import MAX_LINE_CHARACTERS, Lines, find_encoding, is_broken, read_head
from data.errors import DataError

if TYPE_CHECKING:
    import pyarrow

FORMATS = {".csv": "csv", ".tsv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
"""Format by the end of the name; `.gz` may follow where the format is text."""
DELIMITERS = (",", ";", "\t", "|")
READ_BATCH_ROWS = 1024
READ_BUFFER_BYTES = 1 << 20
"""Parquet only."""


@dataclass(frozen=True)
class Record:
    values: dict[str, Any]
    """By column, in the file's order."""
    line: int
    """Where it begins: line of a text file (first is 1), row of a Parquet file (first is 1)."""


@dataclass(frozen=True)
class BadRecord:
    """A record that cannot be read; those after it can."""

    line: int
    column: str | None
    reason: str


@dataclass(frozen=True)
class Table:
    path: Path
    format: str
    """`csv`, `jsonl` or `parquet`."""
    columns: tuple[str, ...]
    """JSON Lines: those of the file's beginning; later records may have others."""
    encoding: str | None
    """Python's name of the codec; None for Parquet."""
    delimiter: str | None
    """CSV only."""
    schema: pyarrow.Schema | None
    """Parquet only."""

    def records(self) -> Iterator[Record | BadRecord]:
        """Every record in order, from the beginning at each call. DataError if the file breaks off."""
        read = {"csv": _csv_records, "jsonl": _json_records, "parquet": _parquet_records}[self.format]
        try:
            yield from read(self)
        except UnicodeDecodeError as error:
            raise DataError(f"{self.path}: not {self.encoding} all through ({error.reason}). Name the file's encoding.") from error
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"{self.path}: cannot be read to its end: {error}. Is the file cut off?") from error


def format_of(path: str | Path) -> str:
    """Format by the name. DataError lists the known ones."""
    name = Path(path).name.lower()
    plain = name.removesuffix(".gz")
    found = FORMATS.get(Path(plain).suffix)
    if found is None or (found == "parquet" and name != plain):
        known = f"{', '.join(FORMATS)}; all but .parquet also with .gz"
        raise DataError(f"{path}: unknown kind of file. Known: {known}. Export a spreadsheet as CSV UTF-8.")
    return found


def is_tsv(path: Path) -> bool:
    return path.name.lower().removesuffix(".gz").endswith(".tsv")


def open_table(path: str | Path, *, encoding: str | None = None, delimiter: str | None = None) -> Table:
    """Look at a file's beginning and say how it is to be read.

    encoding: any codec of Python; found if left out (UTF-8, UTF-16 with a byte order mark, GB18030, Big5, Windows-1256).
    DataError: missing, empty or binary file, unknown kind, encoding that does not fit, no header or no JSON object.
    A header without rows is a table of no records.
    """
    path = Path(path)
    kind = format_of(path)
    if path.is_dir():
        raise DataError(f"{path}: is a folder. Name a file.")
    try:
        if path.stat().st_size == 0:
            raise DataError(f"{path}: the file is empty, it has no rows.")
        if kind == "parquet":
            return _open_parquet(path)
        encoding = find_encoding(path, encoding)
        head = read_head(path, encoding)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file.{_nearest_file(path)}") from None
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
    if not head.strip():
        raise DataError(f"{path}: the file is empty, it has no rows.")
    if kind == "jsonl":
        return Table(path, kind, _json_columns(path, encoding), encoding, None, None)
    if delimiter is None:
        delimiter = "\t" if is_tsv(path) else _delimiter_of(head)
    return Table(path, kind, _csv_header(path, encoding, delimiter), encoding, delimiter, None)


def names_of(columns: Sequence[str]) -> str:
    """Columns for an error message, bounded: the header of a file without one is a message."""
    shown = [repr(name if len(name) <= 40 else name[:39] + "…") for name in columns[:30]]
    return ", ".join(shown) + (f" and {len(columns) - 30} more" if len(columns) > 30 else "")


def nearest_column(name: str, columns: Sequence[str]) -> str | None:
    """The column that was perhaps meant."""
    lowered = {column.strip().lower(): column for column in columns}
    near = get_close_matches(name.lower(), list(lowered), n=1, cutoff=0.6)
    return lowered[near[0]] if near else None


def _nearest_file(path: Path) -> str:
    beside = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
    near = get_close_matches(path.name, beside, n=1)
    return f" Did you mean {near[0]}?" if near else ""


# CSV --------------------------------------------------------------------------------------------------------------------


def _delimiter_of(head: str) -> str:
    """The separator under which the header has columns and the records have as many; the comma if none has."""

    def fit(delimiter: str) -> tuple[float, int]:
        reader = csv.reader(io.StringIO(head, newline=""), delimiter=delimiter)
        try:
            counts = [len(record) for _, record in zip(range(200), reader, strict=False) if record]
        except csv.Error:
            return 0.0, 0
        same = sum(count == counts[0] for count in counts) / len(counts) if counts and counts[0] > 1 else 0.0
        return same, counts[0] if counts else 0

    return max(DELIMITERS, key=fit)


def _csv_reader(lines: Lines, delimiter: str) -> Any:
    csv.field_size_limit(MAX_LINE_CHARACTERS)  # the module's own limit, 131,072, is below a message of a megabyte
    return csv.reader(lines, delimiter=delimiter, strict=True)


def _csv_header(path: Path, encoding: str, delimiter: str) -> tuple[str, ...]:
    with Lines(path, encoding) as lines:
        header: list[str] = []
        try:
            header = next((record for record in _csv_reader(lines, delimiter) if record), header)
        except csv.Error as error:
            raise DataError(f"{path}:{lines.number}: the header cannot be read: {error}.") from error
        if lines.broken:
            raise DataError(f"{path}:{lines.number}: the header is not {encoding}. Name the file's encoding.")
    if repeated := sorted({name for name in header if header.count(name) > 1}):
        raise DataError(f"{path}: columns stand twice in the header: {names_of(repeated)}. Rename one of each.")
    return tuple(header)


def _csv_records(table: Table) -> Iterator[Record | BadRecord]:
    assert table.encoding is not None
    assert table.delimiter is not None
    width = len(table.columns)
    with Lines(table.path, table.encoding) as lines:
        reader = _csv_reader(lines, table.delimiter)
        header_read = False
        while True:
            line = lines.number + 1
            lines.broken = False
            try:
                fields = next(reader, None)
            except csv.Error as error:
                yield BadRecord(line, None, _csv_fault(str(error)))
                continue
            if fields is None:
                return
            if not fields:
                continue
            if not header_read:
                header_read = True
            elif lines.broken:
                column = next((name for name, value in zip(table.columns, fields, strict=False) if is_broken(value)), None)
                yield BadRecord(line, column, f"holds bytes that are not {table.encoding}")
            elif len(fields) != width:
                yield BadRecord(
                    line,
                    None,
                    f"has {len(fields)} fields, the header has {width}; double-quote a field that holds {table.delimiter!r}",
                )
            else:
                yield Record(dict(zip(table.columns, fields, strict=True)), line)


def _csv_fault(error: str) -> str:
    if "unexpected end" in error or "field larger" in error:
        return "opens a double quote that is never closed"
    if "expected after" in error:
        return 'has text after a closing double quote; write a double quote inside a field as ""'
    return error


# JSON Lines -------------------------------------------------------------------------------------------------------------


def _json_columns(path: Path, encoding: str) -> tuple[str, ...]:
    columns: dict[str, None] = {}
    first: BadRecord | None = None
    for record in islice(_json_records(Table(path, "jsonl", (), encoding, None, None)), READ_BATCH_ROWS):
        if isinstance(record, Record):
            columns.update(dict.fromkeys(record.values))
        else:
            first = first or record
    if not columns and first:
        raise DataError(f"{path}:{first.line}: {first.reason}. JSON Lines has one object in braces a line.")
    if not columns:
        raise DataError(f'{path}: no rows: the objects at its beginning have no keys. Write each as {{"text": ...}}.')
    return tuple(columns)


def _json_records(table: Table) -> Iterator[Record | BadRecord]:
    assert table.encoding is not None
    with Lines(table.path, table.encoding) as lines:
        for line in lines:
            if not line.strip():
                continue
            if lines.broken:
                lines.broken = False
                yield BadRecord(lines.number, None, f"holds bytes that are not {table.encoding}")
                continue
            try:
                values = json.loads(line, object_pairs_hook=_object, parse_constant=_no_constant)
                if "\\u" in line:
                    json.dumps(values, ensure_ascii=False).encode("utf-8")
            except json.JSONDecodeError as error:
                yield BadRecord(lines.number, None, f"not JSON: {error.msg} at character {error.pos + 1}")
            except UnicodeEncodeError:
                yield BadRecord(lines.number, None, "holds half a character (a lone surrogate such as \\ud83d)")
            except (ValueError, RecursionError) as error:
                yield BadRecord(lines.number, None, f"not JSON that can be read: {error}")
            else:
                if isinstance(values, dict):
                    yield Record(values, lines.number)
                else:
                    yield BadRecord(lines.number, None, "not a JSON object in braces")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("a key stands twice")
    return values


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON; write null")


# Parquet ----------------------------------------------------------------------------------------------------------------


def _open_parquet(path: Path) -> Table:
    import pyarrow
    import pyarrow.parquet as parquet

    try:
        schema = parquet.read_schema(path)
    except (pyarrow.ArrowException, OSError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise DataError(f"{path}: not a Parquet file, or cut off: {str(error).splitlines()[0]}") from error
    if repeated := sorted({name for name in schema.names if schema.names.count(name) > 1}):
        raise DataError(f"{path}: columns stand twice: {names_of(repeated)}. Rename one of each.")
    return Table(path, "parquet", tuple(schema.names), None, None, schema)


def _parquet_records(table: Table) -> Iterator[Record | BadRecord]:
    import pyarrow
    import pyarrow.parquet as parquet

    line = 0
    try:
        with parquet.ParquetFile(table.path, pre_buffer=False, buffer_size=READ_BUFFER_BYTES) as file:
            for batch in file.iter_batches(READ_BATCH_ROWS):
                columns = [_values(column) for column in batch.columns]
                for values in zip(*columns, strict=True):
                    line += 1
                    yield Record(dict(zip(table.columns, values, strict=True)), line)
    except pyarrow.ArrowException as error:
        raise DataError(f"{table.path}: damaged after row {line}: {str(error).splitlines()[0]}") from error


def _values(column: Any) -> list[Any]:
    """Python values; Arrow's own where Python has no equal (nanoseconds)."""
    if "[ns" in str(column.type):
        return [value if value.is_valid else None for value in column]
    values: list[Any] = column.to_pylist()
    return values
