"""What every request passes: keys, rates, room, a caller that goes away, and what is counted of it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from tiny_model import make_tiny_model

from data.errors import ModelFolderError
from serving.app import PATHS, make_app
from serving.classifier import FeedbackClassifier
from serving.door import OPEN, Door
from serving.model_folder import ModelFolder
from serving.reception import Reception
from serving.served import ServedModel
from serving.settings import ServiceSettings

TEXTS = ["快递太差，我要退款", "terrible parcel", "بسته افتضاح بود"]


def hashed(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def counts(client: TestClient, key: str = "") -> dict[str, float]:
    """What /metrics says, by series."""
    lines = client.get("/metrics", headers=bearer(key) if key else {}).text.splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if not line.startswith("#"))}


# Keys and rates -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def guarded(classifier: FeedbackClassifier) -> Iterator[TestClient]:
    settings = ServiceSettings(keys=f"shop:{hashed('one')} boss:{hashed('two')}:admin", requests_per_minute=40)
    with TestClient(make_app(classifier, settings)) as client:
        yield client


@pytest.mark.parametrize("path", sorted(PATHS - OPEN - {"/v1/classify", "/v1/model/reload"}))
def test_every_route_asks_for_a_key(guarded: TestClient, path: str) -> None:
    response = guarded.get(path)
    assert (response.status_code, response.json()["error"]["code"]) == (401, "unauthorized")
    assert response.headers["www-authenticate"] == "Bearer"
    assert guarded.get(path, headers=bearer("three")).status_code == 401
    assert guarded.get(path, headers=bearer("one")).status_code == 200


def test_classifying_asks_for_a_key_before_anything_is_read(guarded: TestClient) -> None:
    assert guarded.post("/v1/classify", content=b"\xff" * 100).status_code == 401
    assert guarded.post("/v1/classify", json={"texts": TEXTS}, headers=bearer("one")).status_code == 200
    assert guarded.get("/nowhere").status_code == 401


@pytest.mark.parametrize("path", ["/livez", "/healthz", "/readyz"])
def test_probes_need_no_key(guarded: TestClient, path: str) -> None:
    assert guarded.get(path).status_code == 200


def test_only_an_admin_may_load_another_model(guarded: TestClient, client: TestClient) -> None:
    assert guarded.post("/v1/model/reload", json={}, headers=bearer("one")).status_code == 403
    assert guarded.post("/v1/model/reload", json={}, headers=bearer("two")).status_code == 409  # not loaded from the settings
    assert client.post("/v1/model/reload", json={}).json()["error"]["code"] == "forbidden"


def test_a_key_that_asks_too_often_is_told_when_to_come_again(classifier: FeedbackClassifier) -> None:
    settings = ServiceSettings(keys=f"shop:{hashed('one')} desk:{hashed('two')}", requests_per_minute=2)
    with TestClient(make_app(classifier, settings)) as client:
        for _ in range(2):
            assert client.get("/v1/model", headers=bearer("one")).status_code == 200
        refused = client.get("/v1/model", headers=bearer("one"))
        assert refused.status_code == 429
        assert 1 <= int(refused.headers["retry-after"]) <= 30
        assert "FEEDBACK_REQUESTS_PER_MINUTE" in refused.json()["error"]["message"]
        assert client.get("/v1/model", headers=bearer("two")).status_code == 200


# What is counted ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def client(classifier: FeedbackClassifier) -> Iterator[TestClient]:
    with TestClient(make_app(classifier, ServiceSettings())) as client:
        yield client


def test_requests_texts_labels_and_failures_are_counted(client: TestClient) -> None:
    client.post("/v1/classify", json={"texts": [*TEXTS, " ", "parce\u200bl"]})
    seen = counts(client)
    assert seen['feedback_requests_total{method="POST",route="/v1/classify",status="200"}'] == 1
    assert seen['feedback_predictions_total{label="negative",language="fa",task="sentiment"}'] == 1
    assert seen['feedback_failures_total{code="empty"}'] == 1
    assert seen["feedback_texts_total"] == 5
    assert seen['feedback_stage_duration_seconds_count{stage="inference"}'] == 1
    assert seen['feedback_stage_duration_seconds_sum{stage="inference"}'] > 0
    assert seen["feedback_requests_in_flight"] == 0
    assert any(series.startswith("feedback_abstentions_total{language=") for series in seen)


def test_an_answer_says_where_its_time_went(client: TestClient) -> None:
    stages = client.post("/v1/classify", json={"texts": TEXTS}).headers["server-timing"].split(", ")
    assert [stage.split(";dur=")[0] for stage in stages] == ["queue", "tokenizing", "inference"]
    assert all(float(stage.split(";dur=")[1]) >= 0 for stage in stages)


def test_what_callers_make_up_adds_no_series(client: TestClient) -> None:
    def strange(number: int) -> None:
        client.request("GET", f"/made-up/{number}")
        client.request(f"VERB{number}", "/v1/classify")
        code = f"{chr(97 + number % 26)}{chr(97 + number // 26 % 26)}q"
        client.post("/v1/classify", json={"items": [{"id": str(number), "text": "great", "language": code}]})

    strange(0)
    before = set(counts(client))
    for number in range(1, 100):
        strange(number)
    assert set(counts(client)) == before


def test_many_made_up_paths_add_no_series(classifier: FeedbackClassifier, monkeypatch: pytest.MonkeyPatch) -> None:
    """20,000 of them, straight through the door and without a log: through a client they would take minutes."""
    monkeypatch.setattr(logging.getLogger("serving.door"), "disabled", True)
    reception = Reception(ServiceSettings())
    app = make_app(classifier, reception)

    async def ask(number: int) -> None:
        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            pass

        await app(
            {"type": "http", "method": "GET", "path": f"/{number}", "headers": [], "query_string": b"", "root_path": ""},
            receive,
            send,
        )

    async def scene() -> None:
        await ask(0)
        before = reception.metrics.text().count(b"\n")
        for number in range(20_000):
            await ask(number)
        assert reception.metrics.text().count(b"\n") == before

    asyncio.run(scene())


# Room -----------------------------------------------------------------------------------------------------------------------


class Gated(FeedbackClassifier):
    """Answers when it is let go; tells how many texts have begun."""

    gate: threading.Event
    begun: int

    def network(self, windows: Any) -> Any:
        self.begun += 1
        assert self.gate.wait(20)
        return super().network(windows)


class Scene:
    """A door in an event loop, asked without a server, so that hanging up and waiting are exact."""

    def __init__(self, classifier: Gated, settings: ServiceSettings) -> None:
        self.classifier = classifier
        self.reception = Reception(settings)
        app = make_app(classifier, self.reception)
        self.door = Door(app, self.reception, PATHS, app, app.state.classify)

    async def ask(
        self, texts: list[str], hang_up: asyncio.Event | None = None, head_only: bool = False
    ) -> tuple[int, dict[str, Any]]:
        """The status and the answer; (0, {}) if none was given."""
        messages: list[Any] = []
        given = False
        body = json.dumps({"texts": texts}).encode()

        async def receive() -> dict[str, Any]:
            nonlocal given
            if not given and not head_only:
                given = True
                return {"type": "http.request", "body": body, "more_body": False}
            await (hang_up or asyncio.Event()).wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            messages.append(message)

        scope = {"type": "http", "method": "POST", "path": "/v1/classify", "query_string": b"", "root_path": ""}
        await self.door({**scope, "headers": [(b"content-type", b"application/json")]}, receive, send)
        if not messages:
            return 0, {}
        return messages[0]["status"], {**json.loads(messages[1]["body"]), "headers": dict(messages[0]["headers"])}

    async def until(self, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 20
        while not holds():
            assert time.monotonic() < deadline, "it did not come to that"
            await asyncio.sleep(0.01)


@pytest.fixture
def gated(model_path: Path) -> Iterator[Gated]:
    classifier = Gated.load(model_path, threads=1)
    assert isinstance(classifier, Gated)
    classifier.gate, classifier.begun = threading.Event(), 0
    yield classifier
    classifier.gate.set()
    classifier.close()


def test_more_requests_than_there_is_room_for_are_refused_at_once(gated: Gated) -> None:
    async def play() -> None:
        scene = Scene(gated, ServiceSettings(max_in_flight=1, max_queue=1))
        taken = [asyncio.ensure_future(scene.ask(["great"])) for _ in range(2)]
        await scene.until(lambda: scene.reception.admission.waiting == 1)
        status, body = await scene.ask(["great"])
        assert (status, body["error"]["code"]) == (503, "overloaded")
        assert body["headers"][b"retry-after"] == b"1"
        gated.gate.set()
        assert [status for status, _ in await asyncio.gather(*taken)] == [200, 200]
        assert b'feedback_rejects_total{reason="overloaded"} 1.0' in scene.reception.metrics.text()

    asyncio.run(play())


def test_a_caller_that_hangs_up_frees_its_place_and_its_texts_are_not_run(gated: Gated) -> None:
    async def play() -> None:
        scene = Scene(gated, ServiceSettings(max_in_flight=1, max_queue=2))
        hang_up = asyncio.Event()
        gone = asyncio.ensure_future(scene.ask([f"great {number}" for number in range(50)], hang_up))
        await scene.until(lambda: gated.begun == 1)
        waits = asyncio.ensure_future(scene.ask(["great"]))
        gone_too = asyncio.ensure_future(scene.ask(["great"], hang_up))
        await scene.until(lambda: scene.reception.admission.waiting == 2)
        hang_up.set()
        assert await gone == await gone_too == (0, {})
        await scene.until(lambda: scene.reception.admission.inside == 1)
        gated.gate.set()
        assert (await waits)[0] == 200
        assert gated.begun <= 3  # of the 50 those that had begun, and the one that waited
        assert b'route="/v1/classify",status="499"} 2.0' in scene.reception.metrics.text()
        assert (scene.reception.admission.inside, scene.reception.admission.running) == (0, 0)

    asyncio.run(play())


def test_a_body_that_does_not_come_is_not_waited_for(gated: Gated) -> None:
    async def play() -> None:
        scene = Scene(gated, ServiceSettings(body_seconds=1))
        status, body = await scene.ask(["great"], head_only=True)
        assert (status, body["error"]["code"]) == (408, "body_timeout")
        assert "within 1 seconds (FEEDBACK_BODY_SECONDS)" in body["error"]["message"]
        assert scene.reception.admission.inside == 0

    asyncio.run(play())


def test_a_drain_cuts_what_does_not_finish_with_a_clear_answer(gated: Gated) -> None:
    async def play() -> None:
        scene = Scene(gated, ServiceSettings(drain_seconds=1))
        stuck = asyncio.ensure_future(scene.ask(["great"]))
        await scene.until(lambda: gated.begun == 1)
        await scene.reception.drain.run(0, lambda: None)
        status, body = await stuck
        assert (status, body["error"]["code"]) == (503, "stopping")
        assert (await scene.ask(["great"]))[1]["error"]["code"] == "stopping"

    asyncio.run(play())


@pytest.mark.parametrize(("body", "status"), [("[" * 9 + "]" * 9, 400), ('{"texts": ["[[[[[[[[[[{{{{{{"]}', 200)])
def test_nesting_is_bounded_and_brackets_in_texts_do_not_count(client: TestClient, body: str, status: int) -> None:
    response = client.post("/v1/classify", content=body, headers={"content-type": "application/json"})
    assert response.status_code == status
    if status == 400:
        assert "nested deeper than 8 levels (FEEDBACK_MAX_NESTING)" in response.json()["error"]["message"]


def test_strings_that_do_not_end_are_read_in_a_moment(client: TestClient) -> None:
    body = b'{"texts": ["' + b'\\"[' * 300_000
    response = client.post("/v1/classify", content=body, headers={"content-type": "application/json"})
    assert (response.status_code, response.json()["error"]["code"]) == (400, "bad_json")


# Another model --------------------------------------------------------------------------------------------------------------


def test_a_reload_takes_the_new_model_and_a_broken_folder_leaves_the_old(tmp_path: Path) -> None:
    folders = [make_tiny_model(tmp_path / name, max_characters=size) for name, size in (("a", 1000), ("b", 1001))]
    current = [folders[0]]

    def load() -> FeedbackClassifier:
        return FeedbackClassifier.load(ModelFolder.open(current[0].path), threads=1, cache_texts=10)

    reception = Reception(ServiceSettings(keys=f"boss:{hashed('two')}:admin"))
    served = ServedModel(load(), load, reception.metrics)
    with TestClient(make_app(served, reception), headers=bearer("two")) as client:

        def answering() -> Any:
            return client.post("/v1/classify", json={"texts": ["great"]}).json()["results"][0]["model"]

        def reload() -> Any:
            return client.post("/v1/model/reload", json={})

        assert client.get("/readyz").json()["model"] == answering() == folders[0].version
        assert reload().json()["changed"] is False
        current[0] = folders[1]
        assert reload().json() == {"model": folders[1].version, "before": folders[0].version, "changed": True}
        assert answering() == answering() == client.get("/v1/model").json()["model"] == folders[1].version
        (folders[0].path / "model.onnx").write_bytes(b"broken")
        current[0] = folders[0]
        refused = reload()
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "reload_failed")
        assert str(tmp_path) not in refused.text
        assert answering() == folders[1].version
        seen = counts(client, "two")
    assert seen[f'feedback_model_info{{version="{folders[1].version}"}}'] == 1
    assert seen[f'feedback_model_info{{version="{folders[0].version}"}}'] == 0
    assert [seen[f'feedback_reloads_total{{outcome="{outcome}"}}'] for outcome in ("changed", "same", "failed")] == [1, 1, 1]


def test_a_model_that_does_not_answer_its_self_test_never_takes_over(classifier: FeedbackClassifier, tmp_path: Path) -> None:
    class Broken(FeedbackClassifier):
        def network(self, windows: Any) -> Any:
            return super().network(windows) * float("nan")

    folder = make_tiny_model(tmp_path / "broken", max_characters=999)
    served = ServedModel(classifier, lambda: Broken.load(folder, threads=1))
    with pytest.raises(ModelFolderError, match="gave no probabilities"):
        served.reload()
    assert served.classifier is classifier
