"""Folders that are whole or absent: written aside, then renamed."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from data.errors import ConfigError

MEGABYTE = 1_000_000
READABLE = 0o644
"""safetensors writes files that only their owner may read."""


@contextmanager
def written_aside(output: Path, need_bytes: int = 0) -> Iterator[Path]:
    """Yield an empty folder beside `output`; rename it to `output` at the end, remove it if anything fails.

    need_bytes: room that the folder will take on its disk, checked first.
    Raises ConfigError if `output` exists, its parent cannot be written, or the disk is too full.
    """
    output = Path(output)
    refuse_existing(output)
    aside = output.with_name(f".{output.name}.{os.getpid()}.part")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(output.parent).free
        if free < need_bytes:
            raise _disk_full(output, f"{need_bytes // MEGABYTE} MB are needed, {free // MEGABYTE} MB are free")
        aside.mkdir()
        yield aside
        for file in aside.iterdir():
            file.chmod(READABLE)
        refuse_existing(output)
        aside.rename(output)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _disk_full(output, str(error)) from error
        raise ConfigError(f"{output}: cannot be written: {error}. Choose another output folder.") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def refuse_existing(output: Path) -> None:
    """ConfigError if something stands where a new folder shall be written."""
    if output.exists() or output.is_symlink():
        raise ConfigError(f"{output}: exists already and is not overwritten. Remove it, or choose another output folder.")


def _disk_full(output: Path, why: str) -> ConfigError:
    return ConfigError(f"{output}: not enough room on the disk ({why}). Free some, or choose a folder on another disk.")
