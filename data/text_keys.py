"""Which texts of a set are the same: keys that texts share which differ in spelling, or in punctuation, only.

Own rules, not those of the text normaliser: which rows an import merges or drops must not change with its version.
"""

from __future__ import annotations

import re
import unicodedata

_PERSIAN_LETTERS = str.maketrans("\u064a\u0649\u0643\u0629", "\u06cc\u06cc\u06a9\u0647")
_STRETCHED = re.compile(r"(.)\1{2,}", re.DOTALL)


def spelling_key(text: str) -> str:
    """What two texts share that differ in case, width, white space, half-spaces, Arabic letters or stretching only."""
    folded = unicodedata.normalize("NFKC", text).casefold().translate(_PERSIAN_LETTERS)
    visible = "".join(sign for sign in folded if unicodedata.category(sign) != "Cf")
    return " ".join(_STRETCHED.sub(r"\1\1", visible).split())


def text_key(text: str) -> str:
    """What two texts share that differ in punctuation, too: the letters and digits, or all signs if there are none."""
    key = spelling_key(text)
    return "".join(sign for sign in key if sign.isalnum()) or key
