"""The client's jobs: a file is sent, waited for and fetched, plainly and with asyncio; what breaks goes on or is told."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from conftest import answering
from feedback_client import AsyncFeedbackClient, FeedbackClient, Job, JobFailed, RequestRefused, Unavailable
from feedback_client import jobs as job_steps

from serving.classifier import FeedbackClassifier
from serving.job_process import prepare_jobs
from serving.job_store import JobStore
from serving.job_worker import Worker
from serving.settings import ServiceSettings

CSV = 'id,text\n1,快递太差\n2,terrible parcel\n3,""\n4,بسته افتضاح بود\n'
HEADERS = {"x-api-version": "1.0"}


@pytest.fixture(scope="module")
def address(classifier: FeedbackClassifier, model_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service with jobs and, in a thread, their worker."""
    folder = tmp_path_factory.mktemp("jobs")
    settings = ServiceSettings(model_folder=model_path, jobs_folder=folder, max_job_bytes=1_000_000, max_jobs=100, job_threads=1)
    prepare_jobs(settings)
    store = JobStore(settings.jobs_url)
    end = threading.Event()

    def work() -> None:
        worker = Worker(store, settings)
        while not end.wait(0.02):
            worker.run_once()

    thread = threading.Thread(target=work)
    thread.start()
    with answering(classifier, settings) as address:
        yield address
    end.set()
    thread.join(60)
    store.close()


@pytest.fixture
def client(address: str) -> Iterator[FeedbackClient]:
    with FeedbackClient(address) as client:
        yield client


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "نظر\u200cها.csv"
    path.write_text(CSV, "utf-8")
    return path


def test_a_file_is_sent_waited_for_and_fetched(client: FeedbackClient, archive: Path, tmp_path: Path) -> None:
    seen: list[Job] = []
    job = client.submit(archive, output="jsonl", scores=True)
    assert (job.name, job.ended) == (archive.name, False)
    done = client.wait(job, progress=seen.append)
    assert (done.state, done.rows, done.total, done.rejects, seen[-1]) == ("done", 4, 4, 1, done)
    assert done.finished is not None
    assert done.created is not None
    assert done.finished >= done.created
    path = client.download(done, tmp_path / "out.jsonl")
    assert [json.loads(line)["id"] for line in path.read_text("utf-8").splitlines()] == ["1", "2", "4"]
    rejects = client.download(done.id, tmp_path / "rejects.jsonl", part="rejects")
    assert json.loads(rejects.read_text("utf-8"))["code"] == "empty"
    assert done in client.jobs()
    assert client.cancel(done).state == "done"  # it had ended: it is forgotten
    with pytest.raises(RequestRefused, match="404 not_found: There is no such job"):
        client.status(done)
    assert not list(tmp_path.glob("*.part"))


def test_the_async_client_does_the_same(address: str, archive: Path, tmp_path: Path) -> None:
    async def go() -> tuple[Job, Path, list[Job]]:
        async with AsyncFeedbackClient(address) as client:
            jobs = await asyncio.gather(client.submit(archive), client.submit(CSV.encode(), name="a.csv", output="jsonl"))
            done = await asyncio.gather(*(client.wait(job) for job in jobs))
            await client.download(done[0], tmp_path / "first.csv")
            path = await client.download(done[1], tmp_path / "second.jsonl")
            listed = await client.jobs()
            return await client.cancel(done[0]), path, listed

    ended, path, listed = asyncio.run(go())
    assert ended.id in {job.id for job in listed}
    assert len(path.read_text("utf-8").splitlines()) == 3
    assert "terrible parcel" in (tmp_path / "first.csv").read_text("utf-8-sig")


def test_a_job_that_fails_says_why(client: FeedbackClient) -> None:
    job = client.submit(b"a,b\n1,2\n", name="a.csv")
    with pytest.raises(JobFailed, match=r"\(a\.csv\) failed: .*no column's name says that it holds the messages") as failed:
        client.wait(job)
    assert failed.value.job.state == "failed"


def test_a_wrong_option_a_large_file_and_a_result_too_early_are_refused(client: FeedbackClient, tmp_path: Path) -> None:
    with pytest.raises(RequestRefused, match="422 invalid_request: There is no such option") as refused:
        client.submit(CSV.encode(), name="a.csv", colour="red")
    assert refused.value.field == "colour"
    large = tmp_path / "large.csv"
    large.write_bytes(b"text\n" + b"x" * 5_000_000)
    with pytest.raises(RequestRefused, match="413 too_large: The file is over 1000000 bytes"):
        client.submit(large)
    (tmp_path / "kept").write_text("before")
    with pytest.raises(RequestRefused, match="404 not_found"):
        client.download("0" * 32, tmp_path / "kept")
    assert (tmp_path / "kept").read_text() == "before"


