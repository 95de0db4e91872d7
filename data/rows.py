"""A labelled row: a message with what is known of it (contract 2 of docs/contracts.md), read and written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data.errors import DataError
from data.table_writer import TableWriter
from data.tables import BadRecord, Record, Table, format_of, names_of, nearest_column, open_table
from data.taxonomy import Task, Taxonomy

if TYPE_CHECKING:
    import pyarrow

SPLITS = ("train", "validation", "test")
PLAIN_COLUMNS = ("language", "source", "split", "id")
JOINED_BY = "|"
"""Between the labels in a cell of CSV or a spreadsheet. A cell that is this sign alone is an explicit empty list."""
MAX_FAULT_KINDS = 20
"""Reading stops when so many different faults were found."""
MAX_LINES_NAMED = 5
PEEKED_ROWS = 10_000
"""How many rows of a stream are looked at to find the columns of a file that is no JSON Lines."""


@dataclass(frozen=True)
class Row:
    """One message and what is known of it. Unknown is never "no".

    A task that is missing from `labels` is unknown, as is every label outside `known`.
    """

    text: str
    """As its source has it, before any mending."""
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By task: one label (single) or all that apply (multi, may be empty). Missing task: unknown."""
    known: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By task, column `<task>_known`: the labels that the row could have been given. Missing: all of them."""
    excluded: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By task, column `<task>_not`: labels known to be wrong, whatever else holds."""
    language: str | None = None
    source: str | None = None
    split: str | None = None
    id: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Every other column of the file, as it was; empty cells are left out."""
    line: int = field(default=0, compare=False)
    """Where it stands in its file: line of a text file (first is 1), row of a Parquet file or sheet; 0 if made in memory."""

    @property
    def primary_language(self) -> str:
        """The language without script or region (`zh` of `zh-Hant`); `und` where the row does not say."""
        return (self.language or "und").split("-")[0].lower()


@dataclass(frozen=True)
class RowFault:
    """Why a record is no row."""

    line: int
    column: str | None
    reason: str
    """What is wrong and what to do; the same words for the same fault, without the message's text."""


class Faults:
    """Collects the faults of one file; the same fault in further rows is one entry."""

    def __init__(self, path: str | Path) -> None:
        self.path = path
        self.lines: dict[str, list[int]] = {}
        """By fault, the first lines that have it."""
        self.counts: Counter[str] = Counter()

    def add(self, fault: RowFault) -> None:
        """Note a fault. DataError when MAX_FAULT_KINDS different ones are reached."""
        self.counts[fault.reason] += 1
        lines = self.lines.setdefault(fault.reason, [])
        if len(lines) <= MAX_LINES_NAMED:
            lines.append(fault.line)
        if len(self.lines) >= MAX_FAULT_KINDS:
            self.done(f"Stopped after {MAX_FAULT_KINDS} different faults.")

    def done(self, note: str = "") -> None:
        """DataError with every fault, if there are any."""
        if self.lines:
            raise DataError("\n".join([*self.messages(), *([note] if note else [])]))

    def messages(self) -> list[str]:
        return [
            f"{self.path}:{lines[0]}: {reason}{_also(lines[1:], self.counts[reason] - 1)}" for reason, lines in self.lines.items()
        ]


def _also(lines: Sequence[int], count: int) -> str:
    if not lines:
        return ""
    more = f" and {count - len(lines)} more" if count > len(lines) else ""
    return f" Same fault in row{'s' * (count > 1)} {', '.join(map(str, lines))}{more}."


def read_rows(path: str | Path, taxonomy: Taxonomy, *, encoding: str | None = None) -> Iterator[Row]:
    """Stream the rows of a CSV, JSON Lines or Parquet file or of a spreadsheet.

    A file that cannot be read at all, or has no column `text`, raises DataError at once. Wrong rows are left out and
    raise one DataError after the last row (or at MAX_FAULT_KINDS), with every fault and its line: read to the end before
    relying on the rows.
    """
    return _valid(path, scan_rows(path, taxonomy, encoding=encoding))


def _valid(path: str | Path, scanned: Iterator[Row | RowFault]) -> Iterator[Row]:
    faults = Faults(path)
    for item in scanned:
        if isinstance(item, Row):
            yield item
        else:
            faults.add(item)
    faults.done()


