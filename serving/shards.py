"""The shards of a run: written one by one, and put together as the output."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from data import durable
from data.errors import DataError
from data.packing import pack
from data.redaction import redact
from data.spreadsheets import MAX_ROWS, SheetWriter, check_cell, fits_cell
from data.table_writer import TableWriter, as_text, header_line
from data.tables import BadRecord, Record, Table
from serving.columns import LabelledColumns, joined
from serving.inputs import sha256_of
from serving.journal import Journal, Shard
from serving.prediction import Failure, Prediction

if TYPE_CHECKING:
    import pyarrow

WRITER_VERSION = 1
"""Raised by any change to the bytes that are written: a run that another version began is not gone on with."""
UNREADABLE, UNWRITABLE = "unreadable", "unwritable"
"""Codes of rejects whose record could not be read at all, or cannot stand in the output's format."""
COPY_BYTES = 1 << 20


@dataclass(frozen=True)
class Form:
    """How rows are written."""

    end: str
    """Of the output's name: `.csv`, `.tsv`, `.jsonl`, `.ndjson`, `.parquet` or `.xlsx`."""
    packing: str
    """`.gz`, `.zst` or nothing."""
    folder: bool
    """The output is a folder of shards."""
    columns: tuple[str, ...]
    """The input's."""
    added: LabelledColumns
    schema: pyarrow.Schema | None
    """Parquet only."""
    mixed: frozenset[str]
    """Columns to write as text."""
    text_column: str
    id_column: str | None
    excel: bool
    guard: bool
    redacted: bool
    """What points at a person is masked in the output's copy of the messages; the model reads them whole."""

    @property
    def shard_end(self) -> str:
        if self.folder:
            return self.end + self.packing
        return ".jsonl" if self.end == ".xlsx" else self.end

    @property
    def all_columns(self) -> tuple[str, ...]:
        return (*self.columns, *self.added.names)

    @property
    def encoding(self) -> str:
        return "utf-8-sig" if self.excel else "utf-8"

    @property
    def flat(self) -> bool:
        """Lists become text."""
        return self.end in (".csv", ".tsv", ".xlsx")


class ShardWriter:
    """Writes one shard: rows, rejects, then its counts."""

    def __init__(self, journal: Journal, number: int, form: Form) -> None:
        self.number = number
        self._journal = journal
        self._form = form
        self._labelled = 0
        self._rejected: Counter[str] = Counter()
        self._languages: Counter[str] = Counter()
        self._masked: Counter[str] = Counter()
        self._path = journal.shard_file(number, form.shard_end)
        self._writers = ExitStack()
        self._rejects: TableWriter | None = None

    def __enter__(self) -> ShardWriter:
        form = self._form
        self._rows = self._writers.enter_context(
            TableWriter(self._path, form.all_columns, schema=form.schema, encoding=form.encoding, guard=form.guard and form.flat)
        )
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        self._writers.__exit__(kind, error, trace)

    def add(self, table: Table, record: Record | BadRecord, result: Prediction | Failure | None) -> dict[str, Any] | None:
        """Write a row, or what is wrong with it; the reject that was written, if it was one."""
        if isinstance(record, BadRecord):
            return self._reject(table, record, UNREADABLE, record.reason, record.column)
        if not isinstance(result, Prediction):
            assert result is not None
            return self._reject(table, record, result.code, result.message, self._form.text_column)
        try:
            row, masked = self._row(record, result)
        except ValueError as error:
            return self._reject(table, record, UNWRITABLE, str(error), None)
        self._rows.write(row)
        self._labelled += 1
        self._languages[result.language.code] += 1
        self._masked.update(masked)
        return None

    def commit(self, check: Callable[[], None]) -> Shard:
        """Give the files their names, then note that the shard is whole. check: raises if the input has changed meanwhile."""
        self._writers.close()
        check()
        shard = Shard(
            self.number,
            self._labelled,
            dict(sorted(self._rejected.items())),
            dict(sorted(self._languages.items())),
            dict(sorted(self._masked.items())),
            sha256_of(self._path),
        )
        if not self._rejected:
            self._journal.rejects_file(self.number).unlink(missing_ok=True)
        self._journal.commit(shard)
        return shard

    def _row(self, record: Record, prediction: Prediction) -> tuple[dict[str, Any], Mapping[str, int]]:
        form, values = self._form, dict(record.values)
        masked: Mapping[str, int] = {}
        if form.redacted and isinstance(values.get(form.text_column), str):
            copy = redact(values[form.text_column])
            values[form.text_column], masked = copy.text, copy.counts
        for name in form.mixed & values.keys():
            values[name] = None if values[name] is None else as_text(values[name])
        added = form.added.values(prediction)
        values.update(joined(added) if form.flat else added)
        if form.end == ".xlsx" and not form.folder:
            values = {name: _tagged(value) for name, value in values.items()}
        return values, masked

    def _reject(self, table: Table, record: Record | BadRecord, code: str, reason: str, column: str | None) -> dict[str, Any]:
        if self._rejects is None:
            self._rejects = self._writers.enter_context(TableWriter(self._journal.rejects_file(self.number)))
        name = record.values.get(self._form.id_column) if isinstance(record, Record) and self._form.id_column else None
        reject = {"file": table.path.name, "line": record.line, "id": name, "column": column, "code": code, "reason": reason}
        self._rejects.write(reject)
        self._rejected[code] += 1
        return reject


