"""Mixed load for a long time: memory, open files and threads must not grow.

    make soak            an hour with the model of the quickstart
    make soak SECONDS=60 RATE=0       as many requests as it takes

Single texts, lists, explained ones, items that fail, refused requests, made-up paths, metrics, callers that hang up. Memory, files
and threads are shown at the start, every five minutes and at the end; what is read after a tenth of the time, when everything has
been used once, is compared with the end.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from benchmarks.load import Connection, request_of
from benchmarks.server import Server, running, service

CALLERS = 8
MOST_GROWTH = 0.1
ALLOWED_FILES = 8
SHOW_EVERY_S = 300.0
SENTENCES = (
    "快递太慢了，客服也不理人。",
    "The phone is great.",
    "پیک بی‌ادب بود و بسته دیر رسید.",
    " ",
    "parce\u200bl &amp; 發(fā)票",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", required=True, type=Path)
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--per-second", type=float, default=0, help="requests a second; as many as it takes if left out")
    options = parser.parse_args()
    environment = {"MODEL_FOLDER": str(options.model.resolve()), "FEEDBACK_NOTICE_SECONDS": "0"}
    with (
        tempfile.TemporaryDirectory(prefix="soak-") as folder,
        running(service("serving.service:FeedbackService"), environment, None, Path(folder) / "log") as server,
    ):
        asyncio.run(soak(server, options.seconds, options.per_second))


async def soak(server: Server, seconds: float, per_second: float = 0.0) -> None:
    statuses: Counter[str] = Counter()
    begun = time.monotonic()
    end = begun + seconds
    pause = CALLERS / per_second if per_second else 0.0
    show(begun, measured(server), statuses)
    callers = [asyncio.ensure_future(call(server.port, number, end, statuses, pause)) for number in range(CALLERS)]
    await asyncio.sleep(seconds / 10)
    first = measured(server)
    show(begun, first, statuses)
    while time.monotonic() < end:
        await asyncio.sleep(min(SHOW_EVERY_S, max(0.1, end - time.monotonic())))
        show(begun, measured(server), statuses)
    await asyncio.gather(*callers)
    await asyncio.sleep(1)
    last = measured(server)
    show(begun, last, statuses)
    faults = ["requests without an answer"] if statuses["broken"] else []
    faults += [f"answers {status}" for status in statuses if status.startswith("5") and status != "503"]
    faults += ["memory"] if last[0] > first[0] * (1 + MOST_GROWTH) else []
    faults += ["files"] if last[1] > first[1] + ALLOWED_FILES else []
    faults += ["threads"] if last[2] > first[2] + ALLOWED_FILES else []
    print(f"growth: memory {last[0] / first[0] - 1:.1%}, files {last[1] - first[1]}, threads {last[2] - first[2]}")
    if faults:
        sys.exit("missed: " + ", ".join(faults))


async def call(port: int, number: int, end: float, statuses: Counter[str], pause: float) -> None:
    chance = random.Random(number)
    connection = Connection(port)
    turn = time.monotonic() + pause * chance.random()
    while time.monotonic() < end:
        if pause:
            await asyncio.sleep(max(0.0, turn - time.monotonic()))
            turn += pause
        kind = chance.random()
        texts = [f"{chance.choice(SENTENCES)} {chance.randrange(10_000)}" for _ in range(chance.choice((1, 1, 1, 5, 40)))]
        if kind < 0.02:
            request = f"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
        elif kind < 0.05:
            request = request_of(texts[:5], port, more={"explain": True, "scores": True})
        elif kind < 0.8:
            request = request_of(texts, port)
        elif kind < 0.9:
            request = request_of(texts, port, f"/made-up/{os.urandom(8).hex()}")
        else:
            request = request_of(texts, port).replace(b"application/json", b"text/plain")
        if chance.random() < 0.05:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(request_of(texts * 10, port))
                await asyncio.sleep(chance.random() * 0.05)
                writer.close()
            statuses["hung up"] += 1
            continue
        try:
            statuses[str((await connection.ask(request))[0])] += 1
        except ConnectionError:
            statuses["broken"] += 1
    connection.close()


def measured(server: Server) -> tuple[int, int, int]:
    """Resident bytes, open files, threads of all processes."""
    return server.resident_bytes(), server.files(), server.threads()


def show(begun: float, now: tuple[int, int, int], statuses: Counter[str]) -> None:
    print(
        f"{time.monotonic() - begun:6.0f} s  {now[0] / 1e6:.1f} MB, {now[1]} files, {now[2]} threads, answers {dict(statuses)}",
        flush=True,
    )


if __name__ == "__main__":
    main()
