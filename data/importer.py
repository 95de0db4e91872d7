"""Turn a public set, as sources.toml describes it, into rows.

    report = import_to_file("waimai_10k", "downloads/waimai_10k", "waimai.parquet", Taxonomy.read())
    print(report)

Every row of the set is either written or counted under the reason for which it was dropped.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data.alterations import alter
from data.answers import Answer, agreed, merged, united, values
from data.errors import DataError
from data.import_report import ImportReport, report_on
from data.mapping import Rule, plain
from data.origins import Files, Hub, is_hub_id
from data.rows import Row, write_rows
from data.sources import DEFAULT_SOURCES, Source, find_source, read_sources
from data.taxonomy import Task, Taxonomy
from data.text_keys import spelling_key, text_key

IMPORTER_VERSION = 1
"""Goes up whenever the same set would give other texts, ids or labels."""
ID_DIGITS = 12
MAX_VALUES_NAMED = 8

EMPTY = "empty text"
NOTHING_KNOWN = "its labels say nothing about our tasks"
REPEATED = "the same text again"
CONTRADICTORY = "the same text with contradictory labels"
LEAKED = "its text is in the set's own test split"
AVOIDED = "its text belongs to another source"


@dataclass
class _Message:
    """One text of the set, with what each of its rows says."""

    text: str
    original: str
    split: str | None
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    rows: int = 0


def import_source(
    source: Source,
    origin: str | Path,
    taxonomy: Taxonomy,
    *,
    split: str | None = None,
    tasks: Sequence[str] | None = None,
) -> Iterator[Row]:
    """Give the rows of a set: one row a text, in the set's order, its own test split first.

    origin: a folder with the set's files, one of the files, or a hub id (`owner/name`, or `owner/name:configuration`).
    split: only this split, by the set's own name for it. tasks: only these; none: all that the source maps.
    The whole set is read before the first row comes, since equal texts are compared over all of it. Raises DataError for
    a label that the taxonomy lacks, a missing path, file or column, a value that the source does not map, and a hub
    that does not answer.
    """
    return iter(_import(source, origin, taxonomy, split, tasks)[0])


def import_to_file(
    name: str,
    origin: str | Path,
    output: str | Path,
    taxonomy: Taxonomy,
    *,
    split: str | None = None,
    tasks: Sequence[str] | None = None,
    sources: str | Path = DEFAULT_SOURCES,
) -> ImportReport:
    """Import a set into a file of rows (CSV, JSON Lines or Parquet by its name) and say what became of every row."""
    source = find_source(name, read_sources(sources))
    rows, report = _import(source, origin, taxonomy, split, tasks)
    if not rows:
        raise DataError(f"{origin}: no row of {name} is left to write.\n{report.to_text()}")
    write_rows(output, rows, taxonomy)
    return ImportReport(**{**vars(report), "output": str(output)})


def import_all(
    root: str | Path, folder: str | Path, taxonomy: Taxonomy, *, sources: str | Path = DEFAULT_SOURCES
) -> Iterator[ImportReport]:
    """Import every set whose folder lies somewhere under `root` into `folder`/NAME.parquet, one report a set as it is done.

    A folder is a set's by its name, `-` and `_` alike. DataError if none of the sets is there, or one cannot be imported.
    """
    found = set_folders(root)
    known = {name: source for name, source in read_sources(sources).items() if (source.folder or name) in found}
    if not known:
        raise DataError(f"{root}: no folder of a known set is under it. `feedback data sources` lists their names.")
    Path(folder).mkdir(parents=True, exist_ok=True)
    for name, source in known.items():
        yield import_to_file(name, found[source.folder or name], Path(folder) / f"{name}.parquet", taxonomy, sources=sources)


def set_folders(root: str | Path) -> dict[str, Path]:
    """The folders under `root` by name, as names of sets are written."""
    return {path.name.replace("-", "_"): path for path in sorted(Path(root).glob("**/")) if path != Path(root)}


def row_id(source: str, text: str) -> str:
    """Name a row by its source and the SHA-256 of its text as the set has it, before any alteration."""
    return f"{source}-{hashlib.sha256(text.encode()).hexdigest()[:ID_DIGITS]}"


def _import(
    source: Source, origin: str | Path, taxonomy: Taxonomy, split: str | None, tasks: Sequence[str] | None
) -> tuple[list[Row], ImportReport]:
    wanted = tuple(task for task in source.tasks if tasks is None or task in tasks)
    if not wanted:
        raise DataError(f"{source.name} maps to {', '.join(source.tasks)}, none of which was asked for ({', '.join(tasks or ())}).")
    if faults := source.faults(taxonomy, wanted):
        raise DataError(
            f"source '{source.name}' does not fit the taxonomy:\n  " + "\n  ".join(faults) + "\n"
            "Import only the tasks that fit, or describe the set in a file of sources of your own."
        )
    every = (*source.test_files, *source.avoid_files, *source.files)
    if split is not None and split not in (*source.test_files, *source.files):
        raise DataError(f"{source.name} has no split '{split}' (its splits: {', '.join((*source.files, *source.test_files))}).")
    splits = Hub(str(origin), every) if is_hub_id(origin) else Files(origin, every, split)
    needed = (split,) if split else (*source.files, *source.test_files)
    if missing := [file for file in needed if file not in splits.names and not splits.single]:
        raise DataError(
            f"{origin}: no split {', '.join(missing)}. Found: {', '.join(splits.found) or 'nothing'}. "
            f"{source.name} has {', '.join(every)}; name one with --split to import it alone."
        )
    return _Importer(source, taxonomy, wanted).run(splits, split, str(origin))


class _Importer:
    """Reads a set once and keeps the tally of what becomes of its rows."""

    def __init__(self, source: Source, taxonomy: Taxonomy, tasks: tuple[str, ...]) -> None:
        self.source, self.taxonomy, self.tasks = source, taxonomy, tasks
        self.rules = {task: tuple(rule for rule in source.rules if rule.task == task) for task in tasks}
        self.dropped: Counter[str] = Counter()
        self.unmapped: dict[tuple[str, str, str], Counter[str]] = {}

    def run(self, splits: Hub | Files, split: str | None, origin: str) -> tuple[list[Row], ImportReport]:
        source, read = self.source, 0
        avoided = {text_key(text) for file in splits.among(source.avoid_files) for _, text in self._texts(splits, file)}
        tested: set[str] = set()
        messages: dict[str, _Message] = {}
        for file in (*splits.among(source.test_files), *splits.among(source.files)):
            testing, told = file in source.test_files, split in (None, file)
            if not (testing or told):
                continue
            for record, original in self._texts(splits, file):
                reason = self._filtered(record, original, file)
                key = text_key(original)
                if testing and not reason:
                    tested.add(key)
                if not told:
                    continue
                read += 1
                if not reason:
                    reason = LEAKED if not testing and key in tested else AVOIDED if key in avoided else None
                if reason:
                    self.dropped[reason] += 1
                else:
                    self._add(messages, record, original, "test" if testing else None, file)
        self._refuse_unmapped(origin)
        rows = [row for message in messages.values() for row in self._rows(message)]
        absent = [file for file in (*source.test_files, *source.avoid_files) if file not in splits.names]
        return rows, report_on(self.source, self.taxonomy, self.tasks, rows, origin, read, self.dropped, tuple(absent))

    def _texts(self, splits: Hub | Files, file: str) -> Iterator[tuple[dict[str, Any], str]]:
        """The records of a split, each with its text as the set has it."""
        columns = {*self.source.text}
        if file not in self.source.avoid_files:
            columns.update(name for task in self.tasks for rule in self.rules[task] for name in rule.columns)
            for rows_filter in self.source.filters:
                if not rows_filter.files or file in rows_filter.files:
                    columns.update(rows_filter.condition.fields)
        checked = False
        for record in splits.records(file):
            if not checked and (missing := sorted(columns - set(record))):
                raise DataError(
                    f"{splits.origin}, split {file}: no column {', '.join(map(repr, missing))}. "
                    f"Columns found: {', '.join(map(repr, record))}. The layout is not the one that {self.source.name} describes."
                )
            checked = True
            parts = [plain(record[name]) for name in self.source.text]
            yield record, self.source.join.join(part for part in parts if part.strip())

    def _filtered(self, record: Mapping[str, Any], original: str, file: str) -> str | None:
        for rows_filter in self.source.filters:
            applies = not rows_filter.files or file in rows_filter.files
            if applies and rows_filter.condition.holds(record) != rows_filter.keep:
                return rows_filter.reason
        return None if spelling_key(original) else EMPTY

    def _add(self, messages: dict[str, _Message], record: Mapping[str, Any], original: str, split: str | None, file: str) -> None:
        answers = {task: self._answer(self.taxonomy[task], self.rules[task], record, file) for task in self.tasks}
        spoken = {task: answer for task, answer in answers.items() if answer}
        text = alter(original, self.source.alter)
        if not spoken or not text.strip():
            self.dropped[NOTHING_KNOWN if text.strip() else EMPTY] += 1
            return
        message = messages.setdefault(spelling_key(original), _Message(text, original, split))
        message.rows += 1
        for task, answer in spoken.items():
            message.answers.setdefault(task, []).append(answer)

    def _answer(self, task: Task, rules: Iterable[Rule], record: Mapping[str, Any], file: str) -> Answer | None:
        """What the record says about a task; None if nothing."""
        answers = []
        for rule in rules:
            if not rule.when.holds(record):
                continue
            meanings = []
            try:
                found = values(rule, record)
            except ValueError as error:
                raise DataError(
                    f"split {file}: {', '.join(rule.fields)} is not as {self.source.name} describes it: {error}."
                ) from error
            for value in found:
                meaning = rule.meaning(value)
                if meaning is None:
                    self.unmapped.setdefault((file, task.name, ", ".join(rule.fields)), Counter())[value] += 1
                else:
                    meanings.append(meaning)
            if meanings and (answer := (agreed if task.single else united)(task, rule, meanings)):
                if task.single:
                    return answer  # the first rule that says something decides
                answers.append(answer)
        return merged(task, answers, union=True) if answers else None

    def _refuse_unmapped(self, origin: str) -> None:
        if not self.unmapped:
            return
        lines = []
        for (file, task, name), counts in self.unmapped.items():
            named = ", ".join(f"'{value[:40]}' ({count:,})" for value, count in counts.most_common(MAX_VALUES_NAMED))
            more = f" and {len(counts) - MAX_VALUES_NAMED} more values" if len(counts) > MAX_VALUES_NAMED else ""
            lines.append(f"split {file}, {task} from {name}: {named}{more}")
        raise DataError(
            f"{origin}: values that source '{self.source.name}' does not map:\n  " + "\n  ".join(lines) + "\n"
            "Add them to the source's values ({} where a value says nothing)."
        )

    def _rows(self, message: _Message) -> Iterator[Row]:
        """The row of a text, or nothing if its rows contradict one another throughout."""
        labels: dict[str, tuple[str, ...]] = {}
        known: dict[str, tuple[str, ...]] = {}
        excluded: dict[str, tuple[str, ...]] = {}
        weak = False
        for name, answers in message.answers.items():
            task = self.taxonomy[name]
            answer = merged(task, answers, union=self.source.union_repeats)
            if answer is None:
                continue
            weak = weak or answer.weak or self.source.weak
            if answer.labels is not None:
                labels[name] = answer.labels
                if answer.known and len(answer.known) < len(task.names):
                    known[name] = answer.known
            if answer.excluded:
                excluded[name] = answer.excluded
        if not labels and not excluded:
            self.dropped[CONTRADICTORY] += message.rows
            return
        if message.rows > 1:
            self.dropped[REPEATED] += message.rows - 1
        extra: dict[str, Any] = {"original": message.original} if message.text != message.original else {}
        if weak:
            extra["weak"] = True
        yield Row(
            message.text,
            labels,
            known,
            excluded,
            language=self.source.language,
            source=self.source.name,
            split=message.split,
            id=row_id(self.source.name, message.original),
            extra=extra,
        )
