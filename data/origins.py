"""Where a set's splits come from: files in a folder, one file, or a hub; all read by `datasets`."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from data.errors import DataError

LOADERS = {".parquet": "parquet", ".csv": "csv", ".tsv": "csv", ".json": "json", ".jsonl": "json"}
"""By a file's ending: how `datasets` calls the loader."""
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(:[\w.-]+)?")


def is_hub_id(origin: str | Path) -> bool:
    """Tell a hub id (`owner/name`) from a path: nothing lies there, and not even the folder that it would be in."""
    path = Path(origin)
    return isinstance(origin, str) and bool(_HUB_ID.fullmatch(origin)) and not path.exists() and not path.parent.is_dir()


class Files:
    """The splits of a set that lie in a folder, or one of them as a file."""

    def __init__(self, origin: str | Path, wanted: Sequence[str], split: str | None) -> None:
        self.origin = str(origin)
        path = Path(origin)
        if not path.exists():
            raise DataError(f"{path}: no such file or folder. Name the folder that holds the set's files, or a hub id.")
        self.single = path.is_file()
        candidates = [path] if self.single else sorted(file for file in path.iterdir() if file.suffix.lower() in LOADERS)
        self.found = [file.name for file in candidates]
        if self.single and path.suffix.lower() not in LOADERS:
            raise DataError(f"{path}: not a table that can be imported. Take {', '.join(LOADERS)}.")
        self.names = {file.stem: file for file in candidates if file.stem in wanted}
        if self.single and not self.names:
            # A file under a name of the user's own: the only split there is, or the one that was named.
            only = split or (wanted[0] if len(wanted) == 1 else None)
            if only is None:
                raise DataError(f"{path}: which split is it? Its name is none of {', '.join(wanted)}. Say so with --split.")
            self.names = {only: path}

    def among(self, files: Iterable[str]) -> list[str]:
        return [file for file in files if file in self.names]

    def records(self, file: str) -> Iterator[dict[str, Any]]:
        import datasets

        logging.getLogger("datasets.packaged_modules").setLevel(logging.CRITICAL)  # what it logs is in our error, once
        path = self.names[file]
        ending = path.suffix.lower()
        options: dict[str, Any] = {}
        if LOADERS[ending] == "csv":
            # Without this the words "null" and "NA" would be read as missing.
            options = {"keep_default_na": False, "sep": "\t" if ending == ".tsv" else ","}
        try:
            table = datasets.load_dataset(LOADERS[ending], data_files={"rows": str(path)}, split="rows", streaming=True, **options)
            for record in table:
                yield dict(record)
        except Exception as error:  # the readers below raise what they like
            todo = "Is it whole, and as the set's owners gave it?"
            if isinstance(error, UnicodeDecodeError):
                todo = "Sets are read in UTF-8 throughout: save the file so."
            elif isinstance(error, PermissionError):
                todo = "Allow yourself to read it."
            raise DataError(f"{path}: cannot be read as {LOADERS[ending]}: {_first_line(error)}. {todo}") from error


class Hub:
    """The splits of a set on a hub; `datasets` keeps them in its own cache, so that a second time needs no network."""

    single = False

    def __init__(self, origin: str, wanted: Sequence[str]) -> None:
        import datasets

        self.origin = origin
        name, _, configuration = origin.partition(":")
        try:
            loaded = datasets.load_dataset(name, configuration or None)
        except Exception as error:  # no network, no such set, a choice of configurations: all come as different errors
            raise DataError(
                f"{origin}: no such file or folder, and the hub gave no set of this name: {_first_line(error)} "
                "Check the path or the id and the network, or download the set and name its folder."
            ) from error
        self.found = [str(split) for split in loaded]
        self.names = {split: loaded[split] for split in self.found if split in wanted}
        if not self.names and len(self.found) == len(wanted) == 1:
            self.names = {wanted[0]: loaded[self.found[0]]}

    def among(self, files: Iterable[str]) -> list[str]:
        return [file for file in files if file in self.names]

    def records(self, file: str) -> Iterator[dict[str, Any]]:
        for record in self.names[file]:
            yield dict(record)


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