def scan_rows(path: str | Path, taxonomy: Taxonomy, *, encoding: str | None = None) -> Iterator[Row | RowFault]:
    """Stream rows and faults alike, one fault or more for each record that is no row. DataError as in `read_rows`, at once."""
    table = open_table(path, encoding=encoding)
    if "text" not in table.columns:
        near = nearest_column("text", table.columns)
        hint = f" Rename '{near}' to 'text'." if near else " Name the column that holds the messages 'text'."
        raise DataError(f"{path}: no column 'text'. Columns found: {names_of(table.columns)}.{hint}")
    return _scan(table, taxonomy)


def read_record(record: Record, taxonomy: Taxonomy, *, all_text: bool) -> tuple[Row, list[RowFault]]:
    """One record as a row, and why it is none. all_text: an empty text is an empty cell in every column, as in CSV."""
    return _row(record, taxonomy, _own(taxonomy), all_text)


def _own(taxonomy: Taxonomy) -> set[str]:
    tasks = (name + end for name in taxonomy.task_names for end in ("", "_known", "_not"))
    return {"text", *PLAIN_COLUMNS, *tasks}


def _scan(table: Table, taxonomy: Taxonomy) -> Iterator[Row | RowFault]:
    own = _own(taxonomy)
    for record in table.records():
        if isinstance(record, BadRecord):
            where = f"column '{record.column}' " if record.column else ""
            todo = " Write the row anew in it, or delete the row." if "holds bytes" in record.reason else ""
            yield RowFault(record.line, record.column, f"{where}{record.reason}.{todo}")
        else:
            row, faults = _row(record, taxonomy, own, table.format == "csv")
            yield from faults
            if not faults:
                yield row


def _row(record: Record, taxonomy: Taxonomy, own: set[str], all_text: bool) -> tuple[Row, list[RowFault]]:
    """A record as a row, and why it is none. all_text: an empty text is an empty cell in every column, as in CSV."""
    values = {
        name: value
        for name, value in record.values.items()
        if value is not None and not (value == "" and (all_text or name in own))
    }
    faults: list[RowFault] = []

    def fault(column: str, reason: str) -> None:
        faults.append(RowFault(record.line, column, reason))

    text = values.get("text", "")
    if not isinstance(text, str):
        fault("text", f"text is {_kind(text)}. Write it as text.")
        text = ""
    elif not text.strip():
        fault("text", "text is empty. Fill it in, or delete the row.")
    plain: dict[str, str | None] = {}
    for name in PLAIN_COLUMNS:
        value = values.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, str | int)):
            fault(name, f"{name} is {_kind(value)}. Write it as text.")
            value = None
        plain[name] = None if value is None else str(value)
    if plain["split"] is not None and plain["split"] not in SPLITS:
        fault("split", f"split '{plain['split'][:30]}' is not known. Write {', '.join(SPLITS)}, or leave it empty.")
    labels: dict[str, tuple[str, ...]] = {}
    known: dict[str, tuple[str, ...]] = {}
    excluded: dict[str, tuple[str, ...]] = {}
    for task in taxonomy:
        for end, found in (("", labels), ("_known", known), ("_not", excluded)):
            column = task.name + end
            if column in values:
                names, reason = _labels(task, column, values[column])
                if reason is not None:
                    fault(column, reason)
                else:
                    found[task.name] = names
        for reason in _contradictions(task, labels.get(task.name), known.get(task.name), excluded.get(task.name, ())):
            fault(task.name, reason)
    extra = {name: value for name, value in values.items() if name not in own}
    return Row(text, labels, known, excluded, **plain, extra=extra, line=record.line), faults


def _kind(value: object) -> str:
    """What a value is, in words for people, without the value itself."""
    kinds = {"bool": "true or false", "int": "a number", "float": "a number", "list": "a list", "dict": "an object", "str": "text"}
    return kinds.get(type(value).__name__, type(value).__name__)


def _labels(task: Task, column: str, value: Any) -> tuple[tuple[str, ...], str | None]:
    """The labels of one cell, and what is wrong with them."""
    if isinstance(value, str):
        value = [name.strip() for name in value.split(JOINED_BY) if name.strip()]
    if not isinstance(value, list | tuple) or not all(isinstance(name, str) for name in value):
        return (), f"{column} is {_kind(value)}. Write the labels' names."
    unknown = [name for name in value if name not in task.names]
    if unknown:
        return (), f"{task.unknown(unknown[0][:60])}. Correct the row, or add the label to the taxonomy and retrain."
    if twice := sorted({name for name in value if value.count(name) > 1}):
        return tuple(dict.fromkeys(value)), f"{column} names '{twice[0]}' twice. Name each label once."
    return tuple(value), None


