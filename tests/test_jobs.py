"""Jobs over HTTP: a file is sent, labelled by the same code as the command, fetched, and forgotten; nothing is lost on the way."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from serving.app import make_app
from serving.archive import label
from serving.classifier import FeedbackClassifier
from serving.job_process import prepare_jobs, start_worker
from serving.job_store import JobStore
from serving.job_worker import Worker
from serving.keys import new_key
from serving.settings import VARIABLES, ServiceSettings

TEXTS = ["快递太差，我要退款", "terrible parcel, I want a refund", "بسته افتضاح بود، بازپرداخت می‌خواهم", "", "great"]
CSV = ("id,text\n" + "".join(f'{number},"{text}"\n' for number, text in enumerate(TEXTS))).encode()
MARKER = "MARKER_77b1"


@pytest.fixture
def settings(tmp_path: Path, model_path: Path) -> ServiceSettings:
    settings = ServiceSettings(
        model_folder=model_path, jobs_folder=tmp_path / "jobs", max_job_bytes=100_000, max_jobs=3, job_threads=1,
        max_body_bytes=1024, webhook_secret="a secret", webhook_hosts=("localhost",),
    )  # fmt: skip
    prepare_jobs(settings)
    return settings


@pytest.fixture
def store(settings: ServiceSettings) -> Iterator[JobStore]:
    store = JobStore(settings.jobs_url)
    yield store
    store.close()


@pytest.fixture
def client(classifier: FeedbackClassifier, settings: ServiceSettings) -> Iterator[TestClient]:
    with TestClient(make_app(classifier, settings)) as client:
        yield client


@pytest.fixture
def worker(store: JobStore, settings: ServiceSettings) -> Worker:
    return Worker(store, settings)


def sent(client: Any, content: bytes = CSV, **options: str) -> Any:
    return client.post("/v1/jobs", params={"name": "评论.csv", **options}, content=content)


def error_of(response: Any, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.json()["error"]["code"] == code
    error: dict[str, Any] = response.json()["error"]
    return error


def test_a_file_is_taken_labelled_as_the_command_does_and_fetched(client, worker, classifier, tmp_path):
    answer = sent(client, output="jsonl", redact="true", scores="yes")
    assert answer.status_code == 202
    job = answer.json()
    assert (job["state"], job["name"], job["bytes"], job["total"]) == ("waiting", "评论.csv", len(CSV), None)
    assert answer.headers["location"] == job["links"]["self"]
    error_of(client.get(f"{job['links']['self']}/result"), 409, "not_done")

    assert worker.run_once()
    done = client.get(job["links"]["self"]).json()
    assert (done["state"], done["rows"], done["total"], done["rejects"], done["error"]) == ("done", 5, 5, 1, None)
    assert done["model"] == classifier.version

    (tmp_path / "in.csv").write_bytes(CSV)
    label(tmp_path / "in.csv", tmp_path / "out.jsonl", classifier, redacted=True, scores=True)
    result = client.get(done["links"]["result"])
    assert result.content == (tmp_path / "out.jsonl").read_bytes()
    assert "labelled.jsonl" in result.headers["content-disposition"]
    assert [json.loads(line)["code"] for line in client.get(done["links"]["rejects"]).text.splitlines()] == ["empty"]
    assert client.get(done["links"]["manifest"]).json()["rows"]["labelled"] == 4
    assert client.get("/v1/jobs").json()["jobs"] == [done]


def test_jobs_are_off_where_no_folder_is_set(classifier):
    with TestClient(make_app(classifier, ServiceSettings())) as client:
        error_of(client.get("/v1/jobs"), 404, "not_found")


@pytest.mark.parametrize(
    ("options", "field", "said"),
    [
        ({"name": ""}, "name", "Name the file"),
        ({"name": "../x.csv"}, "name", "Name the file"),
        ({"name": "x.pdf"}, "name", "unknown kind of file"),
        ({"output": "docx"}, "output", "unknown kind of file"),
        ({"output": "../../x.csv"}, "output", ""),
        ({"scores": "perhaps"}, "scores", "true or false"),
        ({"textcolumn": "text"}, "textcolumn", "no such option. Known: name"),
        ({"shard_rows": "1"}, "shard_rows", "no such option"),
        ({"webhook": "http://example.com"}, "webhook", "must be an https"),
        ({"webhook": "https://169.254.169.254/latest"}, "webhook", "private address"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else None,
)
def test_wrong_options_are_named_and_nothing_is_kept(client, settings, options, field, said):
    error = error_of(sent(client, **options), 422, "invalid_request")
    assert error["field"] == field
    assert said in error["message"]
    assert not [path for path in settings.jobs_folder.iterdir() if path.is_dir()]


def test_a_file_that_is_too_large_is_refused_before_or_while_it_comes(client, settings):
    error_of(sent(client, b"x" * 100_001), 413, "too_large")
    pieces = (b"y" * 10_000 for _ in range(20))
    error_of(client.post("/v1/jobs", params={"name": "a.csv"}, content=pieces), 413, "too_large")
    assert not [path for path in settings.jobs_folder.iterdir() if path.is_dir()]


def test_a_file_over_the_limit_of_other_bodies_is_taken(client, settings):
    assert settings.max_body_bytes < 50_000
    assert sent(client, b"text\n" + b"good\n" * 10_000).status_code == 202


def test_an_empty_body_a_form_and_an_encoding_are_refused(client):
    error_of(sent(client, b""), 422, "invalid_request")
    error_of(client.post("/v1/jobs?name=a.csv", files={"file": b"text\na\n"}), 415, "unsupported_media_type")
    error_of(client.post("/v1/jobs?name=a.csv", content=b"x", headers={"content-encoding": "gzip"}), 415, "unsupported_media_type")


def test_a_file_that_cannot_be_labelled_fails_with_its_reason_and_no_path_of_ours(client, worker, settings):
    job = sent(client, b"a,b\n1,2\n").json()
    worker.run_once()
    failed = client.get(job["links"]["self"]).json()
    assert failed["state"] == "failed"
    assert "input.csv: no column's name says that it holds the messages" in failed["error"]
    assert str(settings.jobs_folder) not in failed["error"]
    error_of(client.get(f"{job['links']['self']}/result"), 409, "not_done")


def test_a_caller_has_only_so_many_jobs_open(client, worker):
    for _ in range(3):
        assert sent(client).status_code == 202
    assert error_of(sent(client), 429, "too_many_jobs")["message"].startswith("3 jobs have not ended")
    worker.run_once()
    assert sent(client).status_code == 202


def test_a_waiting_job_is_cancelled_and_an_ended_one_removed_with_its_files(client, worker, settings):
    job = sent(client).json()
    cancelled = client.delete(job["links"]["self"]).json()
    assert (cancelled["state"], cancelled["removed"]) == ("cancelled", False)
    assert not (settings.jobs_folder / job["id"]).exists()
    assert not worker.run_once()
    assert client.delete(job["links"]["self"]).json()["removed"]
    error_of(client.get(job["links"]["self"]), 404, "not_found")


def test_a_running_job_stops_when_it_is_cancelled(client, worker, store, settings, monkeypatch):
    monkeypatch.setattr("serving.job_worker.RENEW_EVERY_S", 0.02)
    monkeypatch.setattr("serving.label_run.PROGRESS_SECONDS", 0.0)
    network = FeedbackClassifier.network
    ran = []

    def slowly(classifier: FeedbackClassifier, windows: Any) -> Any:
        ran.extend(windows)
        time.sleep(0.003 * len(windows))
        return network(classifier, windows)

    monkeypatch.setattr(FeedbackClassifier, "network", slowly)
    job = sent(client, b"text\n" + b"".join(b"good %d\n" % number for number in range(3_000))).json()
    thread = threading.Thread(target=worker.run_once)
    thread.start()
    _until(lambda: store.find(job["id"]).rows > 0)
    assert client.delete(job["links"]["self"]).json()["state"] == "stopping"
    thread.join(60)
    assert client.get(job["links"]["self"]).json()["state"] == "cancelled"
    assert not (settings.jobs_folder / job["id"]).exists()
    assert len(ran) < 3_000


def test_a_worker_that_is_told_to_end_gives_its_job_back_and_the_next_one_goes_on(client, worker, store, settings, monkeypatch):
    monkeypatch.setattr("serving.label_run.PROGRESS_SECONDS", 0.0)
    job = sent(client, b"text\n" + b"good\n" * 3_000).json()
    worker.stop.set()
    worker.run_once()
    assert store.find(job["id"]).state == "waiting"
    assert Worker(store, settings).run_once()
    assert client.get(job["links"]["self"]).json()["rows"] == 3_000


def test_what_an_earlier_model_left_is_done_anew(client, worker, store, settings, tmp_path, monkeypatch):
    from tiny_model import make_tiny_model

    monkeypatch.setattr("serving.label_run.PROGRESS_SECONDS", 0.0)
    job = sent(client, b"text\n" + b"good\n" * 2_500).json()

    class Enough(Exception):
        pass

    def stop_after_a_shard(done: Any) -> None:
        if done.rows > 2_001:
            raise Enough

    here = settings.jobs_folder / job["id"]
    taken = store.take("dead")
    with pytest.raises(Enough):
        label(here / "input.csv", here / taken.output, settings.model_folder, progress=stop_after_a_shard, shard_rows=2_000)
    assert (here / "labelled.csv.parts").exists()
    store._update(store._jobs.c.id == job["id"], lease_until=0.0)
    other = make_tiny_model(tmp_path / "other", max_characters=1999)
    assert Worker(store, replace(settings, model_folder=other.path)).run_once()
    done = client.get(job["links"]["self"]).json()
    assert (done["state"], done["rows"], done["model"]) == ("done", 2_500, other.version)


def test_jobs_expire_with_their_files_and_orphans_go(client, worker, store, settings):
    job = sent(client).json()
    worker.run_once()
    orphan, fresh = settings.jobs_folder / "orphan", settings.jobs_folder / "fresh"
    orphan.mkdir()
    fresh.mkdir()
    os.utime(orphan, (0, 0))
    store.clock = lambda: time.time() + settings.job_hours * 3600 + 1
    worker.sweep()
    assert not (settings.jobs_folder / job["id"]).exists()
    assert (orphan.exists(), fresh.exists()) == (False, True)
    error_of(client.get(job["links"]["self"]), 404, "not_found")


def test_a_caller_sees_only_the_jobs_of_its_key(classifier, settings):
    anna, ben = new_key("anna"), new_key("ben")
    keyed = replace(settings, keys=f"{anna[1]} {ben[1]}")
    with TestClient(make_app(classifier, keyed)) as client:
        error_of(sent(client), 401, "unauthorized")
        client.headers["authorization"] = f"Bearer {anna[0]}"
        job = sent(client).json()
        assert client.get(job["links"]["self"]).status_code == 200
        client.headers["authorization"] = f"Bearer {ben[0]}"
        error_of(client.get(job["links"]["self"]), 404, "not_found")
        error_of(client.delete(job["links"]["self"]), 404, "not_found")
        assert client.get("/v1/jobs").json() == {"jobs": []}


def test_neither_texts_nor_file_names_nor_ids_reach_the_log(client, worker, caplog):
    with caplog.at_level(logging.DEBUG):
        job = client.post("/v1/jobs", params={"name": f"{MARKER}.csv"}, content=f"text\n{MARKER}\n".encode()).json()
        worker.run_once()
        client.get(f"{job['links']['self']}/result")
        client.get(f"/v1/jobs/{MARKER}")
    ours = [record for record in caplog.records if record.name.startswith("serving")]
    assert ours
    assert not [record for record in ours if MARKER in record.getMessage()]
    assert "/v1/jobs/{id}/result" in caplog.text


def test_the_caller_is_told_by_a_signed_webhook_when_its_job_has_ended(client, worker):
    got: list[tuple[str | None, dict[str, Any]]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            got.append((self.headers["X-Feedback-Signature"], json.loads(body)))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    job = sent(client, webhook=f"http://localhost:{server.server_port}/x").json()
    assert job["webhook"] == "waiting"
    worker.run_once()
    assert worker.call_back_once()
    assert not worker.call_back_once()
    server.shutdown()
    server.server_close()
    ((signature, document),) = got
    assert signature is not None
    assert (document["id"], document["state"], document["rows"]) == (job["id"], "done", 5)
    assert client.get(job["links"]["self"]).json()["webhook"] == "sent"


def test_a_worker_process_that_is_killed_loses_nothing(client, store, settings, classifier, tmp_path, monkeypatch):
    """SIGKILL in the middle; the next worker's result is that of an undisturbed run, byte for byte."""
    monkeypatch.setenv(VARIABLES["model_folder"], str(settings.model_folder))
    monkeypatch.setenv(VARIABLES["jobs_folder"], str(settings.jobs_folder))
    content = b"text\n" + b"".join(b"good %d\n" % number for number in range(1_000))
    job = sent(client, content).json()
    first = start_worker()
    _until(lambda: (settings.jobs_folder / job["id"] / "labelled.csv.parts").exists())
    time.sleep(0.3)
    first.kill()
    first.wait()
    assert store.find(job["id"]).state in ("running", "done")
    store._update(store._jobs.c.id == job["id"], lease_until=0.0)  # as if a minute had passed
    second = start_worker()
    _until(lambda: store.find(job["id"]).state in ("done", "failed"), 300.0)  # it is the last that a busy machine serves
    assert store.find(job["id"]).state == "done"
    second.stdin.close()  # as when the service ends
    assert second.wait(30) == 0
    (tmp_path / "in.csv").write_bytes(content)
    label(tmp_path / "in.csv", tmp_path / "out.csv", classifier)
    assert client.get(f"{job['links']['self']}/result").content == (tmp_path / "out.csv").read_bytes()


