"""The end of a run: its shards become the output, whole or not at all, and the manifest comes last.

Killed between any two of the steps, the next run sees in the journal that publishing had begun, and does all of it again: every
step gives the same when it is done twice.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from data import durable
from data.errors import DataError
from serving.inputs import sha256_of
from serving.journal import Journal, Key, differences
from serving.shards import Form, assemble, assemble_rejects, digest

MANIFEST_FORMAT = 2
ASSEMBLED = "out"
"""In the journal's folder: the output, or its shards, before it gets its name."""


@dataclass(frozen=True)
class Finished:
    manifest: Mapping[str, Any]
    before: bool
    """By an earlier call."""


def rejects_path(output: Path) -> Path:
    return output.with_name(output.name + ".rejects.jsonl")


def manifest_path(output: Path) -> Path:
    return output.with_name(output.name + ".manifest.json")


def finished_before(output: Path, key: Key, state: Mapping[str, Any] | None, *, restart: bool, overwrite: bool) -> Finished | None:
    """What an earlier call has finished with the same key, if it is still as it was and is not to be done anew.

    DataError if something else stands there that may not be replaced. state: of the journal; a run that was broken off while it
    published may find its own output.
    """
    there = [path for path in (output, rejects_path(output), manifest_path(output)) if path.exists()]
    if output.is_dir() and not any(output.iterdir()):
        there.remove(output)
    if not there:
        return None
    manifest = _read(manifest_path(output))
    made_of_another = differences(manifest["run"], key) if manifest else []
    if manifest and not made_of_another and output.exists() and _fingerprint(output) == manifest["output"]["sha256"]:
        return None if restart else Finished(manifest, True)
    if overwrite or (state is not None and state.get("phase") == "publishing"):
        return None
    why = ""
    if manifest and not output.exists():
        why = " The labelled file itself is gone."
    elif manifest and made_of_another:
        why = f" It was made of something else: {'; '.join(made_of_another)}."
    elif manifest:
        why = " It was changed after it was labelled."
    raise DataError(f"{there[0]}: exists already.{why} Name another output, or write over it with --overwrite.")


def publish(journal: Journal, shards: int, form: Form, output: Path, manifest: dict[str, Any]) -> Finished:
    """Give the output its name, then the rejects and the manifest theirs, and forget the run."""
    state = journal.state() or {}
    rejects = durable.part_of(rejects_path(output))
    some = assemble_rejects(journal, shards, rejects)
    if form.folder:
        fingerprint = _publish_folder(journal, shards, form, output, state)
    else:
        part = durable.part_of(output)
        fingerprint = assemble(journal, shards, form, part)
        journal.begin({**state, "phase": "publishing"})
        durable.replace(part, output)
    if some:
        durable.replace(rejects, rejects_path(output))
    else:
        rejects_path(output).unlink(missing_ok=True)  # of an earlier run that is now written over
    whole = {
        "format": MANIFEST_FORMAT,
        "finished": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        **manifest,
        "output": {"file": output.name, "sha256": fingerprint, "shards": shards if form.folder else None},
        "rejects": rejects_path(output).name if some else None,
    }
    durable.write_whole(manifest_path(output), (json.dumps(whole, ensure_ascii=False, indent=1) + "\n").encode())
    journal.discard()
    return Finished(whole, False)


def _publish_folder(journal: Journal, shards: int, form: Form, output: Path, state: Mapping[str, Any]) -> str:
    """The shards move into one folder, which then gets its name; the folder's fingerprint."""
    files = [journal.shard_file(number, form.shard_end) for number in range(shards)]
    sums = {}
    for number, file in enumerate(files):
        shard = journal.shard(number)
        sums[file.name] = "" if shard is None else shard.sha256
    fingerprint = digest(sums)
    aside = journal.folder / ASSEMBLED
    if state.get("phase") != "publishing":
        for number, file in enumerate(files):
            if not file.exists() or sha256_of(file) != sums[file.name]:
                journal.forget(number)
                raise DataError(f"{file}: is not what was written there. That shard is done again by the next run.")
        aside.mkdir(exist_ok=True)
        journal.begin({**state, "phase": "publishing"})
    moved = not any(file.exists() for file in files) and not aside.exists()
    if moved and output.is_dir() and _fingerprint(output) == fingerprint:
        return fingerprint  # the last run got as far as this
    aside.mkdir(exist_ok=True)
    for file in files:
        if file.exists():
            os.replace(file, aside / file.name)
    durable.sync_folder(aside)
    if output.is_dir():
        shutil.rmtree(output)
    elif output.exists():
        output.unlink()
    durable.replace(aside, output)
    return fingerprint


def _fingerprint(output: Path) -> str:
    if output.is_dir():
        return digest({file.name: sha256_of(file) for file in sorted(output.iterdir())})
    return sha256_of(output)


def _read(path: Path) -> dict[str, Any] | None:
    """A manifest of this program; None if there is none."""
    try:
        manifest = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return manifest if isinstance(manifest, dict) and manifest.get("format") == MANIFEST_FORMAT else None
