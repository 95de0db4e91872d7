"""The way out: not ready first, still open for a while, then closed until what is inside has finished or its time is over."""

from __future__ import annotations

import asyncio
import time

import pytest

from serving.admission import Admission
from serving.drain import Drain
from serving.request import RequestError
from serving.settings import ServiceSettings

SETTINGS = ServiceSettings(drain_seconds=1)


def nothing() -> None:
    pass


def test_during_the_notice_requests_are_still_taken_while_readiness_is_false() -> None:
    async def scene() -> None:
        admission = Admission(SETTINGS)
        drain = Drain(SETTINGS, admission)
        left: list[bool] = []
        assert not drain.begun
        task = asyncio.ensure_future(drain.run(0.1, lambda: left.append(True)))
        await asyncio.sleep(0.01)
        assert drain.begun
        admission.enter(nothing)
        await asyncio.sleep(0.2)
        with pytest.raises(RequestError, match="is stopping"):
            admission.enter(nothing)
        assert not left  # it waits for the one inside
        admission.leave(nothing)
        await task
        assert left == [True]

    asyncio.run(scene())


def test_what_does_not_finish_in_time_is_cut_and_the_process_leaves_all_the_same() -> None:
    cut: list[str] = []
    left: list[str] = []

    def stuck() -> None:
        cut.append("stuck")

    async def scene() -> None:
        admission = Admission(SETTINGS)
        admission.enter(stuck)
        begun = time.monotonic()
        await Drain(SETTINGS, admission).run(0, lambda: left.append("left"))
        assert time.monotonic() - begun >= SETTINGS.drain_seconds

    asyncio.run(scene())
    assert (cut, left) == (["stuck"], ["left"])
