"""Tables in files: CSV, JSON Lines and Parquet, read and written record by record in bounded memory.

    table = open_table("archive.csv")              # format by the name; encoding and separator found, or named
    for record in table.records():                 # Record(values, line) or BadRecord(line, column, reason)
        ...
    with TableWriter("labelled.parquet", columns, schema=table.schema) as writer:
        writer.write(values)                       # appears under its name only when closed without an error

Values come through as they are: text from CSV, JSON's types from JSON Lines, the column's type from Parquet.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
import math
import os
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any

from data.errors import DataError

if TYPE_CHECKING:
    import pyarrow

FORMATS = {".csv": "csv", ".tsv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
"""Format by the end of the name; `.gz` may follow where the format is text."""
DELIMITERS = (",", ";", "\t", "|")
SAMPLE_BYTES = 1 << 20
"""How much is looked at to find encoding, separator and columns."""
MAX_LINE_CHARACTERS = 16 << 20
"""Longer lines and fields are no message: an unclosed quote, or no table at all."""
READ_BATCH_ROWS = 1024
WRITE_BATCH_ROWS = 16_384
WRITE_BATCH_CHARACTERS = 32 << 20
"""A Parquet row group is written when either bound is reached."""
MAX_DAMAGED_SHARE = 0.02
"""Of the non-ASCII characters. Fewer broken ones are damage of single rows; more are a wrong encoding."""


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


def _is_tsv(path: Path) -> bool:
    return path.name.lower().removesuffix(".gz").endswith(".tsv")


def open_table(path: str | Path, *, encoding: str | None = None, delimiter: str | None = None) -> Table:
    """Look at a file's beginning and say how it is to be read.

    encoding: any codec of Python; found if left out (UTF-8, UTF-16 with a byte order mark, GB18030, Big5, Windows-1256).
    DataError: missing, empty or binary file, unknown kind, encoding that does not fit, no header or no JSON object.
    """
    path = Path(path)
    kind = format_of(path)
    if path.is_dir():
        raise DataError(f"{path}: is a folder. Name a file.")
    try:
        if path.stat().st_size == 0:
            raise DataError(f"{path}: the file is empty.")
        if kind == "parquet":
            return _open_parquet(path)
        encoding = _encoding_of(path, encoding)
        head = _head(path, encoding)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file.{_nearest_file(path)}") from None
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
    if not head.strip():
        raise DataError(f"{path}: the file is empty.")
    if kind == "jsonl":
        return Table(path, kind, _json_columns(path, encoding), encoding, None, None)
    if delimiter is None:
        delimiter = "\t" if _is_tsv(path) else _delimiter_of(head)
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


# Encodings --------------------------------------------------------------------------------------------------------------

SUPERSETS = {"gb2312": "gb18030", "gbk": "gb18030", "cp936": "gb18030", "big5": "big5hkscs"}
"""As browsers do: the larger set that reads the smaller one's files too."""
LEGACY = ("gb18030", "big5hkscs", "cp1256")
"""Told apart by how plausible the characters are, since nearly all bytes fit each of them."""
BOMS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
MAGIC = {
    b"\x89PNG": "a PNG picture", b"\xff\xd8\xff": "a JPEG picture", b"GIF8": "a GIF picture", b"%PDF": "a PDF document",
    b"PK\x03\x04": "a zip archive or a spreadsheet (.xlsx): save it as CSV UTF-8",
    b"\xd0\xcf\x11\xe0": "an old Office document (.xls): save it as CSV UTF-8",
    b"PAR1": "a Parquet file: end its name in .parquet", b"\x1f\x8b": "compressed by gzip: end its name in .gz",
    b"\x28\xb5\x2f\xfd": "compressed by zstd: unpack it first", b"SQLite format 3": "an SQLite database",
}  # fmt: skip
BREAK = b"\n"
_ESCAPED = re.compile("[\udc80-\udcff]")  # what errors="surrogateescape" makes of bytes that do not fit
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_PERSIAN_SIGNS = "\u200c\u200d\u200e\u200f«»…“”‘’–—\xa0"
_COMMON_HANZI = frozenset(
    # Some 230 characters that make up about half of ordinary Chinese text, and their Traditional forms.
    "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里用道行所然家种事成方多"
    "经么去法学如都同现当没动面起看定天分还进好小部其些主样理心她本前开但因只从想实日者意无力它与长把机十民第公此已工使情明性知全"
    "三又关点正业外将两高间由问很最重并物手应向头文体美相见被利什二等产或新己制身果加月话合回特代内信表化老给世位次度门任常先海通"
    "教儿原东声提立及比员解水名真论处走各入几口认条平系气题活更别打女变四神总何电数安少报才结反受目太量再感建务做接必场件快慢送买卖"
    "客服货钱款退差价格质品店吃服务单商用户请谢帮"
    "這個們來為國說時會對於著過發後裡種經麼學現當沒動還進樣開從實無與長機關點業將兩間問並應頭體見產製話內給門兒東聲員論處認條係氣題"
    "變總電數報結務場買賣貨錢價質單請謝幫嘅啲咗係唔冇喺佢"
)


