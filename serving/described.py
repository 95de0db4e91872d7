"""The pieces that the description of every route is made of (serving/openapi.py)."""

from __future__ import annotations

from typing import Any

from serving.request import VERSION_HEADER
from serving.schemas import Schema, reference

JSON = "application/json"
REFUSALS = {
    400: "Not UTF-8, not JSON, or nested too deeply.",
    401: "Keys are asked for, and this is none of them.",
    403: "The key may not do this.",
    404: "There is no such job, or it has expired; or it has no such file.",
    408: "The body did not come in time.",
    409: "Not now: the job is not done; or the folder holds no model that answers, and the one before goes on.",
    413: "The body is over the limit.",
    415: "Not `application/json`, or compressed; a job's file sent as a form.",
    416: "Beyond the end of the file.",
    422: "A field is wrong, or there are too many texts.",
    429: "More requests than the key may send, or jobs that have not ended than it may have; `Retry-After` says when to come back.",
    500: "Our fault; the request id finds it in the log.",
    503: "Overloaded, stopping or not ready; `Retry-After` says when to come back.",
    504: "Not answered in time.",
    507: "The file could not be stored.",
}
ANY = (401, 408, 413, 429, 500, 503, 504)
"""What any route but the probes may answer."""


def get(name: str, summary: str, schema: Schema) -> dict[str, Any]:
    return {"operationId": name, "summary": summary, "responses": {"200": answer(summary, schema), **refusals(*ANY)}}


def answer(text: str, schema: Schema, examples: dict[str, Any] | None = None) -> dict[str, Any]:
    content: dict[str, Any] = {"schema": schema}
    if examples:
        content["examples"] = {name: {"value": value} for name, value in examples.items()}
    return {"description": text, "headers": headers(), "content": {JSON: content}}


def headers() -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in ("X-Request-Id", VERSION_HEADER)}


def refusals(*statuses: int) -> dict[str, Any]:
    return {str(status): {"$ref": f"#/components/responses/{refusal_name(status)}"} for status in sorted(statuses)}


def refusal_name(status: int) -> str:
    return f"Refused{status}"


def refusal(status: int, text: str) -> dict[str, Any]:
    sent = headers()
    if status in (429, 503):
        sent["Retry-After"] = {"$ref": "#/components/headers/Retry-After"}
    content: dict[str, Any] = {"schema": reference("ErrorAnswer")}
    return {"description": text, "headers": sent, "content": {JSON: content}}
