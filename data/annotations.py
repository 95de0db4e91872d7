"""Our own labels for texts that are not ours: an overlay in the repository, joined with the public set where the user has it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.alterations import alter
from data.errors import DataError
from data.importer import ID_DIGITS, IMPORTER_VERSION, set_folders
from data.mapping import plain
from data.origins import LOADERS, Files, Hub, is_hub_id
from data.rows import Faults, Row, RowFault, write_rows
from data.sources import DEFAULT_SOURCES, Source, find_source, read_sources
from data.tables import BadRecord, open_table
from data.taxonomy import Taxonomy

OVERLAYS = Path(__file__).with_name("corpus") / "annotations"
PREFIX = "annotated_"
"""Before the set's name in a row's `source`, so that these rows are not confused with the set's own labels."""
_SHA256 = re.compile("[0-9a-f]{64}")

Labels = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Annotation:
    """What we say of one text of a public set."""

    sha256: str
    """Of the text as the set has it, in UTF-8, before any mending."""
    labels: Labels
    agreed: bool | None
    """Whether two readings that did not see one another gave the same labels; None where there was one reading."""
    sure: bool
    """False where a reader marked the message as unclear, or a dispute was not settled: a row for measuring with care."""
    readings: tuple[Labels, ...] = ()
    """What each reading said, in their order; empty where the overlay does not tell."""


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
            f"{self.source}: {self.annotations:,} annotations, {self.matched:,} joined with their texts and written to "
            f"{self.output}; {self.unmatched:,} did not match a text of the set; {self.unsure:,} of those written are marked unsure"
        )


def read_overlay(path: Path, taxonomy: Taxonomy) -> list[Annotation]:
    """Read an overlay file. DataError names every fault with its line."""
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in path.parent.glob("*.jsonl"))) or "none"
        raise DataError(f"{path}: there are no annotations for this set. Annotated sets: {known}.")
    annotations: dict[str, Annotation] = {}
    faults = Faults(path)
    for record in open_table(path, encoding="utf-8").records():
        if isinstance(record, BadRecord):
            faults.add(RowFault(record.line, record.column, f"{record.reason}."))
            continue
        annotation, reasons = _annotation(record.values, taxonomy)
        if annotation.sha256 in annotations:
            reasons.append("the same text is annotated twice. Keep one line.")
        annotations[annotation.sha256] = annotation
        for reason in reasons:
            faults.add(RowFault(record.line, None, reason))
    faults.done()
    return list(annotations.values())


def _annotation(values: Mapping[str, Any], taxonomy: Taxonomy) -> tuple[Annotation, list[str]]:
    """One line of an overlay, and what is wrong with it."""
    faults: list[str] = []
    sha256, agreed, sure, readings = (values.get(name) for name in ("sha256", "agreed", "sure", "readings"))
    if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
        faults.append("sha256 is not 64 hexadecimal digits in small letters.")
    if values.get("importer") != IMPORTER_VERSION:
        faults.append(
            f"made with importer {values.get('importer')}, this is {IMPORTER_VERSION}. "
            "Use the version of this program that has that one."
        )
    if agreed is not None and not isinstance(agreed, bool):
        faults.append("agreed is neither true, false nor null.")
    if not isinstance(sure, bool):
        faults.append("sure is neither true nor false.")
    if "text" in values:
        faults.append("holds a text. The texts of other people's sets do not belong in an overlay.")
    readings = [] if readings is None else readings
    if not isinstance(readings, list) or not all(isinstance(reading, Mapping) for reading in readings):
        faults.append("readings is not a list of objects.")
        readings = []
    labels = _labels(values, taxonomy, faults)
    return Annotation(
        str(sha256), labels, agreed, bool(sure), tuple(_labels(reading, taxonomy, faults) for reading in readings)
    ), faults


