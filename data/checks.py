"""Whether rows are fit to train on: `feedback data check FILE [FILE ...]`.

Errors make the rows unfit; warnings are for a person to judge. Messages are never shown beyond an excerpt.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import combinations
from pathlib import Path

from data.check_report import CheckReport, Finding
from data.errors import DataError
from data.language import identify
from data.rows import PLAIN_COLUMNS, SPLITS, Row, RowFault, scan_rows
from data.split import near_duplicate_groups, skeleton_of_mended
from data.taxonomy import Task, Taxonomy
from data.text import mend

MAX_TEXT_CHARACTERS = 20_000
"""Longer is an error."""
LONG_TEXT_CHARACTERS = 2_000
"""Longer is a warning: several messages in one, or a whole document."""
SURE_LANGUAGE = 0.8
"""Probability from which the identified language is held against the file's."""
EXCERPT_CHARACTERS = 60
MAX_PLACES = 10
"""How many places a finding names; all are counted."""
MAX_FINDINGS_OF_A_KIND = 100
MAX_VALUES = 100
"""Languages and sources that are counted one by one: a column of free text must not fill the report."""
UNKNOWN = "unknown"
FURTHER = "(further)"


def excerpt(text: str) -> str:
    """The beginning of a text on one line, in at most EXCERPT_CHARACTERS."""
    line = " ".join("".join(character if character.isprintable() or character == "\u200c" else " " for character in text).split())
    return line if len(line) <= EXCERPT_CHARACTERS else line[: EXCERPT_CHARACTERS - 1] + "…"


@dataclass(frozen=True, slots=True)
class _Entry:
    """What is kept of a row until all are read."""

    place: str
    digest: bytes
    excerpt: str
    id: tuple[str | None, str] | None
    """With the row's source, within which it names the row."""
    split: str | None
    labels: Mapping[str, tuple[str, ...]]
    known: Mapping[str, tuple[str, ...]]
    excluded: Mapping[str, tuple[str, ...]]


class _Findings:
    """Findings by kind and message, in the order in which they were first met."""

    def __init__(self) -> None:
        self.places: dict[tuple[str, str], list[str]] = {}
        self.counts: Counter[tuple[str, str]] = Counter()
        self.kinds: Counter[str] = Counter()

    def add(self, kind: str, message: str, place: str | None, rows: int = 1) -> None:
        key = kind, message
        if key not in self.counts:
            if self.kinds[kind] >= MAX_FINDINGS_OF_A_KIND:
                key = kind, f"Further findings of this kind, after {MAX_FINDINGS_OF_A_KIND}."
            self.kinds[kind] += key not in self.counts
        self.counts[key] += rows
        places = self.places.setdefault(key, [])
        if place is not None and len(places) < MAX_PLACES:
            places.append(place)

    def done(self) -> tuple[Finding, ...]:
        return tuple(Finding(*key, self.counts[key], tuple(places)) for key, places in self.places.items())


