"""The yardstick: a plain Starlette application around the same stub, with nothing that a service needs."""

from __future__ import annotations

import os

from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from benchmarks.stub import StubClassifier
from serving.classifier import FeedbackClassifier


class Body(BaseModel):
    texts: list[str]


def make_bare(classifier: FeedbackClassifier) -> Starlette:
    def answer(texts: list[str]) -> list[dict[str, object]]:
        results = [classifier._predict_one(text, None, None, False) for text in texts]
        return [result.to_dict() for result in results]

    async def classify(request: Request) -> JSONResponse:
        body = Body.model_validate_json(await request.body())
        return JSONResponse({"results": await run_in_threadpool(answer, body.texts)})

    return Starlette(routes=[Route("/v1/classify", classify, methods=["POST"])])


if __name__ == "__main__":
    import uvicorn

    uvicorn.run(
        make_bare(StubClassifier.load(os.environ["MODEL_FOLDER"], threads=1)),
        port=int(os.environ["PORT"]),
        access_log=False,
        log_level="warning",
    )
