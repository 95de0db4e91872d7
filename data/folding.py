"""Digits, letters and signs of every script as ASCII, with the way back: what a pattern is matched on (data/redaction.py)."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from unicodedata import category, decimal, normalize

_SIGNS = {"٫": ".", "٬": ",", "−": "-", "ـ": None, "ي": "ی", "ى": "ی", "ك": "ک", "أ": "ا", "ٔ": None}
"""Persian decimal and thousands signs, the minus sign; Arabic letters as Persian writes them. None: left out."""
_KEPT_WIDE = frozenset("，；！？、。")
"""Chinese punctuation that ends a link or a number. Its other full-width signs become their ASCII forms."""


class _Table(dict[int, str | None]):
    """Character by character, filled as characters are met."""

    def __missing__(self, code: int) -> str | None:
        character = chr(code)
        found: str | None = character
        if character in _SIGNS:
            found = _SIGNS[character]
        elif code > 127 and character not in _KEPT_WIDE:
            kind = category(character)
            if kind == "Nd":
                found = str(decimal(character))
            elif kind == "Pd":
                found = "-"
            elif kind == "Zs":
                found = " "
            elif kind in ("Cf", "Mn"):  # half-spaces, direction marks, vowel signs
                found = None
            else:
                wide = normalize("NFKC", character)
                found = wide if len(wide) == 1 and wide.isascii() else character
        self[code] = found
        return found


_TABLE = _Table()


@dataclass(frozen=True)
class Folded:
    """A text, what patterns see of it, and where that stood."""

    original: str
    text: str
    _gone: tuple[int, ...]
    """Places in the folded text before each character that was left out."""

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Offsets in the original of `text[start:end]`; what was left out within it is part of it."""
        return start + self._left_out(start + 1), end - 1 + self._left_out(end) + 1

    def _left_out(self, place: int) -> int:
        return bisect_left(self._gone, place)


def fold(text: str) -> Folded:
    """Fold a text. It keeps its letters' case; each character stays one, or is left out."""
    if text.isascii():
        return Folded(text, text, ())
    folded = text.translate(_TABLE)
    if len(folded) == len(text):
        return Folded(text, folded, ())
    gone: list[int] = []
    for place, character in enumerate(text):
        if _TABLE[ord(character)] is None:
            gone.append(place - len(gone))
    return Folded(text, folded, tuple(gone))
