"""Places for requests: first come, first served, bounded, and never lost whatever becomes of those who wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from serving.admission import Admission
from serving.request import RequestError
from serving.settings import ServiceSettings

SETTINGS = ServiceSettings(max_in_flight=2, max_queue=2, queue_seconds=1)


def nothing() -> None:
    pass


def run(scene: Callable[[Admission], Coroutine[Any, Any, None]], settings: ServiceSettings = SETTINGS) -> Admission:
    admission = Admission(settings)
    asyncio.run(scene(admission))
    return admission


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_places_are_given_in_the_order_of_asking() -> None:
    order: list[int] = []

    async def scene(admission: Admission) -> None:
        async def ask(number: int) -> None:
            await admission.turn()
            order.append(number)

        tasks = [asyncio.ensure_future(ask(number)) for number in range(4)]
        await settle()
        assert (order, admission.running, admission.waiting) == ([0, 1], 2, 2)
        admission.free(0.01)
        await settle()
        assert order == [0, 1, 2]
        admission.free(0.01)
        await asyncio.gather(*tasks)
        admission.free(0.01)
        admission.free(0.01)

    admission = run(scene)
    assert order == [0, 1, 2, 3]
    assert (admission.running, admission.waiting) == (0, 0)


def test_who_finds_the_house_full_is_told_when_to_come_again() -> None:
    async def scene(admission: Admission) -> None:
        for _ in range(4):
            admission.enter(nothing)
        with pytest.raises(
            RequestError, match=r"4 requests are in the house already \(FEEDBACK_MAX_IN_FLIGHT, FEEDBACK_MAX_Q"
        ) as no:
            admission.enter(nothing)
        assert (no.value.status, no.value.code, no.value.headers["retry-after"]) == (503, "overloaded", "1")
        admission.leave(nothing)
        admission.enter(nothing)

    assert run(scene).inside == 4


def test_who_waits_too_long_is_refused_and_the_place_goes_to_the_next() -> None:
    async def scene(admission: Admission) -> None:
        await admission.turn()
        await admission.turn()
        with pytest.raises(RequestError, match=r"No place was free within 1 seconds \(FEEDBACK_QUEUE_SECONDS\)"):
            await admission.turn()
        later = asyncio.ensure_future(admission.turn())
        await settle()
        admission.free(0.01)
        await later

    admission = run(scene)
    assert (admission.running, admission.waiting) == (2, 0)


@pytest.mark.parametrize("when", ["while it waits", "in the moment it is given a place"])
def test_who_goes_away_leaves_no_place_taken(when: str) -> None:
    async def scene(admission: Admission) -> None:
        await admission.turn()
        await admission.turn()
        gone = asyncio.ensure_future(admission.turn())
        stays = asyncio.ensure_future(admission.turn())
        await settle()
        if when == "while it waits":
            gone.cancel()
            await settle()
            admission.free(0.01)
        else:
            admission.free(0.01)
            gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        await stays
        admission.free(0.01)
        admission.free(0.01)

    admission = run(scene)
    assert (admission.running, admission.waiting) == (0, 0)


def test_a_longer_queue_of_slower_requests_makes_callers_wait_longer() -> None:
    settings = ServiceSettings(max_in_flight=1, max_queue=3, queue_seconds=60)

    async def scene(admission: Admission) -> None:
        for _ in range(60):
            await admission.turn()
            admission.free(4.0)
        await admission.turn()
        waiting = [asyncio.ensure_future(admission.turn()) for _ in range(3)]
        for _ in range(4):
            admission.enter(nothing)
        await settle()
        with pytest.raises(RequestError) as no:
            admission.enter(nothing)
        assert 10 <= int(no.value.headers["retry-after"]) <= 16
        for task in waiting:
            task.cancel()

    run(scene, settings)


def test_once_closed_nothing_enters_and_what_is_inside_can_be_cut() -> None:
    cut: list[str] = []

    def first() -> None:
        cut.append("first")

    async def scene(admission: Admission) -> None:
        admission.enter(first)
        admission.closed = True
        with pytest.raises(RequestError, match="another one answers") as no:
            admission.enter(nothing)
        assert (no.value.status, no.value.code, no.value.headers["connection"]) == (503, "stopping", "close")
        admission.cut_all()
        admission.leave(first)
        admission.cut_all()

    assert run(scene).inside == 0
    assert cut == ["first"]
