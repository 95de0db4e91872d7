"""What a run of labelling remembers, so that it can be killed at any moment and go on: `<output>.parts/`.

    run.json             what is labelled, by what and how; another run with this output must be the same one
    part-000000.csv      a shard: its labelled rows, in the output's format
    part-000000.rejects.jsonl
    part-000000.json     its counts; written last, so that a shard with this file is whole
    lock                 held while a run is going on

Every file is written aside, flushed and renamed, so it is whole or absent. A shard is the input's rows N·k to N·(k+1), readable or
not: what is in it depends on the input, the model and the settings alone, and doing it again gives the same bytes.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from data import durable
from data.errors import DataError

RUN = "run.json"
LOCK = "lock"
Key = Mapping[str, Mapping[str, Any]]
"""What two runs must share to give the same output, by section (`inputs`, `model`, `settings`, `program`) and name."""


@dataclass(frozen=True)
class Shard:
    """The counts of a shard that is done."""

    number: int
    labelled: int = 0
    rejected: Mapping[str, int] = field(default_factory=dict)
    """By code."""
    languages: Mapping[str, int] = field(default_factory=dict)
    masked: Mapping[str, int] = field(default_factory=dict)
    """What was masked in the output's copy of the messages, by kind."""
    sha256: str = ""

    @property
    def rows(self) -> int:
        return self.labelled + sum(self.rejected.values())


@dataclass
class Totals:
    """The counts of all shards that are done."""

    labelled: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    languages: Counter[str] = field(default_factory=Counter)
    masked: Counter[str] = field(default_factory=Counter)

    @property
    def rows(self) -> int:
        return self.labelled + self.rejected.total()

    def add(self, shard: Shard) -> None:
        self.labelled += shard.labelled
        self.rejected.update(shard.rejected)
        self.languages.update(shard.languages)
        self.masked.update(shard.masked)


class Journal:
    """The folder of a run that is going on. Opening it takes its lock; DataError if another run holds it."""

    def __init__(self, output: Path) -> None:
        self.output = output
        self.folder = output.with_name(output.name + ".parts")

    def __enter__(self) -> Journal:
        from filelock import FileLock, Timeout

        try:
            self.folder.mkdir(exist_ok=True)
        except FileNotFoundError:
            raise DataError(f"{self.output}: cannot be written: no such folder. Name a file in a folder that exists.") from None
        except OSError as error:
            raise DataError(f"{self.output}: cannot be written: {error}. May its folder be written to?") from error
        self._lock = FileLock(self.folder / LOCK, timeout=0)
        try:
            self._lock.acquire()
        except Timeout:
            raise DataError(f"{self.output}: another run is writing it. Wait until it has ended, or name another output.") from None
        except OSError as error:
            raise DataError(f"{self.output}: cannot be written: {error}. May its folder be written to?") from error
        try:
            if not self.run_file.exists():
                self.discard()  # killed while it forgot a run: shards of that one must not be taken for this one's
        except OSError as error:
            self._lock.release()
            raise DataError(f"{self.folder}: an earlier run's files cannot be removed: {error}. Remove that folder.") from error
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Let the lock go. A folder that holds nothing to go on with is removed."""
        with suppress(OSError):
            if not self.run_file.exists():
                self.discard()
                if os.name != "nt":  # where a file can be removed while it is open: nobody can take the lock in between
                    (self.folder / LOCK).unlink(missing_ok=True)
                    self.folder.rmdir()
        self._lock.release()
        if os.name == "nt":
            with suppress(OSError):
                if not self.run_file.exists():
                    (self.folder / LOCK).unlink(missing_ok=True)
                    self.folder.rmdir()

    @property
    def run_file(self) -> Path:
        return self.folder / RUN

    @property
    def spooled(self) -> bool:
        """Whether standard input is kept here."""
        return any(self.folder.glob("stdin.*"))

    def state(self) -> dict[str, Any] | None:
        """What the run was begun with; None if there is none."""
        try:
            state: dict[str, Any] = json.loads(self.run_file.read_text("utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise DataError(f"{self.run_file}: cannot be read: {error}. Start anew with --restart.") from error
        return state

    def begin(self, state: Mapping[str, Any]) -> None:
        """Note what the run is, or how far it has come."""
        durable.write_whole(self.run_file, (json.dumps(state, ensure_ascii=False, indent=1) + "\n").encode())

    def discard(self) -> None:
        """Forget the run; the lock stays."""
        if self.run_file.exists():  # first, and on the disk: without it the rest means nothing
            self.run_file.unlink()
            durable.sync_folder(self.folder)
        for path in self.folder.iterdir():
            if path.name != LOCK:
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    # Shards -------------------------------------------------------------------------------------------------------------

    def shard_file(self, number: int, end: str) -> Path:
        """Where a shard's rows are; `end` of the name with its dot."""
        return self.folder / f"part-{number:06d}{end}"

    def rejects_file(self, number: int) -> Path:
        return self.shard_file(number, ".rejects.jsonl")

    def commit(self, shard: Shard) -> None:
        """A shard is whole: its files have their names already."""
        durable.write_whole(self._record_file(shard.number), json.dumps(asdict(shard), ensure_ascii=False).encode())

    def forget(self, number: int) -> None:
        """A shard is to be done again."""
        self._record_file(number).unlink(missing_ok=True)

    def shard(self, number: int) -> Shard | None:
        """The counts of a shard that is whole, None if it is not."""
        try:
            return Shard(**json.loads(self._record_file(number).read_text("utf-8")))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            raise DataError(f"{self._record_file(number)}: cannot be read: {error}. Start anew with --restart.") from error

    def missing(self, count: int) -> Iterator[range]:
        """Runs of shards that are not done, out of `count`."""
        begin = None
        for number in range(count + 1):
            done = number == count or self._record_file(number).exists()
            if done and begin is not None:
                yield range(begin, number)
                begin = None
            elif not done and begin is None:
                begin = number

    def _record_file(self, number: int) -> Path:
        return self.shard_file(number, ".json")


def differences(before: Key, now: Key) -> list[str]:
    """What two runs do not share, in words."""
    found = []
    for section in dict.fromkeys((*before, *now)):
        old, new = before.get(section, {}), now.get(section, {})
        for name in dict.fromkeys((*old, *new)):
            if old.get(name) != new.get(name):
                found.append(f"{_label(section, name)} was {_shown(old.get(name))}, is {_shown(new.get(name))}")
    return found


def _label(section: str, name: str) -> str:
    return {"inputs": f"input {name}", "model": f"model's {name}", "program": f"{name} of the program"}.get(section, name)


def _shown(value: Any) -> str:
    if value is None:
        return "not there"
    if not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return "'" + re.sub("([0-9a-f]{12})[0-9a-f]{52}", r"\1…", value) + "'"
