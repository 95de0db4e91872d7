"""What every request passes, ours or the framework's: a request id, limits, one shape of errors, a log without any text."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import time
from collections.abc import Awaitable, Callable
from contextvars import ContextVar

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.admission import stopping
from serving.answer import REQUEST_ID_HEADER, SCOPE_KEY, Answer, RequestState
from serving.job_routes import PATHS as JOBS
from serving.job_routes import route_of
from serving.logs import RequestLine, where
from serving.metrics import METHODS, OTHER
from serving.page import PAGES
from serving.reception import Reception
from serving.request import RequestError
from serving.settings import VARIABLES

logger = logging.getLogger(__name__)

READINESS = "/readyz"
PROBES = frozenset({"/livez", "/healthz", READINESS})
"""Asked every few seconds, without a key: in the log only where they fail."""
OPEN = PROBES | PAGES
"""Need no key."""
TYPED = "/classify"
FRAMEWORK_PATHS = frozenset({TYPED, "/schema.json"})
"""What BentoML answers; all else is ours."""
CLASSIFY = "/v1/classify"
WORK = frozenset({CLASSIFY, TYPED})
"""What takes a place while it is answered."""
TRANSFER_SECONDS = 3600
"""In which a job's file must have come, or its result have gone."""
LOOK_OUT_AFTER_S = 0.05
CLIENT_CLOSED_REQUEST = 499
"""Stands in the log and the metrics where the caller hung up; nobody is answered it."""
HUNG_UP, CUT = "hung up", "cut"
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")

CURRENT: ContextVar[RequestState | None] = ContextVar("feedback.request", default=None)
"""The request that BentoML's typed function answers."""


Classify = Callable[[bytes, RequestState], Awaitable[Response]]


