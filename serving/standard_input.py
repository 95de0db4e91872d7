"""Standard input, spooled to a file first: what comes once can then be read as often as it takes."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import IO

from data import durable
from data.errors import DataError
from serving.inputs import sha256_of

STANDARD = "-"
"""Standard input or output in place of a file."""
SPOOL = "stdin"
_MAGIC = {b"PAR1": ".parquet", b"PK\x03\x04": ".xlsx", b"\x1f\x8b": ".gz", b"\x28\xb5\x2f\xfd": ".zst"}


def spool(stream: IO[bytes], folder: Path, begun: bool) -> Path:
    """Write standard input to a file in `folder` and return it; its kind stands in its name, found from its beginning.

    begun: a run was begun with what was spooled before: the same must come again, or nothing. DataError if something else comes,
    or if nothing comes and nothing was spooled.
    """
    part = folder / (SPOOL + ".part")
    with part.open("wb") as file:
        shutil.copyfileobj(stream, file, 1 << 20)
        size = file.tell()
        durable.sync(file)
    before = [path for path in folder.glob(SPOOL + ".*") if path != part] if begun else []
    if not size:
        part.unlink()
        if before:
            return before[0]
        raise DataError("standard input: nothing came. Pipe a file into it, or name one.")
    path = folder / (SPOOL + _kind_of(part))
    if before:
        if before != [path] or sha256_of(part) != sha256_of(path):
            part.unlink()
            raise DataError(
                "standard input: differs from what this output was begun with. Send the same, or nothing (< /dev/null) to go on "
                "with what came then; --restart starts anew."
            )
        part.unlink()
        return path
    durable.replace(part, path)
    return path


def _kind_of(path: Path) -> str:
    """The end that a file's name would have, from its first bytes."""
    from data.packing import open_unpacked

    with path.open("rb") as stream:
        begin = stream.read(4)
    end = next((end for magic, end in _MAGIC.items() if begin.startswith(magic)), "")
    if end in (".parquet", ".xlsx"):
        return end
    if end:
        named = path.with_name(path.name + end)
        path.rename(named)
        try:
            with open_unpacked(named) as packed:
                begin = packed.read(64)
        except OSError:
            begin = b""
        finally:
            named.rename(path)
    plain = begin.replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n")
    return (".jsonl" if plain.startswith(b"{") else ".csv") + end
