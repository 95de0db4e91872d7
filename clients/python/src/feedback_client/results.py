"""What is sent and what comes back, with types. What a newer service adds is left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Message:
    text: str
    id: str | None = None
    """Echoed in the result."""
    language: str | None = None
    """`zh`, `en`, `fa` or another code where it is known; identified if None."""

    def to_dict(self) -> dict[str, str]:
        given = {"id": self.id, "text": self.text, "language": self.language}
        return {name: value for name, value in given.items() if value is not None}


@dataclass(frozen=True)
class Language:
    code: str
    probability: float
    supported: bool


@dataclass(frozen=True)
class Sentence:
    """A sentence that carried a label."""

    start: int
    end: int
    effect: float | None
    """What the label's probability loses without it; None where the message is one sentence."""

    def of(self, text: str) -> str:
        """The sentence itself, out of the message that was sent."""
        return text[self.start : self.end]


@dataclass(frozen=True)
class Label:
    name: str
    probability: float
    sentences: tuple[Sentence, ...] = ()
    """The strongest first; only with `explain`."""


@dataclass(frozen=True)
class Answer:
    """The answer to one task."""

    labels: tuple[Label, ...]
    """One of a task with one label, any number of others."""
    abstained: bool
    """Too unsure: for a person to read."""
    scores: Mapping[str, float] | None
    """Every label's probability; only with `scores`."""

    @property
    def label(self) -> str | None:
        """The most probable of the chosen labels; None if none was chosen."""
        return max(self.labels, key=lambda label: label.probability).name if self.labels else None


@dataclass(frozen=True)
class Prediction:
    id: str | None
    language: Language
    answers: Mapping[str, Answer]
    """By task."""
    departments: tuple[str, ...]
    priority: int
    repairs: tuple[str, ...]
    warnings: tuple[str, ...]
    model: str


@dataclass(frozen=True)
class Failure:
    """In the place of a prediction, for a message that cannot be classified."""

    id: str | None
    code: str
    message: str


@dataclass(frozen=True)
class Job:
    """A file that is labelled by the service."""

    id: str
    state: str
    """`waiting`, `running`, `stopping`, `done`, `failed` or `cancelled`."""
    name: str
    """Of the file as it was sent."""
    rows: int
    """Done so far: labelled and rejected."""
    total: int | None
    """Rows of the file, when it has been read once."""
    rejects: int
    """Rows that could not be labelled."""
    model: str | None
    error: str | None
    """Why it failed, for people."""
    created: datetime | None
    started: datetime | None
    finished: datetime | None
    expires: datetime | None
    """Forgotten then, with its files."""

    @property
    def ended(self) -> bool:
        return self.state in ("done", "failed", "cancelled")


def job_of(document: Mapping[str, Any]) -> Job:
    return Job(
        id=document["id"],
        state=document["state"],
        name=document["name"],
        rows=document["rows"],
        total=document["total"],
        rejects=document["rejects"],
        model=document["model"],
        error=document["error"],
        created=_moment(document["created"]),
        started=_moment(document["started"]),
        finished=_moment(document["finished"]),
        expires=_moment(document["expires"]),
    )


def _moment(written: str | None) -> datetime | None:
    return None if written is None else datetime.fromisoformat(written.replace("Z", "+00:00"))


def result_of(document: Mapping[str, Any]) -> Prediction | Failure:
    if "error" in document:
        return Failure(document["id"], document["error"]["code"], document["error"]["message"])
    language = document["language"]
    return Prediction(
        id=document["id"],
        language=Language(language["code"], language["probability"], language["supported"]),
        answers={task: _answer(answer) for task, answer in document["answers"].items()},
        departments=tuple(document["departments"]),
        priority=document["priority"],
        repairs=tuple(document["repairs"]),
        warnings=tuple(document["warnings"]),
        model=document["model"],
    )


def _answer(document: Mapping[str, Any]) -> Answer:
    chosen = document.get("labels", [document])
    return Answer(tuple(_label(label) for label in chosen), document["abstained"], document.get("scores"))


def _label(document: Mapping[str, Any]) -> Label:
    sentences = tuple(Sentence(found["start"], found["end"], found["effect"]) for found in document.get("sentences", ()))
    return Label(document["label"], document["probability"], sentences)
