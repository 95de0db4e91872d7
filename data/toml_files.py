"""Settings in TOML, as people write them: whole files, and single values on a command line."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from data.errors import FeedbackError


def read_toml(path: Path, error: type[FeedbackError], missing: str) -> dict[str, Any]:
    """The tables of a file. Raises `error` where it cannot be read; missing: what to do where there is no such file."""
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise error(f"{path}: no such file{missing}") from None
    except OSError as fault:
        what = {PermissionError: "allow yourself to read it", IsADirectoryError: "name the file in it"}.get(
            type(fault), "try again"
        )
        raise error(f"{path}: cannot be read: {fault.strerror or fault}; {what}") from fault
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        raise error(f"{path}: not a TOML file in UTF-8: {fault}") from fault


def written_value(written: str) -> Any:
    """The value of `--set key=value`: as TOML has it (`0.4`, `true`, `["a"]`), else the text itself."""
    try:
        return tomllib.loads(f"value = {written}")["value"]
    except tomllib.TOMLDecodeError:
        return written