def _labels(values: Mapping[str, Any], taxonomy: Taxonomy, faults: list[str]) -> Labels:
    labels: dict[str, tuple[str, ...]] = {}
    for task in taxonomy:
        given = values.get(task.name)
        if given is None:
            continue
        names = (given,) if isinstance(given, str) else tuple(given) if isinstance(given, list) else ()
        if unknown := [name for name in names if name not in task.names]:
            faults.append(f"{task.unknown(str(unknown[0]))}. The overlay belongs to another taxonomy.")
        elif (task.single and len(names) != 1) or (task.at_least_one and not names) or len(set(names)) < len(names):
            faults.append(f"{task.name} has {len(names)} labels, or one twice. A single task takes exactly one.")
        elif len(names) > 1 and (alone := [label.name for label in task.labels if label.exclusive and label.name in names]):
            faults.append(f"{task.name} '{alone[0]}' stands alone, but other labels are given with it. Keep it or them.")
        labels[task.name] = names
    return labels


def annotate(
    name: str,
    origin: str | Path,
    output: str | Path,
    taxonomy: Taxonomy,
    *,
    overlays: Path = OVERLAYS,
    sources: str | Path = DEFAULT_SOURCES,
) -> AnnotationReport:
    """Join our annotations of a set with its texts and write them as rows with all tasks.

    origin: the set's folder, one of its files, or a hub id, as for an import. Every split of it is looked through. The text of
    a row is altered as an import of the set alters it; the hash is of what stood there before.
    """
    rows, report = _joined(find_source(name, read_sources(sources)), origin, taxonomy, overlays)
    write_rows(output, rows, taxonomy)
    return AnnotationReport(**{**vars(report), "output": str(output)})


def annotate_all(
    root: str | Path, output: str | Path, taxonomy: Taxonomy, *, overlays: Path = OVERLAYS, sources: str | Path = DEFAULT_SOURCES
) -> list[AnnotationReport]:
    """Join the annotations of every set whose folder lies somewhere under `root` and write them into one file.

    A folder is a set's by its name, `-` and `_` alike. DataError if none of the annotated sets is there.
    """
    folders = set_folders(root)
    known = read_sources(sources)
    names = [path.stem for path in sorted(overlays.glob("*.jsonl")) if path.stem in folders]
    if not names:
        raise DataError(
            f"{root}: no folder of an annotated set is under it. Annotated: {', '.join(p.stem for p in overlays.glob('*.jsonl'))}"
        )
    joined = [_joined(find_source(name, known), folders[name], taxonomy, overlays) for name in names]
    write_rows(output, [row for rows, _ in joined for row in rows], taxonomy)
    return [AnnotationReport(**{**vars(report), "output": str(output)}) for _, report in joined]


def _joined(source: Source, origin: str | Path, taxonomy: Taxonomy, overlays: Path) -> tuple[list[Row], AnnotationReport]:
    name = source.name
    wanted = {annotation.sha256: annotation for annotation in read_overlay(overlays / f"{name}.jsonl", taxonomy)}
    found: dict[str, Row] = {}
    for original in _texts(source, origin):
        key = hashlib.sha256(original.encode("utf-8", "surrogatepass")).hexdigest()
        if key in wanted and key not in found:
            found[key] = _row(source, original, key, wanted[key])
    if not found:
        raise DataError(
            f"{origin}: none of the {len(wanted)} annotated texts of {name} is in it. Is it this set, with its texts unaltered?"
        )
    unsure = sum(not wanted[key].sure for key in found)
    return list(found.values()), AnnotationReport(name, "", len(wanted), len(found), len(wanted) - len(found), unsure)


def _row(source: Source, original: str, key: str, annotation: Annotation) -> Row:
    text = alter(original, source.alter)
    extra: dict[str, Any] = {"sure": annotation.sure}
    if text != original:
        extra["original"] = original
    name = PREFIX + source.name
    return Row(text, annotation.labels, language=source.language, source=name, id=f"{name}-{key[:ID_DIGITS]}", extra=extra)


def _texts(source: Source, origin: str | Path) -> Iterator[str]:
    """Every text of every split: as an import joins it of several columns, and each column alone."""
    if is_hub_id(origin):
        splits: Hub | Files = Hub(str(origin), (*source.files, *source.test_files, *source.avoid_files))
    else:
        path = Path(origin)
        stems = [file.stem for file in (path.iterdir() if path.is_dir() else [path]) if file.suffix.lower() in LOADERS]
        splits = Files(origin, sorted(stems), None)
    for name in splits.names:
        for record in splits.records(name):
            parts = [part for part in (plain(record.get(column)) for column in source.text) if part.strip()]
            yield from parts
            if len(parts) > 1:
                yield source.join.join(parts)
