"""Public labelled sets, described in sources.toml: where from, under which licence, and what their labels mean to us.

The file's own head explains every key; data/mapping.py says what a mapping means, data/importer.py turns a described set into rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from data.alterations import ALTERATIONS
from data.errors import DataError
from data.mapping import Condition, Filter, Meaning, Rule
from data.taxonomy import Taxonomy
from data.toml_files import read_toml

DEFAULT_SOURCES = Path(__file__).with_name("sources.toml")
LICENCES = ("ok", "silent", "nc")
_NAME = re.compile(r"[a-z0-9_]+")


@dataclass(frozen=True)
class Source:
    name: str
    title: str
    language: str
    origin: str
    """Repository and path, or hub id, that the set was taken from."""
    commit: str
    licence: str
    """`ok`: allows reuse, commercial too. `silent`: none stated. `nc`: not commercial, or research only."""
    licence_note: str
    files: tuple[str, ...]
    """Splits by their file's name without ending; their rows get a split later, from the hash of the text."""
    rules: tuple[Rule, ...]
    test_files: tuple[str, ...] = ()
    """Splits that only test."""
    avoid_files: tuple[str, ...] = ()
    """Splits whose texts must not be among the rows (they belong to another source)."""
    text: tuple[str, ...] = ("text",)
    join: str = "\n"
    alter: tuple[str, ...] = ()
    filters: tuple[Filter, ...] = ()
    union_repeats: bool = False
    """The set has a row for each label of a text: labels of equal texts are united, not compared."""
    weak: bool = False
    """Labels are known to be noisy, or only hint at ours."""
    note: str = ""
    """Traps, and why the mapping is as it is."""
    folder: str = ""
    """Name of the folder where a collection keeps it, if that is not its own; `-` and `_` are alike."""

    @classmethod
    def read(cls, name: str, path: str | Path = DEFAULT_SOURCES) -> Source:
        """Read one source; DataError with the nearest name if there is none of that name."""
        return find_source(name, read_sources(path))

    @property
    def tasks(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(rule.task for rule in self.rules))

    def faults(self, taxonomy: Taxonomy, tasks: Iterable[str] | None = None) -> list[str]:
        """Name every label of the mapping that the taxonomy lacks (of these tasks, or of all)."""
        found: dict[str, None] = {}
        for rule in self.rules:
            if tasks is not None and rule.task not in tasks:
                continue
            if rule.task not in taxonomy.task_names:
                found[f"task '{rule.task}' is not in the taxonomy (tasks: {', '.join(taxonomy.task_names)})"] = None
                continue
            task = taxonomy[rule.task]
            for value, meaning in rule.values.items():
                if task.single and meaning.labels is not None and len(meaning.labels) != 1:
                    found[f"{rule.task}: value '{value}' gives {len(meaning.labels)} labels, the task takes exactly one"] = None
                if not task.single and meaning.one_of:
                    found[f"{rule.task}: value '{value}': one_of is for tasks that take exactly one label"] = None
                for label in (*(meaning.labels or ()), *meaning.one_of, *meaning.excluded, *meaning.known, *rule.known):
                    if label not in task.names:
                        found[task.unknown(label)] = None
        return list(found)


def find_source(name: str, sources: Mapping[str, Source]) -> Source:
    """Look a source up; DataError with the nearest name if there is none of that name."""
    if name in sources:
        return sources[name]
    near = get_close_matches(name.replace("-", "_"), sources, n=1, cutoff=0.5)
    hint = f"nearest: '{near[0]}'" if near else f"known: {', '.join(sources)}"
    raise DataError(f"no source '{name}' ({hint}). Take one of those, or describe yours in a file of sources.")


def read_sources(path: str | Path = DEFAULT_SOURCES) -> dict[str, Source]:
    """Read a file of sources, by name. DataError names every fault found, at once."""
    path = Path(path)
    document = read_toml(path, DataError, f". Name a file of sources, or leave it out to use {DEFAULT_SOURCES}.")
    faults: list[str] = []
    if unknown := sorted(set(document) - {"sources"}):
        faults.append(f"unknown keys {', '.join(unknown)} (known: sources)")
    tables = document.get("sources")
    if not isinstance(tables, Mapping) or not tables:
        raise DataError(f"{path}: no sources. Write at least one [sources.NAME] table.")
    sources = {name: _source(name, table, faults) for name, table in tables.items()}
    if faults:
        raise DataError(f"{path}:\n  " + "\n  ".join(faults))
    return sources


class _Table:
    """Takes keys out of a parsed table, notes faults, and at the end names keys that nothing took."""

    def __init__(self, table: Any, where: str, faults: list[str]) -> None:
        self.where, self.faults = where, faults
        self.taken: list[str] = []
        self.table: Mapping[str, Any] = table if isinstance(table, Mapping) else {}
        if not isinstance(table, Mapping):
            self.fault(f"write it as a table, not {table!r}")

    def fault(self, text: str) -> None:
        self.faults.append(f"{self.where}: {text}")

    def take(self, key: str) -> Any:
        self.taken.append(key)
        return self.table.get(key)

    def string(self, key: str, required: bool = False, default: str = "") -> str:
        value = self.take(key)
        if value is None and not required:
            return default
        if not isinstance(value, str) or (required and not value.strip()):
            self.fault(f"'{key}' is {'missing' if value is None else repr(value)}; write a text")
            return default
        return value

    def strings(self, key: str) -> tuple[str, ...]:
        """A text, or a list of texts."""
        value = self.take(key)
        listed = [] if value is None else [value] if isinstance(value, str) else value
        if not isinstance(listed, list) or not all(isinstance(entry, str) for entry in listed):
            self.fault(f"'{key}' is {value!r}; write a text or a list of texts")
            return ()
        return tuple(listed)

    def flag(self, key: str) -> bool:
        value = self.take(key)
        if value not in (None, True, False):
            self.fault(f"'{key}' is {value!r}; write true or false")
        return value is True

    def condition(self, key: str) -> Condition:
        value = self.take(key)
        entries = _Table({} if value is None else value, f"{self.where}, {key}", self.faults)
        return Condition({name: entries.strings(name) for name in entries.table})

    def done(self) -> None:
        for key in self.table:
            if key not in self.taken:
                near = get_close_matches(key, self.taken, n=1)
                self.fault(f"unknown key '{key}' ({f'nearest: {near[0]!r}' if near else 'known: ' + ', '.join(self.taken)})")