def _binary(path: Path) -> IO[bytes]:
    return gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb")  # type: ignore[return-value]  # a GzipFile


def _head(path: Path, encoding: str) -> str:
    with _binary(path) as stream:
        return codecs.getincrementaldecoder(encoding)("surrogateescape").decode(stream.read(SAMPLE_BYTES))


def _sample(path: Path) -> tuple[bytes, int, int]:
    """Bytes from the first block that is not plain ASCII on, where they begin, and the lines before them."""
    offset = lines = 0
    with _binary(path) as stream:
        while block := stream.read(SAMPLE_BYTES):
            if offset == 0 and any(block.startswith(bom) for bom in BOMS):
                return block, 0, 0
            if not block.isascii() or _CONTROL.search(block):
                return block + stream.read(SAMPLE_BYTES - len(block)), offset, lines
            offset += len(block)
            lines += block.count(BREAK)
    return b"", offset, lines


def _encoding_of(path: Path, named: str | None) -> str:
    """The codec to read a file with. DataError if it is binary, or does not fit the one that was named."""
    sample, offset, lines = _sample(path)
    if offset == 0 and _CONTROL.search(sample):
        for magic, what in MAGIC.items():
            if sample.startswith(magic):
                raise DataError(f"{path}: not a text file but {what}.")
    guess = _guess(sample)
    if named is None:
        if guess is None:
            first = _misfit(sample, "utf-8") or 0
            raise DataError(
                f"{path}: not text in UTF-8 (byte {offset + first}, line {lines + sample[:first].count(BREAK) + 1}), "
                "nor in UTF-16 with a byte order mark, GB18030, Big5 or Windows-1256. "
                "If it is a table in another encoding, name the encoding; if it is binary, export it as CSV UTF-8."
            )
        return guess
    try:
        codec = codecs.lookup(named).name
    except LookupError:
        raise DataError(f"{path}: encoding '{named}' is not known. Known: utf-8, utf-16, gb18030, big5, cp1256, ...") from None
    codec = SUPERSETS.get(codec, codec)
    if guess is not None and guess != codec and (guess, codec[:6]) in (("utf-8-sig", "utf-8"), ("utf-16", "utf-16")):
        return guess  # the same, with a byte order mark
    hint = f"It looks like {guess}: name that, or none." if guess else "No other known encoding fits either: is it a text file?"
    position = _misfit(sample, codec)
    if position is not None:
        line = lines + sample[:position].count(BREAK) + 1
        raise DataError(f"{path}:{line}: byte {offset + position} is not {named}. {hint}")
    if guess is not None and guess != codec and _unlike(sample, codec, guess):
        raise DataError(f"{path}: every byte could be {named}, but the characters would make no sense. {hint}")
    return codec


