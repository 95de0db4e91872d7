"""What is labelled: files, folders and globs as one archive, its rows numbered through; standard input is spooled to a file first.

paths = find_files(["2024/*.csv", "2025"], leave_out=...)
archive = Archive.open(paths)                 # looks at every file's beginning; nothing is read through
inputs = archive.survey(...)                  # reads all once: SHA-256, rows, columns
"""

from __future__ import annotations

import glob
import hashlib
import random
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from data import durable, parquet_files
from data.errors import DataError
from data.packing import name_unpacked
from data.tables import FORMATS, BadRecord, Record, Table, open_table

if TYPE_CHECKING:
    import pyarrow

STANDARD = "-"
"""Standard input or output in place of a file."""
SPOOL = "stdin"
OWN_ENDS = (".rejects.jsonl", ".manifest.json", ".part")
"""Files that stand beside an output and are never taken from a folder."""
MAX_COLUMNS = 10_000
TYPED_ROWS = 4096
"""Rows of JSON Lines at a time whose types are found for Parquet."""
SAMPLE_ROWS = 200
_MAGIC = {b"PAR1": ".parquet", b"PK\x03\x04": ".xlsx", b"\x1f\x8b": ".gz", b"\x28\xb5\x2f\xfd": ".zst"}


@dataclass(frozen=True)
class Input:
    """A file as it was when it was read through."""

    file: str
    """Its name, without the folder: an archive may be moved."""
    bytes: int
    sha256: str
    rows: int
    """Readable or not; with a limit, those under it."""

    @property
    def identity(self) -> dict[str, Any]:
        return {"file": self.file, "bytes": self.bytes, "sha256": self.sha256}


@dataclass(frozen=True)
class Survey:
    inputs: tuple[Input, ...]
    columns: tuple[str, ...]
    """Of all files, as they come."""
    types: pyarrow.Schema | None
    """Parquet's types of the columns, where they were asked for."""
    mixed: frozenset[str]
    """Columns of JSON Lines and spreadsheets that hold more than Parquet has one type for: written as text."""
    sample: tuple[Record, ...]
    """Some rows drawn from all alike, where they were asked for."""

    @property
    def rows(self) -> int:
        return sum(each.rows for each in self.inputs)


@dataclass(frozen=True)
class Archive:
    tables: tuple[Table, ...]

    @classmethod
    def open(cls, paths: Sequence[Path], **options: str | None) -> Archive:
        """options: as of open_table."""
        return cls(tuple(open_table(path, **options) for path in paths))

    @property
    def where(self) -> str:
        """For errors."""
        return str(self.tables[0].path) if len(self.tables) == 1 else f"{self.tables[0].path} and {len(self.tables) - 1} more"

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for table in self.tables for name in table.columns))

    def records(self, rows: Sequence[int], begin: int, end: int) -> Iterator[tuple[Table, Record | BadRecord]]:
        """Records `begin` to `end` (first is 0) of all files together. rows: of each file; a file before `begin` is not read."""
        first = 0
        for table, count in zip(self.tables, rows, strict=True):
            skip, stop = max(begin - first, 0), min(end - first, count)
            if skip < stop:
                for record in islice(table.records(skip), stop - skip):
                    yield table, record
            first += count

    def stamps(self) -> tuple[tuple[int, int], ...]:
        """Size and time of change of every file: what tells that one is not what it was. DataError if one is gone."""
        stamps = []
        for table in self.tables:
            try:
                stat = table.path.stat()
            except FileNotFoundError:
                raise DataError(f"{table.path}: no such file any more. Bring it back.") from None
            except OSError as error:
                raise DataError(f"{table.path}: cannot be read: {error}. Bring it back.") from error
            stamps.append((stat.st_size, stat.st_mtime_ns))
        return tuple(stamps)

    def identities(self) -> list[dict[str, Any]]:
        """Name, size and SHA-256 of every file."""
        return [
            {"file": table.path.name, "bytes": table.path.stat().st_size, "sha256": sha256_of(table.path)} for table in self.tables
        ]

    def survey(
        self, identities: Sequence[dict[str, Any]], *, limit: int | None = None, types: bool = False, sample: int = 0
    ) -> Survey:
        """Read every file through, or the first `limit` rows of all together."""
        inputs, found, drawn = [], _Columns(types), _Sample(sample)
        left = limit
        for table, identity in zip(self.tables, identities, strict=True):
            rows = 0
            if table.format == "parquet" and not sample:
                rows = parquet_files.count_rows(table.path)
                rows = rows if left is None else min(rows, left)
            else:
                late = table.format in ("jsonl", "xlsx")
                for record in islice(table.records(), left):
                    rows += 1
                    if isinstance(record, Record):
                        if late:
                            found.add(record.values, table)
                        drawn.add(record)
            found.close(table)
            left = None if left is None else left - rows
            inputs.append(Input(**identity, rows=rows))
        columns = tuple(dict.fromkeys((*self.columns, *found.names)))
        return Survey(tuple(inputs), columns, found.schema(columns), frozenset(found.mixed), tuple(drawn.rows))


