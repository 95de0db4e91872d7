"""An answer on its way out: the request's id, one shape of errors (the framework's too), how long each stage took."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from serving.keys import Key
from serving.request import API_VERSION, VERSION_HEADER, RequestError
from serving.watch import Watch

REQUEST_ID_HEADER = b"x-request-id"
SCOPE_KEY = "feedback.request"
MAX_TRANSLATED_BYTES = 65_536
_KEPT = (b"allow", b"retry-after", b"content-range")
"""Headers of the framework's errors that stay."""
_VERSION = (VERSION_HEADER.lower().encode(), API_VERSION.encode())
_CODES = {401: "unauthorized", 403: "forbidden", 404: "not_found", 405: "method_not_allowed", 408: "body_timeout",
          413: "too_large", 415: "unsupported_media_type", 422: "invalid_request", 429: "rate_limited", 500: "internal_error",
          503: "not_ready", 504: "timeout"}  # fmt: skip


@dataclass
class RequestState:
    """What is known of a request while it is answered; in the scope under SCOPE_KEY."""

    id: str
    own: bool = False
    """Answered by our application: its errors have their shape already."""
    route: str = "-"
    """The path where it is one of ours. Any other is never logged."""
    texts: int = 0
    started: float = field(default_factory=time.perf_counter)
    status: int = 0
    code: str | None = None
    """Of the error that was answered."""
    key: Key | None = None
    """The caller's, where keys are needed."""
    watch: Watch = field(default_factory=Watch)
    reading: bool = True
    """Its body is still being read."""
    end: str | None = None
    """Why it ended without an answer of the application: HUNG_UP or CUT."""


class JSONAnswer(Response):
    """JSON in UTF-8, characters as they are; half a character, which UTF-8 cannot hold, as JSON's escape of it."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8", "backslashreplace")


def error_answer(state: RequestState, error: RequestError) -> JSONAnswer:
    """The one shape of errors."""
    state.code = error.code
    body = {"code": error.code, "message": error.message, "field": error.field, "request_id": state.id}
    return JSONAnswer({"error": body}, error.status, error.headers)


def code_of(status: int) -> str:
    """The code of an error that has none of its own."""
    return _CODES.get(status, "invalid_request" if status < 500 else "internal_error")


class Answer:
    """Sends an answer with the request's id; errors of the framework are held back and translated into our shape."""

    def __init__(self, state: RequestState, send: Send, last: Callable[[], bool]) -> None:
        """last: whether the connection is to be closed behind the answer, because the service is on its way out."""
        self.state = state
        self._send = send
        self._last = last
        self._held: Message | None = None
        self._body = bytearray()

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            if message["status"] >= 400 and not self.state.own:
                self._held = message
                return
            self.state.status = message["status"]
            added = [(REQUEST_ID_HEADER, self.state.id.encode()), _VERSION, (b"x-content-type-options", b"nosniff")]
            if self.state.texts:
                added.append((b"server-timing", _server_timing(self.state.watch)))
            given = message.get("headers", [])
            if self._last() and not any(name == b"connection" for name, _ in given):
                added.append((b"connection", b"close"))
            message["headers"] = [*given, *added]
        elif self._held is not None:
            self._body += message.get("body", b"")[: MAX_TRANSLATED_BYTES - len(self._body)]
            if message.get("more_body", False):
                return
            error = _translate(self._held, bytes(self._body))
            self._held, self.state.own = None, True
            await error_answer(self.state, error)({"type": "http"}, _nothing, self.send)
            return
        await self._send(message)

    async def fail(self, scope: Scope, receive: Receive, error: RequestError) -> None:
        if self.state.status:
            return  # an answer has begun; the server closes the connection
        self._held, self.state.own = None, True
        await error_answer(self.state, error)(scope, receive, self.send)


def _server_timing(watch: Watch) -> bytes:
    """Milliseconds by stage, as browsers and `curl -v` show them."""
    stages = (("queue", watch.waited_s), ("tokenizing", watch.reading_s), ("inference", watch.network_s))
    return ", ".join(f"{name};dur={seconds * 1000:.2f}" for name, seconds in stages).encode()


async def _nothing() -> Message:
    return {"type": "http.disconnect"}


def _translate(start: Message, body: bytes) -> RequestError:
    """An error of the framework: a pydantic report, `{"error": ...}`, a list of it, or plain text."""
    status = int(start["status"])
    message, where = HTTPStatus(status).phrase, None
    try:
        document = json.loads(body)
    except ValueError:
        document = None
    if isinstance(document, list) and document:
        document = document[0]
    if isinstance(document, dict) and status < 500:
        message = str(document.get("error", message))
        detail = document.get("detail")
        if isinstance(detail, list) and detail and isinstance(detail[0], dict):
            where = ".".join(str(part) for part in detail[0].get("loc", ()))
            message = str(detail[0].get("msg", message))
    kept = {name.decode(): value.decode("latin-1") for name, value in start.get("headers", []) if name in _KEPT}
    return RequestError(status, code_of(status), message if message.endswith(".") else message + ".", where or None, kept)
