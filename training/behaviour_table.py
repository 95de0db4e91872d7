"""The figures of behaviour as lines of a table: for the terminal, the page and the card."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

WAYS = {
    "falls": "what must become less probable does",
    "rises": "what must become more probable does",
    "adds": "the new label is answered",
}
VERSIONS = {
    "scripts_zh": "Simplified and Traditional",
    "scripts_fa": "Persian and Latin letters",
    "trilingual": "the same in three languages",
}
ABOUT = (
    "Share of answers, in percent, with the number of cases: unchanged where only spelling, names or numbers change; both messages "
    "of a contrast pair right in what sets them apart; moved where a sentence is added; the same over versions of one message."
)


def languages_of(behaviour: Mapping[str, Any]) -> list[str]:
    return list(behaviour["invariance_by_language"])


def table_lines(behaviour: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """(what, a cell for each language); sums before their parts."""
    languages = languages_of(behaviour)

    def cells(by_language: Mapping[str, Any], figure: str) -> list[str]:
        return [
            f"{100 * by_language[code][figure]:.1f} ({by_language[code]['count']:,})" if code in by_language else "-"
            for code in languages
        ]

    yield "unchanged answers", cells(behaviour["invariance_by_language"], "same")
    for kind, by_language in behaviour["invariance"].items():
        yield f"  {kind}", cells(by_language, "same")
    for kind, by_language in behaviour["erased"].items():
        yield f"  {kind} (erased before reading)", cells(by_language, "same")
    if any(code in behaviour["contrast"] for code in languages):
        yield "contrast pairs, both right", cells(behaviour["contrast"], "both_right")
    for way, words in WAYS.items():
        if way in behaviour["direction"]:
            yield f"an addition: {words}", cells(behaviour["direction"][way], "passed")
    for name, words in VERSIONS.items():
        if cell := behaviour["parallel"].get(name):
            place = {"scripts_zh": "zh", "scripts_fa": "fa"}.get(name)
            shown = f"{100 * cell['same']:.1f} ({cell['count']:,})"
            yield f"same answers: {words}", [shown if place in (None, code) else "-" for code in languages]


def behaviour_text(behaviour: Mapping[str, Any]) -> str:
    """The table for the terminal."""
    heads = "".join(f"{code:>16}" for code in languages_of(behaviour))
    lines = [f"{'behaviour, % (cases)':<52}{heads}"]
    lines += [f"{what:<52}" + "".join(f"{cell:>16}" for cell in cells) for what, cells in table_lines(behaviour)]
    return "\n".join(lines)
