"""A sheet of messages for a person to correct, and the way back to rows (docs/reports.md).

The sheet holds the predicted labels; the person corrects them and writes something into `reviewed`. Rows without that are nobody's
word and are left out when the sheet comes back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.errors import DataError
from data.rows import JOINED_BY, Faults, Row, read_record, write_rows
from data.table_writer import TableWriter
from data.tables import BadRecord, Record, format_of, open_table
from data.taxonomy import Taxonomy

REVIEWED = "reviewed"
SOURCE = "review"
"""Stands in the rows' column `source` unless the sheet has one; also the name under which `feedback data import` takes a sheet."""
_RUNS = ("=", "+", "-", "@", "\t", "\r")
"""A cell that begins so is run as a formula by a spreadsheet."""
_NO = ("no", "n", "0", "false", "否", "خیر", "نه")


@dataclass(frozen=True)
class ReviewReport:
    output: str
    read: int
    written: int
    open: int
    """Rows that nobody has reviewed."""

    def to_text(self) -> str:
        return (
            f"{self.written:,} of {self.read:,} rows written to {self.output}; {self.open:,} not reviewed (nothing in '{REVIEWED}')"
        )


def write_sheet(path: str | Path, rows: Iterable[Mapping[str, Any]], tasks: Sequence[str]) -> int:
    """Write a sheet to correct, and return how many rows it has; CSV opens in a spreadsheet as it is.

    rows: `id`, `text`, `language`, the labels of each task (joined if several), `unsure` (the tasks to look at first).
    """
    columns = [REVIEWED, "id", "text", "language", *tasks, "unsure"]
    text = format_of(path) == "csv"
    with TableWriter(path, columns, encoding="utf-8-sig" if text else "utf-8", guard=not text) as writer:
        for row in rows:
            values = {name: _joined(row.get(name)) for name in columns}
            writer.write({name: _guarded(value) for name, value in values.items()} if text else values)
    return writer.rows


def import_sheet(path: str | Path, output: str | Path, taxonomy: Taxonomy, *, encoding: str | None = None) -> ReviewReport:
    """Write the reviewed rows of a sheet as rows to train on. DataError with every fault and its line; then nothing is written."""
    table = open_table(path, encoding=encoding)
    if missing := [name for name in (REVIEWED, "text") if name not in table.columns]:
        raise DataError(
            f"{path}: lacks {' and '.join(repr(name) for name in missing)}: not a sheet of `feedback report --review`. "
            f"Columns: {', '.join(table.columns)}."
        )
    tasks = [task for task in taxonomy.task_names if task in table.columns]
    if not tasks:
        raise DataError(f"{path}: none of the taxonomy's tasks is a column ({', '.join(taxonomy.task_names)}).")
    faults = Faults(path)
    rows: list[Row] = []
    read = 0
    for record in table.records():
        read += 1
        if isinstance(record, BadRecord):
            raise DataError(f"{path}:{record.line}: {record.reason}.")
        values = {name: _opened(value) for name, value in record.values.items()} if table.format == "csv" else dict(record.values)
        said = str(values.get(REVIEWED) or "").strip().lower()
        if not said or said in _NO:
            continue
        kept = {"text": values.get("text"), **{name: _cell(values.get(name)) for name in ("id", "language", *tasks)}}
        row, found = read_record(
            Record({**kept, "source": _cell(values.get("source")) or SOURCE}, record.line), taxonomy, all_text=True
        )
        for fault in found:
            faults.add(fault)
        rows.append(row)
    faults.done()
    if not rows:
        raise DataError(
            f"{path}: no row is reviewed. Write `yes` into the column '{REVIEWED}' of each row that you have looked at."
        )
    return ReviewReport(str(output), read, write_rows(output, rows, taxonomy), read - len(rows))


def _cell(value: Any) -> Any:
    """A cell as rows have it; spaces around what a person typed are not meant."""
    return value.strip() if isinstance(value, str) else value


def _joined(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return JOINED_BY.join(map(str, value))
    return "" if value is None else value


def _guarded(value: Any) -> Any:
    """Text that a spreadsheet shows and does not run; `_opened` gives it back."""
    return "'" + value if isinstance(value, str) and value.startswith((*_RUNS, "'")) else value


def _opened(value: Any) -> Any:
    return value[1:] if isinstance(value, str) and value.startswith("'") and value[1:].startswith((*_RUNS, "'")) else value
