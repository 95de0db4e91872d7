"""Label a file of messages: streamed, the input's columns untouched, no row lost (columns in docs/contracts.md)."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from data.errors import DataError
from data.redaction import KINDS, REDACTION_VERSION, redact
from data.table_writer import TableWriter
from data.tables import BadRecord, Record, Table, format_of, open_table
from serving.classifier import FeedbackClassifier
from serving.columns import LabelledColumns, find_text_column, joined
from serving.model_folder import ModelFolder
from serving.prediction import Failure, Prediction

MANIFEST_FORMAT = 1
PROGRESS_SECONDS = 0.5
"""At least so long between two reports of progress."""
UNREADABLE = "unreadable"
"""Code of a reject whose record could not be read at all."""


@dataclass(frozen=True)
class Progress:
    rows: int
    """Read so far: labelled and rejected."""
    rejects: int
    seconds: float

    @property
    def rate(self) -> float:
        """Rows a second."""
        return self.rows / self.seconds if self.seconds else 0.0


@dataclass(frozen=True)
class LabelReport:
    """What was done. `labelled + rejected` are the input's rows."""

    output: Path
    rejects: Path | None
    """None if there are none."""
    manifest: Path
    labelled: int
    rejected: Mapping[str, int]
    """By code."""
    languages: Mapping[str, int]
    seconds: float
    model: str
    text_column: str
    masked: Mapping[str, int] | None
    """What was masked in the output's copy of the messages, by kind; None if that was not asked for."""

    @property
    def rows(self) -> int:
        return self.labelled + sum(self.rejected.values())

    @property
    def rate(self) -> float:
        """Rows a second."""
        return self.rows / self.seconds if self.seconds else 0.0

    def to_text(self) -> str:
        """A few lines for people."""
        languages = ", ".join(f"{code} {count:,}" for code, count in self.languages.items())
        counts = f"{self.labelled:,} of {self.rows:,} rows in {self.seconds:.1f} s ({self.rate:,.0f} a second)"
        lines = [
            f"labelled  {counts if self.rows else 'no rows: the input has names of columns and nothing under them'}",
            f"messages  column '{self.text_column}'" + (f"; {languages}" if languages else ""),
            f"model     {self.model}",
            f"output    {self.output}",
        ]
        if self.masked is not None:
            found = ", ".join(f"{kind} {count:,}" for kind, count in self.masked.items() if count)
            lines.append(f"masked    {found or 'nothing was found to mask'}")
        if self.rejects is not None:
            codes = ", ".join(f"{code} {count:,}" for code, count in self.rejected.items())
            lines.append(f"rejects   {self.rejects}  ({codes})")
        return "\n".join(lines)


@dataclass
class _Counts:
    labelled: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    languages: Counter[str] = field(default_factory=Counter)
    masked: Counter[str] = field(default_factory=Counter)


def label(
    input: str | Path,
    output: str | Path,
    classifier: FeedbackClassifier | ModelFolder | str | Path,
    *,
    text_column: str | None = None,
    id_column: str | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    scores: bool = False,
    prefix: str = "",
    overwrite: bool = False,
    redacted: bool = False,
    progress: Callable[[Progress], None] | None = None,
) -> LabelReport:
    """Label every message of a CSV, JSON Lines or Parquet file; formats by the names' ends.

    Beside the output come `<output>.manifest.json` (what was labelled by what) and, where a row could not be labelled,
    `<output>.rejects.jsonl` (line, id, column, code, reason). All are written aside and renamed at the end, the manifest last.

    text_column: found where its name is obvious, if None. id_column: echoed in the rejects. encoding, delimiter: found if None.
    scores: add every label's probability. prefix: before the names of the columns that are added.
    redacted: mask what points at a person in the output's copy of the messages (data/redaction.py); the model reads them whole.
    progress: called every PROGRESS_SECONDS and at the end.
    Raises DataError (input, columns, output) or ModelFolderError before anything is written, DataError if the input breaks off.
    """
    started = time.perf_counter()
    input, output = Path(input), Path(output)
    format_of(output)
    table = open_table(input, encoding=encoding, delimiter=delimiter)
    _refuse_output(input, output, overwrite)
    text_column = find_text_column(table, text_column)
    if id_column is not None:
        find_text_column(table, id_column)
    with ExitStack() as loaded:
        if not isinstance(classifier, FeedbackClassifier):
            classifier = FeedbackClassifier.load(classifier)
            loaded.callback(classifier.close)
        columns = LabelledColumns(classifier.taxonomy, prefix, scores)
        columns.refuse_existing(table)
        stamp, sha256 = _stamp(input), _sha256(input)
        counts = _label_records(table, output, classifier, columns, text_column, id_column, redacted, progress, stamp, started)

    report = LabelReport(
        output=output,
        rejects=rejects_path(output) if counts.rejected else None,
        manifest=manifest_path(output),
        labelled=counts.labelled,
        rejected=dict(counts.rejected.most_common()),
        languages=dict(counts.languages.most_common()),
        seconds=time.perf_counter() - started,
        model=classifier.version,
        text_column=text_column,
        masked={kind: counts.masked[kind] for kind in KINDS} if redacted else None,
    )
    if report.rejects is None:
        rejects_path(output).unlink(missing_ok=True)  # of an earlier run that is now written over
    _write_manifest(report, table, columns, sha256)
    if progress is not None:
        progress(_progress(counts, report.seconds))
    return report