def check(paths: str | Path | Sequence[str | Path], taxonomy: Taxonomy, *, encoding: str | None = None) -> CheckReport:
    """Read the files of rows together and report all that speaks against training on them. Raises nothing of ours."""
    files = [Path(path) for path in ([paths] if isinstance(paths, str | Path) else paths)]
    errors, warnings = _Findings(), _Findings()
    entries: list[_Entry] = []
    skeletons: list[str] = []
    splits: Counter[str] = Counter()
    sources: Counter[str] = Counter()
    languages: Counter[str] = Counter()
    labels: dict[str, dict[str, Counter[str]]] = {
        task.name: {label: Counter() for label in (*task.names, UNKNOWN)} for task in taxonomy
    }
    for path in files:
        extras: set[str] = set()
        for row in _rows(path, taxonomy, encoding, errors):
            place = f"{path}:{row.line}"
            mended = mend(row.text)
            _check_text(row, mended.text, mended.warnings, place, errors, warnings)
            digest = hashlib.blake2b(mended.text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
            name = None if row.id is None else (row.source, row.id)
            entries.append(_Entry(place, digest, excerpt(mended.text), name, row.split, row.labels, row.known, row.excluded))
            skeletons.append(skeleton_of_mended(mended.text))
            language = _value(row.language, languages)
            splits[row.split or "none"] += 1
            sources[_value(row.source, sources)] += 1
            languages[language] += 1
            for task in taxonomy:
                for label in row.labels.get(task.name, (UNKNOWN,)):
                    labels[task.name][label][language] += 1
            extras.update(row.extra)
        _check_columns(path, extras, taxonomy, warnings)
    if not entries and not errors.kinds["no_rows"]:
        errors.add("no_rows", "No row could be read.", None, rows=0)
    for task in taxonomy:
        if entries and sum(labels[task.name][UNKNOWN].values()) == len(entries):
            warnings.add("unlabelled", f"No row has a label for {task.name}.", None, rows=len(entries))
    _check_ids(entries, warnings)
    duplicates, near = _check_groups(entries, skeletons, taxonomy, errors, warnings)
    total = max(1, len(entries))
    order = [*SPLITS, "none"]
    return CheckReport(
        tuple(map(str, files)),
        len(entries),
        errors.done(),
        warnings.done(),
        duplicates / total,
        near / total,
        {name: splits[name] for name in order if splits[name]},
        dict(sorted(sources.items())),
        dict(sorted(languages.items())),
        {task: {label: dict(sorted(counts.items())) for label, counts in found.items()} for task, found in labels.items()},
    )


def _value(value: str | None, counted: Counter[str]) -> str:
    """Under which name a language or source is counted."""
    name = excerpt(value) if value else UNKNOWN
    return name if name in counted or len(counted) < MAX_VALUES else FURTHER


def _rows(path: Path, taxonomy: Taxonomy, encoding: str | None, errors: _Findings) -> Iterator[Row]:
    """The rows of a file; its faults, or that it has no rows, go to `errors`."""
    empty = True
    try:
        for item in scan_rows(path, taxonomy, encoding=encoding):
            empty = False
            if isinstance(item, RowFault):
                errors.add("fault", item.reason, f"{path}:{item.line}")
            else:
                yield item
    except DataError as error:
        errors.add("unreadable", str(error), None, rows=0)
    else:
        if empty:
            errors.add("no_rows", f"{path}: no rows, only the names of columns. Fill it, or leave it out.", None, rows=0)


def _check_text(row: Row, mended: str, named: Sequence[str], place: str, errors: _Findings, warnings: _Findings) -> None:
    """One row by itself: its length, its language, what could not be mended."""
    if not mended.strip():
        errors.add("empty", "The text is empty after mending. Delete the row.", place)
        return
    if len(row.text) > MAX_TEXT_CHARACTERS:
        errors.add("too_long", f"The text has over {MAX_TEXT_CHARACTERS} characters. Split it into its messages.", place)
    elif len(row.text) > LONG_TEXT_CHARACTERS:
        warnings.add("long", f"The text has over {LONG_TEXT_CHARACTERS} characters. Is it one message?", place)
    if "garbled" in named:
        warnings.add("garbled", "The text is garbled and cannot be mended. Get it anew from its source, or delete it.", place)
    elif row.language:
        found = identify(mended[:LONG_TEXT_CHARACTERS])
        given = row.language.lower().replace("_", "-").split("-")[0]
        if found.code != given and found.probability >= SURE_LANGUAGE and (found.supported or given != "other"):
            warnings.add(
                "language", f"The language is given as '{excerpt(row.language)}', the text looks like '{found.code}'.", place
            )


def _check_columns(path: Path, extras: set[str], taxonomy: Taxonomy, warnings: _Findings) -> None:
    """Columns that were perhaps meant as one of ours."""
    ours = [*PLAIN_COLUMNS, *taxonomy.task_names]
    for name in sorted(extras):
        if near := get_close_matches(name.strip().lower(), [own for own in ours if own != "id"], n=1, cutoff=0.75):
            message = f"{path}: column '{excerpt(name)}' is not read as '{near[0]}'. Rename it if it is meant so."
            warnings.add("column", message, None, rows=0)


def _check_ids(entries: Sequence[_Entry], warnings: _Findings) -> None:
    """Ids that name different texts of one source."""
    firsts: dict[tuple[str | None, str], _Entry] = {}
    for entry in entries:
        if entry.id is not None and (first := firsts.setdefault(entry.id, entry)).digest != entry.digest:
            message = "The same id stands at different texts of one source. Give each row an id of its own."
            warnings.add("repeated_id", message, _pair(first, entry))


def _check_groups(
    entries: Sequence[_Entry], skeletons: Sequence[str], taxonomy: Taxonomy, errors: _Findings, warnings: _Findings
) -> tuple[int, int]:
    """Rows with the same text or nearly the same. How many repeat an earlier text, and how many are like one."""
    groups: dict[int, list[_Entry]] = defaultdict(list)
    for group, entry in zip(near_duplicate_groups(skeletons), entries, strict=True):
        groups[group].append(entry)
    duplicates = near = 0
    for members in groups.values():
        if len(members) == 1:
            continue
        texts: dict[bytes, list[_Entry]] = defaultdict(list)
        for entry in members:
            texts[entry.digest].append(entry)
        for same in texts.values():
            duplicates += len(same) - 1
            for later in same[1:]:
                warnings.add("duplicate", "The same text stands more than once.", _pair(same[0], later))
            _check_contradictions(same, taxonomy, errors)
        firsts = [same[0] for same in texts.values()]
        near += len(firsts) - 1
        for later in firsts[1:]:
            warnings.add("near_duplicate", "Texts are nearly the same.", _pair(firsts[0], later))
        _check_leakage(members, errors)
    return duplicates, near


def _pair(one: _Entry, other: _Entry) -> str:
    return f"{one.place} = {other.place} ({other.excerpt})"


def _check_leakage(members: Sequence[_Entry], errors: _Findings) -> None:
    by_split: dict[str, _Entry] = {}
    for entry in members:
        if entry.split is not None:
            by_split.setdefault(entry.split, entry)
    for one, other in combinations([name for name in SPLITS if name in by_split], 2):
        leaked = sum(entry.split == one for entry in members)
        message = f"Texts of {other} stand in {one} too, the same or nearly. Put them on one side, or leave split empty."
        errors.add("leakage", message, _pair(by_split[one], by_split[other]), rows=leaked)


def _check_contradictions(same: Sequence[_Entry], taxonomy: Taxonomy, errors: _Findings) -> None:
    """Rows of one text that cannot all be right. What one of them could not know contradicts nothing."""
    for task in taxonomy:
        statements: dict[_Statement, _Entry] = {}
        for entry in same:
            given = entry.labels.get(task.name)
            known = entry.known.get(task.name, task.names)
            key = None if given is None else frozenset(given), frozenset(known), frozenset(entry.excluded.get(task.name, ()))
            statements.setdefault(key, entry)
        for (one, first), (other, second) in combinations(statements.items(), 2):
            if _contradict(task, one, other):
                message = f"The same text has different labels for {task.name}. Decide for one, or leave it unknown."
                errors.add("contradiction", message, _pair(first, second))


_Statement = tuple[frozenset[str] | None, frozenset[str], frozenset[str]]  # labels given, known, excluded


def _contradict(task: Task, one: _Statement, other: _Statement) -> bool:
    for (given, _, _), (_, _, excluded) in ((one, other), (other, one)):
        if given is not None and given & excluded:
            return True
    if one[0] is None or other[0] is None:
        return False
    both_know = one[1] & other[1]
    if task.single:
        return one[0] != other[0] and (one[0] | other[0]) <= both_know
    return one[0] & both_know != other[0] & both_know
