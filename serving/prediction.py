"""What the classifier says of a message (contract 4 of docs/contracts.md), the same in Python, over HTTP and in files."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from data.language import Language

PROBABILITY_DIGITS = 4
"""Decimals of a probability wherever it leaves the process."""
WARNINGS = ("garbled", "unsupported_language", "mixed_language")
"""What a prediction may warn of."""
FAILURES = ("empty", "too_long", "not_text")
"""Why a message cannot be classified."""


@dataclass(frozen=True)
class Sentence:
    """A sentence of the message that carried a label."""

    start: int
    """Where it begins in the message as it was sent, in characters (code points)."""
    end: int
    """Where it ends: the character after its last."""
    effect: float | None
    """What the label's probability loses without it, -1 to 1; None where the message is this one sentence."""

    def to_dict(self) -> dict[str, Any]:
        return {"start": self.start, "end": self.end, "effect": None if self.effect is None else _rounded(self.effect)}


@dataclass(frozen=True)
class Choice:
    label: str
    probability: float
    """Calibrated, 0 to 1."""
    sentences: tuple[Sentence, ...] | None = None
    """Those that carried the label, the strongest first; None unless asked for."""

    def to_dict(self) -> dict[str, Any]:
        chosen: dict[str, Any] = {"label": self.label, "probability": _rounded(self.probability)}
        if self.sentences is not None:
            chosen["sentences"] = [sentence.to_dict() for sentence in self.sentences]
        return chosen


@dataclass(frozen=True)
class Answer:
    """The answer to one task."""

    choices: tuple[Choice, ...]
    """The chosen labels in the taxonomy's order: exactly one of a single task, any number of a multi task."""
    single: bool
    abstained: bool
    """The best answer is under the task's threshold: such a message is for a person."""
    scores: Mapping[str, float]
    """Calibrated probability of every label of the task."""

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(choice.label for choice in self.choices)

    def to_dict(self, scores: bool = False) -> dict[str, Any]:
        chosen = [choice.to_dict() for choice in self.choices]
        answer: dict[str, Any] = chosen[0] if self.single else {"labels": chosen}
        answer["abstained"] = self.abstained
        if scores:
            answer["scores"] = {label: _rounded(score) for label, score in self.scores.items()}
        return answer


@dataclass(frozen=True)
class Prediction:
    id: str | None
    language: Language
    answers: Mapping[str, Answer]
    """By task, in the taxonomy's order."""
    departments: tuple[str, ...]
    priority: int
    repairs: tuple[str, ...]
    """What was mended in the text before it was read."""
    warnings: tuple[str, ...]
    model: str
    """Version of the model that answered."""

    @property
    def abstained(self) -> tuple[str, ...]:
        return tuple(task for task, answer in self.answers.items() if answer.abstained)

    def to_dict(self, scores: bool = False, tasks: Collection[str] | None = None) -> dict[str, Any]:
        """The JSON form. scores: add the probability of every label. tasks: only the answers to these; all if None."""
        return {
            "id": self.id,
            "language": {
                "code": self.language.code,
                "probability": _rounded(self.language.probability),
                "supported": self.language.supported,
            },
            "answers": {task: answer.to_dict(scores) for task, answer in self.answers.items() if tasks is None or task in tasks},
            "departments": list(self.departments),
            "priority": self.priority,
            "repairs": list(self.repairs),
            "warnings": list(self.warnings),
            "model": self.model,
        }


@dataclass(frozen=True)
class Failure:
    """Stands in the place of a prediction for a message that cannot be classified."""

    id: str | None
    code: str
    """`empty`, `too_long` or `not_text`."""
    message: str

    def to_dict(self, scores: bool = False, tasks: Collection[str] | None = None) -> dict[str, Any]:
        return {"id": self.id, "error": {"code": self.code, "message": self.message}}


def _rounded(probability: float) -> float:
    return round(float(probability), PROBABILITY_DIGITS) + 0.0  # no -0.0
