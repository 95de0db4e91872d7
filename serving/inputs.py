"""What is labelled: files, folders and globs as one archive, its rows numbered through.

paths = find_files(["2024/*.csv", "2025"], leave_out=...)
archive = Archive.open(paths)                 # looks at every file's beginning; nothing is read through
inputs = archive.survey(...)                  # reads all once: SHA-256, rows, columns
"""

from __future__ import annotations

import glob
import hashlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data import parquet_files
from data.errors import DataError
from data.packing import name_unpacked
from data.tables import FORMATS, BadRecord, Record, Table, open_table
from serving.columns_found import ColumnsFound

if TYPE_CHECKING:
    import pyarrow

OWN_ENDS = (".rejects.jsonl", ".manifest.json", ".part")
"""Files that stand beside an output and are never taken from a folder."""
SAMPLE_ROWS = 200


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
        inputs, found, drawn = [], ColumnsFound(types), _Sample(sample)
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


def sha256_of(path: Path) -> str:
    try:
        with path.open("rb") as handle:
            return hashlib.file_digest(handle, "sha256").hexdigest()
    except FileNotFoundError:
        raise DataError(f"{path}: no such file any more. Bring it back.") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
