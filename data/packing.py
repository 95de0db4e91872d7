"""Files that are packed by gzip or zstd, by the end of their name; written the same bytes each time.

name_unpacked(Path("archive.csv.zst"))         # "archive.csv"
with open_unpacked(path) as stream: ...        # bytes, unpacked where the name says so
"""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import IO, Any, cast

PACKED = (".gz", ".zst")
"""Ends of names."""
READ_FAULTS = (OSError, EOFError, zlib.error)
"""What a file that is cut off or damaged raises while it is read; for zstd, pyarrow raises OSError."""


def packing_of(path: str | Path) -> str:
    """`.gz`, `.zst` or nothing."""
    end = Path(path).suffix.lower()
    return end if end in PACKED else ""


def name_unpacked(path: str | Path) -> str:
    """The name in lower case, without the end that says how it is packed."""
    return Path(path).name.lower().removesuffix(packing_of(path))


def open_unpacked(path: Path) -> IO[bytes]:
    """The file's bytes, unpacked where its name says so. Reading raises one of READ_FAULTS where the file is damaged."""
    end = packing_of(path)
    if end == ".gz":
        return cast(IO[bytes], gzip.open(path, "rb"))
    if end == ".zst":
        import pyarrow

        stream: IO[bytes] = pyarrow.CompressedInputStream(path.open("rb"), "zstd")
        return stream
    return path.open("rb")


def pack(raw: IO[bytes], end: str) -> Any:
    """A file object that packs into `raw`, or `raw` itself; close it before `raw`, which stays open for gzip only."""
    if end == ".gz":
        return gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0)
    if end == ".zst":
        import pyarrow

        return pyarrow.CompressedOutputStream(_Unclosed(raw), "zstd")
    return raw


class _Unclosed:
    """A file that the one who packs into it does not close: it is still to be flushed to the disk."""

    closed = False

    def __init__(self, raw: IO[bytes]) -> None:
        self.write = raw.write
        self.flush = raw.flush
        self.tell = raw.tell

    def close(self) -> None:
        self.flush()
