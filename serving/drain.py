"""The way out: on SIGTERM readiness turns false, what is in flight finishes within a bound, the rest is told to go elsewhere."""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType

from serving.admission import Admission
from serving.settings import ServiceSettings

logger = logging.getLogger(__name__)

LOOK_AGAIN_S = 0.02
ANSWERS_S = 0.2
"""For the answers of what was cut to reach their callers."""
IMPATIENT_S = 1.0
"""A second signal so long after the first ends the process at once. (At a terminal two come together.)"""


class Drain:
    """One process's way out."""

    def __init__(self, settings: ServiceSettings, admission: Admission) -> None:
        self._settings = settings
        self._admission = admission
        self._begun: float | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def begun(self) -> bool:
        """Readiness is false from here on."""
        return self._begun is not None

    def install(self) -> None:
        """Stand before the server's own handlers of SIGTERM and SIGINT. To be called on the event loop, in the main thread."""
        if threading.current_thread() is not threading.main_thread():
            return
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            before = signal.getsignal(number)
            if callable(before):
                signal.signal(number, self._handler(loop, before))

    def _handler(
        self, loop: asyncio.AbstractEventLoop, leave: Callable[[int, FrameType | None], object]
    ) -> Callable[[int, FrameType | None], None]:
        def handle(number: int, frame: FrameType | None) -> None:
            if self._begun is not None and time.monotonic() - self._begun > IMPATIENT_S:
                leave(number, frame)
            elif self._begun is None:
                self._begun = time.monotonic()
                # Somebody at a terminal waits for no balancer.
                notice = self._settings.notice_seconds if number == signal.SIGTERM else 0
                loop.call_soon_threadsafe(self._start, notice, lambda: leave(number, None))

        return handle

    def _start(self, notice_s: float, leave: Callable[[], object]) -> None:
        self._task = asyncio.ensure_future(self.run(notice_s, leave))

    async def run(self, notice_s: float, leave: Callable[[], object]) -> None:
        """Wait `notice_s`, close the door, wait for what is inside, and then call `leave`."""
        self._begun = self._begun or time.monotonic()
        inside = self._admission.inside
        logger.info("Stopping: not ready any more, %d requests inside, new ones are taken for %g s", inside, notice_s)
        try:
            await asyncio.sleep(notice_s)
            self._admission.closed = True
            end = time.monotonic() + self._settings.drain_seconds
            while self._admission.inside and time.monotonic() < end:
                await asyncio.sleep(LOOK_AGAIN_S)
            if self._admission.inside:
                logger.warning("%d requests are cut after %d s", self._admission.inside, self._settings.drain_seconds)
                self._admission.cut_all()
                await asyncio.sleep(ANSWERS_S)
        finally:
            leave()
