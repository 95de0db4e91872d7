"""The Python client: any number of messages in order, patience with a busy service, errors that say what to do."""

from __future__ import annotations

import asyncio
import email.utils
import json
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from feedback_client import (
    AsyncFeedbackClient,
    Failure,
    FeedbackClient,
    Message,
    NotAllowed,
    OtherVersion,
    Prediction,
    RequestRefused,
    Unavailable,
)
from feedback_client.protocol import Limits, Options, batches

from serving.app import make_app
from serving.classifier import FeedbackClassifier
from serving.keys import new_key
from serving.prediction import Prediction as Predicted
from serving.settings import ServiceSettings

ROOT = Path(__file__).resolve().parent.parent / "clients" / "python"
TEXTS = ["快递太差，我要退款", "terrible parcel, I want a refund", "بسته افتضاح بود", " ", "great 😀", "half \ud83d", "y" * 3000]
ALL = Options(None, False, False)


@pytest.fixture
def client(url: str) -> Iterator[FeedbackClient]:
    with FeedbackClient(url) as client:
        yield client


# Against the service ----------------------------------------------------------------------------------------------------


def test_more_messages_than_a_request_holds_come_back_in_order(client: FeedbackClient, classifier: FeedbackClassifier) -> None:
    messages = [Message(text, id=str(number)) for number, text in enumerate(TEXTS * 5)]
    results = client.classify(messages)
    assert [result.id for result in results] == [message.id for message in messages]
    for result, expected in zip(
        results, classifier.predict(["half \ufffd" if "half" in text else text for text in TEXTS] * 5), strict=True
    ):
        if isinstance(expected, Predicted):
            assert isinstance(result, Prediction)
            assert result.language.code == expected.language.code
            assert {task: [label.name for label in answer.labels] for task, answer in result.answers.items()} == {
                task: list(answer.labels) for task, answer in expected.answers.items()
            }
            assert (result.departments, result.priority, result.model) == (expected.departments, expected.priority, expected.model)
        else:
            assert isinstance(result, Failure)
            assert (result.code, result.message) == (expected.code, expected.message)


def test_the_async_client_gives_the_same(url: str, client: FeedbackClient) -> None:
    async def ask() -> tuple[list[Any], list[Any], dict[str, Any]]:
        async with AsyncFeedbackClient(url, concurrency=3) as twin:
            first, second = await asyncio.gather(twin.classify(TEXTS * 4), twin.classify(TEXTS[:2], scores=True, explain=True))
            return first, second, await twin.taxonomy()

    first, second, taxonomy = asyncio.run(ask())
    assert first == client.classify(TEXTS * 4)
    assert second == client.classify(TEXTS[:2], scores=True, explain=True)
    assert taxonomy == client.taxonomy()


@pytest.mark.parametrize("text", ["رنگش خوب است. بسته ي من نرسيده!", "Fine colour 😀. The parcel is lost!", "颜色不错。快递没到！"])
def test_options_come_back_typed(client: FeedbackClient, text: str) -> None:
    [result] = client.classify([text], tasks=["category"], scores=True, explain=True)
    assert isinstance(result, Prediction)
    assert list(result.answers) == ["category"]
    answer = result.answers["category"]
    assert answer.scores
    delivery = next(label for label in answer.labels if label.name == "delivery")
    assert delivery.sentences[0].of(text) == text.replace("。", ". ").split(". ")[-1]
    assert answer.label == max(answer.scores, key=answer.scores.__getitem__)


def test_known_languages_are_sent(client: FeedbackClient) -> None:
    [result] = client.classify([Message("great", language="fa")])
    assert isinstance(result, Prediction)
    assert (result.language.code, result.language.probability) == ("fa", 1.0)


def test_no_messages_ask_nothing_of_the_model(client: FeedbackClient) -> None:
    assert client.classify([]) == []


def test_a_refused_request_says_which_field(client: FeedbackClient) -> None:
    with pytest.raises(RequestRefused, match=r"422 invalid_request: tasks\.0: no such task; this model has sentiment") as refused:
        client.classify(["great"], tasks=["mood"])
    assert (refused.value.status, refused.value.field) == (422, "tasks.0")
    assert refused.value.request_id


