"""Room for requests: so many are classified side by side, so many wait in turn, the next is refused at once."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections import deque
from collections.abc import Callable

from serving.request import RequestError
from serving.settings import VARIABLES, ServiceSettings

SMOOTHING = 0.1
"""Weight of the newest request in the mean time that a place is taken."""
FIRST_GUESS_S = 0.05


class Admission:
    """Used on the event loop alone, so it needs no lock.

    A request enters before its body is read, waits its turn, holds a place while it is classified, and leaves. What has entered
    is bounded, so memory is too.
    """

    def __init__(self, settings: ServiceSettings) -> None:
        self._settings = settings
        self.inside = 0
        """Requests that have entered: their body is read, they wait, or they are classified."""
        self.running = 0
        """Requests that hold a place."""
        self.closed = False
        """Draining: what is inside finishes, nothing else enters."""
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._mean_s = FIRST_GUESS_S
        self._cuts: set[Callable[[], None]] = set()

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def enter(self, cut: Callable[[], None]) -> None:
        """Let a request in; every `enter` needs one `leave`. RequestError if there is no room, or the service is stopping.

        cut: ends the request at once; called where a drain takes too long.
        """
        if self.closed:
            raise stopping()
        room = self._settings.max_in_flight + self._settings.max_queue
        if self.inside >= room:
            raise self._overloaded(
                f"{room} requests are in the house already ({VARIABLES['max_in_flight']}, {VARIABLES['max_queue']})."
            )
        self.inside += 1
        self._cuts.add(cut)

    def leave(self, cut: Callable[[], None]) -> None:
        self.inside -= 1
        self._cuts.discard(cut)

    async def turn(self) -> None:
        """Wait for a place, first come, first served; every `turn` needs one `free`. RequestError where it takes too long."""
        if self.running < self._settings.max_in_flight and not self._waiting:
            self.running += 1
            return
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            async with asyncio.timeout(self._settings.queue_seconds) as limit:
                await place
        except BaseException as error:
            if place.done() and not place.cancelled():
                self._next()  # the place was given in the same moment; pass it on
            else:
                with contextlib.suppress(ValueError):  # passed over already
                    self._waiting.remove(place)
            if isinstance(error, TimeoutError) and limit.expired():
                seconds, variable = self._settings.queue_seconds, VARIABLES["queue_seconds"]
                raise self._overloaded(f"No place was free within {seconds} seconds ({variable}).") from None
            raise

    def free(self, held_s: float) -> None:
        """Give a place back that was held for so long."""
        self._mean_s += SMOOTHING * (held_s - self._mean_s)
        self._next()

    def cut_all(self) -> None:
        """End every request that is still inside."""
        for cut in list(self._cuts):
            cut()

    def _next(self) -> None:
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(None)  # it takes over the place: `running` stays
                return
        self.running -= 1

    def _overloaded(self, why: str) -> RequestError:
        rounds = (self.waiting + 1) / self._settings.max_in_flight
        seconds = max(1, min(self._settings.queue_seconds, math.ceil(rounds * self._mean_s)))
        return RequestError(
            503, "overloaded", f"The service is full: {why} Try again in {seconds} s.", headers={"retry-after": str(seconds)}
        )


def stopping() -> RequestError:
    """What a caller is told while the service is on its way out."""
    return RequestError(
        503,
        "stopping",
        "This process of the service is stopping. Send the request again: another one answers.",
        headers={"retry-after": "1", "connection": "close"},
    )
