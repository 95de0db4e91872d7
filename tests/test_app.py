"""The HTTP contract: one result an item, errors in place, one shape of errors, limits, and no text in any log."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from serving.app import PATHS, make_app
from serving.classifier import FeedbackClassifier
from serving.door import Door
from serving.reception import Reception
from serving.settings import ServiceSettings

SETTINGS = ServiceSettings(max_texts=4, max_body_bytes=4096)
TEXTS = ["快递太差，我要退款", "terrible parcel, I want a refund", "بسته افتضاح بود، بازپرداخت می‌خواهم"]


@pytest.fixture(scope="module")
def client(classifier: FeedbackClassifier) -> Iterator[TestClient]:
    with TestClient(make_app(classifier, SETTINGS)) as client:
        yield client


def post(client: TestClient, content: bytes | str, content_type: str = "application/json") -> Any:
    return client.post("/v1/classify", content=content, headers={"content-type": content_type})


def error_of(response: Any, status: int, code: str) -> dict[str, Any]:
    """Check that an answer has the one shape of errors and return what stands in it."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    assert list(response.json()) == ["error"]
    error: dict[str, Any] = response.json()["error"]
    assert list(error) == ["code", "message", "field", "request_id"]
    assert error["code"] == code
    assert error["request_id"] == response.headers["x-request-id"]
    return error


# What is answered -------------------------------------------------------------------------------------------------------


def test_texts_get_one_result_each_in_order_as_the_classifier_gives_them(
    client: TestClient, classifier: FeedbackClassifier
) -> None:
    response = client.post("/v1/classify", json={"texts": TEXTS})
    assert response.status_code == 200
    body = response.json()
    assert list(body) == ["results", "model", "request_id"]
    assert body["results"] == [result.to_dict() for result in classifier.predict(TEXTS)]
    assert body["model"] == classifier.version
    assert body["request_id"] == response.headers["x-request-id"]
    assert [result["language"]["code"] for result in body["results"]] == ["zh", "en", "fa"]
    assert "快递" not in response.text  # texts are not sent back
    assert "negative" in response.text


def test_items_keep_their_ids_and_languages(client: TestClient) -> None:
    items = [{"id": "b", "text": TEXTS[0]}, {"id": "a", "text": TEXTS[1], "language": "fa"}, {"text": TEXTS[2]}]
    results = client.post("/v1/classify", json={"items": items}).json()["results"]
    assert [result["id"] for result in results] == ["b", "a", None]
    assert results[1]["language"] == {"code": "fa", "probability": 1.0, "supported": True}


def test_scores_are_given_when_asked_for(client: TestClient) -> None:
    plain = client.post("/v1/classify", json={"texts": ["great"]}).json()["results"][0]
    scored = client.post("/v1/classify", json={"texts": ["great"], "scores": True}).json()["results"][0]
    assert "scores" not in plain["answers"]["tone"]
    assert len(scored["answers"]["tone"].pop("scores")) == 6


def test_only_the_tasks_asked_for_are_answered_and_the_rest_stays(client: TestClient) -> None:
    whole = client.post("/v1/classify", json={"texts": TEXTS}).json()["results"]
    part = client.post("/v1/classify", json={"texts": TEXTS, "tasks": ["category", "sentiment"]}).json()["results"]
    for all_answers, some in zip(whole, part, strict=True):
        assert list(some["answers"]) == ["sentiment", "category"]  # the taxonomy's order
        assert all_answers["answers"].pop("tone")
        assert some == all_answers


def test_explained_labels_name_their_sentences_and_nothing_else_changes(client: TestClient) -> None:
    text = "خيلي ممنون. ｐａｒｃｅｌ افتضاح!  " + TEXTS[0]
    plain = client.post("/v1/classify", json={"texts": [text, " "]}).json()["results"]
    explained = client.post("/v1/classify", json={"texts": [text, " "], "explain": True}).json()["results"]
    assert explained[1] == plain[1]
    delivery = next(label for label in explained[0]["answers"]["category"]["labels"] if label["label"] == "delivery")
    named = [text[sentence["start"] : sentence["end"]] for sentence in delivery["sentences"]]
    assert named[0] in ("ｐａｒｃｅｌ افتضاح!", TEXTS[0])
    for answer in explained[0]["answers"].values():
        for label in answer.get("labels", [answer]):
            assert all(-1 <= sentence["effect"] <= 1 for sentence in label.pop("sentences"))
    assert explained[0] == plain[0]


def test_no_texts_give_no_results(client: TestClient) -> None:
    assert client.post("/v1/classify", json={"texts": []}).json()["results"] == []


