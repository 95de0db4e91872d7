"""What a caller may send to be classified, checked once, with errors that never repeat what was sent."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, NoReturn

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from serving.settings import VARIABLES, ServiceSettings

API_VERSION = "1.0"
"""Of the interface: the first number is that of /v1, the second rises with what is added to it."""
VERSION_HEADER = "X-Api-Version"
"""Tells it in every answer of ours."""
MAX_ID_CHARACTERS = 200
MAX_FAULTS_NAMED = 5
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


_BRACKETS = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[][{}]', re.DOTALL)
"""Strings, so that they are passed over (one that does not end, to the end of the body), and brackets."""


class RequestError(Exception):
    """The request as a whole is wrong; becomes an error answer with this status."""

    def __init__(
        self, status: int, code: str, message: str, field: str | None = None, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        """Stable, for programs."""
        self.message = message
        self.field = field
        """Where in the body, in dots: `items.3.text`; None if it is no single field."""
        self.headers = headers or {}


def _whole_characters(value: Any) -> Any:
    """JSON can say half a character (an emoji cut in two); it becomes the sign for a lost one."""
    return _LONE_SURROGATE.sub("\ufffd", value) if isinstance(value, str) else value


Text = Annotated[str, BeforeValidator(_whole_characters)]


class Item(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    id: Annotated[str, Field(max_length=MAX_ID_CHARACTERS), BeforeValidator(_whole_characters)] | None = None
    text: Text
    language: Annotated[str, Field(pattern="^[a-z]{2,3}$")] | None = None


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    texts: list[Text] = []
    items: list[Item] = []
    tasks: list[str] = []
    scores: bool = False
    explain: bool = False


@dataclass(frozen=True)
class ClassifyRequest:
    texts: list[str]
    ids: list[str | None]
    languages: list[str | None]
    tasks: list[str] | None
    """Answers to give; None: all."""
    scores: bool
    explain: bool


def read_classify_request(body: bytes, settings: ServiceSettings, tasks: Sequence[str]) -> ClassifyRequest:
    """Parse and check a body of `POST /v1/classify`. RequestError says what is wrong, and in which field.

    tasks: names of those that the model answers.
    """
    check_nesting(body, settings)
    document = _parse(body)
    if not isinstance(document, dict):
        raise RequestError(422, "invalid_request", 'Send a JSON object: {"texts": ["..."]} or {"items": [{"text": "..."}]}.')
    given = [name for name in ("texts", "items") if name in document]
    if len(given) != 1:
        which = "both `texts` and `items`" if given else "neither `texts` nor `items`"
        raise RequestError(
            422, "invalid_request", f"The request has {which}. Send exactly one of them.", given[0] if given else None
        )
    listed = document[given[0]]
    if isinstance(listed, list):
        check_count(len(listed), given[0], settings, explain=document.get("explain") is True)
    try:
        parsed = Body.model_validate(document)
    except ValidationError as error:
        raise _refused(error) from None  # the original holds the text
    if "tasks" in document:
        _check_tasks(parsed.tasks, tasks)
    items = parsed.items or [Item(text=text) for text in parsed.texts]
    return ClassifyRequest(
        texts=[item.text for item in items],
        ids=[item.id for item in items],
        languages=[item.language for item in items],
        tasks=parsed.tasks or None,
        scores=parsed.scores,
        explain=parsed.explain,
    )


def _check_tasks(asked: list[str], tasks: Sequence[str]) -> None:
    known = ", ".join(tasks)
    if not asked:
        raise RequestError(422, "invalid_request", f"tasks: name at least one of {known}, or leave the field out.", "tasks")
    for place, task in enumerate(asked):
        if task not in tasks:
            raise RequestError(422, "invalid_request", f"tasks.{place}: no such task; this model has {known}.", f"tasks.{place}")


def check_nesting(body: bytes, settings: ServiceSettings) -> None:
    """RequestError if brackets outside of strings stand deeper than the settings allow; before anything is parsed."""
    if body.count(b"[") + body.count(b"{") <= settings.max_nesting:
        return
    depth = 0
    for found in _BRACKETS.finditer(body):
        mark = found[0]
        if mark in (b"[", b"{"):
            depth += 1
            if depth > settings.max_nesting:
                deepest, variable = settings.max_nesting, VARIABLES["max_nesting"]
                raise RequestError(400, "bad_json", f"The body is nested deeper than {deepest} levels ({variable}).")
        elif mark in (b"]", b"}"):
            depth -= 1


def check_count(count: int, field: str, settings: ServiceSettings, *, explain: bool = False) -> None:
    """RequestError if a request has more texts than the service takes."""
    setting = "max_explained_texts" if explain and settings.max_explained_texts < settings.max_texts else "max_texts"
    limit = getattr(settings, setting)
    if count > limit:
        kind = " to explain" if setting == "max_explained_texts" else ""
        raise RequestError(
            422,
            "too_many_texts",
            f"{count} texts{kind}; at most {limit} a request ({VARIABLES[setting]}). Send several requests.",
            field,
        )


def _parse(body: bytes) -> Any:
    try:
        return json.loads(body.decode("utf-8-sig"), parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise RequestError(400, "bad_json", f"The body is not UTF-8 (byte {error.start}).") from None
    except json.JSONDecodeError as error:
        raise RequestError(400, "bad_json", f"The body is not JSON: {error.msg} (character {error.pos}).") from None
    except RecursionError:
        raise RequestError(400, "bad_json", "The body is nested too deeply.") from None
    except ValueError:  # a number of thousands of digits, NaN or Infinity
        raise RequestError(400, "bad_json", "The body holds a number that JSON does not know or that is far too long.") from None


def _refuse_constant(_: str) -> NoReturn:
    raise ValueError("not JSON")


def _refused(error: ValidationError) -> RequestError:
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    fields = [".".join(str(part) for part in fault["loc"])[:MAX_ID_CHARACTERS] for fault in faults]
    message = f"{fields[0]}: {faults[0]['msg']}."
    if len(fields) > 1:
        message += f" Faults in {len(fields)} fields: {', '.join(fields[:MAX_FAULTS_NAMED])}"
        message += ", ..." if len(fields) > MAX_FAULTS_NAMED else "."
    return RequestError(422, "invalid_request", message, fields[0])
