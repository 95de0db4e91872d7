"""JSON Schemas of what the routes take and give, exact for the model and the settings that serve."""

from __future__ import annotations

from typing import Any

from data.taxonomy import DISPLAY_LANGUAGES, MAX_PRIORITY, Task, Taxonomy
from data.text import REPAIRS
from serving.explain import MAX_NAMED
from serving.job_store import ENDED, RUNNING, STOPPING, WAITING, WEBHOOK_STATES
from serving.model_folder import MANIFEST_KEYS
from serving.prediction import FAILURES, WARNINGS
from serving.request import MAX_ID_CHARACTERS
from serving.settings import VARIABLES, ServiceSettings

Schema = dict[str, Any]
LIMITS = ("texts", "explained_texts", "characters", "body_bytes")
PROBABILITY: Schema = {"type": "number", "minimum": 0, "maximum": 1}
STRINGS: Schema = {"type": "array", "items": {"type": "string"}}


def reference(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def record(properties: Schema, optional: tuple[str, ...] = (), **more: Any) -> Schema:
    """An object of these properties and no others; all needed but the optional ones."""
    needed = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": needed, "additionalProperties": False, **more}


def schemas(taxonomy: Taxonomy, settings: ServiceSettings) -> dict[str, Schema]:
    """Every schema by its name in the document."""
    return {
        **_requests(taxonomy, settings),
        **_results(taxonomy),
        **_about(taxonomy),
        **(_jobs() if settings.jobs_folder is not None else {}),
        "Error": record(
            {
                "code": {"type": "string", "description": "Stable, for programs."},
                "message": {"type": "string", "description": "For people: what was wrong and what to do."},
                "field": {"type": ["string", "null"], "description": "Where in the body, in dots: `items.3.text`."},
                "request_id": {"type": "string"},
            }
        ),
        "ErrorAnswer": record({"error": reference("Error")}, description="The one shape of errors, on every route."),
    }


def _requests(taxonomy: Taxonomy, settings: ServiceSettings) -> dict[str, Schema]:
    options: Schema = {
        "tasks": {
            "type": "array",
            "items": {"type": "string", "enum": list(taxonomy.task_names)},
            "minItems": 1,
            "description": "Only the answers to these tasks; all if left out.",
        },
        "scores": {"type": "boolean", "default": False, "description": "Add the probability of every label."},
        "explain": {
            "type": "boolean",
            "default": False,
            "description": "Name the sentences that carried each label; takes one more run of the model a sentence. "
            f"At most {settings.max_explained_texts} texts a request ({VARIABLES['max_explained_texts']}).",
        },
    }

    def request(name: str, items: Schema) -> Schema:
        listed = {"type": "array", "items": items, "maxItems": settings.max_texts}
        schema = record({name: listed, **options}, tuple(options))
        if settings.max_explained_texts < settings.max_texts:
            schema["if"] = {"properties": {"explain": {"const": True}}, "required": ["explain"]}
            schema["then"] = {"properties": {name: {"maxItems": settings.max_explained_texts}}}
        return schema

    return {
        "Item": record(
            {
                "id": {"type": ["string", "null"], "maxLength": MAX_ID_CHARACTERS, "description": "Echoed in the result."},
                "text": {"type": "string", "description": "The message."},
                "language": {
                    "type": ["string", "null"],
                    "pattern": "^[a-z]{2,3}$",
                    "description": "Its language where it is known; identified if left out.",
                },
            },
            ("id", "language"),
        ),
        "TextsRequest": request("texts", {"type": "string"}),
        "ItemsRequest": request("items", reference("Item")),
        "ClassifyRequest": {"oneOf": [reference("TextsRequest"), reference("ItemsRequest")]},
    }


def _results(taxonomy: Taxonomy) -> dict[str, Schema]:
    departments = sorted({department for task in taxonomy for label in task.labels for department in label.departments})
    texts = {
        "code": {"type": "string", "description": "Code of the language; `und` where there is nothing to tell it by."},
        "probability": {**PROBABILITY, "description": "Not calibrated."},
        "supported": {"type": "boolean", "description": "Whether the model was trained on it."},
    }
    return {
        "Language": record(texts),
        "Sentence": record(
            {
                "start": {"type": "integer", "minimum": 0},
                "end": {"type": "integer", "minimum": 0},
                "effect": {
                    "type": ["number", "null"],
                    "minimum": -1,
                    "maximum": 1,
                    "description": "What the label's probability loses without it; null where the message is one sentence.",
                },
            },
            description="A sentence that carried a label: offsets into the message as it was sent, in Unicode code points.",
        ),
        "Answers": {
            "type": "object",
            "properties": {task.name: _answer(task) for task in taxonomy},
            "minProperties": 1,
            "additionalProperties": False,
            "description": "By task, in the taxonomy's order; those asked for.",
        },
        "Prediction": record(
            {
                "id": {"type": ["string", "null"]},
                "language": reference("Language"),
                "answers": reference("Answers"),
                "departments": {
                    "type": "array",
                    "items": {"type": "string", "enum": departments} if departments else {"type": "string"},
                    "uniqueItems": True,
                    "description": "Who should hear of it.",
                },
                "priority": {"type": "integer", "minimum": 0, "maximum": MAX_PRIORITY, "description": "0: can wait."},
                "repairs": {
                    "type": "array",
                    "items": {"type": "string", "enum": list(REPAIRS)},
                    "description": "What was mended in the text before it was read.",
                },
                "warnings": {
                    "type": "array",
                    "items": {"type": "string", "enum": list(WARNINGS)},
                    "description": "What a reader should know of the text.",
                },
                "model": {"type": "string", "description": "Version of the model that answered."},
            }
        ),
        "FailedItem": record(
            {
                "id": {"type": ["string", "null"]},
                "error": record({"code": {"type": "string", "enum": list(FAILURES)}, "message": {"type": "string"}}),
            },
            description="In the place of a prediction, for a message that cannot be classified.",
        ),
        "Result": {"oneOf": [reference("Prediction"), reference("FailedItem")]},
        "ClassifyAnswer": record(
            {
                "results": {"type": "array", "items": reference("Result"), "description": "One an item, in order."},
                "model": {"type": "string"},
                "request_id": {"type": "string"},
            }
        ),
    }


def _answer(task: Task) -> Schema:
    names = list(task.names)
    choice: Schema = {
        "label": {"type": "string", "enum": names},
        "probability": PROBABILITY,
        "sentences": {
            "type": "array",
            "items": reference("Sentence"),
            "minItems": 1,
            "maxItems": MAX_NAMED,
            "description": "With `explain`: those that carried the label, the strongest first.",
        },
    }
    shared: Schema = {
        "abstained": {"type": "boolean", "description": "Too unsure: for a person to read."},
        "scores": record({name: PROBABILITY for name in names}, description="With `scores`: every label's probability."),
    }
    if task.single:
        return record({**choice, **shared}, ("sentences", "scores"))
    chosen = record(choice, ("sentences",))
    labels = {"type": "array", "items": chosen, "minItems": 1 if task.at_least_one else 0, "maxItems": len(names)}
    return record({"labels": labels, **shared}, ("scores",))


def _about(taxonomy: Taxonomy) -> dict[str, Schema]:
    task = record(
        {
            "kind": {"type": "string", "enum": ["single", "multi"]},
            "at_least_one": {"type": "boolean"},
            "abstain_below": PROBABILITY,
            "labels": {"type": "array", "items": reference("Label")},
        }
    )
    rule = record({"task": {"type": "string"}, "labels": STRINGS})
    return {
        "Label": record(
            {
                "name": {"type": "string"},
                "display": record({code: {"type": "string"} for code in DISPLAY_LANGUAGES}, DISPLAY_LANGUAGES),
                "about": {"type": "string"},
                "departments": STRINGS,
                "exclusive": {"type": "boolean", "description": "Stands alone in its task."},
            }
        ),
        "Task": task,
        "Taxonomy": record(
            {
                "model": {"type": "string"},
                "version": {"type": "string"},
                "tasks": record({name: reference("Task") for name in taxonomy.task_names}),
                "priority": record(
                    {
                        "zero": {"type": "object", "additionalProperties": STRINGS},
                        "rules": {"type": "array", "items": rule},
                    }
                ),
            }
        ),
        "Model": record(
            {
                "model": {"type": "string"},
                "manifest": {"type": "object", "required": list(MANIFEST_KEYS)},
                "metrics": {"type": "object", "description": "What was measured on held-out rows; see the model card."},
            }
        ),
        "Limits": record({name: {"type": "integer", "minimum": 1} for name in LIMITS}),
        "Reloaded": record({"model": {"type": "string"}, "before": {"type": "string"}, "changed": {"type": "boolean"}}),
        "Alive": record({"status": {"const": "alive"}}),
        "Ready": record({"status": {"const": "ready"}, "model": {"type": "string"}}),
    }


def _jobs() -> dict[str, Schema]:
    count: Schema = {"type": "integer", "minimum": 0}
    moment: Schema = {"type": ["string", "null"], "format": "date-time"}
    links = {name: {"type": "string"} for name in ("self", "result", "manifest", "rejects")}
    states = [WAITING, RUNNING, STOPPING, *ENDED]
    job: Schema = {
        "id": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
        "state": {"type": "string", "enum": states},
        "name": {"type": "string", "description": "Of the file as it was sent."},
        "bytes": count,
        **{name: moment for name in ("created", "started", "finished", "expires")},
        "rows": {**count, "description": "Done so far: labelled and rejected."},
        "total": {"type": ["integer", "null"], "minimum": 0, "description": "Rows of the file, when it has been read once."},
        "rejects": {**count, "description": "Rows that could not be labelled."},
        "model": {"type": ["string", "null"], "description": "Version of the model that labelled it."},
        "error": {"type": ["string", "null"], "description": "Why it failed, for people."},
        "webhook": {"type": ["string", "null"], "enum": [None, "waiting", *WEBHOOK_STATES]},
        "links": record(links, ("result", "manifest", "rejects"), description="Paths; those of files when there are any."),
    }
    return {
        "Job": record(job),
        "Jobs": record({"jobs": {"type": "array", "items": reference("Job"), "description": "The newest first."}}),
        "JobEnded": record(
            {**job, "removed": {"type": "boolean", "description": "The job had ended, and is gone with its files."}}
        ),
    }