def test_an_item_that_cannot_be_classified_has_its_error_in_its_place(client: TestClient) -> None:
    items = [{"id": "1", "text": "great"}, {"id": "2", "text": " "}, {"id": "3", "text": "y" * 2001}, {"id": "4", "text": "عالی"}]
    response = client.post("/v1/classify", json={"items": items})
    assert response.status_code == 200
    good, blank, long, also_good = response.json()["results"]
    assert blank == {"id": "2", "error": {"code": "empty", "message": blank["error"]["message"]}}
    assert long["error"]["code"] == "too_long"
    assert (good["id"], also_good["id"]) == ("1", "4")
    assert good["answers"]["sentiment"]["label"] == also_good["answers"]["sentiment"]["label"] == "positive"


def test_half_an_emoji_spoils_nothing_and_comes_back_as_json(client: TestClient) -> None:
    response = post(client, b'{"items": [{"id": "\\ud83d", "text": "great \\ud83d"}, {"text": "great"}]}')
    assert response.status_code == 200
    half, whole = response.json()["results"]
    assert half["id"] == "\ufffd"
    assert whole["answers"]["sentiment"]["label"] == "positive"


def test_a_request_id_of_the_caller_is_kept_and_a_strange_one_is_not(client: TestClient) -> None:
    kept = client.post("/v1/classify", json={"texts": []}, headers={"x-request-id": "order-42.a"})
    assert kept.json()["request_id"] == "order-42.a"
    strange = client.post("/v1/classify", json={"texts": []}, headers={"x-request-id": "a b\tc"})
    assert strange.json()["request_id"] not in ("", "a b\tc")


def test_characters_are_sent_as_they_are(client: TestClient) -> None:
    assert "正面".encode() in client.get("/v1/taxonomy").content


# What is refused --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        ({}, None, "neither `texts` nor `items`"),
        ({"texts": ["a"], "items": []}, "texts", "both `texts` and `items`"),
        ({"texts": "great"}, "texts", "valid list"),
        ({"texts": ["great", 5]}, "texts.1", "valid string"),
        ({"texts": ["great", None]}, "texts.1", "valid string"),
        ({"items": ["great"]}, "items.0", "valid dictionary"),
        ({"items": [{"id": "1"}]}, "items.0.text", "Field required"),
        ({"items": [{"text": "a", "id": 1}]}, "items.0.id", "valid string"),
        ({"items": [{"text": "a", "id": "x" * 201}]}, "items.0.id", "at most 200 characters"),
        ({"items": [{"text": "a", "language": "Persian"}]}, "items.0.language", "pattern"),
        ({"items": [{"text": "a", "txet": "b"}]}, "items.0.txet", "not permitted"),
        ({"texts": ["a"], "score": True}, "score", "not permitted"),
        ({"texts": ["a"], "scores": "yes"}, "scores", "valid boolean"),
        ({"texts": ["a"], "explain": 1}, "explain", "valid boolean"),
        ({"texts": ["a"], "explain": None}, "explain", "valid boolean"),
        ({"texts": None}, "texts", "valid list"),
        ({"items": None}, "items", "valid list"),
        ({"texts": ["a"], "tasks": None}, "tasks", "valid list"),
        ({"texts": ["a"], "tasks": "tone"}, "tasks", "valid list"),
        ({"texts": ["a"], "tasks": []}, "tasks", "at least one of sentiment, tone, category"),
        ({"texts": ["a"], "tasks": ["tone", "mood"]}, "tasks.1", "no such task; this model has sentiment, tone, category"),
        (["great"], None, "Send a JSON object"),
        ("great", None, "Send a JSON object"),
    ],
)
def test_a_request_that_is_wrong_as_a_whole_names_the_field(client: TestClient, body: Any, field: str | None, message: str) -> None:
    error = error_of(client.post("/v1/classify", json=body), 422, "invalid_request")
    assert error["field"] == field
    assert message in error["message"]


def test_several_faults_are_told_at_once(client: TestClient) -> None:
    error = error_of(client.post("/v1/classify", json={"texts": [1, "a", 2]}), 422, "invalid_request")
    assert "Faults in 2 fields: texts.0, texts.2." in error["message"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "not JSON"),
        (b'{"texts": ["great"', "not JSON"),
        (b'{"texts": [NaN]}', "a number that JSON does not know"),
        (b'{"texts": [' + b"9" * 4500 + b"]}", "a number that JSON does not know or that is far too long"),
        (b"[" * 4000, "JSON|nested"),
        ('{"texts": ["خوب"]}'.encode("cp1256"), "not UTF-8"),
        (b"\xff\xfe\x00", "not UTF-8"),
    ],
    ids=["nothing", "cut", "nan", "digits", "deep", "cp1256", "binary"],
)
def test_a_body_that_is_no_json_is_refused(model_path: Any, classifier: FeedbackClassifier, body: bytes, message: str) -> None:
    settings = ServiceSettings(max_body_bytes=8192)
    with TestClient(make_app(classifier, settings)) as client:
        error = error_of(post(client, body), 400, "bad_json")
    assert any(part in error["message"] for part in message.split("|"))


