"""Changed copies of training rows: which rows, and which kinds of change, none of which moves a label."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from data.rows import Row
from training.text_changes import (
    casing,
    emoji,
    greeting,
    half_spaces,
    other_chinese,
    other_digits,
    persian_in_latin,
    punctuation,
    reference,
    respelling,
)

SECOND_KIND = 0.25
"""How often a copy is changed in a second way too."""


def augment(text: str, language: str, rng: random.Random) -> str:
    """Return the text changed in one way or two, all that apply to it considered; unchanged if none does.

    language: `zh`, `en`, `fa` or any other; what applies is seen from the letters too, for messages mix them.
    """
    changed, kind = _once(text, kinds(language), rng)
    if kind and rng.random() < SECOND_KIND:
        changed, _ = _once(changed, {name: weight for name, weight in kinds(language).items() if name != kind}, rng)
    return changed


def with_copies(rows: Sequence[Row], share: float, seed: int) -> list[Row]:
    """The rows, and a changed copy of a share of them (0 to 1), labels as they were.

    Which rows and how depends on the seed and the row's text alone; a larger share keeps the copies of a smaller one.
    """
    copies = []
    for row in rows if share else ():
        rng = random.Random(f"{seed} {row.text}")
        if rng.random() < share and (text := augment(row.text, row.primary_language, rng)) != row.text:
            copies.append(replace(row, text=text))
    return [*rows, *copies]


def kinds(language: str) -> dict[str, float]:
    """The kinds of change for a language, with how often each is tried first."""
    return {name: weight for name, (languages, weight, _) in _KINDS.items() if not languages or language in languages}


def apply(kind: str, text: str, rng: random.Random) -> str:
    """One kind of change by its name; the text itself where there is nothing to change."""
    return _KINDS[kind][2](text, rng)


def _once(text: str, left: Mapping[str, float], rng: random.Random) -> tuple[str, str]:
    """The text changed in one of the kinds, and which; "" where none of them changes it."""
    left = dict(left)
    while left:
        kind = rng.choices(list(left), list(left.values()))[0]
        changed = apply(kind, text, rng)
        if changed != text and changed.strip():
            return changed, kind
        del left[kind]
    return text, ""


_KINDS: dict[str, tuple[tuple[str, ...], float, Callable[[str, random.Random], str]]] = {
    # Languages (none: all), weight, what is done. The script weighs most: the same answers in both are a promise.
    "persian_in_latin": (("fa",), 5.0, persian_in_latin),
    "other_chinese": (("zh",), 5.0, other_chinese),
    "half_spaces": (("fa",), 2.0, half_spaces),
    "respelling": ((), 2.5, respelling),
    "casing": ((), 2.5, casing),
    "emoji": ((), 1.0, emoji),
    "punctuation": ((), 1.5, punctuation),
    "digits": (("zh", "fa"), 0.7, other_digits),
    "greeting": ((), 2.0, greeting),
    "reference": ((), 1.5, reference),
}