class Door:
    """ASGI middleware. Mounted twice (around our application and around the framework's) it acts once."""

    def __init__(
        self,
        app: ASGIApp,
        reception: Reception,
        routes: frozenset[str] = frozenset(),
        own: ASGIApp | None = None,
        classify: Classify | None = None,
    ) -> None:
        """routes: paths that may stand in logs and metrics; any other may hold anything.
        own: our application, asked directly and not through the framework around it, which costs as much again.
        classify: answers CLASSIFY with the body that was read, without going through routing.
        """
        self.app = app
        self.reception = reception
        self.settings = reception.settings
        self.routes = routes
        self.own = own
        self.classify = classify
        self.own_routes = routes - FRAMEWORK_PATHS if own is not None else frozenset()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or SCOPE_KEY in scope:
            await self.app(scope, receive, send)
            return
        headers: dict[bytes, bytes] = dict(scope["headers"])
        asked = headers.get(REQUEST_ID_HEADER, b"")
        state = RequestState(asked.decode() if _REQUEST_ID.fullmatch(asked) else os.urandom(16).hex())
        route = scope["path"] if scope["path"] in self.routes else route_of(scope["path"])
        if route in self.routes:
            state.route = route
        scope[SCOPE_KEY] = state
        answer = Answer(state, send, lambda: self.reception.drain.begun)
        try:
            async with asyncio.timeout(self.settings.body_seconds) as limit:
                await self._pass(scope, headers, receive, answer, limit)
        except RequestError as error:
            await answer.fail(scope, receive, error)
        except _HungUp:
            state.end = HUNG_UP
        except TimeoutError as error:
            if state.end != HUNG_UP:
                await answer.fail(scope, receive, self._ended(state) if limit.expired() else _crashed(state, error))
        except Exception as error:
            await answer.fail(scope, receive, _crashed(state, error))
        finally:
            state.watch.stop()  # where there was no answer, texts that have not begun are not run
            if state.end == HUNG_UP:
                state.status = CLIENT_CLOSED_REQUEST
            self._note(scope["method"], headers, state)

    async def _pass(
        self, scope: Scope, headers: dict[bytes, bytes], receive: Receive, answer: Answer, limit: asyncio.Timeout
    ) -> None:
        """Ask the reception, read the body, and let the application answer."""
        state = answer.state
        if state.route not in OPEN:
            state.key = self.reception.identify(headers.get(b"authorization", b"").decode("latin-1"))
        elif state.route == READINESS and self.reception.drain.begun:
            raise RequestError(503, "stopping", "This process of the service is stopping.", headers={"retry-after": "1"})
        if state.route in WORK and scope["method"] == "POST":  # others take no body, and refuse the method by themselves
            _check_type(headers)
        app = self.own if self.own is not None and state.route in self.own_routes else self.app
        if state.route in JOBS:  # files of any size, in and out: nothing is read here, and it may take its time
            state.reading = False
            limit.reschedule(asyncio.get_running_loop().time() + TRANSFER_SECONDS)
            await app(scope, receive, answer.send)
            return
        if state.route not in WORK or scope["method"] != "POST":
            body = await self._read(headers, receive)
            self._work_begins(state, limit)
            await app(scope, _replay(body, receive), answer.send)
            return

        def end(why: str) -> None:
            state.end = why
            limit.reschedule(asyncio.get_running_loop().time())

        def cut() -> None:
            end(CUT)

        admission = self.reception.admission
        admission.enter(cut)
        try:
            body = await self._read(headers, receive)
            self._work_begins(state, limit)
            with _Lookout(receive, lambda: end(HUNG_UP)):
                await admission.turn()
                placed = time.perf_counter()
                state.watch.waited_s = placed - state.started
                self.reception.rooms()
                if state.route == TYPED:
                    CURRENT.set(state)  # its function is not given the request
                try:
                    if self.classify is not None and state.route == CLASSIFY:
                        state.own = True
                        response = await self.classify(body, state)
                        await response(scope, receive, answer.send)
                    else:
                        await app(scope, _replay(body, receive), answer.send)
                finally:
                    admission.free(time.perf_counter() - placed)
                    self.reception.rooms()
        finally:
            admission.leave(cut)

    def _work_begins(self, state: RequestState, limit: asyncio.Timeout) -> None:
        state.reading = False
        passed = time.perf_counter() - state.started
        limit.reschedule(asyncio.get_running_loop().time() + self.settings.request_seconds - passed)

    def _note(self, method: str, headers: dict[bytes, bytes], state: RequestState) -> None:
        """Count the request, write its line into the log and, where traces are on, its span."""
        seconds = time.perf_counter() - state.started
        route = state.route
        metrics = self.reception.metrics
        metrics.answered(method, route if route != "-" else OTHER, state.status, seconds)
        if state.code is not None:
            metrics.rejected(state.code)
        watch = state.watch
        if state.texts and state.status == 200:
            metrics.classified(state.texts, watch.waited_s, watch.reading_s, watch.network_s, watch.cached)
        level = logging.DEBUG if route in PROBES and state.status == 200 else logging.INFO
        if logger.isEnabledFor(level):
            logger.log(level, RequestLine(method if route != "-" and method in METHODS else "-", state, seconds))
        if self.reception.tracing is not None:
            attributes: dict[str, str | int | float] = {
                "http.request.method": method if method in METHODS else OTHER,
                "http.route": route if route != "-" else OTHER,
                "http.response.status_code": state.status,
                "feedback.request_id": state.id,
                "feedback.texts": state.texts,
                "feedback.queue_ms": watch.waited_s * 1000,
                "feedback.tokenizing_ms": watch.reading_s * 1000,
                "feedback.inference_ms": watch.network_s * 1000,
            }
            parent = headers.get(b"traceparent", b"").decode("latin-1")
            self.reception.tracing.request(str(attributes["http.route"]), parent, seconds, attributes, state.status >= 500)

    async def _read(self, headers: dict[bytes, bytes], receive: Receive) -> bytes:
        """The whole body; refused as soon as it is over the limit, at best before a byte of it was read."""
        limit = self.settings.max_body_bytes
        announced = headers.get(b"content-length", b"")
        if announced.isdigit() and int(announced) > limit:
            raise self._too_large()
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _HungUp
            chunk: bytes = message.get("body", b"")
            if len(body) + len(chunk) > limit:
                raise self._too_large()
            if not message.get("more_body", False):
                return bytes(body + chunk) if body else chunk
            body += chunk

    def _too_large(self) -> RequestError:
        limit, variable = self.settings.max_body_bytes, VARIABLES["max_body_bytes"]
        # The rest of the body is not read, so the connection cannot be used again.
        return RequestError(
            413,
            "too_large",
            f"The body is over {limit} bytes ({variable}). Send fewer texts a request.",
            headers={"connection": "close"},
        )

    def _ended(self, state: RequestState) -> RequestError:
        """Why a request was ended before it was answered."""
        if state.end == CUT:
            return stopping()
        if state.reading:
            seconds, variable = self.settings.body_seconds, VARIABLES["body_seconds"]
            why = f"The body did not come within {seconds} seconds ({variable})."
            return RequestError(408, "body_timeout", why, headers={"connection": "close"})
        seconds, variable = self.settings.request_seconds, VARIABLES["request_seconds"]
        return RequestError(504, "timeout", f"No answer within {seconds} seconds ({variable}). Send fewer texts a request.")


class _Lookout:
    """Notices that the caller hung up. It begins to look only after a while: most answers are out before."""

    def __init__(self, receive: Receive, hung_up: Callable[[], None]) -> None:
        self._receive = receive
        self._hung_up = hung_up
        self._task: asyncio.Task[None] | None = None

    def __enter__(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(LOOK_OUT_AFTER_S, self._begin)

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        if self._task is not None:
            self._task.cancel()

    def _begin(self) -> None:
        self._task = asyncio.ensure_future(self._look())

    async def _look(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            await asyncio.sleep(LOOK_OUT_AFTER_S)  # a server that says something else all the time
        self._hung_up()


class _HungUp(Exception):
    """The caller went away before the body was whole."""


def _check_type(headers: dict[bytes, bytes]) -> None:
    kind = headers.get(b"content-type", b"")
    if kind != b"application/json" and kind.partition(b";")[0].strip().lower() != b"application/json":
        raise RequestError(415, "unsupported_media_type", "Send JSON with the header Content-Type: application/json.")
    if headers.get(b"content-encoding", b"identity").strip().lower() != b"identity":
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


def _crashed(state: RequestState, error: Exception) -> RequestError:
    """Log where it happened, not what was said: messages of exceptions may hold the text."""
    logger.error("request=%s failed: %s at %s", state.id, type(error).__name__, where(error.__traceback__))
    return RequestError(500, "internal_error", "The service failed to answer. The request id helps to find it in the log.")
