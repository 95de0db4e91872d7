"""The service as it is really started: our routes and BentoML's typed API in one, the same answers, no text in the log."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import yaml
from documented import Documented

from data.errors import ConfigError, ModelFolderError
from serving.classifier import FeedbackClassifier
from serving.run import serve

ROOT = Path(__file__).resolve().parent.parent
MARKER = "MARKER_91c4"
START_SECONDS = 60


@dataclass(frozen=True)
class Running:
    url: str
    client: httpx.Client
    log: Path


@pytest.fixture(scope="module")
def running(model_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("service")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = f"from serving.run import serve; raise SystemExit(serve({str(model_path)!r}, port={port}))"
    environment = {**os.environ, "BENTOML_HOME": str(folder / "bentoml"), "FEEDBACK_MAX_TEXTS": "4", "FEEDBACK_NOTICE_SECONDS": "0"}
    with (folder / "log").open("wb") as log, pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_PROXY", "*")
        patch.setenv("BENTOML_DO_NOT_TRACK", "True")
        process = subprocess.Popen([sys.executable, "-c", program], env=environment, cwd=folder, stdout=log, stderr=log)
        url = f"http://127.0.0.1:{port}"
        with httpx.Client(base_url=url, trust_env=False, timeout=10) as client:
            try:
                _wait(client, process, folder / "log")
                yield Running(url, client, folder / "log")
            finally:
                process.terminate()
                process.wait(30)


def _wait(client: httpx.Client, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text("utf-8")
        try:
            if client.get("/readyz").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError(f"not ready within {START_SECONDS} s:\n{log.read_text('utf-8')}")


def test_our_route_and_bentomls_client_give_the_classifiers_answers(running: Running, classifier: FeedbackClassifier) -> None:
    import bentoml

    texts = ["快递太差，我要退款", "terrible parcel", "بسته افتضاح بود"]
    expected = [result.to_dict() for result in classifier.predict(texts)]
    assert running.client.post("/v1/classify", json={"texts": texts}).json()["results"] == expected
    with bentoml.SyncHTTPClient(running.url) as client:
        assert client.is_ready()
        assert client.classify(texts=texts) == expected


@pytest.mark.parametrize(
    "path", ["/livez", "/readyz", "/healthz", "/schema.json", "/v1/model", "/v1/taxonomy", "/v1/limits", "/metrics", "/", "/docs"]
)
def test_what_probes_and_bentomls_users_ask_for_is_there(running: Running, path: str) -> None:
    response = running.client.get(path)
    assert response.status_code == 200
    assert response.headers["x-request-id"]


def test_what_is_really_answered_is_what_the_document_says(running: Running) -> None:
    documented = Documented(running.client.get("/openapi.json").json())
    for path, described in documented.document["paths"].items():
        if "get" in described:
            documented.check("GET", path, running.client.get(path))
    for body in ({"texts": ["很好", "great", "عالی", " "]}, {"texts": ["a"] * 5}, {"texts": [1]}, {}, []):
        for path in ("/v1/classify", "/classify"):
            documented.check("POST", path, running.client.post(path, json=body))
    documented.check("POST", "/v1/model/reload", running.client.post("/v1/model/reload"))


@pytest.mark.parametrize(
    ("method", "path", "body", "kind", "status"),
    [
        ("POST", "/classify", b'{"texts": ["a", 5]}', "application/json", 400),
        ("POST", "/classify", b'{"texts": ["a", "a", "a", "a", "a"]}', "application/json", 422),
        ("POST", "/classify", b'{"texts": ["a"]}', "text/plain", 415),
        ("POST", "/classify", b"\x80\x04.", "application/vnd.bentoml+pickle", 415),
        ("POST", "/classify", b"x" * 2_000_000, "application/json", 413),
        ("POST", "/v1/classify", b'{"texts": ["a", 5]}', "application/json", 422),
        ("GET", "/v1/classify", b"", "application/json", 405),
        ("GET", "/metricsx", b"", "application/json", 404),
        ("POST", "/v1/model/reload", b"{}", "application/json", 403),
        ("GET", "/../etc/passwd", b"", "application/json", 404),
    ],
)
def test_every_refusal_has_our_shape_on_bentomls_routes_too(
    running: Running, method: str, path: str, body: bytes, kind: str, status: int
) -> None:
    response = running.client.request(method, path, content=body, headers={"content-type": kind})
    assert response.status_code == status
    assert list(response.json()["error"]) == ["code", "message", "field", "request_id"]


def test_the_log_holds_request_ids_and_no_text(running: Running) -> None:
    for path in ("/v1/classify", "/classify"):
        for body in ({"texts": [MARKER]}, {"texts": [MARKER, 5]}, {"texts": MARKER}, {MARKER: 1}, [MARKER]):
            running.client.post(path, json=body, headers={"x-request-id": "looked-for"})
        running.client.post(path, content=f'{{"texts": ["{MARKER}', headers={"content-type": "application/json"})
        running.client.get(f"{path}/{MARKER}?text={MARKER}")
    time.sleep(0.2)
    log = running.log.read_text("utf-8")
    assert MARKER not in log
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    wanted = {"route": "/v1/classify", "status": 200, "texts": 1, "request_id": "looked-for"}
    assert any(wanted.items() <= line.items() for line in lines)


def test_a_missing_model_and_a_wrong_port_are_told_before_anything_starts(tmp_path: Path, model_path: Path) -> None:
    with pytest.raises(ModelFolderError, match="no such model folder"):
        serve(tmp_path / "none")
    with pytest.raises(ConfigError, match="port is 70000"):
        serve(model_path, port=70_000)
    with pytest.raises(ConfigError, match="FEEDBACK_WORKERS is 0"):
        serve(model_path, workers=0)


def test_importing_the_service_loads_no_training_library() -> None:
    program = (
        "import sys, serving.service, serving.archive\n"
        "heavy = ('torch', 'transformers', 'sklearn', 'datasets', 'pandas', 'scipy', 'onnx')\n"
        "print([name for name in heavy if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def test_the_bento_installs_what_the_project_depends_on() -> None:
    bentofile = yaml.safe_load((ROOT / "bentofile.yaml").read_text("utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert sorted(bentofile["python"]["packages"]) == sorted(project["dependencies"])
