"""The figures of the corpus's card as Markdown, a function a section."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from data.rows import SPLITS, Row
from data.split import balance
from training.corpus_agreement import agreement_table, agreement_text, commonest_disagreements
from training.corpus_figures import (
    LANGUAGES,
    Corpus,
    label_counts,
    near_duplicate_rate,
    openings,
    percentiles,
    several_labels_share,
    shortcut,
    texts_of,
    traits,
    words,
)
from training.corpus_pictures import PICTURES, REAL_LABELS
from training.markdown import cell, listed, percent, table

NAMES = {"zh": "Chinese", "en": "English", "fa": "Persian"}
EXAMPLES = 10
MAX_EXAMPLE_CHARACTERS = 220
SHARES = (5, 25, 50, 75, 90, 95, 100)


def _contents(corpus: Corpus) -> str:
    lines = [[f"[{code}.jsonl]({code}.jsonl)", f"written in {NAMES[code]}", f"{len(corpus.rows[code]):,}"] for code in LANGUAGES]
    lines.append(["`readings/written.jsonl`", "a blind second reading of written rows", f"{len(corpus.read_twice):,}"])
    real = sum(map(len, corpus.overlays.values()))
    lines.append(
        ["`annotations/`", f"our labels for real messages of {len(corpus.overlays)} public sets, without the texts", f"{real:,}"]
    )
    exercises = sum(map(len, corpus.exercises.values()))
    lines.append(["`exercises/`", "messages, pairs and parallel messages, for training alone", f"{exercises:,}"])
    contrast = sum(map(len, corpus.contrast.values()))
    lines.append(["`contrast/`", "pairs and parallel messages for tests, never trained on", f"{contrast:,}"])
    return table(["file", "what", "rows"], lines, left=2)


def _splits(corpus: Corpus) -> str:
    counts = Counter(row.split for row in corpus.all_rows)
    return ", ".join(f"{name} {counts[name]:,} ({percent(counts[name] / len(corpus.all_rows))})" for name in SPLITS)


def _balance(corpus: Corpus) -> str:
    """Between which shares the labels of a language lie in each split."""
    found: dict[str, list[float]] = {name: [] for name in SPLITS}
    for counted in balance(corpus.all_rows, corpus.taxonomy):
        found.setdefault(counted.split, []).append(counted.share)
    return ", ".join(f"{name} {percent(min(found[name]), 0)} to {percent(max(found[name]), 0)}" for name in SPLITS)


def _label_table(corpus: Corpus, labels: Mapping[str, Sequence[Mapping[str, Sequence[str]]]]) -> str:
    lines = []
    for task in corpus.taxonomy:
        counts = {code: label_counts(given, task.name) for code, given in labels.items()}
        for label in task.names:
            found = [counts[code][label] for code in LANGUAGES]
            lines.append([task.name, label, *(f"{count:,}" for count in found), f"{sum(found):,}"])
    return table(["task", "label", *LANGUAGES, "all"], lines, left=2)


def _several(corpus: Corpus) -> str:
    parts = []
    for task in corpus.taxonomy:
        if not task.single:
            parts += [f"{code} {percent(several_labels_share(corpus.rows[code], task.name), 0)}" for code in LANGUAGES]
    return ", ".join(parts)


def _coverage_text(corpus: Corpus) -> str:
    across, down = [task.name for task in corpus.taxonomy if task.single][:2]
    return f"Coverage, {down} by {across} ({' / '.join(LANGUAGES)}):"


def _coverage(corpus: Corpus) -> str:
    across, down = [task for task in corpus.taxonomy if task.single][:2]
    counts = {
        code: Counter((row.labels[down.name][0], row.labels[across.name][0]) for row in rows) for code, rows in corpus.rows.items()
    }
    body = [
        [one, *(" / ".join(str(counts[code][one, other]) for code in LANGUAGES) for other in across.names)] for one in down.names
    ]
    return table([down.name, *across.names], body)


def _lengths(corpus: Corpus) -> str:
    lines = []
    for code in LANGUAGES:
        texts = [row.text for row in corpus.rows[code]]
        lines.append([f"{code}, characters", str(min(map(len, texts))), *map(str, percentiles(list(map(len, texts)), SHARES))])
        if code != "zh":
            counts = [words(text) for text in texts]
            lines.append([f"{code}, words", str(min(counts)), *map(str, percentiles(counts, SHARES))])
    return table(["", "shortest", *(f"{share} %" if share < 100 else "longest" for share in SHARES)], lines)


def _traits(corpus: Corpus) -> str:
    found = {code: traits(corpus.rows[code]) for code in LANGUAGES}
    names = dict.fromkeys(name for shares in found.values() for name in shares)
    body = [[name, *(percent(found[code][name]) if name in found[code] else "" for code in LANGUAGES)] for name in names]
    return table(["rows", *LANGUAGES], body)


def _real(corpus: Corpus) -> str:
    if not corpus.overlays:
        return "Not yet in the repository."
    lines = []
    for name, entries in corpus.overlays.items():
        twice = [entry for entry in entries if entry.agreed is not None]
        agreed = percent(sum(bool(entry.agreed) for entry in twice) / len(twice), 0) if twice else ""
        unsure = sum(not entry.sure for entry in entries)
        lines.append([name, corpus.languages[name], f"{len(entries):,}", f"{len(twice):,}", agreed, f"{unsure:,}"])
    sets = table(["set", "language", "texts", "read twice", "agreed on all tasks", "unsure"], lines, left=2)
    labels = _label_table(corpus, {code: [entry.labels for entry in corpus.annotations(code)] for code in LANGUAGES})
    return f"{sets}\n\n{labels}\n\n![Labels of the real part]({PICTURES}/{REAL_LABELS})"


def _openings(corpus: Corpus) -> str:
    parts = []
    for code in LANGUAGES:
        opening, count = min(openings(corpus.rows[code]).items(), key=lambda entry: (-entry[1], entry[0]))
        parts.append(f"{code} “{opening}” {percent(count / len(corpus.rows[code]), 2)}")
    return ", ".join(parts)


def _shortcuts(corpus: Corpus) -> str:
    lines = []
    for task in corpus.taxonomy:
        if not task.single:
            continue
        for code in (*LANGUAGES, "all"):
            rows = corpus.all_rows if code == "all" else corpus.rows[code]
            with_channel, without = shortcut(rows, task.name), shortcut(rows, task.name, channel=False)
            majority = f"({with_channel.majority_macro_f1:.2f})"
            lines.append([task.name, code, f"{with_channel.macro_f1:.2f}", f"{without.macro_f1:.2f}", majority])
    return table(["task", "language", "length, punctuation, channel", "length, punctuation", "commonest"], lines, left=2)


def _exercises(corpus: Corpus) -> str:
    lines = []
    for kind in sorted({str(row.extra["kind"]) for rows in corpus.exercises.values() for row in rows}):
        chosen = {code: [row for row in rows if row.extra["kind"] == kind] for code, rows in corpus.exercises.items()}
        groups = len({row.extra["group"] for rows in chosen.values() for row in rows})
        lines.append([kind, *(f"{len(chosen.get(code, ())):,}" for code in LANGUAGES), f"{groups:,}"])
    return table(["kind", *LANGUAGES, "groups"], lines, left=1)


def _contrast(corpus: Corpus) -> str:
    what = {
        "pairs": "two messages alike but for what turns a label",
        "trilingual": "the same message in all three languages",
        "scripts_fa": "the same Persian message in Persian and Latin letters",
        "scripts_zh": "the same Chinese message in Simplified and Traditional characters, with each side's wording",
    }
    lines = []
    for name, entries in corpus.contrast.items():
        counts = Counter(str(entry["language"]) for entry in entries if "language" in entry)
        by_language = ", ".join(f"{code} {counts[code]}" for code in LANGUAGES if counts[code])
        texts = sum(len(texts_of(entry)) for entry in entries)
        lines.append([f"`contrast/{name}.jsonl`", what.get(name, ""), by_language, f"{len(entries):,}", f"{texts:,}"])
    files = table(["file", "what", "by language", "entries", "texts"], lines, left=3)
    turns = Counter(str(entry["turn"]) for entries in corpus.contrast.values() for entry in entries if "turn" in entry)
    named = ", ".join(f"{turn} {count}" for turn, count in sorted(turns.items(), key=lambda entry: (-entry[1], entry[0])))
    return f"{files}\n\nWhat turns a pair: {named}." if turns else files


def _examples(corpus: Corpus) -> str:
    parts = []
    for code in LANGUAGES:
        body = [
            [cell(row.text), *(", ".join(row.labels[task.name]) for task in corpus.taxonomy), str(row.extra["channel"])]
            for row in examples(corpus.rows[code])
        ]
        head = ["text", *corpus.taxonomy.task_names, "channel"]
        parts.append(f"### {NAMES[code]}\n\n" + table(head, body, left=len(head)))
    return "\n\n".join(parts)


def examples(rows: Sequence[Row]) -> list[Row]:
    """EXAMPLES short rows of the training split: those that bring the most new labels, by hash where they bring as many."""
    ordered = sorted(
        (row for row in rows if row.split == SPLITS[0] and len(row.text) <= MAX_EXAMPLE_CHARACTERS),
        key=lambda row: hashlib.sha256(row.text.encode()).hexdigest(),
    )
    chosen: list[Row] = []
    seen: set[tuple[str, str]] = set()
    while ordered and len(chosen) < EXAMPLES:
        best = max(ordered, key=lambda row: min(3, len(_answers(row) - seen)))  # the first in order of those with three new labels
        ordered.remove(best)
        seen |= _answers(best)
        chosen.append(best)
    return chosen


def _answers(row: Row) -> set[tuple[str, str]]:
    return {(task, label) for task, labels in row.labels.items() for label in labels}


def _definitions(corpus: Corpus) -> str:
    parts = []
    for task in corpus.taxonomy:
        number = "one label" if task.single else "one label or more" if task.at_least_one else "any number of labels"
        body = [
            [f"`{label.name}`", *(label.display.get(code, "") for code in LANGUAGES if code != "en"), label.about]
            for label in task.labels
        ]
        parts.append(f"**{task.name}**: {number}.\n\n" + table(["label", "zh", "fa", "meaning"], body, left=4))
    return "\n\n".join(parts)


SECTIONS: Mapping[str, Callable[[Corpus], str]] = {
    "tasks": lambda corpus: listed(corpus.taxonomy.task_names),
    "version": lambda corpus: corpus.taxonomy.version,
    "rows": lambda corpus: f"{len(corpus.all_rows):,}",
    "contents": _contents,
    "splits": _splits,
    "balance": _balance,
    "labels_table": lambda corpus: _label_table(corpus, {code: [row.labels for row in corpus.rows[code]] for code in LANGUAGES}),
    "several": _several,
    "coverage_text": _coverage_text,
    "coverage_table": _coverage,
    "lengths_table": _lengths,
    "traits_table": _traits,
    "agreement_text": agreement_text,
    "agreement_table": agreement_table,
    "disagreements": commonest_disagreements,
    "real_text": _real,
    "near": lambda corpus: percent(near_duplicate_rate([row.text for row in corpus.all_rows]), 2),
    "openings": _openings,
    "shortcut_table": _shortcuts,
    "exercises_table": _exercises,
    "contrast_table": _contrast,
    "examples": _examples,
    "definitions": _definitions,
}
"""By the name of the place in the template."""
