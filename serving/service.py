"""The BentoML service: our application (serving/app.py) mounted in it, and beside it one typed API for BentoML's own clients.

BentoML's access log, metrics and tracing are off: together they cost several times our own work a request, and its log writes
users' text. The door (serving/door.py) stands before every route, BentoML's too.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from http import HTTPStatus
from pathlib import Path
from typing import Any

import bentoml
from bentoml.exceptions import BentoMLException
from starlette.types import ASGIApp, Receive, Scope, Send

from data.errors import ConfigError
from serving.app import WAITING_REQUESTS, Readiness, make_app
from serving.classifier import FeedbackClassifier, available_cores
from serving.door import Door
from serving.model_folder import ModelFolder
from serving.request import RequestError, check_count
from serving.settings import VARIABLES, ServiceSettings

NAME = "feedback"
IMPORT_PATH = "serving.service:FeedbackService"
LONGEST_REQUEST_S = 86_400
"""BentoML's own time limit, out of the way: the door keeps the one of the settings, and answers in our shape."""
NO_TRACKING = {"BENTOML_DO_NOT_TRACK": "True"}


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


FeedbackService.add_asgi_middleware(Door, settings=_settings)  # type: ignore[attr-defined]  # the decorator made it a Service
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


def serve(model_folder: str | Path | None = None, host: str = "127.0.0.1", port: int = 3000, workers: int = 1) -> int:
    """Serve a model folder until interrupted; returns BentoML's exit code (on Linux and macOS this process becomes BentoML's).

    model_folder: MODEL_FOLDER or the shipped model if None. The other settings come from the environment.
    Raises ModelFolderError or ConfigError before anything is started.
    """
    environment = {**os.environ, **NO_TRACKING, VARIABLES["workers"]: str(workers)}
    if model_folder is not None:
        environment[VARIABLES["model_folder"]] = str(model_folder)
    settings = ServiceSettings.from_environment(environment)
    if not 0 < port < 65_536:
        raise ConfigError(f"port is {port}; write a number from 1 to 65535")
    folder = ModelFolder.open(settings.model_folder)
    environment[VARIABLES["model_folder"]] = str(folder.path.resolve())  # the server starts in another folder
    root = str(Path(__file__).resolve().parent.parent)
    command = [sys.executable, "-m", "bentoml", "serve", IMPORT_PATH, "--host", host, "--port", str(port), "--working-dir", root]
    if os.name == "posix":
        sys.stdout.flush()
        os.execve(command[0], command, environment)  # this process becomes the server: signals reach it
    process = subprocess.Popen(command, env=environment)
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue  # the server got it too and finishes what is in flight
