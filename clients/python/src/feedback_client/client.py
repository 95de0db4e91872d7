"""The two clients: the same rules (protocol.py), sent and waited for plainly or with asyncio."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Any

import httpx

from feedback_client import protocol
from feedback_client.protocol import Call, Limits, Options, Outcome, Pause, Result, Steps
from feedback_client.results import Message

TIMEOUT_S = 90.0
"""Above the service's own limit, which answers with an error that says more."""
PATIENCE_S = 60.0


class FeedbackClient:
    """Close it, or use it with `with`: it keeps connections open. Safe to share between threads."""

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        timeout: float = TIMEOUT_S,
        patience: float = PATIENCE_S,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """url: the service's address. key: where it asks for one. timeout: seconds for one answer.
        patience: seconds for which a request is tried again while the service is not available.
        """
        self._http = httpx.Client(base_url=_base(url), headers=_headers(key), timeout=timeout, transport=transport)
        self._patience = patience
        self._limits: Limits | None = None

    def classify(
        self,
        messages: Iterable[str | Message],
        *,
        tasks: Sequence[str] | None = None,
        scores: bool = False,
        explain: bool = False,
    ) -> list[Result]:
        """One result a message, in order, however many there are; a Failure where one cannot be classified.

        tasks: only the answers to these. scores: every label's probability. explain: the sentences that carried each label.
        Raises RequestRefused, NotAllowed, Unavailable or OtherVersion.
        """
        listed, options = protocol.messages_of(messages), Options(tasks, scores, explain)
        if self._limits is None:
            self._limits = self._follow(protocol.limits(self._patience))
        results: list[Result] = []
        for batch in protocol.batches(listed, options, self._limits):
            results += self._follow(protocol.classify(batch, options, self._patience))
        return results

    def taxonomy(self) -> dict[str, Any]:
        """Tasks and labels of what serves, as JSON."""
        return self._get("v1/taxonomy")

    def model(self) -> dict[str, Any]:
        """Version, manifest and metrics of what serves, as JSON."""
        return self._get("v1/model")

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> FeedbackClient:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _get(self, path: str) -> dict[str, Any]:
        document: dict[str, Any] = self._follow(protocol.exchange(Call("GET", path), self._patience))
        return document

    def _follow(self, steps: Steps) -> Any:
        outcome: Outcome = None
        try:
            while True:
                step = steps.send(outcome)
                outcome = self._do(step)
        except StopIteration as done:
            return done.value

    def _do(self, step: Call | Pause) -> Outcome:
        if isinstance(step, Pause):
            time.sleep(step.seconds)
            return None
        try:
            return self._http.request(step.method, step.path, content=step.content)
        except httpx.TransportError as error:
            return error


class AsyncFeedbackClient:
    """The same for asyncio: `async with`, `await`."""

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        timeout: float = TIMEOUT_S,
        patience: float = PATIENCE_S,
        concurrency: int = 4,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """concurrency: requests on their way at a time, of all calls together. The rest as in FeedbackClient."""
        self._http = httpx.AsyncClient(base_url=_base(url), headers=_headers(key), timeout=timeout, transport=transport)
        self._patience = patience
        self._places = asyncio.Semaphore(concurrency)
        self._limits: Limits | None = None

    async def classify(
        self,
        messages: Iterable[str | Message],
        *,
        tasks: Sequence[str] | None = None,
        scores: bool = False,
        explain: bool = False,
    ) -> list[Result]:
        """As FeedbackClient.classify; several requests are on their way at a time."""
        listed, options = protocol.messages_of(messages), Options(tasks, scores, explain)
        if self._limits is None:
            self._limits = await self._follow(protocol.limits(self._patience))
        batches = protocol.batches(listed, options, self._limits)
        asked = [asyncio.ensure_future(self._follow(protocol.classify(batch, options, self._patience))) for batch in batches]
        try:
            return [result for answered in await asyncio.gather(*asked) for result in answered]
        finally:
            for one in asked:  # where one failed, the others are not wanted any more
                one.cancel()

    async def taxonomy(self) -> dict[str, Any]:
        """Tasks and labels of what serves, as JSON."""
        return await self._get("v1/taxonomy")

    async def model(self) -> dict[str, Any]:
        """Version, manifest and metrics of what serves, as JSON."""
        return await self._get("v1/model")

    async def close(self) -> None:
        await self._http.aclose()

    async def __aenter__(self) -> AsyncFeedbackClient:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    async def _get(self, path: str) -> dict[str, Any]:
        document: dict[str, Any] = await self._follow(protocol.exchange(Call("GET", path), self._patience))
        return document

    async def _follow(self, steps: Steps) -> Any:
        outcome: Outcome = None
        try:
            while True:
                step = steps.send(outcome)
                outcome = await self._do(step)
        except StopIteration as done:
            return done.value

    async def _do(self, step: Call | Pause) -> Outcome:
        if isinstance(step, Pause):
            await asyncio.sleep(step.seconds)
            return None
        try:
            async with self._places:
                return await self._http.request(step.method, step.path, content=step.content)
        except httpx.TransportError as error:
            return error


def _base(url: str) -> str:
    return url.rstrip("/") + "/"


def _headers(key: str | None) -> dict[str, str]:
    given = {"content-type": "application/json", "accept": "application/json", "user-agent": "feedback-client"}
    return {**given, **({"authorization": f"Bearer {key}"} if key else {})}
