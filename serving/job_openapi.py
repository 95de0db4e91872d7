"""The routes of jobs (serving/job_routes.py) as the OpenAPI document describes them, where the service has jobs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from data.separated import QUOTINGS
from data.tables import FORMATS
from serving.described import ANY, answer, get, headers, refusals
from serving.job_routes import (
    MAX_NAME_CHARACTERS,
    MAX_OPTION_CHARACTERS,
    NAME,
    OUTPUT,
    SWITCH,
    SWITCHES,
    TEXTS,
    UPLOAD,
    job_document,
)
from serving.job_store import DONE, new_job
from serving.schemas import reference
from serving.settings import VARIABLES, ServiceSettings

FILE = "application/octet-stream"
ABOUT = {
    "text_column": "Name of the column with the messages; found if left out.",
    "id_column": "Name of the column whose values name the rows; found if left out.",
    "language_column": "Name of the column with languages that are known.",
    "encoding": "Of a text file; found if left out.",
    "delimiter": "Of CSV; found if left out.",
    "quoting": f"Of CSV: {', '.join(QUOTINGS)}; found if left out.",
    "sheet": "Of a spreadsheet; the first if left out.",
    "prefix": "Put before the names of the columns that are added.",
    "scores": "Add the probability of every label.",
    "excel": "Begin a CSV with a byte order mark, for Excel.",
    "redact": "Mask addresses, numbers of phones, cards and orders, and links in the messages.",
}
EXAMPLE_ID, EXAMPLE_NAME, EXAMPLE_CREATED = "5f0c" * 8, "评论.csv", 1_763_789_123.0


def job_paths(settings: ServiceSettings) -> dict[str, Any]:
    """The paths; none where jobs are off."""
    if settings.jobs_folder is None:
        return {}
    one = f"{UPLOAD}/{{id}}"
    id = {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "pattern": "^[0-9a-f]{32}$"}}
    show = get("job", "State and progress of a job", reference("Job"))
    show["responses"] |= refusals(404)
    delete = get("remove_job", "Cancel a job that has not ended; forget one that has, with its files", reference("JobEnded"))
    delete["responses"] |= refusals(404)
    return {
        UPLOAD: {"post": _submit(settings), "get": get("jobs", "The newest jobs of the caller's key", reference("Jobs"))},
        one: {"parameters": [id], "get": show, "delete": delete},
        f"{one}/result": {"parameters": [id], "get": _file("job_result", "The labelled file of a job that is done")},
        f"{one}/rejects": {"parameters": [id], "get": _file("job_rejects", "The rows that could not be labelled, as JSON Lines")},
        f"{one}/manifest": {"parameters": [id], "get": _file("job_manifest", "What was read and written, and how, as JSON")},
    }


def _submit(settings: ServiceSettings) -> dict[str, Any]:
    waiting = new_job(
        EXAMPLE_ID, "", EXAMPLE_NAME, {}, "labelled.csv", 1_048_576, None, EXAMPLE_CREATED, settings.job_hours * 3600.0
    )
    done = replace(waiting, state=DONE, started=EXAMPLE_CREATED + 1, finished=EXAMPLE_CREATED + 90, rows=12_000, total=12_000,
                   rejects=3, model="2026.11.0+3f9c1a")  # fmt: skip
    accepted = answer(
        "The job, which waits its turn", reference("Job"), {"new": job_document(waiting), "later": job_document(done)}
    )
    accepted["headers"] = {**headers(), "Location": {"$ref": "#/components/headers/Location"}}
    return {
        "operationId": "submit_job",
        "summary": "Send a file to be labelled",
        "description": (
            f"The body is the file itself, of {settings.max_job_bytes:,} bytes at most (`{VARIABLES['max_job_bytes']}`), under any "
            "content type but that of a form: `curl --data-binary @archive.csv`. Ask for the job until its state is `done`, then "
            f"fetch its result. A caller may have {settings.max_jobs} jobs that have not ended (`{VARIABLES['max_jobs']}`); they "
            f"are forgotten after {settings.job_hours} hours."
        ),
        "parameters": _parameters(settings),
        "requestBody": {"required": True, "content": {FILE: {"schema": {"type": "string", "format": "binary", "minLength": 1}}}},
        "responses": {"202": accepted, **refusals(400, 415, 422, 507, *ANY)},
    }


def _parameters(settings: ServiceSettings) -> list[dict[str, Any]]:
    def option(name: str, schema: dict[str, Any], about: str, **more: Any) -> dict[str, Any]:
        return {"name": name, "in": "query", "description": about, "schema": {"type": "string", **schema}, **more}

    known = ", ".join(end.lstrip(".") for end in FORMATS)
    return [
        option("name", {"pattern": NAME, "maxLength": MAX_NAME_CHARACTERS},
               f"Of the file; its end says the format ({known}; text also with .gz or .zst).", required=True, example=EXAMPLE_NAME),
        option("output", {"pattern": OUTPUT}, "Format of the result; the file's own if left out.", example="xlsx"),
        *(option(name, {"maxLength": MAX_OPTION_CHARACTERS}, ABOUT[name]) for name in TEXTS),
        *(option(name, {"pattern": SWITCH}, f"`true` or `false`. {ABOUT[name]}") for name in SWITCHES),
        *([option("webhook", {"format": "uri"}, "Told when the job has ended (docs/jobs.md).")] if settings.webhook_secret else []),
    ]  # fmt: skip


def _file(name: str, summary: str) -> dict[str, Any]:
    binary = {"schema": {"type": "string", "format": "binary"}}
    whole = {"description": summary, "headers": headers(), "content": {FILE: binary}}
    part = {**whole, "description": "The bytes that were asked for by `Range`",
            "content": {FILE: binary, "multipart/byteranges": binary}}  # fmt: skip
    return {
        "operationId": name,
        "summary": summary,
        "responses": {"200": whole, "206": part, **refusals(400, 404, 409, 416, *ANY)},
    }