def test_too_many_texts_are_refused_with_the_limit_and_its_setting(client: TestClient) -> None:
    for field, body in (("texts", {"texts": ["a"] * 5}), ("items", {"items": [{"text": "a"}] * 5})):
        error = error_of(client.post("/v1/classify", json=body), 422, "too_many_texts")
        assert error["field"] == field
        assert "5 texts; at most 4 a request (FEEDBACK_MAX_TEXTS)" in error["message"]


def test_fewer_texts_may_be_explained_than_classified(classifier: FeedbackClassifier) -> None:
    settings = ServiceSettings(max_texts=4, max_explained_texts=2)
    with TestClient(make_app(classifier, settings)) as client:
        assert client.post("/v1/classify", json={"texts": ["great"] * 2, "explain": True}).status_code == 200
        assert client.post("/v1/classify", json={"texts": ["great"] * 4, "explain": False}).status_code == 200
        error = error_of(client.post("/v1/classify", json={"texts": ["great"] * 3, "explain": True}), 422, "too_many_texts")
        assert "3 texts to explain; at most 2 a request (FEEDBACK_MAX_EXPLAINED_TEXTS)" in error["message"]


def test_a_body_over_the_limit_is_refused_by_its_length(client: TestClient) -> None:
    error = error_of(client.post("/v1/classify", json={"texts": ["x" * 5000]}), 413, "too_large")
    assert "over 4096 bytes (FEEDBACK_MAX_BODY_BYTES)" in error["message"]


def test_a_body_over_the_limit_is_refused_while_it_is_read() -> None:
    """Chunks without a length: the door stops at the limit and never calls the application."""
    sent: list[Any] = []
    read = 0

    async def endless() -> dict[str, Any]:
        nonlocal read
        read += 1
        return {"type": "http.request", "body": b"x" * 1000, "more_body": True}

    async def send(message: Any) -> None:
        sent.append(message)

    async def never(*_: Any) -> None:
        raise AssertionError("the application was called")

    scope = {"type": "http", "method": "POST", "path": "/v1/classify", "headers": [(b"content-type", b"application/json")]}
    asyncio.run(Door(never, Reception(SETTINGS))(scope, endless, send))
    assert read == 5
    assert sent[0]["status"] == 413
    assert json.loads(sent[1]["body"])["error"]["code"] == "too_large"


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "application/vnd.bentoml+pickle", ""])
def test_only_json_is_taken(client: TestClient, content_type: str) -> None:
    error = error_of(post(client, '{"texts": ["great"]}', content_type), 415, "unsupported_media_type")
    assert "Content-Type: application/json" in error["message"]


def test_json_with_a_charset_is_taken_and_a_compressed_body_is_not(client: TestClient) -> None:
    assert post(client, '{"texts": ["great"]}', "application/json; charset=utf-8").status_code == 200
    response = client.post("/v1/classify", json={"texts": []}, headers={"content-encoding": "gzip"})
    error_of(response, 415, "unsupported_media_type")


def test_unknown_paths_and_methods_have_the_same_shape(client: TestClient) -> None:
    error_of(client.get("/v1/nothing"), 404, "not_found")
    response = client.get("/v1/classify")
    error_of(response, 405, "method_not_allowed")
    assert response.headers["allow"] == "POST"
    error_of(client.post("/v1/model", json={}), 405, "method_not_allowed")


# What is told of the model and the service ------------------------------------------------------------------------------


def test_the_model_tells_its_manifest_and_metrics(client: TestClient, classifier: FeedbackClassifier) -> None:
    body = client.get("/v1/model").json()
    assert list(body) == ["model", "manifest", "metrics"]
    assert body["model"] == body["manifest"]["model_version"] == classifier.version
    assert body["metrics"] == {"note": "not trained"}


def test_the_taxonomy_tells_tasks_and_labels_in_order_with_names(client: TestClient, classifier: FeedbackClassifier) -> None:
    body = client.get("/v1/taxonomy").json()
    assert tuple(body["tasks"]) == classifier.taxonomy.task_names
    first = body["tasks"]["sentiment"]["labels"][0]
    assert list(first) == ["name", "display", "about", "departments", "exclusive"]
    assert first["display"] == {"zh": "正面", "en": "positive", "fa": "مثبت"}


def test_it_is_alive_and_ready_after_real_inference(client: TestClient, classifier: FeedbackClassifier) -> None:
    assert client.get("/livez").json() == {"status": "alive"}
    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").json() == {"status": "ready", "model": classifier.version}


class Broken(FeedbackClassifier):
    """Loads, and answers with what is no number."""

    def network(self, windows: Any) -> Any:
        return np.full((len(windows), self.taxonomy.size), np.nan, dtype=np.float32)


