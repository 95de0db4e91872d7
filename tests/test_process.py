"""The service as processes: a worker that is killed, one that is told to stop, a model that takes another's place."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from tiny_model import make_tiny_model

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 120
MARKER = "MARKER_5d1e"

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")


@dataclass
class Service:
    process: subprocess.Popen[bytes]
    client: httpx.Client
    log: Path
    port: int

    def workers(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children()

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text("utf-8").splitlines() if line.startswith("{")]


@contextmanager
def service(folder: Path, model: Path, port: int | None = None, **settings: str) -> Iterator[Service]:
    folder.mkdir(parents=True, exist_ok=True)
    if port is None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
    workers = int(settings.pop("FEEDBACK_WORKERS", "1"))
    program = f"from serving.run import serve; raise SystemExit(serve({str(model)!r}, port={port}, workers={workers}))"
    environment = {**os.environ, "BENTOML_HOME": str(folder / "bentoml"), "FEEDBACK_NOTICE_SECONDS": "0", **settings}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    log = folder / "log"
    with log.open("wb") as written, httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as client:
        process = subprocess.Popen([sys.executable, "-c", program], env=environment, cwd=folder, stdout=written, stderr=written)
        started = Service(process, client, log, port)
        try:
            ready(started)
            yield started
        finally:
            process.terminate()
            process.wait(60)


def ready(started: Service) -> None:
    until(lambda: started.process.poll() is not None or answers(started), started.log)
    assert started.process.poll() is None, started.log.read_text("utf-8")


def answers(started: Service) -> bool:
    try:
        return started.client.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False


def until(holds: Any, log: Path, seconds: float = START_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, log.read_text("utf-8")
        time.sleep(0.05)


@dataclass
class Caller:
    """Asks again and again until it is told to stop; a connection for each request, or one that is kept."""

    port: int
    headers: dict[str, str] = field(default_factory=dict)
    statuses: list[int] = field(default_factory=list)
    models: list[str] = field(default_factory=list)
    broken: int = 0
    kept: bool = False

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        body = json.dumps({"texts": [MARKER]})
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        while not self._stop.wait(0.01):
            if not self.kept or connection.port != self.port:
                connection.close()
                connection.port = self.port
            try:
                connection.request("POST", "/v1/classify", body, {"content-type": "application/json", **self.headers})
                answer = connection.getresponse()
                document = json.loads(answer.read())
            except (OSError, HTTPException):
                self.broken += 1
                connection.close()
            else:
                self.statuses.append(answer.status)
                if answer.status == 200:
                    self.models.append(document["model"])
        connection.close()

    def __enter__(self) -> Caller:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(30)


def test_of_two_workers_one_that_is_killed_comes_back_and_both_load_another_model(tmp_path: Path) -> None:
    models = [make_tiny_model(tmp_path / name, max_characters=size) for name, size in (("a", 1000), ("b", 1001))]
    current = tmp_path / "current"
    current.symlink_to(models[0].path)
    keys = f"shop:{hashlib.sha256(b'one').hexdigest()} boss:{hashlib.sha256(b'two').hexdigest()}:admin"
    with service(tmp_path / "run", current, FEEDBACK_WORKERS="2", FEEDBACK_KEYS=keys) as started:
        shop, boss = ({"authorization": f"Bearer {key}"} for key in ("one", "two"))
        until(lambda: sum("is ready" in line.get("message", "") for line in started.lines()) == 2, started.log)
        first, second = started.workers()
        with Caller(started.port, shop) as caller:
            begun = time.monotonic()
            first.kill()
            until(lambda: len({worker.pid for worker in started.workers()} - {first.pid}) == 2, started.log)
            noticed = time.monotonic() - begun
            until(lambda: sum("is ready" in line.get("message", "") for line in started.lines()) == 3, started.log)
            asked = len(caller.statuses)
            until(lambda: len(caller.statuses) > asked + 5, started.log)
        # BentoML alone notices only every ten seconds.
        assert noticed < 9
        assert second.is_running()
        assert set(caller.statuses) == {200}
        assert caller.broken <= 1  # at most the one that it was answering

        # Counts of both workers, and no gauges of the dead one.
        seen = started.client.get("/metrics", headers=shop).text
        answered = next(
            line for line in seen.splitlines() if line.startswith('feedback_requests_total{method="POST",route="/v1/classify"')
        )
        assert float(answered.rpartition(" ")[2]) >= len(caller.statuses) - 1

        with Caller(started.port, shop) as caller:
            current.unlink()
            current.symlink_to(models[1].path)
            reply = started.client.post("/v1/model/reload", headers=boss)
            assert reply.json() == {"model": models[1].version, "before": models[0].version, "changed": True}
            until(lambda: sum("answers now" in line.get("message", "") for line in started.lines()) == 2, started.log)
            asked = len(caller.models)
            until(lambda: len(caller.models) > asked + 5, started.log)
        assert set(caller.models[asked + 1 :]) == {models[1].version}
        assert set(caller.statuses) == {200}
        assert caller.broken == 0
        os.kill(started.process.pid, signal.SIGHUP)  # again, from outside; nothing has changed
        time.sleep(0.5)
        assert answers(started)
        assert len(started.workers()) == 2
    assert MARKER not in started.log.read_text("utf-8")


def test_workers_end_when_their_supervisor_was_killed(tmp_path: Path) -> None:
    jobs = str(tmp_path / "jobs")
    with service(tmp_path / "run", make_tiny_model(tmp_path / "a").path, FEEDBACK_JOBS_FOLDER=jobs) as started:
        supervisor = psutil.Process(started.process.pid)
        until(lambda: len(supervisor.children(recursive=True)) == 2, started.log)  # one that answers, one of jobs
        workers = supervisor.children(recursive=True)
        started.process.kill()
        _, alive = psutil.wait_procs(workers, 30)
        assert alive == []
    assert any("has died: this worker" in line.get("message", "") for line in started.lines())


def test_rolling_to_a_new_model_no_request_fails(tmp_path: Path) -> None:
    """Start the new, wait until it is ready, let the balancer send new requests there, stop the old."""
    models = [make_tiny_model(tmp_path / name, max_characters=size) for name, size in (("a", 1000), ("b", 1001))]
    with (
        service(tmp_path / "old", models[0].path, FEEDBACK_NOTICE_SECONDS="6") as old,
        Caller(old.port) as caller,
        Caller(old.port, kept=True) as keeper,
        service(tmp_path / "new", models[1].path) as new,
    ):
        old.process.send_signal(signal.SIGTERM)
        until(lambda: not answers(old), old.log)  # what a balancer looks at
        assert kept_seconds(new) == "75"
        assert old.process.poll() is None  # it still answers, and the caller still calls it
        both = (caller, keeper)
        asked = [len(one.statuses) for one in both]
        until(lambda: all(len(one.statuses) > before for one, before in zip(both, asked, strict=True)), old.log)
        reply = old.client.post("/v1/classify", json={"texts": [MARKER]})
        assert (reply.status_code, reply.headers["connection"]) == (200, "close")  # kept connections go elsewhere too
        caller.port = keeper.port = new.port
        assert old.process.wait(60) == 0
        asked = [len(one.statuses) for one in both]
        until(lambda: all(len(one.statuses) > before + 3 for one, before in zip(both, asked, strict=True)), new.log)
        for one in both:
            assert set(one.statuses) == {200}
            assert one.broken == 0
            assert list(dict.fromkeys(one.models)) == [models[0].version, models[1].version]
    assert MARKER not in old.log.read_text("utf-8") + new.log.read_text("utf-8")


def test_a_page_may_call_only_from_an_origin_that_is_set(tmp_path: Path, model_path: Path) -> None:
    asked = {
        "origin": "https://desk.example",
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type",
    }
    with service(tmp_path / "open", model_path, FEEDBACK_CORS_ORIGINS="https://desk.example") as started:
        allowed = started.client.options("/v1/classify", headers=asked)
        assert allowed.headers["access-control-allow-origin"] == "https://desk.example"
        other = started.client.options("/v1/classify", headers={**asked, "origin": "https://else.example"})
        assert "access-control-allow-origin" not in other.headers
        answer = started.client.post("/v1/classify", json={"texts": ["great"]}, headers={"origin": "https://desk.example"})
        assert answer.headers["access-control-allow-origin"] == "https://desk.example"


def test_an_idle_connection_is_kept_for_as_long_as_is_set(tmp_path: Path, model_path: Path) -> None:
    with service(tmp_path, model_path, FEEDBACK_KEEP_ALIVE_SECONDS="1") as started:
        with socket.create_connection(("127.0.0.1", started.port), timeout=60) as idle:
            idle.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
            assert idle.makefile("rb").read().startswith(b"HTTP/1.1 200")  # to the end: the service closes it
        assert kept_seconds(started) == "1"


def kept_seconds(started: Service) -> str:
    """What the server was told. BentoML itself says 5, less than balancers keep theirs: requests met closing ones."""
    options = started.workers()[0].cmdline()
    return options[options.index("--timeout-keep-alive") + 1]
