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
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.app import PATHS, WAITING_REQUESTS, Readiness, make_app
from serving.classifier import FeedbackClassifier, available_cores
from serving.door import Door
from serving.model_folder import ModelFolder
from serving.request import RequestError, check_count
from serving.settings import ServiceSettings

NAME = "feedback"
FRAMEWORK_PATHS = frozenset({"/classify", "/schema.json"})
LONGEST_REQUEST_S = 86_400
"""BentoML's own time limit, out of the way: the door keeps the one of the settings, and answers in our shape."""


class _Mounted:
    """Stands in for our application until the model is loaded. As a plain ASGI callable it also answers unknown paths."""

    app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert self.app is not None, "BentoML creates the service before it takes requests"
        await self.app(scope, receive, send)


_mounted = _Mounted()
_settings = ServiceSettings.from_environment()


@bentoml.service(
    name=NAME,
    workers=_settings.workers,
    threads=WAITING_REQUESTS,
    traffic={"timeout": LONGEST_REQUEST_S},
    logging={"access": {"enabled": False}},
    metrics={"enabled": False},
    tracing={"sample_rate": 0.0, "excluded_urls": ".*"},
)
@bentoml.asgi_app(_mounted, path="/")
class FeedbackService:
    """Sentiment, tone, categories and departments of feedback in Chinese, English and Persian."""

    def __init__(self) -> None:
        _quiet_framework()
        settings = ServiceSettings.from_environment()
        threads = settings.threads or max(1, available_cores() // settings.workers)
        self._settings = settings
        self._classifier = FeedbackClassifier.load(settings.model_folder, threads)
        self._readiness = Readiness(self._classifier)
        self._readiness.check()
        _mounted.app = make_app(self._classifier, settings, self._readiness)
        logger.info("Model %s is ready, %d threads", self._classifier.version, threads)

    @bentoml.on_deployment  # type: ignore[untyped-decorator]  # the same; it makes a static method
    def check_model_folder() -> None:
        """Run once before any worker starts: `bentoml serve` ends with the error instead of starting workers again and again."""
        ModelFolder.open(ServiceSettings.from_environment().model_folder)

    @bentoml.api  # type: ignore[untyped-decorator]  # BentoML gives it no types
    def classify(self, texts: list[str]) -> list[dict[str, Any]]:
        """One result for each text, in order; the same as POST /v1/classify with `texts`."""
        try:
            check_count(len(texts), "texts", self._settings)
        except RequestError as error:
            raise BentoMLException(error.message, error_code=HTTPStatus(error.status)) from None
        return [result.to_dict() for result in self._classifier.predict(texts)]

    def __is_ready__(self) -> bool:
        return self._readiness.check()


FeedbackService.add_asgi_middleware(Door, settings=_settings, routes=PATHS | FRAMEWORK_PATHS)  # type: ignore[attr-defined]  # the decorator made it a Service
logger = logging.getLogger(__name__)


class _WithoutTraceback(logging.Filter):
    """BentoML logs a traceback for each refused request, and the traceback holds the user's text."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info:
            kind = record.exc_info[0] if isinstance(record.exc_info, tuple) else None
            record.msg = f"{record.getMessage()}: {kind.__name__ if kind else 'error'}"
            record.args, record.exc_info, record.exc_text = (), None, None
        return True


def _quiet_framework() -> None:
    logging.getLogger("serving").setLevel(logging.INFO)
    for name in ("bentoml._internal.server.http_app", "bentoml.serve", "uvicorn.error"):
        logging.getLogger(name).addFilter(_WithoutTraceback())
