"""Settings of the service, each an environment variable with a default (table in docs/serving.md)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
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
    "max_body_bytes": PREFIX + "MAX_BODY_BYTES",
    "request_seconds": PREFIX + "REQUEST_SECONDS",
}
"""Environment variable of each field."""


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
    max_body_bytes: int = MEBIBYTE
    """Bytes a request body: 256 texts of 4,000 bytes; two cores answer as much in well under a minute."""
    request_seconds: int = 60
    """Seconds a request, after which the caller gets 504."""

    def __post_init__(self) -> None:
        least = {"workers": 1, "threads": 0, "max_texts": 1, "max_explained_texts": 1, "max_body_bytes": 1024, "request_seconds": 1}
        faults = [
            f"{VARIABLES[name]} is {getattr(self, name)}; write at least {low}"
            for name, low in least.items()
            if getattr(self, name) < low
        ]
        if faults:
            raise ConfigError("service settings:\n  " + "\n  ".join(faults))

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> ServiceSettings:
        """Read what is set; an empty variable counts as not set.

        Raises ConfigError naming every value that is no whole number and every variable that is one slip away from a known one.
        (Others that begin with FEEDBACK_ are left alone: Kubernetes sets FEEDBACK_PORT for a service called `feedback`.)
        """
        faults: list[str] = []
        for name in environment:
            near = get_close_matches(name, VARIABLES.values(), n=1, cutoff=0.85)
            if name.startswith(PREFIX) and near and name not in near:
                faults.append(f"{name} is not known; did you mean {near[0]}?")
        values: dict[str, int | Path] = {}
        for field in fields(cls):
            variable = VARIABLES[field.name]
            written = environment.get(variable, "").strip()
            if not written:
                continue
            if field.name == "model_folder":
                values[field.name] = Path(written)
            elif written.isascii() and written.isdigit():
                values[field.name] = int(written)
            else:
                faults.append(f"{variable} is '{written}'; write a whole number")
        if faults:
            raise ConfigError("service settings:\n  " + "\n  ".join(faults))
        return cls(**values)  # type: ignore[arg-type]  # each value has its field's type, see above
