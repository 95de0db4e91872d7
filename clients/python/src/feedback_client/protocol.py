"""The conversation with the service, without any input or output: generators say what to send or how long to pause.

So the plain and the async client share every rule, and each only sends and sleeps in its own way.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import httpx

from feedback_client.errors import NotAllowed, OtherVersion, RequestRefused, Unavailable
from feedback_client.results import Failure, Message, Prediction, result_of

VERSION = "1"
"""First number of the interface's version that this client speaks."""
VERSION_HEADER = "x-api-version"
TRY_AGAIN = frozenset({429, 502, 503})
FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 10.0
NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
BODY_BYTES_AROUND = 200
"""Kept free in a body for the options around the messages; tasks come on top."""


@dataclass(frozen=True)
class Call:
    method: str
    path: str
    content: bytes | Path | None = None
    """What is sent; of a path, the file that is there."""
    query: Mapping[str, str] | None = None
    once: bool = False
    """Sent again only where it cannot have reached the service."""


@dataclass(frozen=True)
class Fetch:
    """A GET whose answer goes into a file, behind the bytes that are in it already."""

    path: str
    to: Path
    method: str = "GET"
    once: bool = False


@dataclass(frozen=True)
class Pause:
    seconds: float


Outcome = httpx.Response | httpx.TransportError | None
"""Of a call its answer or what broke it, of a pause nothing."""
Steps = Generator[Call | Fetch | Pause, Outcome, Any]
Result = Prediction | Failure


@dataclass(frozen=True)
class Limits:
    """What one request may hold, as the service says."""

    texts: int
    explained_texts: int
    body_bytes: int


@dataclass(frozen=True)
class Options:
    tasks: Sequence[str] | None
    scores: bool
    explain: bool

    def to_dict(self) -> dict[str, Any]:
        given: dict[str, Any] = {} if self.tasks is None else {"tasks": list(self.tasks)}
        return {**given, **{name: True for name in ("scores", "explain") if getattr(self, name)}}


def messages_of(messages: Iterable[str | Message]) -> list[Message]:
    if isinstance(messages, str):
        raise TypeError("classify takes a list of messages; write classify([text]) for one")
    return [Message(message) if isinstance(message, str) else message for message in messages]


def limits(patience_s: float) -> Steps:
    document = yield from exchange(Call("GET", "v1/limits"), patience_s)
    return Limits(document["texts"], document["explained_texts"], document["body_bytes"])


def batches(messages: Sequence[Message], options: Options, limits: Limits) -> Iterator[list[Message]]:
    """Runs of messages that one request can hold each; one that is too large alone makes a run of its own."""
    most = min(limits.texts, limits.explained_texts) if options.explain else limits.texts
    room = limits.body_bytes - BODY_BYTES_AROUND - len(_encoded(options.to_dict()))
    batch: list[Message] = []
    used = 0
    for message in messages:
        size = len(_encoded(message.to_dict())) + 1
        if batch and (len(batch) == most or used + size > room):
            yield batch
            batch, used = [], 0
        batch.append(message)
        used += size
    if batch:
        yield batch


def classify(batch: Sequence[Message], options: Options, patience_s: float) -> Steps:
    """The results of one batch. Where its body is over a limit after all (a proxy's, perhaps), it is halved."""
    content = _encoded({"items": [message.to_dict() for message in batch], **options.to_dict()})
    try:
        document = yield from exchange(Call("POST", "v1/classify", content), patience_s)
    except RequestRefused as refused:
        if refused.status != 413:
            raise
        if len(batch) == 1:
            return [Failure(batch[0].id, "too_long", f"the message does not fit into a request: {refused.message}")]
        half = len(batch) // 2
        first = yield from classify(batch[:half], options, patience_s)
        second = yield from classify(batch[half:], options, patience_s)
        return first + second
    results = [result_of(result) for result in document["results"]]
    if len(results) != len(batch):
        raise OtherVersion(
            f"{len(batch)} messages were sent and {len(results)} results came back: not a service of this client's kind"
        )
    return results


def exchange(call: Call | Fetch, patience_s: float) -> Steps:
    """What a call is answered, as JSON (None of a file that was fetched); tried again while the service is not available, for
    `patience_s` seconds at most."""
    started = time.monotonic()
    pause = FIRST_PAUSE_S
    while True:
        outcome = yield call
        if call.once and isinstance(outcome, httpx.TransportError) and not isinstance(outcome, NOT_SENT):
            why = f"{call.method} {call.path}: {_why(outcome)}; the service may have taken it all the same"
            raise Unavailable(why) from outcome
        if isinstance(outcome, httpx.Response) and outcome.status_code not in TRY_AGAIN:
            return _read(outcome, fetched=isinstance(call, Fetch))
        asked = _retry_after(outcome) if isinstance(outcome, httpx.Response) else None
        # Many clients that were refused together should not come back together.
        seconds = asked if asked is not None else pause * random.uniform(0.5, 1.0)
        if time.monotonic() - started + seconds > patience_s:
            raise Unavailable(f"{call.method} {call.path}: {_why(outcome)}; tried for {patience_s:g} s") from None
        yield Pause(seconds)
        pause = min(2 * pause, LONGEST_PAUSE_S)


def _read(response: httpx.Response, fetched: bool) -> Any:
    version = response.headers.get(VERSION_HEADER, "")
    if version.partition(".")[0] != VERSION:
        speaks = f"speaks version {version} of the interface" if version else "is no feedback service, or one without versions"
        raise OtherVersion(
            f"{response.url} {speaks} (status {response.status_code}); this client speaks {VERSION}.x. "
            "Install the feedback-client of its version, or correct the address."
        )
    if response.is_success:
        return None if fetched else response.json()
    error = response.json()["error"]
    kind = NotAllowed if response.status_code in (401, 403) else RequestRefused
    raise kind(response.status_code, error["code"], error["message"], error["field"], error["request_id"])


def _retry_after(response: httpx.Response) -> float | None:
    """Seconds that the header asks to wait: a number of them, or a date."""
    written = response.headers.get("retry-after", "").strip()
    if written.isascii() and written.isdigit():
        return float(written)
    try:
        return max(0.0, parsedate_to_datetime(written).timestamp() - time.time())
    except ValueError:
        return None


def _why(outcome: Outcome) -> str:
    if isinstance(outcome, httpx.Response):
        try:
            return f"{outcome.status_code} {outcome.json()['error']['message']}"
        except (ValueError, KeyError, TypeError):
            return f"status {outcome.status_code}"
    return f"not reached ({type(outcome).__name__}: {outcome})"


def _encoded(document: Any) -> bytes:
    # Half a character, which UTF-8 cannot hold, goes as JSON's escape of it.
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")
