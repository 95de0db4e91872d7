"""The OpenAPI document: every route, real examples, and neither more nor less than what is taken and given."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from documented import Documented
from jsonschema import Draft202012Validator
from starlette.routing import Route
from starlette.testclient import TestClient
from tiny_model import make_tiny_model

from data.taxonomy import Taxonomy
from serving.app import make_app
from serving.classifier import FeedbackClassifier
from serving.openapi import EXAMPLES, openapi_document
from serving.page import PAGES
from serving.request import API_VERSION, VERSION_HEADER
from serving.settings import ServiceSettings

SETTINGS = ServiceSettings(max_texts=5, max_explained_texts=2, max_body_bytes=8192)
FRAMEWORK = {"/classify", "/schema.json"}


@pytest.fixture(scope="module")
def client(classifier: FeedbackClassifier) -> Iterator[TestClient]:
    with TestClient(make_app(classifier, SETTINGS)) as client:
        yield client


@pytest.fixture(scope="module")
def documented(client: TestClient) -> Documented:
    return Documented(client.get("/openapi.json").json())


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if "$ref" in part:
            yield part["$ref"]
        for inner in part.values():
            yield from references(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from references(inner)


def test_every_route_is_in_the_document_and_nothing_else(classifier: FeedbackClassifier, documented: Documented) -> None:
    app = make_app(classifier, SETTINGS)
    served = {
        (route.path, method) for route in app.routes if isinstance(route, Route) for method in (route.methods or set()) - {"HEAD"}
    }
    described = {(path, method.upper()) for path, methods in documented.document["paths"].items() for method in methods}
    assert {(path, method) for path, method in served if path not in PAGES} == {
        (path, method) for path, method in described if path not in FRAMEWORK
    }


def test_its_schemas_are_sound_and_its_references_lead_somewhere(documented: Documented) -> None:
    for schema in documented.document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    for reference in set(references(documented.document)):
        documented._resolve({"$ref": reference})
    used = {reference.split("/")[-1] for reference in references(documented.document)}
    assert used >= set(documented.document["components"]["schemas"])


@pytest.mark.parametrize("name", [*EXAMPLES, "together"])
def test_examples_are_sendable_and_are_what_this_model_answers(client: TestClient, documented: Documented, name: str) -> None:
    post = documented.document["paths"]["/v1/classify"]["post"]
    body = post["requestBody"]["content"]["application/json"]["examples"][name]["value"]
    given = post["responses"]["200"]["content"]["application/json"]["examples"][name]["value"]
    assert documented.accepts("/v1/classify", body)
    assert documented.validator({"$ref": "#/components/schemas/ClassifyAnswer"}).is_valid(given)
    response = client.post("/v1/classify", json=body)
    assert response.json()["results"] == given["results"]
    if name in EXAMPLES:
        assert given["results"][0]["language"]["code"] == name


@pytest.mark.parametrize("path", ["/v1/model", "/v1/taxonomy", "/v1/limits", "/livez", "/healthz", "/readyz", "/openapi.json"])
def test_what_is_got_is_as_described(client: TestClient, documented: Documented, path: str) -> None:
    response = client.get(path)
    assert response.headers[VERSION_HEADER] == API_VERSION == documented.document["info"]["version"]
    documented.check("GET", path, response)


CASES: tuple[tuple[Any, int], ...] = (
    ({"texts": ["great", "很好", "عالی", ""]}, 200),
    ({"texts": []}, 200),
    ({"items": [{"id": "1", "text": "快递太慢。退款！", "language": "zh"}], "scores": True, "explain": True}, 200),
    ({"items": [{"id": None, "text": "x" * 2001, "language": None}]}, 200),
    ({"texts": ["whatever. parcel! " * 40], "tasks": ["tone"], "explain": True}, 200),
    ({"texts": ["a"] * 5, "tasks": ["tone", "tone"]}, 200),
    ({"texts": ["a"] * 6}, 422),
    ({"texts": ["a"] * 3, "explain": True}, 422),
    ({"texts": ["a"], "items": []}, 422),
    ({"texts": ["a"], "tasks": []}, 422),
    ({"texts": ["a"], "tasks": ["mood"]}, 422),
    ({"texts": None}, 422),
    ({"texts": [None]}, 422),
    ({"items": [{"text": "a", "language": "Fa"}]}, 422),
    ({"items": [{"text": "a", "id": "x" * 201}]}, 422),
    ({"items": [{"id": "x"}]}, 422),
    ({}, 422),
    ([], 422),
    (None, 422),
)


@pytest.mark.parametrize(("body", "status"), CASES)
def test_the_document_takes_what_the_service_takes(client: TestClient, documented: Documented, body: Any, status: int) -> None:
    response = client.post("/v1/classify", content=json.dumps(body), headers={"content-type": "application/json"})
    assert response.status_code == status
    assert documented.accepts("/v1/classify", body) == (status == 200)
    documented.check("POST", "/v1/classify", response)


VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1.5, 1e300, "", "texts", "tone", "zh", "ZH", "fa\n", "great", "x" * 201),
    *([], ["great"], ["tone"], [""], [[]], [None], ["a"] * 3, ["a"] * 6, {}, {"text": "a"}, [{"text": "a"}]),
    *([{"text": "عالی", "id": "7", "language": "fa"}], [{"id": "7"}], [{"text": "a", "more": 1}]),
)


@pytest.mark.parametrize("seed", range(40))
def test_document_and_service_agree_on_made_up_bodies(client: TestClient, documented: Documented, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(15):
        names = chance.sample(["texts", "items", "tasks", "scores", "explain", "other"], chance.choice([1, 1, 2, 2, 3, 4]))
        body = {name: chance.choice(VALUES) for name in names}
        if chance.random() < 0.5:
            body["texts"] = chance.choice([["great"], ["很好", "عالی"], ["a"] * 3])
        response = client.post("/v1/classify", json=body)
        documented.check("POST", "/v1/classify", response)
        assert documented.accepts("/v1/classify", body) == (response.status_code == 200), (body, response.text)


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"{}", "text/plain", 415),
        (b'{"texts": ["' + b"x" * 9000 + b'"]}', "application/json", 413),
    ],
)
def test_refusals_of_the_door_are_as_described(
    client: TestClient, documented: Documented, content: bytes, kind: str, status: int
) -> None:
    response = client.post("/v1/classify", content=content, headers={"content-type": kind})
    assert response.status_code == status
    documented.check("POST", "/v1/classify", response)


def test_another_taxonomy_makes_another_document(tmp_path: Path) -> None:
    taxonomy = Taxonomy.from_dict(
        {
            "version": "x",
            "tasks": {
                "情绪": {"kind": "single", "labels": [{"name": "开心"}, {"name": "不开心"}]},
                "موضوع": {"kind": "multi", "labels": [{"name": "الف", "departments": ["پشتیبانی"]}, {"name": "ب"}]},
            },
        }
    )
    classifier = FeedbackClassifier.load(make_tiny_model(tmp_path / "other", taxonomy), threads=1)
    documented = Documented(openapi_document(classifier, SETTINGS))
    with TestClient(make_app(classifier, SETTINGS)) as client:
        body = {"texts": ["great"], "tasks": ["情绪"], "scores": True, "explain": True}
        assert documented.accepts("/v1/classify", body)
        assert not documented.accepts("/v1/classify", {"texts": ["great"], "tasks": ["tone"]})
        documented.check("POST", "/v1/classify", client.post("/v1/classify", json=body))
        documented.check("POST", "/v1/classify", client.post("/v1/classify", json={"texts": ["a", "b"]}))
        documented.check("GET", "/v1/taxonomy", client.get("/v1/taxonomy"))
    classifier.close()