def _source(name: str, table: Any, faults: list[str]) -> Source:
    entries = _Table(table, f"source '{name}'", faults)
    if not _NAME.fullmatch(name):
        entries.fault("use small letters, digits and underscores only in the name")
    rules: list[Rule] = []
    tasks = entries.take("tasks")
    if not isinstance(tasks, Mapping) or not tasks:
        entries.fault(f"maps to no task. Write [sources.{name}.tasks.TASK] with field and values")
        tasks = {}
    for task, mapping in tasks.items():
        for number, rule in enumerate(mapping if isinstance(mapping, list) else [mapping], 1):
            where = f"source '{name}', task '{task}'" + (f", rule {number}" if isinstance(mapping, list) else "")
            rules.append(_rule(task, _Table(rule, where, faults)))
    filters = entries.take("filters") or []
    source = Source(
        name=name,
        title=entries.string("title", required=True),
        language=entries.string("language", required=True),
        origin=entries.string("origin", required=True),
        commit=entries.string("commit"),
        licence=entries.string("licence", required=True),
        licence_note=entries.string("licence_note", required=True),
        files=entries.strings("files"),
        test_files=entries.strings("test_files"),
        avoid_files=entries.strings("avoid_files"),
        text=entries.strings("text") or ("text",),
        join=entries.string("join", default="\n"),
        alter=entries.strings("alter"),
        filters=tuple(
            _filter(_Table(entry, f"source '{name}', filter {number}", faults)) for number, entry in enumerate(filters, 1)
        ),
        rules=tuple(rules),
        union_repeats=entries.flag("union_repeats"),
        weak=entries.flag("weak"),
        note=entries.string("note"),
        folder=entries.string("folder"),
    )
    entries.done()
    if source.licence not in LICENCES:
        entries.fault(f"licence is '{source.licence}'; write one of {', '.join(LICENCES)}")
    if not source.files and not source.test_files:
        entries.fault("has no files. Name at least one split in files or test_files")
    every = (*source.files, *source.test_files, *source.avoid_files)
    if repeated := sorted({file for file in every if every.count(file) > 1}):
        entries.fault(f"files stand twice: {', '.join(repeated)}")
    for step in source.alter:
        if step not in ALTERATIONS:
            entries.fault(f"no alteration '{step}' (known: {', '.join(ALTERATIONS)})")
    for rows_filter in source.filters:
        if strange := sorted(set(rows_filter.files) - set(every)):
            entries.fault(f"a filter names files that the source does not have: {', '.join(strange)}")
    return source


def _filter(entries: _Table) -> Filter:
    keep, drop = "keep" in entries.table, "drop" in entries.table
    if keep == drop:
        entries.fault("write either keep or drop")
    kept, dropped = entries.condition("keep"), entries.condition("drop")
    result = Filter(kept if keep else dropped, keep, entries.string("reason", required=True), entries.strings("files"))
    entries.done()
    return result


def _rule(task: str, entries: _Table) -> Rule:
    values = entries.take("values")
    if not isinstance(values, Mapping) or not values:
        entries.fault("has no values. Write which value means what")
        values = {}
    meanings = {str(value): _meaning(value, entry, entries) for value, entry in values.items()}
    rule = Rule(
        task=task,
        fields=entries.strings("field"),
        values=meanings,
        known=entries.strings("known"),
        when=entries.condition("when"),
        pair=entries.string("pair"),
        json_keys=entries.flag("json_keys"),
    )
    entries.done()
    if not rule.fields:
        entries.fault("'field' is missing; name the column that has the label")
    if rule.pair and len(rule.fields) != 1:
        entries.fault("pair goes with one field")
    for value, meaning in meanings.items():
        known = meaning.known or rule.known
        if known and (strange := [label for label in (*(meaning.labels or ()), *meaning.one_of) if label not in known]):
            entries.fault(f"value '{value}' gives {', '.join(strange)}, which known does not list")
    return rule


def _meaning(value: str, entry: Any, rule: _Table) -> Meaning:
    if isinstance(entry, str | list):
        entry = {"label": entry}
    entries = _Table(entry, f"{rule.where}, value '{value}'", rule.faults)
    labels = entries.strings("label") if "label" in entries.table else None
    meaning = Meaning(labels, entries.strings("one_of"), entries.strings("not"), entries.strings("known"), entries.flag("weak"))
    entries.take("label")
    entries.done()
    if meaning.labels is not None and meaning.one_of:
        entries.fault("write either label or one_of")
    return meaning
