"""Label an archive: any files, streamed; the input's columns untouched, no row lost, and every row exactly once (docs/archives.md).

    label("archive.csv", "labelled.parquet", "serving/model")

The work is done in shards, noted in `<output>.parts/` (serving/journal.py): a run that is killed at any moment goes on where it
was when the same call is made again, and gives what an undisturbed one gives.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from data.errors import DataError
from data.redaction import KINDS, REDACTION_VERSION
from serving.classifier import FeedbackClassifier
from serving.columns import ID_COLUMNS, LANGUAGE_COLUMNS, LabelledColumns, find_column, find_text_column
from serving.inputs import SAMPLE_ROWS, Archive, Survey, find_files
from serving.journal import Journal, Key, Totals, differences
from serving.label_report import LabelReport, Plan, Progress
from serving.label_run import Cluster, Run, kept
from serving.label_settings import Settings, check, form_of, how_read, key_of, reading_options
from serving.labelling import REMEMBERED, Reading, results
from serving.model_folder import ModelFolder
from serving.prediction import Prediction
from serving.publish import Finished, finished_before, manifest_path, publish, rejects_path
from serving.shards import Form, check_rows
from serving.standard_input import STANDARD, spool
from serving.work import Work

__all__ = ["Cluster", "LabelReport", "Progress", "label", "manifest_path", "plan", "rejects_path"]


def label(
    inputs: str | Path | Sequence[str | Path],
    output: str | Path,
    classifier: FeedbackClassifier | ModelFolder | str | Path,
    *,
    restart: bool = False,
    overwrite: bool = False,
    max_rejects: int | None = None,
    cluster: Cluster | None = None,
    progress: Callable[[Progress], None] | None = None,
    **settings: Any,
) -> LabelReport:
    """Label every message of an archive; formats by the names' ends. The same call again goes on with a run that broke off.

    inputs: files, folders and patterns, or `-` for standard input; all together are one archive. output: a file, or a folder of
    shards if it ends in `/`. Beside it come `<output>.manifest.json` (what was labelled by what) and, where a row could not be
    labelled, `<output>.rejects.jsonl` (file, line, id, column, code, reason); the manifest comes last.

    restart: forget a run that broke off, and do one anew that was finished.
    overwrite: replace an output that was made of something else.
    max_rejects: stop with a DataError at more. cluster: label on Ray; the output is the same.
    progress: called every PROGRESS_SECONDS and at the end; what it raises stops the run, which can be gone on with.
    settings (all may be left out; None is: found by itself):
        text_column, id_column, language_column (values that say nothing are identified; "" for none), input_format (`csv`,
        `jsonl`, `parquet`, `xlsx`), encoding, delimiter, quoting (`double`, `single`, `backslash`, `none`), sheet,
        output_format (as an end of a name: `csv`, `parquet`, `jsonl.zst`), excel (a byte order mark), guard (no cell of CSV or a
        spreadsheet is run as a formula), scores (every label's probability), prefix (of the columns that are added),
        redacted (mask what points at a person in the output's copy of the messages, data/redaction.py), limit
        (only so many rows), shard_rows, device (`cpu`, `cuda`; of a classifier that is loaded here).
    Raises DataError (input, columns, output) or ModelFolderError before anything is written; later DataError, with what is kept.
    """
    started = time.perf_counter()
    chosen = Settings(**settings)
    check(chosen)
    end, packing, folder = form_of(Path(output), str(output), chosen.output_format)
    output = Path(output)
    with Journal(output) as journal, ExitStack() as loaded:
        if restart:
            journal.discard()
        state = journal.state()
        archive = _open(inputs, chosen, journal, begun=state is not None)
        _refuse_inputs(archive, output)
        reading, id_column = _columns(archive, archive.columns, chosen)
        if not isinstance(classifier, FeedbackClassifier):
            classifier = FeedbackClassifier.load(classifier, cache_texts=REMEMBERED, device=chosen.device)
            loaded.callback(classifier.close)
        added = LabelledColumns(classifier.taxonomy, chosen.prefix, chosen.scores)
        added.refuse_existing(archive.where, archive.columns)

        stamps, identities = archive.stamps(), archive.identities()
        key = key_of(archive, identities, classifier, chosen, reading, id_column, (end, packing, folder))
        done = finished_before(output, key, state, restart=restart, overwrite=overwrite)
        if done is not None:
            if state is None or not differences(state["key"], key):
                journal.discard()
            return _report(output, done, started, classifier.version, reading, Totals(), 0)
        if state is not None and (changed := differences(state["key"], key)):
            raise DataError(
                f"{output}: was begun with other input, model or settings: {'; '.join(changed)}. "
                f"Make the same call to go on with the {journal.folder.name} that is kept, or start anew with --restart."
            )
        survey = archive.survey(identities, limit=chosen.limit, types=end == ".parquet")
        added.refuse_existing(archive.where, survey.columns)
        form = Form(
            end, packing, folder, survey.columns, added, _schema(survey, added), survey.mixed,
            reading.text_column, id_column, chosen.excel, chosen.guard, chosen.redacted,
        )  # fmt: skip
        check_rows(survey.rows, form)
        work = Work(archive, tuple(each.rows for each in survey.inputs), form, reading, chosen.shard_rows, stamps)
        run = Run(journal, work, classifier, max_rejects, progress, started, chosen.device)
        with kept(run):
            if state is None:
                journal.begin({"key": key, "phase": "labelling"})
            run.label(cluster)
            published = publish(journal, work.shards, form, output, _manifest(run, survey, key, chosen))
    report = _report(output, published, started, classifier.version, reading, run.totals, run.before)
    if progress is not None:
        progress(replace(run.progress(), seconds=report.seconds))
    return report


def plan(
    inputs: str | Path | Sequence[str | Path], classifier: FeedbackClassifier | ModelFolder | str | Path, **settings: Any
) -> Plan:
    """What `label` would do: reads everything, labels a sample, writes nothing. Arguments and errors as of `label`."""
    chosen = Settings(**settings)
    check(chosen)
    named = [inputs] if isinstance(inputs, str | Path) else list(inputs)
    if STANDARD in map(str, named):
        raise DataError("standard input: cannot be looked at before it is labelled. Name a file.")
    archive = Archive.open(find_files(named), **reading_options(chosen))
    with ExitStack() as loaded:
        if not isinstance(classifier, FeedbackClassifier):
            classifier = FeedbackClassifier.load(classifier, cache_texts=REMEMBERED, device=chosen.device)
            loaded.callback(classifier.close)
        identities = [{"file": table.path.name, "bytes": 0, "sha256": ""} for table in archive.tables]
        survey = archive.survey(identities, limit=chosen.limit, sample=SAMPLE_ROWS)
        reading, id_column = _columns(archive, survey.columns, chosen)
        added = LabelledColumns(classifier.taxonomy, chosen.prefix, chosen.scores)
        added.refuse_existing(archive.where, survey.columns)
        _ = classifier.shares_runs  # looked at once, whatever the number of rows
        started = time.perf_counter()
        found = [result for *_, result in results(((archive.tables[0], row) for row in survey.sample), reading, classifier)]
        seconds = time.perf_counter() - started
    languages: dict[str, float] = {}
    for result in found:
        if isinstance(result, Prediction):
            languages[result.language.code] = languages.get(result.language.code, 0.0) + 1 / len(found)
    return Plan(
        files={str(table.path): how_read(table) for table in archive.tables},
        columns=survey.columns,
        text_column=reading.text_column,
        id_column=id_column,
        language_column=reading.language_column,
        added=added.names,
        rows=survey.rows,
        languages=dict(sorted(languages.items(), key=lambda item: -item[1])),
        rejects=1 - sum(languages.values()) if found else 0.0,
        seconds=seconds * survey.rows / len(found) if found else 0.0,
        sample=len(found),
    )


# What is read and written -----------------------------------------------------------------------------------------------


def _open(inputs: str | Path | Sequence[str | Path], chosen: Settings, journal: Journal, begun: bool) -> Archive:
    named = [inputs] if isinstance(inputs, str | Path) else list(inputs)
    if STANDARD in map(str, named):
        if len(named) > 1:
            raise DataError("standard input (-) is labelled alone. Name files, or pipe all into it.")
        try:
            paths = [spool(sys.stdin.buffer, journal.folder, begun)]
        except OSError as error:
            raise DataError(f"{journal.folder}: standard input cannot be kept there: {error}.") from error
    else:
        output = journal.output
        paths = find_files(named, (output, rejects_path(output), manifest_path(output), journal.folder))
    return Archive.open(paths, **reading_options(chosen))


def _refuse_inputs(archive: Archive, output: Path) -> None:
    for path in (output, rejects_path(output), manifest_path(output)):
        for table in archive.tables:
            if path.resolve() == table.path.resolve():
                raise DataError(f"{output}: would write over the input {table.path}. Name another output.")


def _columns(archive: Archive, columns: Sequence[str], chosen: Settings) -> tuple[Reading, str | None]:
    text = find_text_column(archive.where, columns, chosen.text_column)
    for table in archive.tables:
        if text not in table.columns:
            find_text_column(str(table.path), table.columns, text)
    language = find_column(archive.where, columns, chosen.language_column, LANGUAGE_COLUMNS)
    return Reading(text, language if language != text else None), find_column(archive.where, columns, chosen.id_column, ID_COLUMNS)


def _schema(survey: Survey, added: LabelledColumns) -> Any:
    if survey.types is None:
        return None
    import pyarrow

    return pyarrow.schema([*survey.types, *added.fields()], survey.types.metadata)


def _manifest(run: Run, survey: Survey, key: Key, chosen: Settings) -> dict[str, Any]:
    """The manifest but for what publishing adds."""
    totals, work = run.totals, run.work
    return {
        "inputs": [
            {**each.identity, "rows": each.rows, "format": table.format, "encoding": table.encoding, "delimiter": table.delimiter}
            for each, table in zip(survey.inputs, work.archive.tables, strict=True)
        ],
        "columns": {
            "text": work.reading.text_column, "id": work.form.id_column, "language": work.reading.language_column,
            "prefix": chosen.prefix, "scores": chosen.scores,
        },
        "model": key["model"]["version"],
        "rows": {"read": totals.rows, "labelled": totals.labelled, "rejected": dict(totals.rejected.most_common())},
        "languages": dict(totals.languages.most_common()),
        "masked": {
            "version": REDACTION_VERSION, "column": work.reading.text_column, **{kind: totals.masked[kind] for kind in KINDS}
        } if chosen.redacted else None,
        "seconds": round(run.progress().seconds, 3),
        "run": key,
    }  # fmt: skip


def _report(output: Path, done: Finished, started: float, model: str, reading: Reading, totals: Totals, before: int) -> LabelReport:
    manifest = done.manifest
    return LabelReport(
        output=output,
        rejects=rejects_path(output) if manifest["rejects"] else None,
        manifest=manifest_path(output),
        labelled=manifest["rows"]["labelled"],
        rejected=manifest["rows"]["rejected"],
        languages=manifest["languages"],
        seconds=time.perf_counter() - started,
        model=model,
        text_column=reading.text_column,
        masked=None if manifest["masked"] is None else {kind: manifest["masked"][kind] for kind in KINDS},
        language_column=reading.language_column,
        before=before,
        finished_before=done.before,
    )
