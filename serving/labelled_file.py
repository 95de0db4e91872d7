"""A labelled file read back (contract 4 of docs/contracts.md, as columns): the same rows, whatever its format, tasks and labels."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from data.dates import read_date, read_rating
from data.errors import DataError
from data.tables import Record, Table, names_of, open_table
from data.text import normalise
from serving.columns import JOINED_BY, find_text_column
from serving.inputs import find_files

PLAIN = ("language", "departments", "priority", "abstained", "repairs", "warnings", "model")
ONE, SEVERAL = "_probability", "_probabilities"
DATE_COLUMNS = (
    "date", "time", "datetime", "timestamp", "created", "created at", "createdat", "day", "review date", "posted at",
    "submitted at",
    "日期", "时间", "時間", "评论时间", "評論時間", "创建时间", "建立時間", "发布时间", "تاریخ", "زمان", "تاریخ ثبت",
)  # fmt: skip
RATING_COLUMNS = (
    "rating", "score", "stars", "star", "star rating", "nps", "nps score", "csat", "rate", "overall", "grade",
    "评分", "評分", "星级", "星級", "打分", "分数", "分數", "满意度", "滿意度", "امتیاز", "نمره", "ستاره", "رتبه",
)  # fmt: skip
ID_COLUMNS = ("id", "编号", "編號", "شناسه")


@dataclass(frozen=True)
class GivenAnswer:
    labels: tuple[str, ...]
    probabilities: tuple[float, ...]
    """As the labels stand."""

    @property
    def surest(self) -> float:
        """Probability of the best label, 0 to 1; 0 where no label was given."""
        return max(self.probabilities, default=0.0)


@dataclass(frozen=True)
class LabelledRow:
    line: int
    id: str | None
    text: str
    language: str
    answers: dict[str, GivenAnswer]
    """By task."""
    departments: tuple[str, ...]
    priority: int | None
    abstained: tuple[str, ...]
    """Tasks."""
    day: date | None
    rating: float | None
    unread: tuple[str, ...]
    """Columns among `date` and `rating` whose cell is filled and cannot be read."""


@dataclass(frozen=True)
class LabelledFile:
    path: Path
    """A file, or a folder of shards."""
    tables: tuple[Table, ...]
    """The file, or the shards in order; all have the columns of the first."""
    prefix: str
    single: tuple[str, ...]
    """Tasks with exactly one label, in the file's order."""
    multi: tuple[str, ...]
    text_column: str
    id_column: str | None
    date_column: str | None
    rating_column: str | None
    date_format: str | None
    manifest: dict[str, Any]
    """Of the labelling, where it lies beside the file; else empty."""

    @property
    def tasks(self) -> tuple[str, ...]:
        """In the file's order."""
        return tuple(_tasks(self.tables[0].columns, self.prefix))

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        prefix: str | None = None,
        text_column: str | None = None,
        id_column: str | None = None,
        date_column: str | None = None,
        rating_column: str | None = None,
        date_format: str | None = None,
        encoding: str | None = None,
    ) -> LabelledFile:
        """Look at a labelled file. What is not named is taken from the manifest beside it, or found where a name is obvious.

        DataError if it is no labelled file, or a named column is not there.
        """
        path = Path(path)
        manifest = _manifest(path)
        tables = tuple(open_table(each, encoding=encoding) for each in find_files([path]))
        table = tables[0]
        for other in tables:
            if missing := [column for column in table.columns if column not in other.columns]:
                raise DataError(
                    f"{other.path}: lacks columns that {table.path.name} has: {names_of(missing)}. Name one labelled file."
                )
        if prefix is None:
            prefix = str(_part(manifest, "columns").get("prefix") or "")
        tasks = _tasks(table.columns, prefix)
        if not tasks:
            after = f" that begins with '{prefix}'" if prefix else ""
            raise DataError(
                f"{path}: not a labelled file: no column{after} ends in {ONE}. Label it first (feedback label), or name --prefix. "
                f"Columns: {names_of(table.columns)}."
            )
        added = {prefix + name for name in PLAIN}
        added.update(prefix + task + end for task in tasks for end in ("", ONE, SEVERAL, "_scores"))
        own = tuple(column for column in table.columns if column not in added)
        given = text_column or _part(manifest, "columns").get("text")
        text_column = find_text_column(str(path), own, given if text_column or given in own else None)
        rest = [column for column in own if column != text_column]
        return cls(
            path=path,
            tables=tables,
            prefix=prefix,
            single=tuple(task for task in tasks if prefix + task + ONE in table.columns),
            multi=tuple(task for task in tasks if prefix + task + ONE not in table.columns),
            text_column=text_column,
            id_column=_column(path, "--id-column", id_column, ID_COLUMNS, rest),
            date_column=_column(path, "--date-column", date_column, DATE_COLUMNS, rest),
            rating_column=_column(path, "--rating-column", rating_column, RATING_COLUMNS, rest),
            date_format=date_format,
            manifest=manifest,
        )

    def rows(self) -> Iterator[LabelledRow]:
        """Every row in order, in bounded memory. DataError where one cannot be read: a labelled file has no such rows."""
        tasks = [(task, self.prefix + task, self.prefix + task + (ONE if task in self.single else SEVERAL)) for task in self.tasks]
        for table in self.tables:
            for record in table.records():
                if not isinstance(record, Record):
                    raise DataError(
                        f"{table.path}:{record.line}: {record.reason}. A labelled file has no broken rows: label it again."
                    )
                yield self._row(table, record, tasks)

    def _row(self, table: Table, record: Record, tasks: Sequence[tuple[str, str, str]]) -> LabelledRow:
        values = record.values
        answers = {}
        for task, column, sure in tasks:
            labels, numbers = _several(values.get(column)), _numbers(values.get(sure))
            if len(labels) != len(numbers):
                raise DataError(
                    f"{table.path}:{record.line}: '{column}' has {len(labels)} labels, but {len(numbers)} "
                    "probabilities. Label the file again."
                )
            answers[task] = GivenAnswer(labels, numbers)
        day = rating = None
        unread = []
        if self.date_column is not None and (written := values.get(self.date_column)) not in (None, ""):
            day = read_date(written, self.date_format)
            unread += ["date"] * (day is None)
        if self.rating_column is not None and (written := values.get(self.rating_column)) not in (None, ""):
            rating = read_rating(written)
            unread += ["rating"] * (rating is None)
        name = values.get(self.id_column) if self.id_column is not None else None
        priority = str(values.get(self.prefix + "priority", ""))
        return LabelledRow(
            line=record.line,
            id=None if name in (None, "") else str(name),
            text=str(values.get(self.text_column) or ""),
            language=str(values.get(self.prefix + "language") or "und"),
            answers=answers,
            departments=_several(values.get(self.prefix + "departments")),
            priority=int(priority) if priority.isdigit() else None,
            abstained=_several(values.get(self.prefix + "abstained")),
            day=day,
            rating=rating,
            unread=tuple(unread),
        )