@dataclass
class _Columns:
    """The columns that JSON Lines has, and Parquet's types for those of every file."""

    typed: bool
    names: dict[str, None] = field(default_factory=dict)
    mixed: set[str] = field(default_factory=set)
    _kinds: dict[str, Any] = field(default_factory=dict)
    _rows: list[dict[str, Any]] = field(default_factory=list)
    _metadata: dict[bytes, bytes] | None = None

    def add(self, values: dict[str, Any], table: Table) -> None:
        if not values.keys() <= self.names.keys():
            self.names.update(dict.fromkeys(values))
            if len(self.names) > MAX_COLUMNS:
                raise DataError(f"{table.path}: its objects have over {MAX_COLUMNS:,} different keys. Are keys used as values?")
        if self.typed:
            self._rows.append(values)
            if len(self._rows) == TYPED_ROWS:
                self._find_types()

    def close(self, table: Table) -> None:
        """The end of a file."""
        if not self.typed:
            return
        import pyarrow

        self._find_types()
        if table.schema is not None:
            self._metadata = self._metadata or table.schema.metadata
            for kind in table.schema:
                self._join(kind, f"{table.path}: ")
        elif table.format == "csv":
            for name in table.columns:
                self._join(pyarrow.field(name, pyarrow.string()), f"{table.path}: ")

    def schema(self, columns: Sequence[str]) -> pyarrow.Schema | None:
        if not self.typed:
            return None
        import pyarrow

        text = pyarrow.string()
        fields = [pyarrow.field(name, text) if name in self.mixed else self._kinds.get(name) for name in columns]
        named = [found if found is not None else pyarrow.field(name, text) for name, found in zip(columns, fields, strict=True)]
        return pyarrow.schema(named, self._metadata)

    def _find_types(self) -> None:
        import pyarrow

        for name in dict.fromkeys(name for values in self._rows for name in values):
            try:
                kind = pyarrow.array([values.get(name) for values in self._rows]).type
                if pyarrow.types.is_null(kind):
                    continue
                self._join(pyarrow.field(name, kind), None)
            except (pyarrow.ArrowException, OverflowError, ValueError, TypeError):
                self.mixed.add(name)
        self._rows.clear()

    def _join(self, found: pyarrow.Field, where: str | None) -> None:
        """Widen a column's type by another file's, or (where is None) by other rows of JSON."""
        import pyarrow

        before = self._kinds.get(found.name)
        if before is None or before.type == found.type:
            self._kinds[found.name] = before or found
            return
        try:
            joined = pyarrow.unify_schemas([pyarrow.schema([before]), pyarrow.schema([found])], promote_options="permissive")
            self._kinds[found.name] = joined.field(0)
        except pyarrow.ArrowException as error:
            if where is None:
                raise
            raise DataError(
                f"{where}column '{found.name}' is {found.type}, in a file before it {before.type}. Label them apart, or write CSV."
            ) from error


@dataclass
class _Sample:
    """Rows drawn from all alike, the same ones each time."""

    size: int
    rows: list[Record] = field(default_factory=list)
    _seen: int = 0
    _random: random.Random = field(default_factory=lambda: random.Random(0))

    def add(self, record: Record) -> None:
        self._seen += 1
        if len(self.rows) < self.size:
            self.rows.append(record)
        elif self.size and (place := self._random.randrange(self._seen)) < self.size:
            self.rows[place] = record


