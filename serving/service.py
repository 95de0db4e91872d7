"""The BentoML service: our application (serving/app.py) mounted in it, and beside it one typed API for BentoML's own clients.

BentoML's access log, metrics and tracing are off: together they cost several times our own work a request, and its log writes
users' text. The door (serving/door.py) stands before every route, BentoML's too.
"""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

import bentoml
from bentoml.exceptions import BentoMLException
from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from serving import logs, supervisor
from serving.answer import REQUEST_ID_HEADER, RequestState
from serving.app import make_app, paths_of
from serving.classifier import FeedbackClassifier, available_cores
from serving.door import CURRENT, FRAMEWORK_PATHS, Classify, Door
from serving.job_process import keep_worker, prepare_jobs
from serving.keys import KeyRing
from serving.model_folder import ModelFolder
from serving.reception import Reception
from serving.request import VERSION_HEADER, RequestError, check_count
from serving.served import ServedModel
from serving.settings import ServiceSettings

NAME = "feedback"
LATER_S = 10
"""How much later than the door, which answers in our shape, BentoML ends a request."""
logger = logging.getLogger(__name__)


class _Mounted:
    """Stands in for our application until the model is loaded. As a plain ASGI callable it also answers unknown paths."""

    app: ASGIApp | None = None
    classify: Classify | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert self.app is not None, "BentoML creates the service before it takes requests"
        await self.app(scope, receive, send)

    async def answer(self, body: bytes, state: RequestState) -> Response:
        assert self.classify is not None, "the same"
        return await self.classify(body, state)


_mounted = _Mounted()
_settings = ServiceSettings.from_environment()
_reception = Reception(_settings)


@bentoml.service(
    name=NAME,
    workers=_settings.workers,
    threads=_settings.max_in_flight,
    traffic={"timeout": _settings.request_seconds + LATER_S},
    logging={"access": {"enabled": False}},
    metrics={"enabled": False},
    tracing={"sample_rate": 0.0, "excluded_urls": ".*"},
)
@bentoml.asgi_app(_mounted, path="/")
class FeedbackService:
    """Sentiment, tone, categories and departments of feedback in Chinese, English and Persian."""

    def __init__(self) -> None:
        logs.configure(_settings.log_format)
        self._served = ServedModel(_load(), _load, _reception.metrics)
        self._served.check()
        _mounted.app = app = make_app(self._served, _reception)
        _mounted.classify = app.state.classify
        _reception.drain.install()
        keep_worker(_settings)
        supervisor.reload_on_hangup(self._served)
        supervisor.end_with_supervisor()
        logger.info("Model %s is ready", self._served.classifier.version)

    @bentoml.on_deployment  # type: ignore[untyped-decorator]  # the same; it makes a static method
    def check_before_start() -> None:
        """Run once before any worker starts: `bentoml serve` ends with the error instead of starting workers again and again."""
        settings = ServiceSettings.from_environment()
        KeyRing(settings)
        prepare_jobs(settings)
        ModelFolder.open(settings.model_folder)
        supervisor.prepare(settings)

    @bentoml.api  # type: ignore[untyped-decorator]  # BentoML gives it no types
    def classify(self, texts: list[str]) -> list[dict[str, Any]]:
        """One result for each text, in order; the same as POST /v1/classify with `texts`."""
        try:
            check_count(len(texts), "texts", _settings)
        except RequestError as error:
            raise BentoMLException(error.message, error_code=HTTPStatus(error.status)) from None
        state = CURRENT.get()
        results = self._served.classifier.predict(texts, watch=state.watch if state else None)
        if state is not None:
            state.texts = len(texts)
            _reception.metrics.predicted(results)
        return [result.to_dict() for result in results]

    def __is_ready__(self) -> bool:
        return not _reception.drain.begun and self._served.check()


def _load() -> FeedbackClassifier:
    return FeedbackClassifier.load(
        _settings.model_folder,
        _settings.threads or max(1, available_cores() // _settings.workers),
        max_characters=_settings.max_characters,
        cache_texts=_settings.cache_texts,
    )


class _Outermost:
    """Puts our door before all of BentoML's own middleware, which costs more than the rest of a request and keeps a timer of
    every request until its time limit has passed."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            framework: Starlette = scope["app"]
            assert framework.middleware_stack is not None, "it is what calls us"
            framework.middleware_stack = _guarded(framework.middleware_stack)
        await self.app(scope, receive, send)


def _guarded(app: ASGIApp) -> ASGIApp:
    door = Door(app, reception=_reception, routes=paths_of(_settings) | FRAMEWORK_PATHS, own=_mounted, classify=_mounted.answer)
    if not _settings.cors_origins:
        return door
    return CORSMiddleware(  # outside the door: a browser's question before the request carries no key
        door,
        allow_origins=_settings.cors_origins,
        allow_methods=("GET", "POST", "DELETE"),
        allow_headers=("authorization", "content-type", REQUEST_ID_HEADER.decode()),
        expose_headers=(REQUEST_ID_HEADER.decode(), VERSION_HEADER, "server-timing", "retry-after"),
    )


FeedbackService.add_asgi_middleware(_Outermost)  # type: ignore[attr-defined]  # the decorator made it a Service
