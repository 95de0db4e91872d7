"""Files that are whole or absent, whatever happens: written aside, flushed to the disk, renamed, their folder flushed.

write_whole(path, b"...")          # for small files
replace(part, path)                # for one that was written aside and flushed by sync()
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import IO


def part_of(path: Path) -> Path:
    """Where a file is written before it gets its name."""
    return path.with_name(path.name + ".part")


def write_whole(path: Path, content: bytes) -> None:
    """Write a small file. OSError leaves what was there before."""
    part = part_of(path)
    try:
        with part.open("wb") as stream:
            stream.write(content)
            sync(stream)
        replace(part, path)
    except OSError:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise


def sync(stream: IO[bytes]) -> None:
    """Have everything that was written on the disk."""
    stream.flush()
    os.fsync(stream.fileno())


def replace(part: Path, path: Path) -> None:
    """Give a file or folder its name; what had the name before is gone (folders: must be gone already)."""
    os.replace(part, path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Have the names in a folder on the disk."""
    if os.name == "nt":  # Windows cannot, and renames through its own journal
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
