"""Tables in files: CSV, JSON Lines, Parquet and spreadsheets, read record by record in bounded memory.

    table = open_table("archive.csv")              # format by the name; encoding, separator and quoting found, or named
    for record in table.records():                 # Record(values, line) or BadRecord(line, column, reason)
        ...

Values come through as they are: text from CSV, JSON's types from JSON Lines, the column's type from Parquet, the cell's from
a spreadsheet. data/table_writer.py writes them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data import parquet_files, separated, spreadsheets
from data.encodings import Lines, find_encoding, read_head
from data.errors import DataError
from data.packing import READ_FAULTS, name_unpacked, packing_of
from data.parquet_files import READ_BATCH_ROWS
from data.records import BadRecord, Record
from data.separated import Dialect

if TYPE_CHECKING:
    import pyarrow

__all__ = ["BadRecord", "Record", "Table", "format_of", "open_table"]

FORMATS = {".csv": "csv", ".tsv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet", ".xlsx": "xlsx"}
"""Format by the end of the name; `.gz` or `.zst` may follow where the format is text."""
TEXT_FORMATS = ("csv", "jsonl")


@dataclass(frozen=True)
class Table:
    path: Path
    format: str
    """`csv`, `jsonl`, `parquet` or `xlsx`."""
    columns: tuple[str, ...]
    """JSON Lines: those of the file's beginning; later records may have others."""
    encoding: str | None = None
    """Python's name of the codec; None for Parquet and spreadsheets."""
    dialect: Dialect | None = None
    """CSV only."""
    schema: pyarrow.Schema | None = None
    """Parquet only."""
    sheet: str | None = None
    """Spreadsheets only."""

    @property
    def delimiter(self) -> str | None:
        """CSV only."""
        return None if self.dialect is None else self.dialect.delimiter

    def records(self, skip: int = 0) -> Iterator[Record | BadRecord]:
        """Every record after the first `skip`, in order, from the beginning at each call. DataError if the file breaks off."""
        try:
            if self.format == "parquet":
                yield from parquet_files.read_records(self.path, skip)
            else:
                yield from islice(self._read(), skip, None)
        except UnicodeDecodeError as error:
            raise DataError(f"{self.path}: not {self.encoding} all through ({error.reason}). Name the file's encoding.") from error
        except FileNotFoundError:
            raise DataError(f"{self.path}: no such file any more. Bring it back.") from None
        except READ_FAULTS as error:
            raise DataError(f"{self.path}: cannot be read to its end: {error}. Is the file cut off?") from error

    def _read(self) -> Iterator[Record | BadRecord]:
        if self.format == "xlsx":
            return spreadsheets.read_records(self.path, self.sheet or "", self.columns)
        assert self.encoding is not None
        if self.dialect is not None:
            return separated.read_records(self.path, self.encoding, self.dialect, self.columns)
        return _json_records(self.path, self.encoding)


def format_of(path: str | Path) -> str:
    """Format by the name. DataError lists the known ones."""
    found = FORMATS.get(Path(name_unpacked(path)).suffix)
    if found is None or (packing_of(path) and found not in TEXT_FORMATS):
        known = f"{', '.join(FORMATS)}; the text formats also with .gz or .zst"
        raise DataError(f"{path}: unknown kind of file. Known: {known}.")
    return found


def is_tsv(path: Path) -> bool:
    return name_unpacked(path).endswith(".tsv")


def open_table(
    path: str | Path,
    *,
    format: str | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    quoting: str | None = None,
    sheet: str | None = None,
) -> Table:
    """Look at a file's beginning and say how it is to be read.

    format: by the name's end if left out. encoding: any codec of Python; found if left out (UTF-8, UTF-16 with a byte order
    mark, GB18030, Big5, Windows-1256). delimiter, quoting (data/separated.py): of CSV; found if left out. sheet: of a
    spreadsheet; the only one with rows if left out.
    DataError: missing, empty or binary file, unknown kind, encoding that does not fit, no header or no JSON object.
    A header without rows is a table of no records.
    """
    path = Path(path)
    try:
        if path.is_dir():
            raise DataError(f"{path}: is a folder. Name a file.")
        kind = format or format_of(path)
        if path.stat().st_size == 0:
            raise DataError(f"{path}: the file is empty, it has no rows.")
        if kind == "parquet":
            schema = parquet_files.read_schema(path)
            return Table(path, kind, _once(path, tuple(schema.names)), schema=schema)
        if kind == "xlsx":
            sheet, columns = spreadsheets.read_header(path, sheet)
            return Table(path, kind, _once(path, columns), sheet=sheet)
        encoding = find_encoding(path, encoding)
        head = read_head(path, encoding)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file.{_nearest_file(path)}") from None
    except PermissionError:
        raise DataError(f"{path}: cannot be read: permission denied. Allow yourself to read it (and its folder).") from None
    except READ_FAULTS as error:
        raise DataError(f"{path}: cannot be read: {error}. Is the file cut off?") from error
    if not head.strip():
        raise DataError(f"{path}: the file is empty, it has no rows.")
    if kind == "jsonl":
        return Table(path, kind, _json_columns(path, encoding), encoding)
    dialect = separated.find_dialect(path, head, "\t" if delimiter is None and is_tsv(path) else delimiter, quoting)
    return Table(path, kind, _once(path, separated.read_header(path, encoding, dialect)), encoding, dialect)


def _once(path: Path, columns: tuple[str, ...]) -> tuple[str, ...]:
    if repeated := sorted({name for name in columns if columns.count(name) > 1}):
        raise DataError(f"{path}: columns stand twice in the header: {names_of(repeated)}. Rename one of each.")
    return columns


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


# JSON Lines -------------------------------------------------------------------------------------------------------------


def _json_columns(path: Path, encoding: str) -> tuple[str, ...]:
    columns: dict[str, None] = {}
    first: BadRecord | None = None
    for record in islice(_json_records(path, encoding), READ_BATCH_ROWS):
        if isinstance(record, Record):
            columns.update(dict.fromkeys(record.values))
        else:
            first = first or record
    if not columns and first:
        raise DataError(f"{path}:{first.line}: {first.reason}. JSON Lines has one object in braces a line.")
    if not columns:
        raise DataError(f'{path}: no rows: the objects at its beginning have no keys. Write each as {{"text": ...}}.')
    return tuple(columns)


def _json_records(path: Path, encoding: str) -> Iterator[Record | BadRecord]:
    with Lines(path, encoding) as lines:
        for line in lines:
            if not line.strip():
                continue
            if lines.broken:
                lines.broken = False
                yield BadRecord(lines.number, None, f"holds bytes that are not {encoding}")
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
        raise ValueError("a key stands twice; rename or remove one")
    return values


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON; write null")
