"""Jobs in a database: the same on SQLite and PostgreSQL; a job is one worker's at a time, and nobody's death loses it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import postgres
import pytest

from data.errors import ConfigError
from serving.job_store import CANCELLED, DONE, FAILED, LEASE_S, MAX_ATTEMPTS, RUNNING, WAITING, Job, JobStore, new_id, new_job


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    found = postgres.programs()
    if found is None:
        pytest.skip("PostgreSQL's programs are not installed")
    pytest.importorskip("psycopg", reason="the extra `postgresql` is not installed")
    with postgres.running(found) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'jobs.sqlite'}" if request.param == "sqlite" else request.getfixturevalue("server")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(url: str, clock: Clock) -> Iterator[JobStore]:
    store = JobStore(url, clock)
    for id in store.known():
        store.remove(id)
    yield store
    store.close()


def job(owner: str = "", created: float = 1_000.0, webhook: str | None = None, **settings: object) -> Job:
    return new_job(new_id(), owner, "评论.csv", dict(settings), "labelled.csv", 5, webhook, created, 3_600.0)


def test_a_job_comes_back_as_it_was_put_in(store):
    put = job("anna", text_column="متن", redacted=True)
    store.add(put)
    assert store.find(put.id) == put
    assert store.find(put.id, "anna") == put
    assert store.find(put.id, "ben") is None
    assert [each.id for each in store.jobs_of("anna")] == [put.id]


def test_jobs_are_taken_oldest_first_and_each_once(store):
    first, second = job(created=1.0), job(created=2.0)
    store.add(second)
    store.add(first)
    assert [store.take("w").id, store.take("w").id, store.take("w")] == [first.id, second.id, None]
    taken = store.find(first.id)
    assert (taken.state, taken.worker, taken.attempts, taken.started) == (RUNNING, "w", 1, 1_000.0)


def test_many_workers_at_once_get_each_job_once(store):
    for number in range(20):
        store.add(job(created=float(number)))
    taken: list[str] = []

    def work(name: str) -> None:
        while (found := store.take(name)) is not None:
            taken.append(found.id)

    threads = [threading.Thread(target=work, args=(f"w{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == len(set(taken)) == 20


def test_a_job_whose_worker_is_gone_is_taken_up_by_another_and_the_first_one_may_no_longer_end_it(store, clock):
    store.add(job())
    first = store.take("dead")
    clock.now += LEASE_S - 1
    assert store.take("next") is None
    clock.now += 2
    assert store.take("next").id == first.id
    assert not store.renew(first.id, "dead", 5, 10, 0)
    assert not store.end(first.id, "dead", DONE)
    assert store.end(first.id, "next", DONE, rows=10)
    assert (store.find(first.id).state, store.find(first.id).rows) == (DONE, 10)


def test_renewing_keeps_the_lease_and_tells_the_progress(store, clock):
    store.add(job())
    taken = store.take("w")
    for _ in range(3):
        clock.now += LEASE_S - 1
        assert store.renew(taken.id, "w", 50, 200, 1)
    assert store.take("other") is None
    now = store.find(taken.id)
    assert (now.rows, now.total, now.rejects) == (50, 200, 1)


def test_a_job_that_kills_its_workers_is_given_up(store, clock):
    store.add(job(webhook="https://example.com/x"))
    for number in range(MAX_ATTEMPTS):
        assert store.take(f"w{number}") is not None
        clock.now += LEASE_S + 1
    assert store.take("last") is None
    (ended,) = store.jobs_of("")
    assert (ended.state, ended.webhook_state) == (FAILED, "due")
    assert "died" in ended.error


def test_a_job_that_is_given_back_goes_on_at_once_and_the_stop_does_not_count(store):
    store.add(job())
    taken = store.take("w")
    store.give_back(taken.id, "w")
    again = store.take("v")
    assert (again.id, again.attempts) == (taken.id, 1)


def test_a_waiting_job_is_cancelled_at_once_and_a_running_one_when_its_worker_hears_of_it(store):
    waiting, running = job(created=2.0), job(created=1.0)
    store.add(waiting)
    store.add(running)
    store.take("w")
    store.cancel(waiting.id)
    store.cancel(running.id)
    assert store.find(waiting.id).state == CANCELLED
    assert store.find(running.id).state == RUNNING
    assert not store.renew(running.id, "w", 1, 2, 0)
    assert store.end(running.id, "w", CANCELLED)


def test_an_owner_sees_and_fills_only_its_own_jobs(store):
    for owner in ("anna", "anna", "ben"):
        store.add(job(owner))
    assert (store.open_jobs("anna"), store.open_jobs("ben"), store.open_jobs("carl")) == (2, 1, 0)
    assert len(store.jobs_of("anna")) == 2


def test_what_has_expired_is_found_unless_it_runs(store, clock):
    old, running = job(), replace(job(), state=RUNNING, lease_until=1e12)
    store.add(old)
    store.add(running)
    assert store.expired() == []
    clock.now += 3_601
    assert [each.id for each in store.expired()] == [old.id]
    store.remove(old.id)
    assert store.known() == {running.id}


def test_a_webhook_is_one_callers_at_a_time_and_comes_again_until_it_is_sent(store, clock):
    put = job(webhook="https://example.com/x")
    store.add(put)
    store.take("w")
    assert store.take_webhook(30.0) is None
    store.end(put.id, "w", DONE)
    assert store.take_webhook(30.0).id == put.id
    assert store.take_webhook(30.0) is None
    clock.now += 31
    assert store.take_webhook(30.0).webhook_attempts == 2
    store.webhook(put.id, "sent")
    clock.now += 31
    assert store.take_webhook(30.0) is None


def test_a_store_that_is_opened_again_has_its_jobs(store, url):
    put = job()
    store.add(put)
    other = JobStore(url)
    assert other.find(put.id) == put
    other.close()


@pytest.mark.parametrize(
    "url", ["nonsense", "sqlite:////none/such/folder/x.sqlite", "postgresql+psycopg://u:secret@127.0.0.1:1/x", "oracle9://x"]
)
def test_a_database_that_cannot_be_used_is_told_without_its_password(url):
    with pytest.raises(ConfigError, match=r"the jobs' database .* cannot be used") as told:
        JobStore(url)
    assert "secret" not in str(told.value)
    assert WAITING
