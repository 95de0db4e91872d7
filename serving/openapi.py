"""Our OpenAPI document: every route, exact for the model and the settings that serve, with real answers as examples."""

from __future__ import annotations

from typing import Any

from serving.classifier import FeedbackClassifier
from serving.described import ANY, JSON, REFUSALS, answer, get, refusal, refusal_name, refusals
from serving.job_openapi import job_paths
from serving.request import API_VERSION, VERSION_HEADER
from serving.schemas import Schema, reference, schemas
from serving.settings import VARIABLES, ServiceSettings

EXAMPLES = {
    "zh": "手机很好用。可是快递太慢了，等了一个星期！我想退款。",
    "en": "The phone itself is great. But the parcel came a week late and nobody answers my calls!",
    "fa": "گوشي عالي بود. ولی بسته یک هفته دیر رسید و پشتیبانی هم جواب نمی‌دهد!",
}
"""Messages composed for this document; the Persian one has Arabic letters, to show a repair."""


class OpenAPI:
    """The document of the model that serves, made when it is first asked for and again for another model."""

    def __init__(self, settings: ServiceSettings) -> None:
        self._settings = settings
        self._made: tuple[str, dict[str, Any]] | None = None

    def document(self, classifier: FeedbackClassifier) -> dict[str, Any]:
        made = self._made
        if made is None or made[0] != classifier.version:
            made = self._made = (classifier.version, openapi_document(classifier, self._settings))
        return made[1]


def openapi_document(classifier: FeedbackClassifier, settings: ServiceSettings) -> dict[str, Any]:
    """The document as it holds for this model; the examples are this model's answers."""
    taxonomy = classifier.taxonomy
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Feedback classifier",
            "version": API_VERSION,
            "description": _introduction(classifier, settings),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{}, {"key": []}],
        "paths": {
            "/v1/classify": {"post": _classify(classifier)},
            "/v1/model": {"get": get("model", "Version, manifest and metrics of what serves", reference("Model"))},
            "/v1/model/reload": {"post": _reload()},
            "/v1/taxonomy": {"get": get("taxonomy", "Tasks and labels, named in three languages", reference("Taxonomy"))},
            "/livez": {"get": _probe("livez", "Whether the process runs", reference("Alive"))},
            "/healthz": {"get": _probe("healthz", "The same as /livez", reference("Alive"))},
            "/readyz": {
                "get": _probe("readyz", "Whether it answers: after real inference, before draining", reference("Ready"), 503)
            },
            "/v1/limits": {"get": get("limits", "What one request may hold", reference("Limits"))},
            "/metrics": {"get": _metrics()},
            "/openapi.json": {"get": get("openapi", "This document", {"type": "object", "required": ["openapi", "info", "paths"]})},
            "/classify": {"post": _typed(settings)},
            "/schema.json": {"get": get("schema", "BentoML's own description of its typed API", {"type": "object"})},
            **job_paths(settings),
        },
        "components": {
            "schemas": schemas(taxonomy, settings),
            "responses": {refusal_name(status): refusal(status, text) for status, text in REFUSALS.items()},
            "headers": {
                "X-Request-Id": {"description": "The caller's own, or a new one.", "required": True, "schema": {"type": "string"}},
                VERSION_HEADER: {"description": "Of the interface.", "schema": {"type": "string"}},
                "Retry-After": {"description": "Seconds.", "schema": {"type": "string", "pattern": "^[0-9]+$"}},
                "Location": {"description": "Path of the job.", "required": True, "schema": {"type": "string"}},
            },
            "parameters": {
                "RequestId": {
                    "name": "X-Request-Id",
                    "in": "header",
                    "description": "Kept where it is of letters, digits and `._-`, 64 at most; else a new one is made.",
                    "schema": {"type": "string"},
                }
            },
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "Where keys are set up; the probes need none."}
            },
        },
    }


