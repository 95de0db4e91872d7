"""The columns of a labelled file (contract 4 of docs/contracts.md), and which column of a file holds the messages."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from data.errors import DataError
from data.tables import names_of, nearest_column
from data.taxonomy import Taxonomy
from data.text import normalise
from serving.prediction import Prediction

if TYPE_CHECKING:
    import pyarrow

TEXT_COLUMNS = (
    "text", "message", "messages", "content", "comment", "comments", "review", "reviews", "feedback", "body",
    "reviewtext", "commenttext", "messagetext", "feedbacktext", "reviewbody", "reviewcontent", "commentcontent", "messagebody",
    "文本", "内容", "內容", "评论", "評論", "评论内容", "評論內容", "评价", "評價", "评价内容", "評價內容",
    "反馈", "反饋", "反馈内容", "反饋內容",
    "意见", "意見", "留言", "留言内容", "留言內容", "消息", "訊息", "消息内容", "訊息內容", "正文",
    "متن", "متننظر", "متنپیام", "متندیدگاه", "پیام", "نظر", "نظرات", "نظرکاربر", "نظرمشتری",
    "دیدگاه", "دیدگاهها", "بازخورد", "کامنت", "شرح",
)  # fmt: skip
"""Names that a column of messages obviously has: mended, in lower case, without spaces, joiners and signs between words."""
ID_COLUMNS = (
    "id", "messageid", "reviewid", "commentid", "feedbackid", "ticketid", "rowid", "uuid", "key",
    "编号", "編號", "序号", "序號", "标识", "識別碼", "评论编号", "評論編號", "شناسه", "شناسهنظر", "شناسهپیام", "کد", "ردیف",
)  # fmt: skip
LANGUAGE_COLUMNS = (
    "language", "lang", "languagecode", "langcode", "locale", "语言", "語言", "语种", "語種", "زبان",
)  # fmt: skip
NO_COLUMN = ""
"""In place of a column's name: none, though one may have an obvious name."""
LANGUAGES = {
    "zh": ("zh", "zho", "chi", "cmn", "yue", "cn", "chinese", "mandarin", "cantonese", "中文", "汉语", "漢語", "华语", "چینی"),
    "en": ("en", "eng", "english", "英文", "英语", "英語", "انگلیسی"),
    "fa": ("fa", "fas", "per", "pes", "prs", "persian", "farsi", "dari", "波斯语", "波斯語", "波斯文", "فارسی"),
}
"""By code, what a language column may hold; a region may follow (`zh-TW`, `en_GB`). Anything else is left to be identified."""
JOINED_BY = "|"
"""Between the parts of a list in a CSV cell; no label's name holds it."""
_BETWEEN_WORDS = re.compile(r"[\s_\-./:()\u200b-\u200f\ufeff]+")


def find_text_column(where: str, columns: Sequence[str], named: str | None) -> str:
    """The column that holds the messages: the one named, the only one, or the only one whose name is obvious.

    where: the file, for the error. Raises DataError with the columns that there are.
    """
    if named is not None:
        return _named(where, columns, named)
    if len(columns) == 1:
        return columns[0]
    found = _obvious(columns, TEXT_COLUMNS)
    if len(found) == 1:
        return found[0]
    which = (
        " or ".join(f"'{column}'" for column in found) + " could hold the messages"
        if found
        else "no column's name says that it holds the messages"
    )
    raise DataError(f"{where}: {which}. Name it with --text-column. Columns: {names_of(columns)}.")


def find_column(where: str, columns: Sequence[str], named: str | None, obvious: Sequence[str]) -> str | None:
    """A column that a file need not have: the one named, or the only one whose name is obvious; None if there is none.

    named: NO_COLUMN if none is wanted. Raises DataError if the one named is not there.
    """
    if named == NO_COLUMN:
        return None
    if named is not None:
        return _named(where, columns, named)
    found = _obvious(columns, obvious)
    return found[0] if len(found) == 1 else None


def language_code(value: Any) -> str | None:
    """The code of a language column's value; None where it is to be identified."""
    if not isinstance(value, str):
        return None
    plain = value.strip().lower()
    first = re.split(r"[-_ (]", plain, maxsplit=1)[0]
    return next((code for code, names in LANGUAGES.items() if plain in names or first in names), None)


def _named(where: str, columns: Sequence[str], named: str) -> str:
    if named in columns:
        return named
    near = nearest_column(named, columns)
    raise DataError(
        f"{where}: no column '{named}'" + (f" (nearest: '{near}')" if near else "") + f". Columns: {names_of(columns)}."
    )


def _obvious(columns: Sequence[str], names: Sequence[str]) -> list[str]:
    return [column for column in columns if _BETWEEN_WORDS.sub("", normalise(column)).lower() in names]


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

    def refuse_existing(self, where: str, columns: Sequence[str]) -> None:
        """DataError if a file has a column that would be written over."""
        if taken := [name for name in self.names if name in columns]:
            raise DataError(
                f"{where}: has columns {', '.join(taken)} already, and they are never written over. "
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

    def fields(self) -> list[pyarrow.Field]:
        """The Parquet types of what is added."""
        import pyarrow

        text, number = pyarrow.string(), pyarrow.float64()
        kinds = {"language": text, "priority": pyarrow.int32(), "model": text}
        for name in ("departments", "abstained", "repairs", "warnings"):
            kinds[name] = pyarrow.list_(text)
        for task in self.taxonomy:
            each = (text, number) if task.single else (pyarrow.list_(text), pyarrow.list_(number))
            scores = pyarrow.struct([(label, number) for label in task.names])
            kinds.update(zip(self._of_task(task.name, task.single), (*each, scores), strict=False))
        return [pyarrow.field(name, kinds[name.removeprefix(self.prefix)]) for name in self.names]

    def _of_task(self, task: str, single: bool) -> list[str]:
        names = [task, f"{task}_probability" if single else f"{task}_probabilities"]
        return [*names, f"{task}_scores"] if self.scores else names


def joined(values: Mapping[str, Any]) -> dict[str, Any]:
    """The same for CSV and spreadsheets: lists joined by JOINED_BY."""
    return {name: JOINED_BY.join(map(str, value)) if isinstance(value, Sequence) and not isinstance(value, str) else value
            for name, value in values.items()}  # fmt: skip
