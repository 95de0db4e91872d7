"""What every request passes, ours or the framework's: a request id, limits, one shape of errors, a log without any text."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.request import API_VERSION, VERSION_HEADER, RequestError
from serving.settings import VARIABLES, ServiceSettings

logger = logging.getLogger(__name__)

REQUEST_ID_HEADER = "x-request-id"
SCOPE_KEY = "feedback.request"
PROBES = frozenset({"/livez", "/healthz", "/readyz"})
"""Asked every few seconds: in the log only where they fail."""
MAX_TRANSLATED_BYTES = 65_536
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_CODES = {404: "not_found", 405: "method_not_allowed", 413: "too_large", 415: "unsupported_media_type", 422: "invalid_request",
          429: "too_many_requests", 500: "internal_error", 503: "not_ready", 504: "timeout"}  # fmt: skip


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


class JSONAnswer(Response):
    """JSON in UTF-8, characters as they are; half a character, which UTF-8 cannot hold, as JSON's escape of it."""

    media_type = "application/json"

    def __init__(self, content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(content, status, {VERSION_HEADER: API_VERSION, **(headers or {})})

    def render(self, content: Any) -> bytes:
        return json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8", "backslashreplace")


def error_answer(state: RequestState, error: RequestError) -> JSONAnswer:
    """The one shape of errors."""
    body = {"code": error.code, "message": error.message, "field": error.field, "request_id": state.id}
    return JSONAnswer({"error": body}, error.status, error.headers)


def code_of(status: int) -> str:
    """The code of an error that has none of its own."""
    return _CODES.get(status, "invalid_request" if status < 500 else "internal_error")


class Door:
    """ASGI middleware. Mounted twice (around our application and around the framework's) it acts once."""

    def __init__(self, app: ASGIApp, settings: ServiceSettings, routes: frozenset[str] = frozenset()) -> None:
        """routes: paths that may stand in the log; any other may hold anything."""
        self.app = app
        self.settings = settings
        self.routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or SCOPE_KEY in scope:
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        asked = headers.get(REQUEST_ID_HEADER, "")
        state = RequestState(asked if _REQUEST_ID.fullmatch(asked) else uuid.uuid4().hex)
        if scope["path"] in self.routes:
            state.route = scope["path"]
        scope[SCOPE_KEY] = state
        answer = _Answer(state, send)
        try:
            _check_type(scope["method"], headers)
            async with asyncio.timeout(self.settings.request_seconds) as limit:
                body = await self._read(headers, receive)
                await self.app(scope, _replay(body, receive), answer.send)
        except RequestError as error:
            await answer.fail(scope, receive, error)
        except _HungUp:
            state.status = 499
        except TimeoutError as error:
            await answer.fail(scope, receive, self._late() if limit.expired() else _crashed(state, error))
        except Exception as error:
            await answer.fail(scope, receive, _crashed(state, error))
        finally:
            milliseconds = (time.perf_counter() - state.started) * 1000
            method = scope["method"] if state.route != "-" else "-"
            level = logging.DEBUG if state.route in PROBES and state.status == 200 else logging.INFO
            line = "%s %s %d texts=%d ms=%.1f request=%s"
            logger.log(level, line, method, state.route, state.status, state.texts, milliseconds, state.id)

    async def _read(self, headers: Headers, receive: Receive) -> bytes:
        """The whole body; refused as soon as it is over the limit, at best before a byte of it was read."""
        limit = self.settings.max_body_bytes
        announced = headers.get("content-length", "")
        if announced.isdigit() and int(announced) > limit:
            raise self._too_large()
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _HungUp
            body += message.get("body", b"")
            if len(body) > limit:
                raise self._too_large()
            if not message.get("more_body", False):
                return bytes(body)

    def _too_large(self) -> RequestError:
        limit, variable = self.settings.max_body_bytes, VARIABLES["max_body_bytes"]
        # The rest of the body is not read, so the connection cannot be used again.
        return RequestError(
            413,
            "too_large",
            f"The body is over {limit} bytes ({variable}). Send fewer texts a request.",
            headers={"connection": "close"},
        )

    def _late(self) -> RequestError:
        seconds, variable = self.settings.request_seconds, VARIABLES["request_seconds"]
        return RequestError(504, "timeout", f"No answer within {seconds} seconds ({variable}). Send fewer texts a request.")


class _HungUp(Exception):
    """The caller went away before the body was whole."""


class _Answer:
    """Sends an answer with the request's id; errors of the framework are held back and translated into our shape."""

    def __init__(self, state: RequestState, send: Send) -> None:
        self._state = state
        self._send = send
        self._held: Message | None = None
        self._body = bytearray()

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            if message["status"] >= 400 and not self._state.own:
                self._held = message
                return
            self._state.status = message["status"]
            message["headers"] = [*message.get("headers", []), (REQUEST_ID_HEADER.encode(), self._state.id.encode())]
        elif self._held is not None:
            self._body += message.get("body", b"")[: MAX_TRANSLATED_BYTES - len(self._body)]
            if message.get("more_body", False):
                return
            error = _translate(self._held, bytes(self._body))
            self._held, self._state.own = None, True
            await error_answer(self._state, error)({"type": "http"}, _nothing, self.send)
            return
        await self._send(message)

    async def fail(self, scope: Scope, receive: Receive, error: RequestError) -> None:
        if self._state.status:
            return  # an answer has begun; the server closes the connection
        self._held, self._state.own = None, True
        await error_answer(self._state, error)(scope, receive, self.send)


def _check_type(method: str, headers: Headers) -> None:
    if method not in ("POST", "PUT", "PATCH"):
        return
    kind = headers.get("content-type", "").split(";")[0].strip().lower()
    if kind != "application/json":
        raise RequestError(415, "unsupported_media_type", "Send JSON with the header Content-Type: application/json.")
    if headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise RequestError(415, "unsupported_media_type", "Send the body uncompressed.")


def _replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the body that was read, then what comes after it."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


async def _nothing() -> Message:
    return {"type": "http.disconnect"}


def _crashed(state: RequestState, error: Exception) -> RequestError:
    """Log where it happened, not what was said: messages of exceptions may hold the text."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else "?"
    logger.error("request=%s failed: %s at %s", state.id, type(error).__name__, where)
    return RequestError(500, "internal_error", "The service failed to answer. The request id helps to find it in the log.")


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
    kept = {
        name.decode(): value.decode("latin-1") for name, value in start.get("headers", []) if name in (b"allow", b"retry-after")
    }
    return RequestError(status, code_of(status), message if message.endswith(".") else message + ".", where or None, kept)
