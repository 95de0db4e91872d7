"""Jobs in the OpenAPI document: every answer is described, every option taken as it says, and nothing of it where jobs are off."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from documented import Documented
from jsonschema import Draft202012Validator
from starlette.routing import Route
from starlette.testclient import TestClient

from serving.app import make_app
from serving.classifier import FeedbackClassifier
from serving.job_process import prepare_jobs
from serving.job_routes import SWITCHES, TEXTS
from serving.job_store import JobStore
from serving.job_worker import Worker
from serving.openapi import openapi_document
from serving.settings import ServiceSettings

CSV = 'text\n快递太差\nterrible parcel\n""\nبسته افتضاح بود\n'.encode()
NAMES = [
    "評論.csv", "نظر\u200cها.tsv.gz", "reviews 2026.jsonl.zst", "a.CSV", "x.Parquet", "b.xlsx", "نظر.ndjson",
    "", ".csv", "a.pdf", "a.parquet.gz", "../a.csv", "a\\b.csv", "a\u202evsc.csv", "a\tb.csv", "csv", "a.csv.", "x" * 300 + ".csv",
]  # fmt: skip
OUTPUTS = ["", "csv", ".jsonl", "CSV.GZ", "parquet", "parquet.gz", "docx", "../x.csv", "x.csv", "..csv", "csv/"]


@pytest.fixture(scope="module")
def settings(model_path: Path, tmp_path_factory: pytest.TempPathFactory) -> ServiceSettings:
    settings = ServiceSettings(
        model_folder=model_path, jobs_folder=tmp_path_factory.mktemp("jobs"), max_jobs=500, max_job_bytes=5000, job_threads=1
    )
    prepare_jobs(settings)
    return settings


@pytest.fixture(scope="module")
def client(classifier: FeedbackClassifier, settings: ServiceSettings) -> Iterator[TestClient]:
    with TestClient(make_app(classifier, settings)) as client:
        yield client


@pytest.fixture(scope="module")
def documented(client: TestClient) -> Documented:
    return Documented(client.get("/openapi.json").json())


def parameter(documented: Documented, name: str) -> Draft202012Validator:
    options = documented.document["paths"]["/v1/jobs"]["post"]["parameters"]
    return Draft202012Validator(next(option["schema"] for option in options if option["name"] == name))


def test_every_route_of_jobs_is_in_the_document_and_none_where_jobs_are_off(
    client: TestClient, classifier: FeedbackClassifier, settings: ServiceSettings, documented: Documented
) -> None:
    served = {
        (route.path, method)
        for route in make_app(classifier, settings).routes
        if isinstance(route, Route) and route.path.startswith("/v1/jobs")
        for method in (route.methods or set()) - {"HEAD"}
    }
    described = {
        (path, method.upper())
        for path, methods in documented.document["paths"].items()
        for method in set(methods) - {"parameters"}
        if path.startswith("/v1/jobs")
    }
    assert served == described
    assert len(described) == 7
    off = openapi_document(classifier, ServiceSettings())
    assert not [path for path in off["paths"] if path.startswith("/v1/jobs")]
    assert "Job" not in off["components"]["schemas"]


def test_a_wrong_method_is_told_all_right_ones(client: TestClient) -> None:
    for path, methods in (("/v1/jobs", {"GET", "HEAD", "POST"}), (f"/v1/jobs/{'0' * 32}", {"GET", "HEAD", "DELETE"})):
        refused = client.request("PATCH", path)
        assert (refused.status_code, refused.json()["error"]["code"]) == (405, "method_not_allowed")
        assert set(refused.headers["allow"].split(", ")) == methods


def test_its_examples_and_schemas_are_valid(documented: Documented) -> None:
    for name in ("Job", "Jobs", "JobEnded"):
        Draft202012Validator.check_schema(documented.document["components"]["schemas"][name])
    examples = documented.document["paths"]["/v1/jobs"]["post"]["responses"]["202"]["content"]["application/json"]["examples"]
    assert set(examples) == {"new", "later"}
    for example in examples.values():
        assert documented.validator({"$ref": "#/components/schemas/Job"}).is_valid(example["value"])
    for option in documented.document["paths"]["/v1/jobs"]["post"]["parameters"]:
        if "example" in option:
            assert Draft202012Validator(option["schema"]).is_valid(option["example"])


def test_a_jobs_whole_way_answers_as_the_document_says(
    client: TestClient, settings: ServiceSettings, documented: Documented
) -> None:
    one = "/v1/jobs/{id}"
    sent = client.post("/v1/jobs", params={"name": "评论.csv", "output": "jsonl", "scores": "Yes"}, content=CSV)
    documented.check("POST", "/v1/jobs", sent)
    assert sent.status_code == 202
    here = sent.headers["location"]
    early = client.get(f"{here}/result")
    documented.check("GET", f"{one}/result", early)
    assert early.status_code == 409

    store = JobStore(settings.jobs_url)
    worker = Worker(store, settings)
    while worker.run_once():
        pass
    store.close()
    shown = client.get(here)
    documented.check("GET", one, shown)
    assert (shown.json()["state"], shown.json()["rejects"]) == ("done", 1)
    documented.check("GET", "/v1/jobs", client.get("/v1/jobs"))
    for name in ("result", "rejects", "manifest"):
        documented.check("GET", f"{one}/{name}", client.get(f"{here}/{name}"))
    whole = client.get(f"{here}/result").content
    for asked, status in (("bytes=2-5", 206), ("bytes=0-1,4-5", 206), ("bytes=99999-", 416), ("bytes=x", 400), ("lines=1-2", 400)):
        part = client.get(f"{here}/result", headers={"range": asked})
        assert part.status_code == status, asked
        documented.check("GET", f"{one}/result", part)
        assert asked != "bytes=2-5" or part.content == whole[2:6]
    removed = client.delete(here)
    documented.check("DELETE", one, removed)
    assert removed.json()["removed"] is True
    for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/result"), ("GET", "/rejects"), ("GET", "/manifest")):
        gone = client.request(method, here + path)
        assert gone.status_code == 404
        documented.check(method, one + path, gone)


@pytest.mark.parametrize("name", NAMES)
def test_names_are_taken_as_the_document_says(client: TestClient, documented: Documented, name: str) -> None:
    answer = client.post("/v1/jobs", params={"name": name}, content=CSV)
    documented.check("POST", "/v1/jobs", answer)
    assert parameter(documented, "name").is_valid(name) == (answer.status_code == 202), answer.text


@pytest.mark.parametrize("output", OUTPUTS)
def test_formats_of_the_result_are_taken_as_the_document_says(client: TestClient, documented: Documented, output: str) -> None:
    answer = client.post("/v1/jobs", params={"name": "a.csv", "output": output}, content=CSV)
    documented.check("POST", "/v1/jobs", answer)
    assert parameter(documented, "output").is_valid(output) == (answer.status_code == 202), answer.text


@pytest.mark.parametrize("name", [*TEXTS, *SWITCHES])
@pytest.mark.parametrize("value", ["true", "NO", "1", "perhaps", "", "متن", "评" * 201])
def test_options_are_taken_as_the_document_says(client: TestClient, documented: Documented, name: str, value: str) -> None:
    answer = client.post("/v1/jobs", params={"name": "a.csv", name: value}, content=CSV)
    documented.check("POST", "/v1/jobs", answer)
    assert parameter(documented, name).is_valid(value) == (answer.status_code == 202), answer.text


@pytest.mark.parametrize(
    ("sent", "status", "said"),
    [
        ({"files": {"file": ("a.csv", CSV)}}, 415, "Send the file itself as the body, not as a form: curl --data-binary @FILE"),
        ({"content": CSV, "headers": {"content-encoding": "gzip"}}, 415, "under its name"),
        ({"content": b""}, 422, "The body is empty"),
        ({"content": b"x" * 5001}, 413, "over 5000 bytes"),
    ],
    ids=["form", "encoding", "empty", "large"],
)
def test_refused_bodies_are_answered_as_the_document_says(
    client: TestClient, documented: Documented, sent: dict[str, Any], status: int, said: str
) -> None:
    answer = client.post("/v1/jobs", params={"name": "a.csv"}, **sent)
    assert answer.status_code == status
    assert said in answer.json()["error"]["message"]
    documented.check("POST", "/v1/jobs", answer)