def find_files(named: Sequence[str | Path], leave_out: Sequence[Path] = ()) -> list[Path]:
    """The files that are named: as they are, by a pattern with * or ?, or in a folder (all of a known kind, and in its folders).

    leave_out: files and folders that are not taken from folders and patterns: the output of this very run.
    DataError for a pattern or folder without files, or a file that is named twice.
    """
    files: list[Path] = []
    apart = {path.resolve() for path in leave_out}
    for name in named:
        path = Path(name)
        if path.is_dir():
            found = sorted(file for file in path.rglob("*") if _is_archive(file, path, apart))
            if not found:
                raise DataError(f"{path}: the folder has no file of a known kind ({', '.join(FORMATS)}).")
        elif not path.exists() and glob.has_magic(str(name)):
            found = sorted(Path(file) for file in glob.glob(str(name), recursive=True))
            found = [file for file in found if file.is_file() and not _is_own(file, apart)]
            if not found:
                raise DataError(f"{name}: no file has such a name.")
        else:
            found = [path]
        files.extend(found)
    seen: set[Path] = set()
    for file in files:
        if file.resolve() in seen:
            raise DataError(f"{file}: is named twice. Its rows would be labelled twice.")
        seen.add(file.resolve())
    return files


def _is_archive(file: Path, folder: Path, apart: set[Path]) -> bool:
    parts = file.relative_to(folder).parts
    known = Path(name_unpacked(file)).suffix in FORMATS
    return known and file.is_file() and not any(part.startswith((".", "~$")) for part in parts) and not _is_own(file, apart)


def _is_own(file: Path, apart: set[Path]) -> bool:
    return (
        file.name.endswith(OWN_ENDS)
        or any(part.name.endswith(".parts") for part in file.parents)
        or not apart.isdisjoint({file.resolve(), *file.resolve().parents})
    )


def spool(stream: IO[bytes], folder: Path, begun: bool) -> Path:
    """Write standard input to a file in `folder` and return it; its kind stands in its name, found from its beginning.

    begun: a run was begun with what was spooled before: the same must come again, or nothing. DataError if something else comes,
    or if nothing comes and nothing was spooled.
    """
    part = folder / (SPOOL + ".part")
    with part.open("wb") as file:
        shutil.copyfileobj(stream, file, 1 << 20)
        size = file.tell()
        durable.sync(file)
    before = [path for path in folder.glob(SPOOL + ".*") if path != part] if begun else []
    if not size:
        part.unlink()
        if before:
            return before[0]
        raise DataError("standard input: nothing came. Pipe a file into it, or name one.")
    path = folder / (SPOOL + _kind_of(part))
    if before:
        if before != [path] or sha256_of(part) != sha256_of(path):
            part.unlink()
            raise DataError(
                "standard input: differs from what this output was begun with. Send the same, or nothing (< /dev/null) to go on "
                "with what came then; --restart starts anew."
            )
        part.unlink()
        return path
    durable.replace(part, path)
    return path


def _kind_of(path: Path) -> str:
    """The end that a file's name would have, from its first bytes."""
    from data.packing import open_unpacked

    with path.open("rb") as stream:
        begin = stream.read(4)
    end = next((end for magic, end in _MAGIC.items() if begin.startswith(magic)), "")
    if end in (".parquet", ".xlsx"):
        return end
    if end:
        named = path.with_name(path.name + end)
        path.rename(named)
        try:
            with open_unpacked(named) as packed:
                begin = packed.read(64)
        except OSError:
            begin = b""
        finally:
            named.rename(path)
    plain = begin.replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n")
    return (".jsonl" if plain.startswith(b"{") else ".csv") + end


def sha256_of(path: Path) -> str:
    try:
        with path.open("rb") as handle:
            return hashlib.file_digest(handle, "sha256").hexdigest()
    except FileNotFoundError:
        raise DataError(f"{path}: no such file any more. Bring it back.") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