def _introduction(classifier: FeedbackClassifier, settings: ServiceSettings) -> str:
    return (
        "Sentiment, tone, categories, departments and priority of customer feedback in Chinese, English and Persian.\n\n"
        f"Model `{classifier.version}`: a message has {classifier.max_characters:,} characters at most, a request "
        f"{settings.max_texts} messages (`{VARIABLES['max_texts']}`) and {settings.max_body_bytes:,} bytes "
        f"(`{VARIABLES['max_body_bytes']}`).\n\n"
        "Within `/v1` fields, tasks, labels and codes may be added, never taken away or given another meaning: ignore what you do "
        f"not know. `{VERSION_HEADER}` in every answer tells the version. What is to go is announced by the headers `Deprecation` "
        "and `Sunset` at least 180 days before."
    )


def _classify(classifier: FeedbackClassifier) -> dict[str, Any]:
    names = {"zh": "Chinese", "en": "English", "fa": "Persian"}
    asked: dict[str, Any] = {code: {"items": [{"id": code, "text": text}], "explain": True} for code, text in EXAMPLES.items()}
    asked["together"] = {"texts": [*EXAMPLES.values(), " "]}
    return {
        "operationId": "classify",
        "summary": "Classify messages",
        "description": "One result an item, in order. An item that cannot be classified has its own error in its place.",
        "parameters": [{"$ref": "#/components/parameters/RequestId"}],
        "requestBody": {
            "required": True,
            "content": {
                JSON: {
                    "schema": reference("ClassifyRequest"),
                    "examples": {
                        name: {"summary": names.get(name, "Several, one of them empty"), "value": body}
                        for name, body in asked.items()
                    },
                }
            },
        },
        "responses": {
            "200": answer(
                "What the model says of each message",
                reference("ClassifyAnswer"),
                {name: _answered(body, classifier) for name, body in asked.items()},
            ),
            **refusals(400, 415, 422, *ANY),
        },
    }


def _answered(body: dict[str, Any], classifier: FeedbackClassifier) -> dict[str, Any]:
    """What the service answers to a body."""
    items = body.get("items") or [{"text": text} for text in body["texts"]]
    ids, explain = [item.get("id") for item in items], body.get("explain", False)
    results = classifier.predict([item["text"] for item in items], ids, explain=explain)
    return {
        "results": [result.to_dict() for result in results],
        "model": classifier.version,
        "request_id": "3dfda6bb2bad4930a428fb2c1412d4e5",
    }


def _typed(settings: ServiceSettings) -> dict[str, Any]:
    body = {
        "type": "object",
        "properties": {"texts": {"type": "array", "items": {"type": "string"}, "maxItems": settings.max_texts}},
    }
    return {
        "operationId": "classify_typed",
        "summary": "The same for BentoML's own clients",
        "description": "`SyncHTTPClient(url).classify(texts=[...])`. Answers 400 where /v1/classify answers 422.",
        "requestBody": {"required": True, "content": {JSON: {"schema": {**body, "required": ["texts"]}}}},
        "responses": {
            "200": answer("The results, as in /v1/classify", {"type": "array", "items": reference("Result")}),
            **refusals(400, 415, 422, *ANY),
        },
    }


def _reload() -> dict[str, Any]:
    summary = "Load the model folder anew, where it has changed"
    return {
        "operationId": "reload",
        "summary": summary,
        "description": "Needs a key that is marked admin. The model before answers until the new one has passed its self-test.",
        "security": [{"key": []}],
        "responses": {"200": answer(summary, reference("Reloaded")), **refusals(403, 409, *ANY)},
    }


def _metrics() -> dict[str, Any]:
    described = get("metrics", "Metrics for Prometheus", {"type": "string"})
    given = described["responses"]["200"]
    given["content"] = {"text/plain": given["content"][JSON]}
    return described


def _probe(name: str, summary: str, schema: Schema, *statuses: int) -> dict[str, Any]:
    answers = {"200": answer(summary, schema), **refusals(408, 413, 500, *statuses)}
    return {"operationId": name, "summary": summary, "security": [{}], "responses": answers}
