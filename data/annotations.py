"""Our own labels for texts that are not ours: an overlay in the repository, joined with the public set where the user has it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.errors import DataError
from data.importer import IMPORTER_VERSION
from data.origins import LOADERS, Files, Hub, is_hub_id
from data.rows import Row, write_rows
from data.sources import DEFAULT_SOURCES, Source, find_source, read_sources
from data.taxonomy import Taxonomy

OVERLAYS = Path(__file__).with_name("corpus") / "annotations"
PREFIX = "annotated_"
"""Before the set's name in a row's `source`, so that these rows are not confused with the set's own labels."""


@dataclass(frozen=True)
class Annotation:
    """What we say of one text of a public set."""

    sha256: str
    """Of the text as the set has it, in UTF-8, before any mending."""
    labels: Mapping[str, tuple[str, ...]]
    agreed: bool | None
    """Whether two readings that did not see one another gave the same labels; None where there was one reading."""
    sure: bool
    """False where a reader marked the message as unclear, or a dispute was not settled: a row for measuring with care."""


@dataclass(frozen=True)
class AnnotationReport:
    source: str
    output: str
    annotations: int
    matched: int
    unmatched: int
    unsure: int

    def to_text(self) -> str:
        return (
            f"{self.source}: {self.annotations:,} annotations, {self.matched:,} joined with their texts and written to {self.output}; "
            f"{self.unmatched:,} did not match a text of the set; {self.unsure:,} of those written are marked unsure"
        )


def read_overlay(path: Path, taxonomy: Taxonomy) -> list[Annotation]:
    """Read an overlay file. DataError names the line of a fault, or the importer version that it was made with."""
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in path.parent.glob("*.jsonl"))) or "none"
        raise DataError(f"{path}: there are no annotations for this set. Annotated sets: {known}.")
    annotations = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        entry = json.loads(line)
        if entry["importer"] != IMPORTER_VERSION:
            raise DataError(f"{path}:{number}: made with importer {entry['importer']}, this is {IMPORTER_VERSION}. Take another version.")
        labels: dict[str, tuple[str, ...]] = {}
        for task in taxonomy:
            given = entry.get(task.name)
            if given is not None:
                labels[task.name] = (given,) if isinstance(given, str) else tuple(given)
                for label in labels[task.name]:
                    if label not in task.names:
                        raise DataError(f"{path}:{number}: {task.unknown(label)}. The overlay belongs to another taxonomy.")
        annotations.append(Annotation(entry["sha256"], labels, entry["agreed"], entry["sure"]))
    return annotations


def annotate(
    name: str, origin: str | Path, output: str | Path, taxonomy: Taxonomy, *, overlays: Path = OVERLAYS, sources: str | Path = DEFAULT_SOURCES
) -> AnnotationReport:
    """Join our annotations of a set with its texts and write them as rows with all tasks.

    origin: the set's folder, one of its files, or a hub id, as for an import. Every split of it is looked through.
    """
    source = find_source(name, read_sources(sources))
    wanted = {annotation.sha256: annotation for annotation in read_overlay(overlays / f"{name}.jsonl", taxonomy)}
    found: dict[str, Row] = {}
    for text in _texts(source, origin):
        key = hashlib.sha256(text.encode()).hexdigest()
        if key in wanted and key not in found:
            annotation = wanted[key]
            extra: dict[str, Any] = {"sure": annotation.sure}
            found[key] = Row(
                text, annotation.labels, language=source.language, source=PREFIX + name, id=f"{PREFIX}{name}-{key[:12]}", extra=extra
            )
    if not found:
        raise DataError(f"{origin}: none of the {len(wanted)} annotated texts of {name} is in it. Is it this set, with its texts unaltered?")
    write_rows(output, found.values(), taxonomy)
    unsure = sum(not wanted[key].sure for key in found)
    return AnnotationReport(name, str(output), len(wanted), len(found), len(wanted) - len(found), unsure)


def _texts(source: Source, origin: str | Path) -> Iterator[str]:
    """Every text of every split, whole and, where several columns make it, each column alone."""
    if is_hub_id(origin):
        splits: Hub | Files = Hub(str(origin), (*source.files, *source.test_files, *source.avoid_files))
    else:
        path = Path(origin)
        stems = [file.stem for file in (path.iterdir() if path.is_dir() else [path]) if file.suffix.lower() in LOADERS]
        splits = Files(origin, sorted(stems), None)
    for name in splits.names:
        for record in splits.records(name):
            parts = [record[column] for column in source.text if isinstance(record.get(column), str)]
            yield from parts
            if len(parts) > 1:
                yield source.join.join(part for part in parts if part.strip())