def _unlike(sample: bytes, named: str, guess: str) -> bool:
    """Whether a sample, though it can be decoded as named, is plainly in the other encoding."""
    if guess.startswith("utf-8"):  # many bytes that are UTF-8 by chance: not in real text
        return not named.startswith("utf-8") and len(sample) - len(sample.decode("utf-8", "ignore")) > 10
    return named in LEGACY and guess in LEGACY and _plausibility(sample, named) < _plausibility(sample, guess) - 0.5


def _guess(sample: bytes) -> str | None:
    """The encoding that a sample is written in, None if it is none that we know."""
    for bom, name in BOMS.items():
        if sample.startswith(bom):
            return name
    if len(_CONTROL.findall(sample)) > max(1, len(sample) // 100):
        return None
    if _misfit(sample, "utf-8") is None:
        return "utf-8"
    scores = {name: _plausibility(sample, name) for name in LEGACY}
    best = max(scores, key=lambda name: scores[name])
    return best if scores[best] > 0 else None


def _misfit(sample: bytes, encoding: str) -> int | None:
    """Position of the first byte that does not fit, None if (nearly) all do."""
    if encoding == "utf-16" and not sample.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return 0
    decoder = codecs.getincrementaldecoder(encoding)
    try:
        text = decoder().decode(sample)
    except UnicodeDecodeError as error:
        first = error.start
    else:
        # UTF-16 fits nearly everything of even length: text has line breaks and spaces.
        return 0 if encoding.startswith("utf-16") and len(text) > 100 and not re.search(r"[\n ,]", text) else None
    try:
        text = decoder("surrogateescape").decode(sample)
    except UnicodeDecodeError:
        return first
    broken = len(_ESCAPED.findall(text))
    others = sum(1 for character in text if character > "\x7f") - broken
    return first if broken > others * MAX_DAMAGED_SHARE else None


def _plausibility(sample: bytes, encoding: str) -> float:
    """How far the characters above ASCII are those of the languages that use the encoding; above 0 is plausible."""
    if _misfit(sample, encoding) is not None:
        return -1.0
    text = codecs.getincrementaldecoder(encoding)("surrogateescape").decode(sample)
    characters = [character for character in text if character > "\x7f"]
    if encoding == "cp1256":
        known = sum(
            "\u0600" <= character <= "\u06ff" or character in "\u200c\u200d\u200e\u200f«»…“”‘’–—\xa0" for character in characters
        )
        return 0.5 if known >= 0.95 * len(characters) else -1.0
    return sum(_weight(character, encoding) for character in characters) / max(1, len(characters))


def _weight(character: str, encoding: str) -> float:
    if character in _COMMON_HANZI:
        return 1.0
    code = character.encode(encoding, "replace")
    if len(code) != 2:
        return -0.5
    # Level 1 of GB 2312 and of Big5: the characters in ordinary use. Before it: punctuation and full-width forms.
    frequent, signs = ((0xB0, 0xD7), (0xA1, 0xA3)) if encoding == "gb18030" else ((0xA4, 0xC6), (0xA1, 0xA3))
    if frequent[0] <= code[0] <= frequent[1] and (encoding != "gb18030" or code[1] >= 0xA1):
        return 0.2
    return 0.1 if signs[0] <= code[0] <= signs[1] and code[1] >= 0xA1 else -0.5


class _Lines:
    """Lines of a text file with their ends, of bounded length; says whether bytes were broken since it was last asked."""

    def __init__(self, path: Path, encoding: str) -> None:
        self.path = path
        self.number = 0
        self.broken = False
        self.stream = io.TextIOWrapper(_binary(path), encoding=encoding, errors="surrogateescape", newline="")

    def __enter__(self) -> _Lines:
        return self

    def __exit__(self, *_: object) -> None:
        self.stream.close()

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self.stream.readline(MAX_LINE_CHARACTERS + 1)
        if not line:
            raise StopIteration
        self.number += 1
        if len(line) > MAX_LINE_CHARACTERS:
            raise DataError(
                f"{self.path}:{self.number}: a line of over {MAX_LINE_CHARACTERS} characters. Is this a table of messages?"
            )
        if not line.isascii() and _ESCAPED.search(line):
            self.broken = True
        return line


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


def _csv_reader(lines: _Lines, delimiter: str) -> Any:
    csv.field_size_limit(MAX_LINE_CHARACTERS)  # the module's own limit, 131,072, is below a message of a megabyte
    return csv.reader(lines, delimiter=delimiter, strict=True)


def _csv_header(path: Path, encoding: str, delimiter: str) -> tuple[str, ...]:
    with _Lines(path, encoding) as lines:
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
    with _Lines(table.path, table.encoding) as lines:
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
                column = next((name for name, value in zip(table.columns, fields, strict=False) if _ESCAPED.search(value)), None)
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
    return tuple(columns)


def _json_records(table: Table) -> Iterator[Record | BadRecord]:
    assert table.encoding is not None
    with _Lines(table.path, table.encoding) as lines:
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
        with parquet.ParquetFile(table.path, pre_buffer=False, buffer_size=SAMPLE_BYTES) as file:
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


# Writing ----------------------------------------------------------------------------------------------------------------


class TableWriter:
    """Writes a table aside, as `NAME.part`, and renames it when closed without an error.

    columns: those of CSV and Parquet, in order. JSON Lines takes the keys of each record.
    schema: Parquet's types by column; a column that it lacks takes the type of its values in the first row group.
    """

    def __init__(
        self,
        path: str | Path,
        columns: Sequence[str] = (),
        *,
        schema: pyarrow.Schema | None = None,
        encoding: str = "utf-8",
        delimiter: str | None = None,
    ) -> None:
        self.path = Path(path)
        self.format = format_of(path)
        self.columns = tuple(columns)
        self.rows = 0
        self._known = frozenset(columns)
        self._schema = schema
        self._encoding = SUPERSETS.get(encoding.lower(), encoding)
        self._delimiter = delimiter or ("\t" if _is_tsv(self.path) else ",")
        self._part = self.path.with_name(self.path.name + ".part")
        self._batch: list[Mapping[str, Any]] = []
        self._characters = 0
        self._parquet: Any = None
        self._files: list[Any] = []

    def __enter__(self) -> TableWriter:
        try:
            raw: IO[bytes] = self._part.open("wb")
        except OSError as error:
            raise DataError(f"{self.path}: cannot be written: {error.strerror}. Name a file in a folder that exists.") from error
        self._files = [raw]
        self._binary: Any = raw
        if self.path.suffix.lower() == ".gz":
            self._binary = gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0)
            self._files.append(self._binary)
        if self.format != "parquet":
            self._text = io.TextIOWrapper(self._binary, encoding=self._encoding, newline="", write_through=False)
            self._files.append(self._text)
        if self.format == "csv":
            self._csv = csv.writer(self._text, delimiter=self._delimiter, lineterminator="\r\n")
            self._csv.writerow(self.columns)
        return self

    def write(self, values: Mapping[str, Any]) -> None:
        """Add one record; columns that it lacks stay empty. DataError for a column or character that cannot be written."""
        if self.format != "jsonl" and not values.keys() <= self._known:
            late = names_of([name for name in values if name not in self._known])
            raise DataError(f"{self.path}: row {self.rows + 1} has columns that the file lacks: {late}. Write JSON Lines instead.")
        self.rows += 1
        try:
            if self.format == "csv":
                self._csv.writerow([_cell(values.get(column)) for column in self.columns])
            elif self.format == "jsonl":
                self._text.write(_json(values) + "\n")
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
            self._part.unlink(missing_ok=True)

    def _finish(self) -> None:
        if self.format == "parquet":
            if self._batch or self._parquet is None:
                self._write_batch()
            self._parquet.close()
        for file in reversed(self._files[1:]):
            file.flush()
            if file is not self._binary:
                file.detach()
            else:
                file.close()
        raw = self._files[0]
        raw.flush()
        os.fsync(raw.fileno())
        raw.close()
        self._files = []
        os.replace(self._part, self.path)


def _cell(value: Any) -> str:
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