def test_a_model_that_gives_no_probabilities_is_never_ready(model_path: Any) -> None:
    classifier = Broken.load(model_path, threads=1)
    with TestClient(make_app(classifier, SETTINGS)) as client:
        error = error_of(client.get("/readyz"), 503, "not_ready")
        assert "self-test" in error["message"]
        assert client.get("/livez").status_code == 200
    classifier.close()


class Slow(FeedbackClassifier):
    """Answers when it is let go."""

    gate = threading.Event()

    def network(self, windows: Any) -> Any:
        self.gate.wait(10)
        return super().network(windows)


def test_a_request_that_takes_too_long_is_told_so(model_path: Any) -> None:
    classifier = Slow.load(model_path, threads=1)
    with TestClient(make_app(classifier, ServiceSettings(request_seconds=1))) as client:
        error = error_of(client.post("/v1/classify", json={"texts": ["great"]}), 504, "timeout")
        assert "within 1 seconds (FEEDBACK_REQUEST_SECONDS)" in error["message"]
        assert client.get("/livez").status_code == 200  # the event loop stayed free
    Slow.gate.set()
    classifier.close()


# What is logged ---------------------------------------------------------------------------------------------------------

MARKER = "MARKER_7f3a"


class Crashing(FeedbackClassifier):
    def read(self, text: str, code: str | None) -> Any:
        raise RuntimeError(f"cannot read {text}")


def test_no_log_holds_a_text_also_when_it_is_refused_or_the_service_crashes(
    model_path: Any, client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    client.post("/v1/classify", json={"items": [{"id": MARKER, "text": MARKER}]})
    client.post("/v1/classify", json={"texts": [MARKER, 5]})
    client.post("/v1/classify", json={MARKER: [MARKER]})
    client.post(f"/v1/classify?text={MARKER}", json={"texts": MARKER})
    post(client, f'{{"texts": ["{MARKER}')
    post(client, MARKER, "text/plain")
    client.get(f"/v1/{MARKER}")
    classifier = Crashing.load(model_path, threads=1)
    with TestClient(make_app(classifier, SETTINGS)) as crashing:
        error = error_of(crashing.post("/v1/classify", json={"texts": [MARKER]}), 500, "internal_error")
    classifier.close()
    ours = [record for record in caplog.records if record.name.startswith("serving")]
    assert MARKER not in "".join(record.getMessage() + str(record.exc_text) + str(record.exc_info) for record in ours)
    assert MARKER not in error["message"]
    lines = [record.getMessage() for record in ours]
    assert any("RuntimeError at test_app.py" in line and error["request_id"] in line for line in lines)
    assert sum(line.startswith("POST /v1/classify 200 texts=1 ms=") for line in lines) == 1
    assert sum(line.startswith("POST /v1/classify 415 texts=0 ms=") for line in lines) == 1
    assert sum(line.startswith("- - 404 texts=0 ms=") for line in lines) == 1


def test_every_path_of_ours_is_named_in_the_log(classifier: FeedbackClassifier) -> None:
    app = make_app(classifier, SETTINGS)
    assert {route.path for route in app.routes if isinstance(route, Route)} == PATHS


# What the framework around it answers -----------------------------------------------------------------------------------


def test_errors_of_the_framework_come_out_in_our_shape() -> None:
    async def report(_: Request) -> JSONResponse:
        detail = [{"loc": ["texts", 0], "msg": "Input should be a valid string", "type": "string_type"}]
        return JSONResponse({"error": "1 validation error for Input", "detail": detail}, 400)

    async def listed(_: Request) -> JSONResponse:
        return JSONResponse([{"error": "300 texts"}], 422)

    async def plain(_: Request) -> PlainTextResponse:
        return PlainTextResponse("Service is not ready because ...", 503, headers={"retry-after": "5"})

    async def fine(_: Request) -> JSONResponse:
        return JSONResponse([{"id": None}])

    routes = [Route(f"/{view.__name__}", view) for view in (report, listed, plain, fine)]
    with TestClient(Starlette(routes=routes, middleware=[Middleware(Door, reception=Reception(SETTINGS))])) as client:
        error = error_of(client.get("/report"), 400, "invalid_request")
        assert (error["field"], error["message"]) == ("texts.0", "Input should be a valid string.")
        assert error_of(client.get("/listed"), 422, "invalid_request")["message"] == "300 texts."
        response = client.get("/plain")
        assert error_of(response, 503, "not_ready")["message"] == "Service Unavailable."
        assert response.headers["retry-after"] == "5"
        error_of(client.get("/nowhere"), 404, "not_found")
        assert client.get("/fine").json() == [{"id": None}]
        assert client.get("/fine").headers["x-request-id"]
