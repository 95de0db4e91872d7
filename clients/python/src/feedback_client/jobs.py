"""Jobs: a file is sent, labelled by the service in its own time, and fetched. The conversation, as in protocol.py."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import httpx

from feedback_client.errors import JobFailed, Unavailable
from feedback_client.protocol import Call, Fetch, Pause, Steps, exchange
from feedback_client.results import Job, job_of

JOBS = "v1/jobs"
PARTS = ("result", "rejects", "manifest")
FIRST_LOOK_S, LOOK_EVERY_S = 0.25, 5.0
CHUNK_BYTES = 1 << 18
Progress = Callable[[Job], object]


def submit(file: str | os.PathLike[str] | bytes, name: str | None, options: Mapping[str, str | bool], patience_s: float) -> Steps:
    """Send a file; bytes need a name. What cannot be read is told before anything is sent."""
    content: bytes | Path
    if isinstance(file, bytes):
        if not name:
            raise TypeError("bytes need a name whose end says their format, for example name='archive.csv'")
        content = file
    else:
        content = Path(file)
        with content.open("rb"):
            name = name or content.name
    given = {key: value for key, value in options.items() if value != ""}
    written = {key: ("true" if value else "false") if isinstance(value, bool) else value for key, value in given.items()}
    document = yield from exchange(Call("POST", JOBS, content, {"name": name, **written}, once=True), patience_s)
    return job_of(document)


def listed(patience_s: float) -> Steps:
    document = yield from exchange(Call("GET", JOBS), patience_s)
    return [job_of(job) for job in document["jobs"]]


def status(job: Job | str, patience_s: float) -> Steps:
    document = yield from exchange(Call("GET", _path(job)), patience_s)
    return job_of(document)


def cancel(job: Job | str, patience_s: float) -> Steps:
    document = yield from exchange(Call("DELETE", _path(job)), patience_s)
    return job_of(document)


def wait(job: Job | str, timeout_s: float | None, progress: Progress | None, patience_s: float) -> Steps:
    """The job when it is done. JobFailed where there will be no result, Unavailable where it takes longer than `timeout_s`."""
    started, pause = time.monotonic(), FIRST_LOOK_S
    while True:
        now: Job = yield from status(job, patience_s)
        if progress is not None:
            progress(now)
        if now.state == "done":
            return now
        if now.ended:
            raise JobFailed(now)
        if timeout_s is not None and time.monotonic() - started + pause > timeout_s:
            raise Unavailable(f"job {now.id} is {now.state} after {timeout_s:g} s, {now.rows} rows done; it goes on")
        yield Pause(pause)
        pause = min(2 * pause, LOOK_EVERY_S)


def download(job: Job | str, to: str | os.PathLike[str], part: str, patience_s: float) -> Steps:
    """Write a job's result to a file, which is whole or as it was before. A broken transfer goes on where it broke."""
    if part not in PARTS:
        raise ValueError(f"part is {part!r}; write one of {', '.join(PARTS)}")
    target = Path(to)
    aside = target.with_name(target.name + ".part")
    aside.unlink(missing_ok=True)
    try:
        aside.touch()
        yield from exchange(Fetch(f"{_path(job)}/{part}", aside), patience_s)
        os.replace(aside, target)
    finally:
        aside.unlink(missing_ok=True)
    return target


def continued(fetch: Fetch) -> dict[str, str]:
    """Headers that ask for the bytes that are not there yet."""
    size = fetch.to.stat().st_size
    return {"range": f"bytes={size}-"} if size else {}


def mode(response: httpx.Response) -> str | None:
    """How to open the file that an answer goes into: on its end or anew; None where the answer is no file."""
    return {200: "wb", 206: "ab"}.get(response.status_code)


def _path(job: Job | str) -> str:
    return f"{JOBS}/{job.id if isinstance(job, Job) else job}"