@pytest.mark.skipif(os.name != "posix", reason="kills a group of processes")
def test_a_service_that_is_killed_in_the_middle_takes_the_job_up_again(model_path, tmp_path):
    """The whole service, started as `feedback serve` does it, killed with all its processes, and started again."""
    environment = {
        **os.environ, "BENTOML_HOME": str(tmp_path / "bentoml"), "BENTOML_DO_NOT_TRACK": "True", "NO_PROXY": "*",
        VARIABLES["jobs_folder"]: str(tmp_path / "jobs"), VARIABLES["notice_seconds"]: "0",
    }  # fmt: skip
    rows = 8_000
    content = b"text\n" + b"".join(b"good %d\n" % number for number in range(rows))
    id, states = "", []
    for attempt in range(2):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        program = f"from serving.run import serve; raise SystemExit(serve({str(model_path)!r}, port={port}))"
        with (tmp_path / "log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-c", program], env=environment, cwd=tmp_path, stdout=log, stderr=log, start_new_session=True
            )
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as client:
                _until(lambda: _ready(client), 120)
                if attempt == 0:
                    id = client.post("/v1/jobs?name=a.csv", content=content).json()["id"]
                    _until(lambda: any(tmp_path.glob("jobs/*/labelled.csv.parts/part-*.json")), 120)
                    states.append(client.get(f"/v1/jobs/{id}").json()["state"])
                else:
                    store = JobStore(f"sqlite:///{tmp_path / 'jobs' / 'jobs.sqlite'}")
                    store._update(store._jobs.c.id == id, lease_until=0.0)  # as if a minute had passed
                    store.close()
                    _until(lambda: client.get("/v1/jobs").json()["jobs"][0]["state"] == "done", 120)
                    lines = client.get(f"/v1/jobs/{id}/result").text.splitlines()
                    assert [line.split(",")[0] for line in lines] == ["text", *(f"good {number}" for number in range(rows))]
                    assert client.get(f"/v1/jobs/{id}").json()["rows"] == rows
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    assert states == ["running"]


def _ready(client: httpx.Client) -> bool:
    try:
        return client.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False


def _until(holds: Any, seconds: float = 90.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
