"""Our routes as one ASGI application (contract in docs/serving.md), apart from the framework that mounts it."""

from __future__ import annotations

import asyncio
import json
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from data.errors import FeedbackError, ModelFolderError
from serving.answer import SCOPE_KEY, JSONAnswer, RequestState, code_of, error_answer
from serving.classifier import FeedbackClassifier
from serving.door import FRAMEWORK_PATHS, PROBES, TYPED, Door
from serving.job_routes import PATHS as JOB_PATHS
from serving.job_routes import job_routes
from serving.model_folder import METRICS
from serving.openapi import OpenAPI
from serving.page import PAGES, page_routes
from serving.reception import Reception
from serving.request import RequestError, read_classify_request
from serving.served import ServedModel
from serving.settings import ServiceSettings
from serving.supervisor import reload_siblings

logger = logging.getLogger(__name__)

PATHS = (
    PROBES | PAGES | {"/v1/classify", "/v1/model", "/v1/model/reload", "/v1/taxonomy", "/v1/limits", "/openapi.json", "/metrics"}
)


def paths_of(settings: ServiceSettings) -> frozenset[str]:
    """Paths of ours that may stand in logs and metrics."""
    return PATHS if settings.jobs_folder is None else PATHS | JOB_PATHS


def make_app(model: FeedbackClassifier | ServedModel, reception: Reception | ServiceSettings) -> Starlette:
    """The application that answers `/v1/...`, the probes and `/metrics` with this model."""
    reception = Reception(reception) if isinstance(reception, ServiceSettings) else reception
    served = ServedModel(model) if isinstance(model, FeedbackClassifier) else model
    routes = _Routes(served, reception)
    app = Starlette(
        routes=[
            Route("/v1/classify", routes.classify, methods=["POST"]),
            Route("/v1/model", routes.model, methods=["GET"]),
            Route("/v1/model/reload", routes.reload, methods=["POST"]),
            Route("/v1/taxonomy", routes.taxonomy, methods=["GET"]),
            Route("/v1/limits", routes.limits, methods=["GET"]),
            Route("/openapi.json", routes.openapi, methods=["GET"]),
            *page_routes(),
            Route("/livez", routes.livez, methods=["GET"]),
            Route("/healthz", routes.livez, methods=["GET"]),
            Route("/readyz", routes.readyz, methods=["GET"]),
            Route("/metrics", routes.metrics, methods=["GET"]),
            *job_routes(reception.settings),
        ],
        middleware=[Middleware(Door, reception=reception, routes=paths_of(reception.settings)), Middleware(_Own)],
        exception_handlers={HTTPException: _refused, RequestError: _wrong},
    )
    app.state.classify = routes.answer  # for a door that stands further out
    return app


class _Own:
    """Marks requests that reach our application: the door leaves their errors as they are."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            _state(scope).own = True
        await self.app(scope, receive, send)


class _Routes:
    def __init__(self, served: ServedModel, reception: Reception) -> None:
        self._served = served
        self._reception = reception
        self._settings = reception.settings
        self._openapi = OpenAPI(reception.settings)
        self._threads = ThreadPoolExecutor(self._settings.max_in_flight, thread_name_prefix="request")

    async def classify(self, request: Request) -> Response:
        state = _state(request.scope)
        return await self.answer(await request.body(), state)

    async def answer(self, body: bytes, state: RequestState) -> Response:
        """Answer a body of POST /v1/classify."""
        # Parsing, classifying and writing all happen off the event loop, which stays free for other callers.
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._classify, body, state)

    def _classify(self, body: bytes, state: RequestState) -> Response:
        classifier = self._served.classifier  # the same one to the end, though another may take its place meanwhile
        asked = read_classify_request(body, self._settings, classifier.taxonomy.task_names)
        results = classifier.predict(asked.texts, asked.ids, asked.languages, explain=asked.explain, watch=state.watch)
        state.texts = len(asked.texts)
        self._reception.metrics.predicted(results)
        return JSONAnswer(
            {
                "results": [result.to_dict(asked.scores, asked.tasks) for result in results],
                "model": classifier.version,
                "request_id": state.id,
            }
        )

    async def model(self, request: Request) -> Response:
        return JSONAnswer(model_document(self._served.classifier))

    async def taxonomy(self, request: Request) -> Response:
        return JSONAnswer(taxonomy_document(self._served.classifier))

    async def limits(self, request: Request) -> Response:
        return JSONAnswer(limits_document(self._served.classifier, self._settings))

    async def openapi(self, request: Request) -> Response:
        make = self._openapi.document
        return JSONAnswer(await asyncio.get_running_loop().run_in_executor(None, make, self._served.classifier))

    async def livez(self, request: Request) -> Response:
        return JSONAnswer({"status": "alive"})

    async def readyz(self, request: Request) -> Response:
        try:
            await asyncio.get_running_loop().run_in_executor(None, self._served.check)
        except ModelFolderError as error:
            raise RequestError(503, "not_ready", "The model does not answer its self-test.") from error
        return JSONAnswer({"status": "ready", "model": self._served.classifier.version})

    async def metrics(self, request: Request) -> Response:
        self._reception.rooms(asked=True)
        text = await asyncio.get_running_loop().run_in_executor(None, self._reception.metrics.text)
        return Response(text, media_type=self._reception.metrics.content_type)

    async def reload(self, request: Request) -> Response:
        key = _state(request.scope).key
        if key is None or not key.admin:
            message = "Loading another model needs a key that is marked admin; see docs/serving.md, Keys."
            raise RequestError(403, "forbidden", message)
        try:
            before, after = await asyncio.get_running_loop().run_in_executor(None, self._served.reload)
        except FeedbackError as error:
            # The path of the folder stays in the log.
            logger.error("The model stays as it was: %s", error)
            message = f"The folder holds no model that answers; {self._served.classifier.version} goes on. The log says why."
            raise RequestError(409, "reload_failed", message) from error
        if after != before:
            reload_siblings(self._settings)
        return JSONAnswer({"model": after, "before": before, "changed": after != before})


def model_document(classifier: FeedbackClassifier) -> dict[str, Any]:
    """What serves: version, manifest and metrics."""
    folder = classifier.folder
    metrics = json.loads((folder.path / METRICS).read_text("utf-8"))
    return {"model": folder.version, "manifest": dict(folder.manifest), "metrics": metrics}


def limits_document(classifier: FeedbackClassifier, settings: ServiceSettings) -> dict[str, int]:
    """What one request may hold."""
    return {
        "texts": settings.max_texts,
        "explained_texts": min(settings.max_texts, settings.max_explained_texts),
        "characters": classifier.max_characters,
        "body_bytes": settings.max_body_bytes,
    }


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
    if error.status_code == 404 and request.url.path in FRAMEWORK_PATHS:  # BentoML has the path, not with this method
        error = HTTPException(405, headers={"allow": "POST" if request.url.path == TYPED else "GET"})
    messages = {404: "There is no such path.", 405: "This path does not take that method."}
    message = messages.get(error.status_code, str(error.detail))
    return error_answer(
        _state(request.scope),
        RequestError(error.status_code, code_of(error.status_code), message, headers=dict(error.headers or {})),
    )


async def _wrong(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError)
    return error_answer(_state(request.scope), error)