def test_one_text_where_a_list_belongs_is_refused_before_it_is_sent(client: FeedbackClient) -> None:
    with pytest.raises(TypeError, match=r"write classify\(\[text\]\)"):
        client.classify("great")


def test_a_key_is_sent_and_a_missing_one_is_told(classifier: FeedbackClassifier) -> None:
    key, line = new_key("tests")
    transport = httpx.ASGITransport(make_app(classifier, ServiceSettings(keys=line)))  # type: ignore[arg-type]  # httpx and Starlette type ASGI apart

    async def ask(key: str | None) -> list[Any]:
        async with AsyncFeedbackClient("http://service", key=key, transport=transport) as client:
            return await client.classify(["great"])

    assert isinstance(asyncio.run(ask(key))[0], Prediction)
    with pytest.raises(NotAllowed, match=r"401 unauthorized: .*Authorization"):
        asyncio.run(ask(None))


# Against a service that is in trouble -----------------------------------------------------------------------------------

LIMITS = {"texts": 100, "explained_texts": 10, "characters": 2000, "body_bytes": 5000}
HEADERS = {"x-api-version": "1.7", "x-request-id": "r-1"}


def made_up(item: dict[str, Any]) -> dict[str, Any]:
    language = {"code": "en", "probability": 1.0, "supported": True, "new": 1}
    rest = {"departments": [], "priority": 0, "repairs": [], "warnings": [], "model": "m", "newer": {}}
    return {"id": item.get("id"), "language": language, "answers": {}, **rest}


class Scripted:
    """Answers each call as told, then as a service of a later version would."""

    def __init__(self, *script: Callable[[httpx.Request], httpx.Response]) -> None:
        self.script = list(script)
        self.calls: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.calls.append(request)
        if self.script:
            return self.script.pop(0)(request)
        if request.url.path.endswith("/v1/limits"):
            return httpx.Response(200, json={**LIMITS, "newer": 1}, headers=HEADERS)
        items = json.loads(request.content)["items"]
        body = {"results": [made_up(item) for item in items], "model": "m", "request_id": "r", "newer": 1}
        return httpx.Response(200, json=body, headers=HEADERS)

    def client(self, **options: Any) -> FeedbackClient:
        return FeedbackClient("http://service/below", transport=httpx.MockTransport(self), **options)


def refusal(status: int, retry_after: str | None = None, code: str = "overloaded") -> Callable[[httpx.Request], httpx.Response]:
    body = {"error": {"code": code, "message": "The service is full.", "field": None, "request_id": "r-9"}}
    headers = {**HEADERS, **({"retry-after": retry_after} if retry_after else {})}
    return lambda _: httpx.Response(status, json=body, headers=headers)


