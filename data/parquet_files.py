"""Parquet, read row by row in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data.errors import DataError
from data.records import BadRecord, Record

if TYPE_CHECKING:
    import pyarrow

READ_BATCH_ROWS = 1024
READ_BUFFER_BYTES = 1 << 20


def read_schema(path: Path) -> pyarrow.Schema:
    import pyarrow
    import pyarrow.parquet as parquet

    try:
        return parquet.read_schema(path)
    except (pyarrow.ArrowException, OSError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise DataError(f"{path}: not a Parquet file, or cut off: {str(error).splitlines()[0]}") from error


def count_rows(path: Path) -> int:
    import pyarrow.parquet as parquet

    with parquet.ParquetFile(path) as file:
        return int(file.metadata.num_rows)


def read_records(path: Path, skip: int = 0) -> Iterator[Record | BadRecord]:
    """Every record after the first `skip`; row groups that hold none of them are not read."""
    import pyarrow
    import pyarrow.parquet as parquet

    line = 0
    try:
        with parquet.ParquetFile(path, pre_buffer=False, buffer_size=READ_BUFFER_BYTES) as file:
            columns = tuple(file.schema_arrow.names)
            first = 0
            while first < file.num_row_groups and line + file.metadata.row_group(first).num_rows <= skip:
                line += file.metadata.row_group(first).num_rows
                first += 1
            groups = range(first, file.num_row_groups)
            for batch in file.iter_batches(READ_BATCH_ROWS, row_groups=groups) if groups else ():
                for record in _rows(batch, columns, line):
                    line += 1
                    if line > skip:
                        yield record
    except pyarrow.ArrowException as error:
        raise DataError(f"{path}: damaged after row {line}: {str(error).splitlines()[0]}") from error


def _rows(batch: Any, columns: tuple[str, ...], line: int) -> Iterator[Record | BadRecord]:
    try:
        values = [_values(column) for column in batch.columns]
    except UnicodeDecodeError:  # text that is not UTF-8: find out whose it is
        for offset in range(batch.num_rows):
            yield _row(batch.slice(offset, 1), columns, line + offset + 1)
        return
    for number, row in enumerate(zip(*values, strict=True), line + 1):
        yield Record(dict(zip(columns, row, strict=True)), number)


def _row(batch: Any, columns: tuple[str, ...], line: int) -> Record | BadRecord:
    values = {}
    for name, column in zip(columns, batch.columns, strict=True):
        try:
            (values[name],) = _values(column)
        except UnicodeDecodeError:
            return BadRecord(line, name, "holds bytes that are not utf-8")
    return Record(values, line)


def _values(column: Any) -> list[Any]:
    """Python values; Arrow's own where Python has no equal (nanoseconds)."""
    if "[ns" in str(column.type):
        return [value if value.is_valid else None for value in column]
    values: list[Any] = column.to_pylist()
    return values