# Putting together -------------------------------------------------------------------------------------------------------


def assemble(journal: Journal, shards: int, form: Form, path: Path) -> str:
    """Write the shards, one after the other, to `path` (flushed, not yet under its name) and return its SHA-256.

    DataError if a shard is not what was written; it is then done again by the next run.
    """
    files = [journal.shard_file(number, form.shard_end) for number in range(shards)]
    write = {".parquet": _join_parquet, ".xlsx": _join_sheet}.get(form.end, _join_text)
    with path.open("wb") as raw:
        write(_checked(journal, files), raw, form)
        durable.sync(raw)
    return sha256_of(path)


def assemble_rejects(journal: Journal, shards: int, path: Path) -> bool:
    """The rejects of all shards; False, and nothing is written, if there are none."""
    files = [file for number in range(shards) if (file := journal.rejects_file(number)).exists()]
    if files:
        with path.open("wb") as raw:
            for file in files:
                _copy(file, raw)
            durable.sync(raw)
    return bool(files)


def _checked(journal: Journal, files: Sequence[Path]) -> Iterable[Path]:
    for number, file in enumerate(files):
        shard = journal.shard(number)
        if shard is None or not file.exists() or sha256_of(file) != shard.sha256:
            journal.forget(number)
            raise DataError(f"{file}: is not what was written there. That shard is done again by the next run.")
        yield file


def _join_text(files: Iterable[Path], raw: IO[bytes], form: Form) -> None:
    header = -1
    stream = pack(raw, form.packing)
    for number, file in enumerate(files):
        if header < 0:
            header = _header_bytes(file, form)
        _copy(file, stream, header if number else 0)
    if stream is not raw:
        stream.close()


def _header_bytes(file: Path, form: Form) -> int:
    """Of a CSV file: with its mark and line end."""
    return len(header_line(form.all_columns, file, form.guard).encode(form.encoding)) if form.flat else 0


def _copy(file: Path, stream: Any, skip: int = 0) -> None:
    with file.open("rb") as source:
        source.seek(skip)
        while block := source.read(COPY_BYTES):
            stream.write(block)


def _join_parquet(files: Iterable[Path], raw: IO[bytes], form: Form) -> None:
    import pyarrow.parquet as parquet

    writer: Any = None
    for file in files:
        with parquet.ParquetFile(file) as shard:
            if writer is None:
                writer = parquet.ParquetWriter(raw, shard.schema_arrow)
            for group in range(shard.num_row_groups):
                table = shard.read_row_group(group)
                if table.num_rows or shard.metadata.num_rows == 0:
                    writer.write_table(table)
    writer.close()


def _join_sheet(files: Iterable[Path], raw: IO[bytes], form: Form) -> None:
    sheet = SheetWriter(form.all_columns, form.guard)
    for file in files:
        with file.open(encoding="utf-8", newline="\n") as lines:
            for line in lines:
                values = json.loads(line)
                sheet.write([_untagged(values.get(name)) for name in form.all_columns])
    sheet.save(raw)


def check_rows(rows: int, form: Form) -> None:
    """DataError if the output's format cannot hold so many rows."""
    if form.end == ".xlsx" and rows > MAX_ROWS:
        raise DataError(f"{rows:,} rows, and a spreadsheet holds {MAX_ROWS:,}. Write CSV or Parquet, or label a part with --limit.")


_TAG = "@"
_TIMES: dict[str, Any] = {"datetime": datetime, "date": date, "time": time}


def _tagged(value: Any) -> Any:
    """A cell's value in JSON: times as an object that tells them from text. ValueError for a text that no cell holds."""
    if isinstance(value, timedelta):
        return {_TAG: "timedelta", "value": value.total_seconds()}
    if isinstance(value, datetime | date | time) and fits_cell(value):
        kind = "datetime" if isinstance(value, datetime) else "date" if isinstance(value, date) else "time"
        return {_TAG: kind, "value": value.isoformat()}
    if isinstance(value, str):
        check_cell(value)
        return value
    return value if fits_cell(value) else as_text(value)


def _untagged(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    kind = value[_TAG]
    return timedelta(seconds=value["value"]) if kind == "timedelta" else _TIMES[kind].fromisoformat(value["value"])


def digest(value: Any) -> str:
    """SHA-256 of a JSON value."""
    return hashlib.sha256(json.dumps(value, ensure_ascii=False, sort_keys=True).encode()).hexdigest()
