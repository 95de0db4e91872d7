"""What is measured of one call to the classifier, and the switch that stops it."""

from __future__ import annotations

import threading
import time


class Stopped(Exception):
    """Nobody waits for the rest of this call."""


_ADDING = threading.Lock()
"""Held for less than a microsecond, so one for all."""


class Watch:
    """One call's stopwatch. Texts run on several threads, so times of texts add up to more than passes on the clock."""

    __slots__ = ("_asked", "_stopped", "cached", "network_s", "reading_s", "waited_s")

    def __init__(self) -> None:
        self.waited_s = 0.0
        """Seconds before the first text began: in the queue for a place, then for a thread."""
        self.reading_s = 0.0
        """Seconds of all texts together in mending, language, tokenizing and deciding."""
        self.network_s = 0.0
        """Seconds of all texts together in the network."""
        self.cached = 0
        """Texts answered from the cache."""
        self._stopped = False
        self._asked: float | None = None

    def stop(self) -> None:
        """Texts that have not begun are not run any more."""
        self._stopped = True

    @property
    def stopped(self) -> bool:
        return self._stopped

    def ask(self) -> None:
        """The first text is handed over now."""
        if self._asked is None:
            self._asked = time.perf_counter()

    def begin(self) -> float:
        """A text begins, on its own thread. Stopped if nobody waits for it."""
        if self._stopped:
            raise Stopped
        now = time.perf_counter()
        if self._asked is not None and self._asked >= 0:
            self.waited_s, self._asked = self.waited_s + now - self._asked, -1.0
        return now

    def end(self, begun: float, network_s: float) -> None:
        """The text that began at `begun` is answered."""
        spent = time.perf_counter() - begun
        with _ADDING:
            self.reading_s += spent - network_s
            self.network_s += network_s

    def hit(self) -> None:
        with _ADDING:
            self.cached += 1
