"""Our routes as one ASGI application (contract in docs/serving.md), apart from the framework that mounts it."""

from __future__ import annotations

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from data.errors import ModelFolderError
from serving.classifier import FeedbackClassifier
from serving.door import PROBES, SCOPE_KEY, Door, JSONAnswer, RequestState, code_of, error_answer
from serving.model_folder import METRICS
from serving.openapi import OpenAPI
from serving.page import PAGES, page_routes
from serving.prediction import Failure
from serving.request import RequestError, read_classify_request
from serving.settings import ServiceSettings

WAITING_REQUESTS = 32
"""Requests whose texts are being classified at a time; their texts share the classifier's threads. More wait in turn."""
SELF_TEST = {
    "zh": "快递很慢，我想退款。",
    "en": "The parcel is late and I want a refund.",
    "fa": "بسته دیر رسید و پولم را می‌خواهم.",
}
PATHS = PROBES | PAGES | {"/v1/classify", "/v1/model", "/v1/taxonomy", "/openapi.json"}


class Readiness:
    """True once the model has really answered in all three languages."""

    def __init__(self, classifier: FeedbackClassifier) -> None:
        self._classifier = classifier
        self._lock = threading.Lock()
        self._passed = False

    def check(self) -> bool:
        """Run the self-test if it has not been passed. ModelFolderError if the model does not answer it."""
        with self._lock:
            if not self._passed:
                for language, result in zip(SELF_TEST, self._classifier.predict(list(SELF_TEST.values())), strict=True):
                    if isinstance(result, Failure):
                        raise ModelFolderError(
                            f"{self._classifier.folder.path}: self-test in '{language}' failed: {result.message}"
                        )
                    scores = [score for answer in result.answers.values() for score in answer.scores.values()]
                    if not all(0.0 <= score <= 1.0 for score in scores):  # false for NaN too
                        raise ModelFolderError(f"{self._classifier.folder.path}: self-test in '{language}' gave no probabilities.")
                self._passed = True
        return True


def make_app(classifier: FeedbackClassifier, settings: ServiceSettings, readiness: Readiness | None = None) -> Starlette:
    """The application that answers `/v1/...` and the probes with this classifier."""
    routes = _Routes(classifier, settings, readiness or Readiness(classifier))
    return Starlette(
        routes=[
            Route("/v1/classify", routes.classify, methods=["POST"]),
            Route("/v1/model", routes.model, methods=["GET"]),
            Route("/v1/taxonomy", routes.taxonomy, methods=["GET"]),
            Route("/openapi.json", routes.openapi, methods=["GET"]),
            *page_routes(),
            Route("/livez", routes.livez, methods=["GET"]),
            Route("/healthz", routes.livez, methods=["GET"]),
            Route("/readyz", routes.readyz, methods=["GET"]),
        ],
        middleware=[Middleware(Door, settings=settings, routes=PATHS), Middleware(_Own)],
        exception_handlers={HTTPException: _refused, RequestError: _wrong},
    )


class _Own:
    """Marks requests that reach our application: the door leaves their errors as they are."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            _state(scope).own = True
        await self.app(scope, receive, send)


class _Routes:
    def __init__(self, classifier: FeedbackClassifier, settings: ServiceSettings, readiness: Readiness) -> None:
        self._classifier = classifier
        self._settings = settings
        self._readiness = readiness
        self._threads = ThreadPoolExecutor(WAITING_REQUESTS, thread_name_prefix="request")
        self._model = model_document(classifier)
        self._taxonomy = taxonomy_document(classifier)
        self._openapi = OpenAPI(settings)

    async def classify(self, request: Request) -> Response:
        state = _state(request.scope)
        body = await request.body()
        # Parsing, classifying and writing all happen off the event loop, which stays free for other callers.
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._classify, body, state)

    def _classify(self, body: bytes, state: RequestState) -> Response:
        asked = read_classify_request(body, self._settings, self._classifier.taxonomy.task_names)
        state.texts = len(asked.texts)
        results = self._classifier.predict(asked.texts, asked.ids, asked.languages, explain=asked.explain)
        return JSONAnswer(
            {
                "results": [result.to_dict(asked.scores, asked.tasks) for result in results],
                "model": self._classifier.version,
                "request_id": state.id,
            }
        )

    async def model(self, request: Request) -> Response:
        return JSONAnswer(self._model)

    async def taxonomy(self, request: Request) -> Response:
        return JSONAnswer(self._taxonomy)

    async def openapi(self, request: Request) -> Response:
        make = self._openapi.document
        return JSONAnswer(await asyncio.get_running_loop().run_in_executor(self._threads, make, self._classifier))

    async def livez(self, request: Request) -> Response:
        return JSONAnswer({"status": "alive"})

    async def readyz(self, request: Request) -> Response:
        try:
            await asyncio.get_running_loop().run_in_executor(self._threads, self._readiness.check)
        except ModelFolderError as error:
            raise RequestError(503, "not_ready", "The model does not answer its self-test.") from error
        return JSONAnswer({"status": "ready", "model": self._classifier.version})


def model_document(classifier: FeedbackClassifier) -> dict[str, Any]:
    """What serves: version, manifest and metrics."""
    folder = classifier.folder
    metrics = json.loads((folder.path / METRICS).read_text("utf-8"))
    return {"model": folder.version, "manifest": dict(folder.manifest), "metrics": metrics}


def taxonomy_document(classifier: FeedbackClassifier) -> dict[str, Any]:
    """Tasks and labels in order, with names in three languages, as they hold for the model that serves."""
    document = classifier.taxonomy.to_dict()
    for task in classifier.taxonomy:
        document["tasks"][task.name]["labels"] = [
            {
                "name": label.name,
                "display": dict(label.display),
                "about": label.about,
                "departments": list(label.departments),
                "exclusive": label.exclusive,
            }
            for label in task.labels
        ]
    return {"model": classifier.version, **document}


def _state(scope: Scope) -> RequestState:
    state: RequestState = scope[SCOPE_KEY]
    return state


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    messages = {404: "There is no such path.", 405: "This path does not take that method."}
    message = messages.get(error.status_code, str(error.detail))
    return error_answer(
        _state(request.scope),
        RequestError(error.status_code, code_of(error.status_code), message, headers=dict(error.headers or {})),
    )


async def _wrong(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError)
    return error_answer(_state(request.scope), error)
