"""The two clients: the same rules (protocol.py), sent and waited for plainly or with asyncio."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

from feedback_client import jobs as job_steps
from feedback_client import protocol
from feedback_client.protocol import Call, Fetch, Limits, Options, Outcome, Pause, Result, Steps
from feedback_client.results import Job, Message

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

    def submit(
        self,
        file: str | os.PathLike[str] | bytes,
        *,
        name: str | None = None,
        output: str = "",
        **options: str | bool,
    ) -> Job:
        """Send a file (CSV, JSON Lines, Parquet, Excel; text also packed) to be labelled, where the service has jobs.

        name: where it is not the file's own; its end says the format. output: format of the result (`xlsx`, `csv.gz`), the file's
        own if empty. options: as in the service's docs: text_column, id_column, language_column, encoding, delimiter, quoting,
        sheet, prefix, scores, excel, redact, webhook.
        Raises RequestRefused, and Unavailable also where the connection broke: the service may have the job then (`jobs()`).
        """
        return self._job(job_steps.submit(file, name, {"output": output, **options}, self._patience))

    def status(self, job: Job | str) -> Job:
        """What has become of a job, or of the one with this id."""
        return self._job(job_steps.status(job, self._patience))

    def jobs(self) -> list[Job]:
        """The newest jobs of this key."""
        listed: list[Job] = self._follow(job_steps.listed(self._patience))
        return listed

    def wait(self, job: Job | str, *, timeout: float | None = None, progress: job_steps.Progress | None = None) -> Job:
        """The job when it is done. progress: called with the job each time it was looked at.

        Raises JobFailed where it failed or was cancelled, Unavailable after `timeout` seconds; the job goes on then.
        """
        return self._job(job_steps.wait(job, timeout, progress, self._patience))

    def download(self, job: Job | str, to: str | os.PathLike[str], *, part: str = "result") -> Path:
        """Write the result (or the `rejects`, the `manifest`) of a job that is done to a file; goes on where a transfer breaks."""
        path: Path = self._follow(job_steps.download(job, to, part, self._patience))
        return path

    def cancel(self, job: Job | str) -> Job:
        """End a job; one that has ended is forgotten, with its files."""
        return self._job(job_steps.cancel(job, self._patience))

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> FeedbackClient:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _get(self, path: str) -> dict[str, Any]:
        document: dict[str, Any] = self._follow(protocol.exchange(Call("GET", path), self._patience))
        return document

    def _job(self, steps: Steps) -> Job:
        job: Job = self._follow(steps)
        return job

    def _follow(self, steps: Steps) -> Any:
        outcome: Outcome = None
        try:
            while True:
                step = steps.send(outcome)
                outcome = self._do(step)
        except StopIteration as done:
            return done.value

    def _do(self, step: Call | Fetch | Pause) -> Outcome:
        if isinstance(step, Pause):
            time.sleep(step.seconds)
            return None
        try:
            return self._fetch(step) if isinstance(step, Fetch) else self._send(step)
        except httpx.TransportError as error:
            return error

    def _send(self, call: Call) -> httpx.Response:
        if not isinstance(call.content, Path):
            return self._http.request(call.method, call.path, content=call.content, params=call.query)
        with call.content.open("rb") as file:
            pieces = iter(lambda: file.read(job_steps.CHUNK_BYTES), b"")
            return self._http.request(call.method, call.path, content=pieces, params=call.query, headers=_sized(call.content))

    def _fetch(self, fetch: Fetch) -> httpx.Response:
        with self._http.stream("GET", fetch.path, headers=job_steps.continued(fetch)) as answer:
            mode = job_steps.mode(answer)
            if mode is None:
                answer.read()
            else:
                with fetch.to.open(mode) as file:
                    for piece in answer.iter_bytes():
                        file.write(piece)
        return answer


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

    async def submit(
        self,
        file: str | os.PathLike[str] | bytes,
        *,
        name: str | None = None,
        output: str = "",
        **options: str | bool,
    ) -> Job:
        """As FeedbackClient.submit."""
        return await self._job(job_steps.submit(file, name, {"output": output, **options}, self._patience))

    async def status(self, job: Job | str) -> Job:
        """What has become of a job, or of the one with this id."""
        return await self._job(job_steps.status(job, self._patience))

    async def jobs(self) -> list[Job]:
        """The newest jobs of this key."""
        listed: list[Job] = await self._follow(job_steps.listed(self._patience))
        return listed

    async def wait(self, job: Job | str, *, timeout: float | None = None, progress: job_steps.Progress | None = None) -> Job:
        """As FeedbackClient.wait."""
        return await self._job(job_steps.wait(job, timeout, progress, self._patience))

    async def download(self, job: Job | str, to: str | os.PathLike[str], *, part: str = "result") -> Path:
        """Write the result (or the `rejects`, the `manifest`) of a job that is done to a file; goes on where a transfer breaks."""
        path: Path = await self._follow(job_steps.download(job, to, part, self._patience))
        return path

    async def cancel(self, job: Job | str) -> Job:
        """End a job; one that has ended is forgotten, with its files."""
        return await self._job(job_steps.cancel(job, self._patience))

    async def close(self) -> None:
        await self._http.aclose()

    async def __aenter__(self) -> AsyncFeedbackClient:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    async def _get(self, path: str) -> dict[str, Any]:
        document: dict[str, Any] = await self._follow(protocol.exchange(Call("GET", path), self._patience))
        return document

    async def _job(self, steps: Steps) -> Job:
        job: Job = await self._follow(steps)
        return job

    async def _follow(self, steps: Steps) -> Any:
        outcome: Outcome = None
        try:
            while True:
                step = steps.send(outcome)
                outcome = await self._do(step)
        except StopIteration as done:
            return done.value

    async def _do(self, step: Call | Fetch | Pause) -> Outcome:
        if isinstance(step, Pause):
            await asyncio.sleep(step.seconds)
            return None
        try:
            async with self._places:
                return await (self._fetch(step) if isinstance(step, Fetch) else self._send(step))
        except httpx.TransportError as error:
            return error

    async def _send(self, call: Call) -> httpx.Response:
        if not isinstance(call.content, Path):
            return await self._http.request(call.method, call.path, content=call.content, params=call.query)
        headers = _sized(call.content)
        return await self._http.request(call.method, call.path, content=_pieces(call.content), params=call.query, headers=headers)

    async def _fetch(self, fetch: Fetch) -> httpx.Response:
        async with self._http.stream("GET", fetch.path, headers=job_steps.continued(fetch)) as answer:
            mode = job_steps.mode(answer)
            if mode is None:
                await answer.aread()
            else:
                with fetch.to.open(mode) as file:
                    async for piece in answer.aiter_bytes():
                        await asyncio.to_thread(file.write, piece)
        return answer


def _sized(file: Path) -> dict[str, str]:
    """Headers of a file that is sent; with its size it is refused before it is sent where it is too large."""
    return {"content-type": "application/octet-stream", "content-length": str(file.stat().st_size)}


async def _pieces(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while piece := await asyncio.to_thread(file.read, job_steps.CHUNK_BYTES):
            yield piece


def _base(url: str) -> str:
    return url.rstrip("/") + "/"


def _headers(key: str | None) -> dict[str, str]:
    given = {"content-type": "application/json", "accept": "application/json", "user-agent": "feedback-client"}
    return {**given, **({"authorization": f"Bearer {key}"} if key else {})}