def _contradictions(
    task: Task, given: tuple[str, ...] | None, known: tuple[str, ...] | None, excluded: tuple[str, ...]
) -> Iterator[str]:
    """What cannot hold together in the three columns of one task."""
    name = task.name
    if len(excluded) == len(task.names):
        yield f"{name}_not excludes every label. Leave one possible."
    if given is None:
        return
    if both := [label for label in given if label in excluded]:
        yield f"{name} '{both[0]}' is both given and excluded in {name}_not. Take it out of one of them."
    if known is not None and (outside := [label for label in given if label not in known]):
        yield f"{name} '{outside[0]}' is given but not among {name}_known. Add it there, or take it out."
    if task.single:
        if len(given) != 1:
            yield f"{name} has {len(given)} labels and takes exactly one. Keep one, or leave the cell empty if it is unknown."
        return
    if alone := [label.name for label in task.labels if label.exclusive and label.name in given and len(given) > 1]:
        yield f"{name} '{alone[0]}' stands alone, but other labels are given with it. Keep it or them."
    if not given and task.at_least_one and (known is None or len(known) == len(task.names)):
        yield f"{name} is an empty list and takes at least one label. Name one, or leave it out if it is unknown."


def write_rows(path: str | Path, rows: Iterable[Row], taxonomy: Taxonomy) -> int:
    """Write rows as CSV, JSON Lines, Parquet or a spreadsheet, by the file's name, and return how many.

    `read_rows` gives them back equal; of `extra`, CSV keeps text alone, and a spreadsheet has lists and objects as JSON.
    The file appears when all are written. All but JSON Lines need their columns beforehand: those of `extra` are taken from
    all rows of a list, from the first PEEKED_ROWS of a stream; DataError for a column that comes later.
    """
    kind = format_of(path)
    columns: tuple[str, ...] = ()
    schema = None
    if kind != "jsonl":
        if not isinstance(rows, Sequence):
            stream = iter(rows)
            peeked = list(islice(stream, PEEKED_ROWS))
            rows = chain(peeked, stream)
        else:
            peeked = list(rows)
        extras = dict.fromkeys(name for row in peeked for name in row.extra)
        columns = (*_own_columns(taxonomy), *extras)
        schema = _schema(taxonomy) if kind == "parquet" else None
    # In CSV the guard would alter the text; in a sheet it does not, and without it "=…" would come back as an empty cell.
    with TableWriter(path, columns, schema=schema, guard=kind == "xlsx") as writer:
        for row in rows:
            writer.write(_values(row, taxonomy, joined=kind in ("csv", "xlsx")))
    return writer.rows


def _own_columns(taxonomy: Taxonomy) -> tuple[str, ...]:
    tasks = tuple(name + end for end in ("", "_known", "_not") for name in taxonomy.task_names)
    return ("id", "text", "language", *tasks, "source", "split")


def _schema(taxonomy: Taxonomy) -> pyarrow.Schema:
    import pyarrow

    lists = {task.name for task in taxonomy if not task.single}
    lists.update(name + end for name in taxonomy.task_names for end in ("_known", "_not"))
    text, several = pyarrow.string(), pyarrow.list_(pyarrow.string())
    return pyarrow.schema([(name, several if name in lists else text) for name in _own_columns(taxonomy)])


def _values(row: Row, taxonomy: Taxonomy, joined: bool) -> dict[str, Any]:
    """A row as the values of its columns; what is unknown is left out."""
    values: dict[str, Any] = {"id": row.id, "text": row.text, "language": row.language}
    for end, found in (("", row.labels), ("_known", row.known), ("_not", row.excluded)):
        for name, labels in found.items():
            if not end and taxonomy[name].single:
                values[name] = labels[0]
            else:
                values[name + end] = (JOINED_BY.join(labels) or JOINED_BY) if joined else list(labels)
    values.update(source=row.source, split=row.split)
    values.update(row.extra)
    return {name: value for name, value in values.items() if value is not None}
