"""The routes of jobs (docs/jobs.md): a file is taken in as it comes, and what became of it can be asked and fetched.

POST   /v1/jobs?name=archive.csv&output=parquet      the body is the file
GET    /v1/jobs                                      the caller's jobs
GET    /v1/jobs/ID                                   state and progress
GET    /v1/jobs/ID/result, /rejects, /manifest
DELETE /v1/jobs/ID                                   cancel it, and forget its files
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from data import durable
from data.errors import DataError
from data.packing import PACKED
from data.tables import FORMATS, TEXT_FORMATS, format_of
from serving.answer import SCOPE_KEY, JSONAnswer, RequestState
from serving.job_store import CANCELLED, DONE, ENDED, RUNNING, STOPPING, Job, JobStore, new_id, new_job
from serving.job_worker import input_name, remove_files, result_files
from serving.request import RequestError
from serving.settings import VARIABLES, ServiceSettings
from serving.webhook import WebhookError, check_url

UPLOAD = "/v1/jobs"
PATHS = frozenset({UPLOAD, "/v1/jobs/{id}", "/v1/jobs/{id}/result", "/v1/jobs/{id}/rejects", "/v1/jobs/{id}/manifest"})
_PATH = re.compile(r"/v1/jobs/[^/]+(/result|/rejects|/manifest)?")
_WRITE_BYTES = 1 << 20
MAX_NAME_CHARACTERS = 200
MAX_OPTION_CHARACTERS = 200
TEXTS = ("text_column", "id_column", "language_column", "encoding", "delimiter", "quoting", "sheet", "prefix")
SWITCHES = {"scores": "scores", "excel": "excel", "redact": "redacted"}
"""Options that are true or false, and what labelling calls them."""
_YES, _NO = ("true", "1", "yes"), ("false", "0", "no")


def _any_case(words: Iterable[str]) -> str:
    """A pattern of any of these words in capitals or not, as JSON Schema can say it."""
    return "|".join("".join(f"[{letter}{letter.upper()}]" if letter.isalpha() else re.escape(letter) for letter in word)
                    for word in words)  # fmt: skip


_ENDS = [end.lstrip(".") + packed for end, kind in FORMATS.items() for packed in (("", *PACKED) if kind in TEXT_FORMATS else ("",))]
NAME = rf"^[^/\\\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]+\.({_any_case(_ENDS)})$"
"""A file's name: no folders, no control characters, no marks that turn the direction; half-spaces of Persian may be in it."""
OUTPUT = f"^(\\.?({_any_case(_ENDS)}))?$"
SWITCH = f"^({_any_case((*_YES, *_NO))})$"


def route_of(path: str) -> str | None:
    """The route that a path is of, for logs and metrics; None if it is none of jobs."""
    if path == UPLOAD:
        return path
    match = _PATH.fullmatch(path)
    return None if match is None else "/v1/jobs/{id}" + (match[1] or "")


def job_routes(settings: ServiceSettings) -> list[Route]:
    """The routes; none where jobs are off. ConfigError where the folder or the database cannot be used."""
    if settings.jobs_folder is None:
        return []
    routes = _Routes(settings, JobStore(settings.jobs_url))
    files = [Route(f"{UPLOAD}/{{id}}/{name}", routes.file(name), methods=["GET"]) for name in ("result", "rejects", "manifest")]
    return [
        _route(UPLOAD, POST=routes.create, GET=routes.listed),
        _route(f"{UPLOAD}/{{id}}", GET=routes.show, DELETE=routes.cancel),
        *files,
    ]


Endpoint = Callable[[Request], Awaitable[Response]]


def _route(path: str, **endpoints: Endpoint) -> Route:
    """One route by method: two of the same path would each name only their own methods in `Allow`."""

    async def answer(request: Request) -> Response:
        return await endpoints["GET" if request.method == "HEAD" else request.method](request)

    return Route(path, answer, methods=list(endpoints))