def broken(_: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("refused")


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the client would have slept."""
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    return slept


def test_what_a_newer_service_adds_is_left_out() -> None:
    [result] = Scripted().client().classify([Message("a", id="7")])
    assert isinstance(result, Prediction)
    assert result.id == "7"


def test_a_busy_service_is_asked_again_when_it_says(pauses: list[float]) -> None:
    date = email.utils.format_datetime(email.utils.localtime())
    service = Scripted(refusal(503, "3"), refusal(429, "2"), refusal(503, date))
    assert len(service.client().classify(["a"])) == 1
    assert pauses[:2] == [3.0, 2.0]
    assert 0 <= pauses[2] < 2
    assert [call.url.path for call in service.calls] == ["/below/v1/limits"] * 4 + ["/below/v1/classify"]


def test_broken_connections_and_gateways_are_tried_with_growing_pauses(pauses: list[float]) -> None:
    bad_gateway = [lambda _: httpx.Response(502, text="<html>")] * 3
    assert len(Scripted(broken, *bad_gateway).client().classify(["a"])) == 1
    assert len(pauses) == 4
    assert all(0.5 * 0.25 * 2**turn <= pause <= 0.25 * 2**turn for turn, pause in enumerate(pauses))


def test_patience_ends(pauses: list[float]) -> None:
    with pytest.raises(Unavailable, match=r"GET v1/limits: 503 The service is full\.; tried for 60 s"):
        Scripted(refusal(503, "61")).client().classify(["a"])
    with pytest.raises(Unavailable, match=r"not reached \(ConnectError: refused\); tried for 0 s"):
        Scripted(broken).client(patience=0).classify(["a"])
    assert pauses == []


def test_errors_that_would_come_again_are_not_tried_again(pauses: list[float]) -> None:
    for status in (400, 422, 500, 504):
        service = Scripted(refusal(status, code="any"))
        with pytest.raises(RequestRefused, match=f"{status} any: The service is full"):
            service.client().taxonomy()
        assert len(service.calls) == 1
    assert pauses == []


@pytest.mark.parametrize("headers", [{"x-api-version": "2.0"}, {"x-api-version": "10.1"}, {}])
def test_a_service_of_another_version_is_told(headers: dict[str, str]) -> None:
    for status in (200, 404):
        answer = httpx.Response(status, json={"texts": 1}, headers=headers)
        what = f"version {headers['x-api-version']} of the interface" if headers else "no feedback service"
        with pytest.raises(OtherVersion, match=rf"http://service/below/v1/limits .*{what}.*this client speaks 1\.x"):
            Scripted(lambda _, answer=answer: answer).client().classify(["a"])  # type: ignore[misc]  # mypy cannot type a lambda's default


def test_a_body_over_a_proxys_limit_is_halved_and_one_that_fits_nowhere_fails_in_its_place() -> None:
    def proxy(request: httpx.Request) -> httpx.Response:
        if len(request.content) > 400:
            return refusal(413, code="too_large")(request)
        return service(request)

    service = Scripted()
    messages = [Message("x" * (600 if number == 5 else 50), id=str(number)) for number in range(12)]
    with FeedbackClient("http://service", transport=httpx.MockTransport(proxy)) as client:
        results = client.classify(messages)
    assert [result.id for result in results] == [message.id for message in messages]
    assert [result.id for result in results if isinstance(result, Failure)] == ["5"]
    failure = results[5]
    assert isinstance(failure, Failure)
    assert failure.code == "too_long"


@pytest.mark.parametrize("text", ["a", "快", "ف", "😀", "\ud83d", '"\\\n'], ids=["en", "zh", "fa", "emoji", "half", "escaped"])
def test_batches_stay_within_the_limits(text: str) -> None:
    messages = [Message(text * (1 + 37 * number % 400), id=str(number)) for number in range(300)]
    limits = Limits(texts=40, explained_texts=7, body_bytes=5000)
    for options in (ALL, Options(["tone", "category"], True, True)):
        service = Scripted()
        with service.client() as client:
            client._limits = limits
            assert [
                result.id
                for result in client.classify(messages, tasks=options.tasks, scores=options.scores, explain=options.explain)
            ] == [message.id for message in messages]
        sent = [json.loads(call.content) for call in service.calls]
        assert all(len(call.content) <= 5000 for call in service.calls)
        assert all(len(body["items"]) <= (7 if options.explain else 40) for body in sent)
        assert [message.id for batch in batches(messages, options, limits) for message in batch] == [
            message.id for message in messages
        ]


# The distribution -------------------------------------------------------------------------------------------------------


def test_it_needs_httpx_and_nothing_else() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert [name.split(">")[0] for name in project["dependencies"]] == ["httpx"]
    program = (
        f"import sys; sys.path.insert(0, {str(ROOT / 'src')!r}); import httpx; before = set(sys.modules); import feedback_client\n"
        "standard = sys.stdlib_module_names\n"
        "print(sorted({name.split('.')[0] for name in set(sys.modules) - before} - set(standard)), feedback_client.__version__)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == f"['feedback_client'] {project['version']}", done.stderr


def test_the_readmes_examples_run(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    blocks = (ROOT / "README.md").read_text("utf-8").split("```python\n")[1:3]
    plain, awaited = (block.split("```")[0].replace("http://localhost:3000", url) for block in blocks)
    exec(compile(plain, "README.md", "exec"), {})
    exec(
        compile(
            "import asyncio\nasync def main():\n  " + awaited.replace("\n", "\n  ") + "\nasyncio.run(main())", "README.md", "exec"
        ),
        {},
    )
    printed = capsys.readouterr().out
    assert "empty nothing to read after mending" in printed
    assert "The parcel is late." in printed