def _label_records(
    table: Table,
    output: Path,
    classifier: FeedbackClassifier,
    columns: LabelledColumns,
    text_column: str,
    id_column: str | None,
    redacted: bool,
    progress: Callable[[Progress], None] | None,
    stamp: tuple[int, int],
    started: float,
) -> _Counts:
    """Write the labelled rows and the rejects; both files appear when all has gone well."""
    counts = _Counts()
    told = started
    schema = columns.schema(table) if format_of(output) == "parquet" else None
    with (
        TableWriter(output, (*table.columns, *columns.names), schema=schema) as writer,
        _Rejects(rejects_path(output)) as rejects,
    ):
        for record, result in _labelled(table, classifier, text_column):
            if isinstance(record, BadRecord):
                rejects.write(record.line, None, record.column, UNREADABLE, record.reason)
                counts.rejected[UNREADABLE] += 1
            elif isinstance(result, Failure):
                name = None if id_column is None else record.values.get(id_column)
                rejects.write(record.line, name, text_column, result.code, result.message)
                counts.rejected[result.code] += 1
            elif result is not None:
                added = columns.values(result)
                if late := added.keys() & record.values.keys():
                    raise DataError(
                        f"{table.path}:{record.line}: has {', '.join(sorted(late))} already. Choose other names with --prefix."
                    )
                if redacted:
                    copy = redact(record.values[text_column])
                    counts.masked.update(copy.counts)
                    record.values[text_column] = copy.text
                writer.write({**record.values, **(joined(added) if writer.format == "csv" else added)})
                counts.labelled += 1
                counts.languages[result.language.code] += 1
            now = time.perf_counter()
            if progress is not None and now - told >= PROGRESS_SECONDS:
                told = now
                progress(_progress(counts, now - started))
        if _stamp(table.path) != stamp:
            raise DataError(f"{table.path}: changed while it was read. Label it again.")
    return counts


def rejects_path(output: Path) -> Path:
    return output.with_name(output.name + ".rejects.jsonl")


def manifest_path(output: Path) -> Path:
    return output.with_name(output.name + ".manifest.json")


def _refuse_output(input: Path, output: Path, overwrite: bool) -> None:
    for path in (output, rejects_path(output), manifest_path(output)):
        if path.resolve() == input.resolve():
            raise DataError(f"{output}: would write over the input {input}. Name another output.")
        if path.exists() and not overwrite:
            raise DataError(f"{path}: exists already. Name another output, or write over it with --overwrite.")


def _labelled(
    table: Table, classifier: FeedbackClassifier, column: str
) -> Iterator[tuple[Record, Prediction | Failure] | tuple[BadRecord, None]]:
    """Records with their results, in the file's order; a few records are read ahead so that every thread has work."""
    ahead: deque[Record | BadRecord] = deque()

    def texts() -> Iterator[str]:
        for record in table.records():
            ahead.append(record)
            value = record.values.get(column) if isinstance(record, Record) else None
            yield "" if value is None else value  # a bad record takes its turn, so that the two sides stay in step

    for result in classifier.stream(texts()):
        record = ahead.popleft()
        yield (record, None) if isinstance(record, BadRecord) else (record, result)


class _Rejects:
    """The file of rejects, begun with the first one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._writer: TableWriter | None = None

    def __enter__(self) -> _Rejects:
        return self

    def write(self, line: int, name: Any, column: str | None, code: str, reason: str) -> None:
        if self._writer is None:
            self._writer = TableWriter(self.path).__enter__()
        self._writer.write({"line": line, "id": name, "column": column, "code": code, "reason": reason})

    def __exit__(self, *error: Any) -> None:
        if self._writer is not None:
            self._writer.__exit__(*error)


def _stamp(path: Path) -> tuple[int, int]:
    """Size and time of change: what tells that a file is not what it was."""
    try:
        stat = path.stat()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
    return stat.st_size, stat.st_mtime_ns


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as handle:
            return hashlib.file_digest(handle, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error}") from error


def _write_manifest(report: LabelReport, table: Table, columns: LabelledColumns, sha256: str) -> None:
    document = {
        "format": MANIFEST_FORMAT,
        "finished": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "input": {
            "file": table.path.name, "sha256": sha256, "format": table.format, "encoding": table.encoding,
            "delimiter": table.delimiter, "text_column": report.text_column,
        },
        "output": {
            "file": report.output.name, "sha256": _sha256(report.output), "prefix": columns.prefix, "scores": columns.scores,
        },
        "rejects": None if report.rejects is None else report.rejects.name,
        "model": report.model,
        "masked": None if report.masked is None else {"version": REDACTION_VERSION, "column": report.text_column, **report.masked},
        "rows": {"read": report.rows, "labelled": report.labelled, "rejected": dict(report.rejected)},
        "languages": dict(report.languages),
        "seconds": round(report.seconds, 3),
    }  # fmt: skip
    aside = report.manifest.with_name(report.manifest.name + ".part")
    try:
        aside.write_text(json.dumps(document, ensure_ascii=False, indent=1) + "\n", "utf-8")
        os.replace(aside, report.manifest)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise DataError(f"{report.manifest}: cannot be written: {error}. The labelled file itself is whole.") from error


def _progress(counts: _Counts, seconds: float) -> Progress:
    rejected = sum(counts.rejected.values())
    return Progress(counts.labelled + rejected, rejected, seconds)