def _tasks(columns: Sequence[str], prefix: str) -> list[str]:
    """Tasks by their pairs of columns: a label and how sure it is."""
    found = []
    for column in columns:
        task = column.removeprefix(prefix)
        if column.startswith(prefix) and (column + ONE in columns or column + SEVERAL in columns):
            found.append(task)
    return found


def _column(path: Path, option: str, named: str | None, obvious: Sequence[str], columns: Sequence[str]) -> str | None:
    if named is not None:
        if named not in columns:
            raise DataError(f"{path}: no column '{named}' for {option}. Columns: {names_of(columns)}.")
        return named
    found = [column for column in columns if normalise(column).strip().lower().replace("_", " ") in obvious]
    return found[0] if found else None


def _several(value: Any) -> tuple[str, ...]:
    if value is None or value == "":
        return ()
    if isinstance(value, str):
        return tuple(value.split(JOINED_BY))
    return tuple(str(part) for part in value)


def _numbers(value: Any) -> tuple[float, ...]:
    try:
        if isinstance(value, int | float):
            return (float(value),)
        return tuple(float(part) for part in _several(value))
    except ValueError:
        return ()


def _manifest(path: Path) -> dict[str, Any]:
    beside = path.with_name(path.name + ".manifest.json")
    try:
        document = json.loads(beside.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def _part(manifest: dict[str, Any], name: str) -> dict[str, Any]:
    part = manifest.get(name)
    return part if isinstance(part, dict) else {}
