"""Characters and scripts of Chinese, English and Persian: what a trimmed vocabulary must not lose."""

from __future__ import annotations

import re
import unicodedata
from functools import cache

PERSIAN_LETTERS = "آابپتثجچحخدذرزژسشصضطظعغفقکگلمنوهی"
ARABIC_FORMS = "أإؤئءةىيكۀ"
"""Letters of Arabic keyboards and spellings that stand in Persian texts."""
PERSIAN_MARKS = "\u064b\u064c\u064d\u064e\u064f\u0650\u0651\u0652\u0654\u0670\u0640،؛؟٪٫٬«»﷼\u200c\u200d"
"""Vowel signs, the stretching stroke, punctuation, the rial sign, the half-space and the joiner."""
PERSIAN_DIGITS = "۰۱۲۳۴۵۶۷۸۹٠١٢٣٤٥٦٧٨٩"

SIGN_BLOCKS = (
    (0x0020, 0x007E),  # ASCII: every letter, digit and sign
    (0x00A1, 0x00FF),  # Latin-1: accents of loan words, currencies, degrees
    (0x2010, 0x205E),  # dashes, quotation marks, ellipsis
    (0x20A0, 0x20BF),  # currencies
    (0x20E3, 0x20E3),  # the box around a digit that is an emoji
    (0x2122, 0x2139),  # trade mark, information
    (0x2190, 0x21FF),  # arrows
    (0x2300, 0x23FF),  # watch, keyboard, fast forward
    (0x2460, 0x24FF),  # enclosed numbers
    (0x25A0, 0x27BF),  # shapes, stars, hearts, ticks
    (0x2934, 0x2935),  # arrows that are emoji
    (0x2B05, 0x2B55),  # arrows, squares, circles that are emoji
    (0x3000, 0x303F),  # Chinese punctuation
    (0x3105, 0x312F),  # bopomofo, common in Taiwanese chat
    (0x3297, 0x3299),  # the two enclosed characters that are emoji
    (0xFE0F, 0xFE0F),  # what turns a sign into an emoji
    (0xFE10, 0xFE4F),  # vertical and small forms
    (0xFF01, 0xFFEE),  # full width
    (0x1F000, 0x1FAFF),  # emoji
)
"""First and last code point."""
GB2312_LEVEL_1 = ((0xB0, 0xD7), (0xA1, 0xFE))
"""First and last lead byte, first and last trail byte: the 3,755 most used simplified characters."""
BIG5_LEVEL_1 = ((0xA4, 0xC6), (0x40, 0xFE))
BIG5_LEVEL_1_END = 0xC67E
"""The 5,401 most used traditional characters stand before this code."""


@cache
def alphabet() -> frozenset[str]:
    """Every character that a trimmed vocabulary keeps if the original knows it (about 11,000)."""
    signs = {chr(code) for first, last in SIGN_BLOCKS for code in range(first, last + 1)}
    persian = set(PERSIAN_LETTERS + ARABIC_FORMS + PERSIAN_MARKS + PERSIAN_DIGITS)
    return frozenset(signs | persian | common_han())


@cache
def common_han() -> frozenset[str]:
    """The characters of GB 2312 level 1 and Big5 level 1 (6,722 of them)."""
    simplified = _decoded("gb2312", *GB2312_LEVEL_1)
    traditional = _decoded("big5", *BIG5_LEVEL_1, end=BIG5_LEVEL_1_END)
    return frozenset(character for character in simplified | traditional if unicodedata.category(character) == "Lo")


def _decoded(codec: str, leads: tuple[int, int], trails: tuple[int, int], end: int = 0xFFFF) -> set[str]:
    found: set[str] = set()
    for lead in range(leads[0], leads[1] + 1):
        for trail in range(trails[0], trails[1] + 1):
            if lead << 8 | trail <= end:
                found.update(bytes((lead, trail)).decode(codec, errors="ignore"))
    return found


SCRIPTS = {
    "latin": re.compile(r"[A-Za-z]+"),
    "han": re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]+"),
    "arabic": re.compile(f"[{PERSIAN_LETTERS}]+"),
}
"""Pieces wholly of these characters may be words of our languages: English has no accents, Persian no Arabic forms once mended."""


def script(word: str) -> str | None:
    """Which of SCRIPTS the whole of a word is in; None if none."""
    return next((name for name, pattern in SCRIPTS.items() if pattern.fullmatch(word)), None)
