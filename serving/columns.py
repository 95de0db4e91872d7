"""The columns of a labelled file (contract 4 of docs/contracts.md), and which column of a file holds the messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from data.errors import DataError
from data.tables import Table, nearest_column
from data.taxonomy import Taxonomy
from data.text import normalise
from serving.prediction import Prediction

if TYPE_CHECKING:
    import pyarrow

TEXT_COLUMNS = (
    "text", "message", "messages", "content", "comment", "comments", "review", "reviews", "feedback", "body",
    "review_text", "comment_text", "message_text",
    "文本", "内容", "內容", "评论", "評論", "评论内容", "評論內容", "评价", "評價", "评价内容", "反馈", "反饋", "反馈内容",
    "意见", "意見", "留言", "消息", "訊息",
    "متن", "پیام", "نظر", "نظرات", "دیدگاه", "دیدگاه‌ها", "بازخورد", "کامنت",
)  # fmt: skip
"""Names that a column of messages obviously has, in lower case."""
JOINED_BY = "|"
"""Between the parts of a list in a CSV cell; no label's name holds it."""


def find_text_column(table: Table, named: str | None) -> str:
    """The column that holds the messages: the one named, the only one, or the only one whose name is obvious.

    Raises DataError with the columns that there are.
    """
    listed = ", ".join(table.columns)
    if named is not None:
        if named in table.columns:
            return named
        near = nearest_column(named, table.columns)
        raise DataError(f"{table.path}: no column '{named}'" + (f" (nearest: '{near}')" if near else "") + f". Columns: {listed}.")
    if len(table.columns) == 1:
        return table.columns[0]
    found = [column for column in table.columns if normalise(column).strip().lower() in TEXT_COLUMNS]
    if len(found) == 1:
        return found[0]
    which = (
        " or ".join(f"'{column}'" for column in found) + " could hold the messages"
        if found
        else "no column's name says that it holds the messages"
    )
    raise DataError(f"{table.path}: {which}. Name it with --text-column. Columns: {listed}.")


@dataclass(frozen=True)
class LabelledColumns:
    """What labelling adds to a row."""

    taxonomy: Taxonomy
    prefix: str = ""
    """Before the name of every column that is added."""
    scores: bool = False
    """Add `<task>_scores`: the probability of every label."""

    @property
    def names(self) -> tuple[str, ...]:
        tasks = [name for task in self.taxonomy for name in self._of_task(task.name, task.single)]
        plain = ["language", *tasks, "departments", "priority", "abstained", "repairs", "warnings", "model"]
        return tuple(self.prefix + name for name in plain)

    def refuse_existing(self, table: Table) -> None:
        """DataError if the file has a column that would be written over."""
        if taken := [name for name in self.names if name in table.columns]:
            raise DataError(
                f"{table.path}: has columns {', '.join(taken)} already, and they are never written over. "
                "Choose other names with --prefix, for example --prefix model_."
            )

    def values(self, prediction: Prediction) -> dict[str, Any]:
        """By column; lists as lists."""
        written = prediction.to_dict(self.scores)
        values: dict[str, Any] = {"language": written["language"]["code"]}
        for task in self.taxonomy:
            answer = written["answers"][task.name]
            chosen = [answer] if task.single else answer["labels"]
            labels, probabilities = [choice["label"] for choice in chosen], [choice["probability"] for choice in chosen]
            parts: tuple[Any, ...] = (labels[0], probabilities[0]) if task.single else (labels, probabilities)
            values.update(zip(self._of_task(task.name, task.single), (*parts, answer.get("scores")), strict=False))
        for name in ("departments", "priority", "repairs", "warnings", "model"):
            values[name] = written[name]
        values["abstained"] = list(prediction.abstained)
        return {name: values[name.removeprefix(self.prefix)] for name in self.names}

    def schema(self, table: Table) -> pyarrow.Schema:
        """Parquet's types: those of the input (text for a CSV file; found from the values for JSON Lines), and of what is added."""
        import pyarrow

        text, number = pyarrow.string(), pyarrow.float64()
        kinds = {"language": text, "priority": pyarrow.int32(), "model": text}
        for name in ("departments", "abstained", "repairs", "warnings"):
            kinds[name] = pyarrow.list_(text)
        for task in self.taxonomy:
            each = (text, number) if task.single else (pyarrow.list_(text), pyarrow.list_(number))
            scores = pyarrow.struct([(label, number) for label in task.names])
            kinds.update(zip(self._of_task(task.name, task.single), (*each, scores), strict=False))
        added = [pyarrow.field(name, kinds[name.removeprefix(self.prefix)]) for name in self.names]
        if table.schema is not None:
            return pyarrow.schema([*table.schema, *added], table.schema.metadata)
        given = [pyarrow.field(name, text) for name in table.columns] if table.format == "csv" else []
        return pyarrow.schema([*given, *added])

    def _of_task(self, task: str, single: bool) -> list[str]:
        names = [task, f"{task}_probability" if single else f"{task}_probabilities"]
        return [*names, f"{task}_scores"] if self.scores else names


def joined(values: Mapping[str, Any]) -> dict[str, Any]:
    """The same for a CSV file: lists joined by JOINED_BY."""
    return {name: JOINED_BY.join(map(str, value)) if isinstance(value, Sequence) and not isinstance(value, str) else value
            for name, value in values.items()}  # fmt: skip
