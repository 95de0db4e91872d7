"""The sections of the corpus's card on how far two readings of the same messages agree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from data.agreement import agreement, disagreements
from training.corpus_figures import LANGUAGES, Corpus, Pair
from training.markdown import figure, percent, table

DISAGREEMENTS = 4
"""Commonest differences named for a task."""


def agreement_text(corpus: Corpus) -> str:
    if not corpus.read_twice and not corpus.annotated_twice:
        return "No second reading yet."
    parts = [
        f"Of the written part {len(corpus.read_twice):,} rows were labelled a second time by a reader that did not see the first "
        f"labels; {corpus.settled:,} of them in dispute were settled by a third reading, and the corpus holds what was settled. "
        "The table compares the first labels, as they stood before that, with the second."
    ]
    if twice := len(corpus.annotated_twice):
        parts.append(f"Of the real part {twice:,} texts were read twice.")
    return " ".join(parts)


def _groups(corpus: Corpus) -> Iterator[tuple[str, str, list[Pair]]]:
    """(part, language, its pairs of readings) where there are any; `all` is every language."""
    for part, pairs in (("written", corpus.read_twice), ("real", corpus.annotated_twice)):
        for code in (*LANGUAGES, "all"):
            if chosen := [pair for pair in pairs if code in (pair.language, "all")]:
                yield part, code, chosen


def _both(pairs: Sequence[Pair], task: str) -> tuple[list[Sequence[str]], list[Sequence[str]]]:
    known = [pair for pair in pairs if task in pair.first and task in pair.second]
    return [pair.first[task] for pair in known], [pair.second[task] for pair in known]


def agreement_table(corpus: Corpus) -> str:
    lines = []
    for part, code, pairs in _groups(corpus):
        for task in corpus.taxonomy:
            found = agreement(task, *_both(pairs, task.name))
            overlap = "" if task.single else percent(found.overlap)
            lines.append([part, code, task.name, f"{found.rows:,}", percent(found.exact), overlap, figure(found.kappa)])
    return (
        table(["part", "language", "task", "rows", "exact", "overlap", "kappa"], lines, left=3)
        if lines
        else "No second reading yet."
    )


def commonest_disagreements(corpus: Corpus) -> str:
    lines = []
    for part, code, pairs in _groups(corpus):
        if code == "all":
            for task in corpus.taxonomy:
                apart = disagreements(*_both(pairs, task.name))[:DISAGREEMENTS]
                lowest = sorted(agreement(task, *_both(pairs, task.name)).by_label.items(), key=lambda entry: entry[1])[:3]
                named = ", ".join(f"{one} or {other} ({count})" for one, other, count in apart) or "none"
                kappas = ", ".join(f"{label} {figure(kappa)}" for label, kappa in lowest)
                lines.append(f"- {part}, {task.name}: commonest differences {named}; lowest kappa by label {kappas}")
    return "\n".join(lines)