class _Routes:
    def __init__(self, settings: ServiceSettings, store: JobStore) -> None:
        assert settings.jobs_folder is not None
        self._settings = settings
        self._store = store
        self._folder = settings.jobs_folder

    async def create(self, request: Request) -> Response:
        owner = _owner(request)
        name, output, options, webhook = read_options(request, self._settings)
        limit = self._settings.max_job_bytes
        announced = request.headers.get("content-length", "")
        if announced.isdigit() and int(announced) > limit:
            raise self._too_large()
        if await _aside(self._store.open_jobs, owner) >= self._settings.max_jobs:
            many = f"{self._settings.max_jobs} jobs have not ended ({VARIABLES['max_jobs']}). Wait, or cancel one."
            raise RequestError(429, "too_many_jobs", many, headers={"retry-after": "60"})
        id = new_id()
        try:
            size = await self._receive(request, self._folder / id, input_name(name))
            job = new_job(id, owner, name, options, output, size, webhook, self._store.clock(), self._settings.job_hours * 3600.0)
            await _aside(self._store.add, job)
        except BaseException:
            await _aside(remove_files, self._folder, id)
            raise
        return JSONAnswer(job_document(job), 202, {"location": f"{UPLOAD}/{id}"})

    async def _receive(self, request: Request, folder: Path, name: str) -> int:
        """Write the body as it comes; returns its bytes. The file is whole, flushed and under its name, or not there."""
        size, held = 0, bytearray()
        part = folder / f"{name}.part"
        try:
            folder.mkdir()
            with part.open("wb") as file:
                async for chunk in request.stream():
                    size += len(chunk)
                    if size > self._settings.max_job_bytes:
                        raise self._too_large()
                    held += chunk
                    if len(held) >= _WRITE_BYTES:
                        await _aside(file.write, bytes(held))
                        held.clear()
                await _aside(file.write, bytes(held))
                file.flush()
                await _aside(os.fsync, file.fileno())
            os.replace(part, folder / name)
            durable.sync_folder(folder)
        except ClientDisconnect as error:
            raise RequestError(400, "cut_off", "The file did not come whole.") from error
        except OSError as error:
            raise RequestError(507, "no_space", "The file could not be stored; the service's disk may be full.") from error
        if size == 0:
            raise RequestError(422, "invalid_request", "The body is empty. Send the file as the body: curl --data-binary @FILE")
        return size

    async def listed(self, request: Request) -> Response:
        jobs = await _aside(self._store.jobs_of, _owner(request))
        return JSONAnswer({"jobs": [job_document(job) for job in jobs]})

    async def show(self, request: Request) -> Response:
        return JSONAnswer(job_document(await self._find(request)))

    async def cancel(self, request: Request) -> Response:
        job = await self._find(request)
        if job.ended:
            await _aside(remove_files, self._folder, job.id)
            await _aside(self._store.remove, job.id)
            return JSONAnswer({**job_document(job), "removed": True})
        await _aside(self._store.cancel, job.id)
        now = await _aside(self._store.find, job.id)
        if now is not None and now.state == CANCELLED:
            await _aside(remove_files, self._folder, job.id)
        return JSONAnswer({**job_document(now or job), "removed": False})

    def file(self, name: str) -> Callable[[Request], Any]:
        async def send(request: Request) -> Response:
            job = await self._find(request)
            if job.state != DONE:
                raise RequestError(409, "not_done", f"The job is {job.state}; there is a {name} when it is done.")
            path = (await _aside(result_files, self._folder, job)).get(name)
            if path is None:
                what = "no row was rejected" if name == "rejects" else "its files are gone"
                raise RequestError(404, "not_found", f"There is no {name}: {what}.")
            stem = re.sub(r"\.[A-Za-z0-9.]+$", "", job.name) or "labelled"
            end = path.name.removeprefix("labelled")
            _state(request).own = False  # Starlette refuses a wrong Range by itself; the door puts that into our shape
            return FileResponse(path, filename=f"{stem}-labelled{end}", media_type="application/octet-stream")

        return send

    async def _find(self, request: Request) -> Job:
        id = str(request.path_params["id"])
        job: Job | None = await _aside(self._store.find, id, _owner(request)) if re.fullmatch("[0-9a-f]{32}", id) else None
        if job is None:
            raise RequestError(404, "not_found", "There is no such job, or it has expired.")
        return job

    def _too_large(self) -> RequestError:
        limit = f"The file is over {self._settings.max_job_bytes} bytes ({VARIABLES['max_job_bytes']})."
        return RequestError(413, "too_large", f"{limit} Send it in parts, or packed (.gz, .zst).", headers={"connection": "close"})


