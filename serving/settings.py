"""Settings of the service, each an environment variable with a default (table in docs/serving.md)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path

from data.errors import ConfigError

SHIPPED_MODEL = Path(__file__).with_name("model")
"""Where the model that comes with the program lies."""
MEBIBYTE = 1 << 20
PREFIX = "FEEDBACK_"
VARIABLES = {
    "model_folder": "MODEL_FOLDER",
    "workers": PREFIX + "WORKERS",
    "threads": PREFIX + "THREADS",
    "max_texts": PREFIX + "MAX_TEXTS",
    "max_explained_texts": PREFIX + "MAX_EXPLAINED_TEXTS",
    "max_characters": PREFIX + "MAX_CHARACTERS",
    "max_body_bytes": PREFIX + "MAX_BODY_BYTES",
    "max_nesting": PREFIX + "MAX_NESTING",
    "request_seconds": PREFIX + "REQUEST_SECONDS",
    "body_seconds": PREFIX + "BODY_SECONDS",
    "max_in_flight": PREFIX + "MAX_IN_FLIGHT",
    "max_queue": PREFIX + "MAX_QUEUE",
    "queue_seconds": PREFIX + "QUEUE_SECONDS",
    "keep_alive_seconds": PREFIX + "KEEP_ALIVE_SECONDS",
    "notice_seconds": PREFIX + "NOTICE_SECONDS",
    "drain_seconds": PREFIX + "DRAIN_SECONDS",
    "cache_texts": PREFIX + "CACHE_TEXTS",
    "keys": PREFIX + "KEYS",
    "keys_file": PREFIX + "KEYS_FILE",
    "requests_per_minute": PREFIX + "REQUESTS_PER_MINUTE",
    "cors_origins": PREFIX + "CORS_ORIGINS",
    "log_format": PREFIX + "LOG_FORMAT",
    "traces": PREFIX + "TRACES",
    "jobs_folder": PREFIX + "JOBS_FOLDER",
    "jobs_database": PREFIX + "JOBS_DATABASE",
    "max_job_bytes": PREFIX + "MAX_JOB_BYTES",
    "max_jobs": PREFIX + "MAX_JOBS",
    "job_hours": PREFIX + "JOB_HOURS",
    "job_threads": PREFIX + "JOB_THREADS",
    "webhook_secret": PREFIX + "WEBHOOK_SECRET",
    "webhook_hosts": PREFIX + "WEBHOOK_HOSTS",
}
"""Environment variable of each field."""
LOG_FORMATS = ("json", "text")
TRACE_EXPORTERS = ("off", "otlp", "console")
_LEAST = {
    "workers": 1, "threads": 0, "max_texts": 1, "max_explained_texts": 1, "max_characters": 0,
    "max_body_bytes": 1024, "max_nesting": 3,
    "request_seconds": 1, "body_seconds": 1, "max_in_flight": 1, "max_queue": 0, "queue_seconds": 1, "keep_alive_seconds": 1,
    "notice_seconds": 0,
    "drain_seconds": 1, "cache_texts": 0, "requests_per_minute": 0,
    "max_job_bytes": 1024, "max_jobs": 1, "job_hours": 1, "job_threads": 0,
}  # fmt: skip
"""Every whole number, with the smallest that it may be."""


@dataclass(frozen=True)
class ServiceSettings:
    """Checked when built; ConfigError names every fault and its variable."""

    model_folder: Path = SHIPPED_MODEL
    """The model folder that answers."""
    workers: int = 1
    """Processes. One with a thread a core shares one copy of the model and is the best on most machines."""
    threads: int = 0
    """Texts that run side by side in a process; 0: the cores that it may use, divided by the workers."""

    max_texts: int = 256
    """Texts a request."""
    max_explained_texts: int = 32
    """Texts a request that asks to have them explained: each costs as many runs of the network as it has sentences."""
    max_characters: int = 0
    """Characters a text; 0: as many as the model folder allows. Never more than those."""
    max_body_bytes: int = MEBIBYTE
    """Bytes a request body: 256 texts of 4,000 bytes; two cores answer as much in well under a minute."""
    max_nesting: int = 8
    """Depth of the JSON of a body; a request of ours has three."""
    request_seconds: int = 60
    """Seconds a request, waiting included, after which the caller gets 504."""
    body_seconds: int = 10
    """Seconds in which a body must have come, so that slow senders hold no place."""

    max_in_flight: int = 16
    """Requests of a process that are classified side by side; they share its threads."""
    max_queue: int = 64
    """Further requests of a process that wait their turn; the next one is refused with 503."""
    queue_seconds: int = 10
    """Seconds that a request waits its turn before it is refused with 503."""
    keep_alive_seconds: int = 75
    """Seconds that an idle connection is kept. Longer than balancers and clients keep theirs (60 at most by default), so that it is
    they who close it: a server that closes first may do so in the moment in which a request is sent, which then gets no answer."""
    notice_seconds: int = 3
    """Seconds after SIGTERM in which requests are still taken while readiness is false, for balancers to look away."""
    drain_seconds: int = 20
    """Seconds after that in which requests in flight may finish. Both together below Kubernetes' 30."""

    cache_texts: int = 4096
    """Texts of a process whose answers are kept (about 3 kB each, no text); 0: none."""

    keys: str = field(default="", repr=False)
    """Hashed keys of callers (serving/keys.py), apart by blanks; with none here or in the file every caller is let in."""
    keys_file: Path | None = None
    """The same, one a line; read again when it changes."""
    requests_per_minute: int = 0
    """Requests a key; 0: as many as it likes. Needs keys."""
    cors_origins: tuple[str, ...] = ()
    """Web pages that may call from a browser, as `https://desk.example`; none by default."""

    log_format: str = "json"
    """`json` or `text`."""
    traces: str = "off"
    """OpenTelemetry traces: `off`, `otlp` (to OTEL_EXPORTER_OTLP_ENDPOINT) or `console`."""

    jobs_folder: Path | None = None
    """Where the files of jobs lie, shared by all replicas; without it there are no jobs."""
    jobs_database: str = field(default="", repr=False)
    """URL of the jobs' database (SQLAlchemy's form); SQLite in the folder if empty."""
    max_job_bytes: int = 1024 * MEBIBYTE
    """Bytes of a job's file."""
    max_jobs: int = 20
    """Jobs of a caller that have not ended."""
    job_hours: int = 72
    """Hours after which a job and its files are removed."""
    job_threads: int = 0
    """Texts that a job labels side by side; 0: one a core."""
    webhook_secret: str = field(default="", repr=False)
    """Signs webhooks; without it they are refused."""
    webhook_hosts: tuple[str, ...] = ()
    """Hosts that a webhook may call though they are private, also without TLS."""

    def __post_init__(self) -> None:
        faults = [
            f"{VARIABLES[name]} is {getattr(self, name)}; write at least {low}"
            for name, low in _LEAST.items()
            if getattr(self, name) < low
        ]
        for name, known in (("log_format", LOG_FORMATS), ("traces", TRACE_EXPORTERS)):
            if getattr(self, name) not in known:
                faults.append(f"{VARIABLES[name]} is '{getattr(self, name)}'; write one of {', '.join(known)}")
        faults += [
            f"{VARIABLES['cors_origins']} has '{origin}'; write origins as https://desk.example, apart by commas"
            for origin in self.cors_origins
            if not origin.startswith(("http://", "https://")) or origin.count("/") != 2 or "*" in origin
        ]
        if self.requests_per_minute and not self.has_keys:
            faults.append(f"{VARIABLES['requests_per_minute']} needs keys: set {VARIABLES['keys']} or {VARIABLES['keys_file']}")
        if faults:
            raise ConfigError("service settings:\n  " + "\n  ".join(faults))

    @property
    def jobs_url(self) -> str:
        """Of the jobs' database."""
        assert self.jobs_folder is not None, "asked for where jobs are on"
        return self.jobs_database or f"sqlite:///{self.jobs_folder.absolute() / 'jobs.sqlite'}"

    @property
    def has_keys(self) -> bool:
        return bool(self.keys.strip()) or self.keys_file is not None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> ServiceSettings:
        """Read what is set; an empty variable counts as not set.

        Raises ConfigError naming every value that is wrong and every variable that is one slip away from a known one.
        (Others that begin with FEEDBACK_ are left alone: Kubernetes sets FEEDBACK_PORT for a service called `feedback`.)
        """
        faults: list[str] = []
        for name in environment:
            near = get_close_matches(name, VARIABLES.values(), n=1, cutoff=0.85)
            if name.startswith(PREFIX) and near and name not in near:
                faults.append(f"{name} is not known; did you mean {near[0]}?")
        values: dict[str, int | str | Path | tuple[str, ...]] = {}
        for known in fields(cls):
            variable = VARIABLES[known.name]
            written = environment.get(variable, "").strip()
            if not written:
                continue
            if known.name in ("model_folder", "keys_file", "jobs_folder"):
                values[known.name] = Path(written)
            elif known.name == "cors_origins":
                values[known.name] = tuple(origin.strip().rstrip("/") for origin in written.split(",") if origin.strip())
            elif known.name == "webhook_hosts":
                values[known.name] = tuple(host.strip().lower() for host in written.split(",") if host.strip())
            elif known.name not in _LEAST:
                values[known.name] = written
            elif written.isascii() and written.isdigit():
                values[known.name] = int(written)
            else:
                faults.append(f"{variable} is '{written}'; write a whole number")
        if faults:
            raise ConfigError("service settings:\n  " + "\n  ".join(faults))
        return cls(**values)  # type: ignore[arg-type]  # each value has its field's type, see above
