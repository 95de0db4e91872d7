"""The model card: what a model is for, what it was made of, how good and how bad it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from data.annotations import PREFIX
from training.behaviour_table import ABOUT, languages_of, table_lines
from training.report import cells, demonstration_note

SILENT = (
    "silent: the set's repository states no licence, so no permission is given; using weights trained on it is for you to judge."
)


def write_card(path: Path, manifest: Mapping[str, Any], metrics: Mapping[str, Any]) -> None:
    """Write the card as Markdown.

    manifest: the sections of the manifest. metrics: what metrics.json holds.
    """
    path.write_text("\n".join(_lines(manifest, metrics)) + "\n", "utf-8")


def _lines(manifest: Mapping[str, Any], metrics: Mapping[str, Any]) -> list[str]:
    training = manifest["training"]
    lines = ["# Feedback classifier", ""]
    if note := demonstration_note(metrics):
        lines += [f"**{note[0].upper()}{note[1:]}.**", ""]
    lines += [
        "Reads one message of customer feedback and answers:",
        "",
        *(f"- **{task}**: {', '.join(labels)}" for task, labels in manifest["label_order"].items()),
        "",
        "## Made of",
        "",
        *_bases(manifest["base"]),
        f"- parameters: {training['parameters']:,}",
        f"- window: {manifest['window']['length']} pieces, {manifest['window']['stride']} shared; longer texts are read whole",
        f"- steps: {training['history']['steps']:,} of {training['history']['planned_steps']:,} planned",
        f"- agreement of the exported graph with torch: {training.get('agreement')}",
        "",
        *(
            f"- **not learnt: {label}** ({reason}); it is never given"
            for label, reason in training["history"].get("not_learnt", {}).items()
        ),
        "",
        *_sources(manifest["sources"], "trained on"),
        *(
            line
            for base in _ancestors(manifest["base"])
            for line in _sources(base["sources"], f"before that, as {base['name']}, on")
        ),
        *_licences(manifest),
        "",
        "## How good",
        "",
    ]
    test = metrics.get("test")
    if not test:
        lines.append("Not evaluated: there were no test rows.")
    else:
        lines += [
            f"On {test['rows']:,} test rows never trained on, the exported file through the classifier that serves it; in",
            "brackets a linear model on character n-grams trained on the same rows.",
            "",
            "| task | language | rows | macro-F1 | interval | baseline | calibration error |",
            "|---|---|---:|---:|---:|---:|---:|",
        ]
        for task, language, cell in cells(test["tasks"]):
            low, high = cell["macro_f1_interval"]
            baseline = cell.get("baseline")
            lines.append(
                f"| {task} | {language} | {cell['rows']:,} | {100 * cell['macro_f1']:.1f} | {100 * low:.1f} to {100 * high:.1f} | "
                f"{_bracketed(baseline)} | {100 * cell['calibration_error']:.1f} % |"
            )
        lines += ["", "Labels that it knows least (F1 over all languages):", ""]
        lines += [f"- {task}: {', '.join(worst)}" for task, worst in _weakest(test).items()]
    if behaviour := metrics.get("behaviour"):
        codes = languages_of(behaviour)
        lines += ["", "## How it behaves", "", ABOUT, "", f"| | {' | '.join(codes)} |", f"|---|{'---:|' * len(codes)}"]
        lines += [f"| {what.strip()} | {' | '.join(row)} |" for what, row in table_lines(behaviour)]
    lines += [
        "",
        "## Use it for, and not for",
        "",
        "Sorting, counting and routing feedback, with a person for the messages on which it abstains. Not for judging people,",
        "nor for decisions about them; not for other languages than those it was trained on (it answers, with a warning).",
    ]
    return lines


def _weakest(test: Mapping[str, Any]) -> dict[str, list[str]]:
    result = {}
    for task, language, cell in cells(test["tasks"]):
        if language == "all":
            order = sorted(cell["labels"].items(), key=lambda entry: float(entry[1]["f1"]))
            result[task] = [f"{name} {100 * figures['f1']:.0f}" for name, figures in order[:3]]
    return result


def _bases(base: Mapping[str, Any]) -> list[str]:
    """The base, and what that was made from."""
    lines = [f"- base: {base.get('name')} ({base.get('kind')})"]
    return lines + [f"  {line}" for line in _bases(base["of"])] if base.get("of") else lines


def _ancestors(base: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The models that it went on from, newest first."""
    if base.get("sources"):
        yield base
    if base.get("of"):
        yield from _ancestors(base["of"])


def _sources(sources: Sequence[Mapping[str, Any]], when: str) -> list[str]:
    """A table of sources; our labels on public sets are one line for each licence."""
    annotated: Counter[tuple[str, str]] = Counter()
    rows: list[tuple[str, int, str]] = []
    for source in sources:
        licence = str(source.get("licence") or "your own")
        if source["name"].startswith(PREFIX):
            annotated["our labels on messages of public sets", licence] += source["rows"]
        else:
            rows.append((source["name"], source["rows"], licence))
    rows += [(name, count, licence) for (name, licence), count in sorted(annotated.items())]
    return [
        f"| {when} | rows | licence |",
        "|---|---:|---|",
        *(f"| {name} | {count:,} | {licence} |" for name, count, licence in rows),
        f"| all | {sum(count for _, count, _ in rows):,} | |",
        "",
    ]


def _licences(manifest: Mapping[str, Any]) -> list[str]:
    stages = [manifest["sources"], *(base["sources"] for base in _ancestors(manifest["base"]))]
    kinds = {source.get("licence") for sources in stages for source in sources}
    return [SILENT] if "silent" in kinds else []


def _bracketed(baseline: Mapping[str, Any] | None) -> str:
    return f"({100 * baseline['macro_f1']:.1f})" if baseline else ""
