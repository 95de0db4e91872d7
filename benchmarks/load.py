"""A generator of requests that costs little, so that it is not what is measured."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass
class Outcome:
    """What a load met. Times in seconds."""

    seconds: float = 0.0
    statuses: Counter[int] = field(default_factory=Counter)
    accepted_s: list[float] = field(default_factory=list)
    """Latencies of requests that were answered with 200."""
    without_retry_after: int = 0
    """Refusals (429, 503) that do not say when to try again."""
    broken: int = 0
    """Requests that got no answer."""
    broken_idle_s: list[float] = field(default_factory=list)
    """Of these, those on a connection that had been used before: how long it had been idle when they were sent."""

    @property
    def goodput(self) -> float:
        """Requests a second answered with 200."""
        return self.statuses[200] / self.seconds if self.seconds else 0.0

    def quantile(self, share: float) -> float:
        ordered = sorted(self.accepted_s)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def request_of(texts: Sequence[str], port: int, path: str = "/v1/classify", more: Mapping[str, object] | None = None) -> bytes:
    """The bytes of a request. more: options beside the texts."""
    return post(path, {"texts": list(texts), **(more or {})}, port)


def post(path: str, content: Mapping[str, object], port: int) -> bytes:
    body = json.dumps(content, ensure_ascii=False).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Connection:
    """One kept-alive connection; one request at a time."""

    def __init__(self, port: int, careless: bool = False) -> None:
        """careless: use a kept connection without looking whether the server has closed it, which no HTTP client does."""
        self.port = port
        self.careless = careless
        self.used: float | None = None
        """When its last answer came; None where it is new."""
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes) -> tuple[int, bool]:
        """Send a request and read its answer: the status, and whether Retry-After stands in it. ConnectionError if none comes."""
        if self._streams is not None and not self.careless and self._streams[0].at_eof():
            self.close()
        if self._streams is None:
            self.used = None
            try:
                self._streams = await asyncio.open_connection("127.0.0.1", self.port)
            except OSError as error:
                raise ConnectionError("not connected") from error
        reader, writer = self._streams
        try:
            writer.write(request)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
        except (asyncio.IncompleteReadError, OSError, ValueError) as error:
            self.close()
            raise ConnectionError("no answer") from error
        self.used = time.perf_counter()
        if b"connection: close" in head:
            self.close()
        return int(head[9:12]), b"\r\nretry-after:" in head

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def closed_load(port: int, requests: Sequence[bytes], callers: int, count: int) -> Outcome:
    """`callers` that each send the next request when they have the answer to the last one; `count` requests in all."""
    outcome = Outcome()
    numbers: Iterator[int] = iter(range(count))

    async def call() -> None:
        connection = Connection(port)
        for number in numbers:
            await _ask(connection, requests[number % len(requests)], outcome)
        connection.close()

    begun = time.perf_counter()
    await asyncio.gather(*(call() for _ in range(callers)))
    outcome.seconds = time.perf_counter() - begun
    return outcome


async def open_load(
    port: int, requests: Sequence[bytes], per_second: float, seconds: float, connections: int = 512, careless: bool = False
) -> Outcome:
    """Requests at a steady rate, whatever becomes of those before; over `connections` that are kept."""
    outcome = Outcome()
    idle = [Connection(port, careless) for _ in range(connections)]
    tasks: set[asyncio.Task[None]] = set()

    async def call(request: bytes) -> None:
        connection = idle.pop()
        await _ask(connection, request, outcome)
        idle.append(connection)

    begun = time.perf_counter()
    sent = 0
    while (passed := time.perf_counter() - begun) < seconds:
        while sent < passed * per_second:
            sent += 1
            if idle:
                task = asyncio.ensure_future(call(requests[sent % len(requests)]))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
        await asyncio.sleep(0.001)
    outcome.seconds = time.perf_counter() - begun
    if tasks:
        await asyncio.wait(tasks, timeout=30)
    for connection in idle:
        connection.close()
    return outcome


async def _ask(connection: Connection, request: bytes, outcome: Outcome) -> None:
    begun = time.perf_counter()
    try:
        status, retry_after = await connection.ask(request)
    except ConnectionError:
        outcome.broken += 1
        if connection.used is not None:
            outcome.broken_idle_s.append(begun - connection.used)
        return
    outcome.statuses[status] += 1
    if status == 200:
        outcome.accepted_s.append(time.perf_counter() - begun)
    elif status in (429, 503) and not retry_after:
        outcome.without_retry_after += 1


def run_load(coroutine: object) -> Outcome:
    """Run a load to its end, on the fast event loop where there is one."""
    with contextlib.suppress(ImportError):
        import uvloop

        outcome: Outcome = uvloop.run(coroutine)  # type: ignore[arg-type]  # a coroutine of this module
        return outcome
    return asyncio.run(coroutine)  # type: ignore[arg-type]  # the same