def test_what_can_be_told_before_anything_is_sent_is_told(client: FeedbackClient, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="bytes need a name"):
        client.submit(b"text\n")
    with pytest.raises(FileNotFoundError, match=r"none\.csv"):
        client.submit(tmp_path / "none.csv")
    with pytest.raises(ValueError, match="write one of result, rejects, manifest"):
        client.download("0" * 32, tmp_path / "x", part="all")


# A service in trouble -------------------------------------------------------------------------------------------------------

WAITING: dict[str, Any] = {
    "id": "5f0c" * 8, "state": "waiting", "name": "a.csv", "bytes": 5, "created": "2026-11-22T02:40:00Z", "started": None,
    "finished": None, "expires": "2026-11-25T02:40:00Z", "rows": 0, "total": None, "rejects": 0, "model": None, "error": None,
    "webhook": None, "links": {"self": "/v1/jobs/" + "5f0c" * 8}, "newer": 1,
}  # fmt: skip


def scripted(*script: Callable[[httpx.Request], httpx.Response]) -> tuple[FeedbackClient, list[httpx.Request]]:
    calls: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        calls.append(request)
        return script[min(len(calls), len(script)) - 1](request)

    return FeedbackClient("http://service", transport=httpx.MockTransport(answer), patience=5), calls


def answered(status: int = 200, **changed: Any) -> Callable[[httpx.Request], httpx.Response]:
    return lambda _: httpx.Response(status, json={**WAITING, **changed}, headers=HEADERS)


def broken(kind: type[httpx.TransportError]) -> Callable[[httpx.Request], httpx.Response]:
    def fail(request: httpx.Request) -> httpx.Response:
        raise kind("broken", request=request)

    return fail


@pytest.fixture(autouse=True)
def no_sleep(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    if "client" not in request.fixturenames:
        monkeypatch.setattr("feedback_client.client.time.sleep", lambda _: None)


def test_a_file_is_sent_again_only_where_it_cannot_have_been_taken() -> None:
    full: dict[str, Any] = {"error": {"code": "overloaded", "message": "Full.", "field": None, "request_id": "r"}}
    busy = lambda _: httpx.Response(503, json=full, headers={**HEADERS, "retry-after": "1"})  # noqa: E731  one of a script
    client, calls = scripted(broken(httpx.ConnectError), busy, answered(202))
    assert client.submit(b"text\n", name="a.csv").state == "waiting"
    assert len(calls) == 3
    client, calls = scripted(broken(httpx.ReadError), answered(202))
    with pytest.raises(Unavailable, match=r"POST v1/jobs: not reached \(ReadError: broken\); the service may have taken it"):
        client.submit(b"text\n", name="a.csv")
    assert len(calls) == 1


def test_waiting_ends_after_its_time_and_at_a_cancelled_job() -> None:
    client, _ = scripted(answered(state="running", rows=7))
    with pytest.raises(Unavailable, match="is running after 0 s, 7 rows done; it goes on"):
        client.wait("5f0c" * 8, timeout=0)
    client, calls = scripted(answered(), answered(state="running"), answered(state="cancelled"))
    with pytest.raises(JobFailed, match=r"\(a\.csv\) cancelled$"):
        client.wait("5f0c" * 8)
    assert len(calls) == 3


def test_a_transfer_that_breaks_goes_on_where_it_broke(tmp_path: Path) -> None:
    class Half(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            yield b"first half, "
            raise httpx.ReadError("broken")

    def rest(request: httpx.Request) -> httpx.Response:
        assert request.headers["range"] == "bytes=12-"
        return httpx.Response(206, content=b"second half", headers=HEADERS)

    client, calls = scripted(lambda _: httpx.Response(200, stream=Half(), headers=HEADERS), rest)
    assert client.download("5f0c" * 8, tmp_path / "out.csv").read_bytes() == b"first half, second half"
    assert len(calls) == 2


def test_the_readmes_example_runs(address: str, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    archive.rename("archive.csv")
    readme = Path(job_steps.__file__).parents[2] / "README.md"
    block = next(block for block in readme.read_text("utf-8").split("```python\n") if "submit" in block)
    exec(compile(block.split("```")[0].replace("http://localhost:3000", address), "README.md", "exec"), {})
    assert Path("labelled.xlsx").stat().st_size > 0


def test_a_service_that_begins_anew_is_not_written_behind_what_came_before(tmp_path: Path) -> None:
    (tmp_path / "part").write_bytes(b"old")
    assert job_steps.continued(job_steps.Fetch("x", tmp_path / "part")) == {"range": "bytes=3-"}
    assert [job_steps.mode(httpx.Response(status)) for status in (200, 206, 416)] == ["wb", "ab", None]