def read_options(request: Request, settings: ServiceSettings) -> tuple[str, str, dict[str, Any], str | None]:
    """The file's name, the result's name, how to label, and whom to tell. RequestError 415 or 422 names the fault and its field."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        raise RequestError(
            415, "unsupported_media_type", "Send the file itself as the body, not as a form: curl --data-binary @FILE"
        )
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise RequestError(
            415, "unsupported_media_type", "Send a packed file under its name (name=archive.csv.gz), not as an encoding."
        )
    given = dict(request.query_params)
    if len(given) < len(request.query_params.multi_items()):
        raise _wrong("", "An option stands twice.")
    name = given.pop("name", "")
    end = given.pop("output", "").lower() or _ends(name)
    output = f"labelled.{end.removeprefix('.')}"
    for field, path in (("name", name), ("output", output)):
        if not path or len(path) > MAX_NAME_CHARACTERS or re.search(r"[/\\]", path):
            raise _wrong(field, "Name the file, for example name=archive.csv; its end says the format.")
        try:
            format_of(path)
        except DataError as error:
            raise _wrong(field, str(error)) from None
        if not re.fullmatch(NAME, path):
            raise _wrong(field, "Control characters do not belong into a name.")
    if output.removeprefix("labelled.") not in _ENDS:
        raise _wrong("output", "Write a format: csv, jsonl, parquet, xlsx, csv.gz.")
    webhook = given.pop("webhook", None)
    if webhook is not None:
        _check_webhook(webhook, settings)
    options: dict[str, Any] = {}
    for field, value in given.items():
        if field in SWITCHES:
            if not re.fullmatch(SWITCH, value):
                raise _wrong(field, "Write true or false.")
            options[SWITCHES[field]] = value.lower() in _YES
        elif field in TEXTS:
            if len(value) > MAX_OPTION_CHARACTERS:
                raise _wrong(field, f"At most {MAX_OPTION_CHARACTERS} characters.")
            options[field] = value
        else:
            known = ", ".join(("name", "output", "webhook", *TEXTS, *SWITCHES))
            raise _wrong(field[:MAX_OPTION_CHARACTERS], f"There is no such option. Known: {known}.")
    return name, output, options, webhook


def _check_webhook(url: str, settings: ServiceSettings) -> None:
    if not settings.webhook_secret:
        raise _wrong("webhook", f"Webhooks are off here: the service has no {VARIABLES['webhook_secret']} to sign them with.")
    try:
        check_url(url, settings.webhook_hosts)
    except WebhookError as error:
        raise _wrong("webhook", str(error)) from None


def _ends(name: str) -> str:
    """The end of a name that says the format, with that of its packing."""
    match = re.search(r"\.([a-z0-9]+(?:\.(?:gz|zst))?)$", name.lower())
    return match[1] if match else ""


def job_document(job: Job) -> dict[str, Any]:
    """A job as callers see it."""
    links = {"self": f"{UPLOAD}/{job.id}"}
    if job.state == DONE:
        links.update({name: f"{UPLOAD}/{job.id}/{name}" for name in ("result", "manifest")})
        if job.rejects:
            links["rejects"] = f"{UPLOAD}/{job.id}/rejects"
    state = STOPPING if job.state == RUNNING and job.cancel else job.state
    return {
        "id": job.id, "state": state, "name": job.name, "bytes": job.bytes,
        "created": _moment(job.created), "started": _moment(job.started), "finished": _moment(job.finished),
        "expires": _moment(job.expires), "rows": job.rows, "total": job.total, "rejects": job.rejects, "model": job.model,
        "error": job.error, "webhook": job.webhook_state if job.state in ENDED else ("waiting" if job.webhook else None),
        "links": links,
    }  # fmt: skip


def _moment(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _owner(request: Request) -> str:
    key = _state(request).key
    return key.name if key is not None else ""


def _state(request: Request) -> RequestState:
    state: RequestState = request.scope[SCOPE_KEY]
    return state


def _wrong(field: str, message: str) -> RequestError:
    return RequestError(422, "invalid_request", message, field or None)


async def _aside(function: Callable[..., Any], *arguments: Any) -> Any:
    """Off the event loop."""
    return await asyncio.get_running_loop().run_in_executor(None, function, *arguments)
