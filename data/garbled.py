"""Text that cannot be mended: lost bytes, private-use characters, double-byte characters out of step.

A byte lost from GBK or Big5 pairs every later byte with the wrong neighbour. What comes out are Chinese characters, but
chosen almost evenly from the whole code table, of which running text uses a small part: of 187,000 characters in real
feedback one in 300 lay outside the first level of GB 2312 or Big5, and one in 4,000 outside both standards.
"""

from __future__ import annotations

import re
from functools import cache

WINDOW = 12
"""Characters looked at together."""
MIN_UNCOMMON = 5
"""So many different characters of the window outside the first levels: too many for any writer."""
MIN_UNCOMMON_WITH_UNKNOWN = 3
"""Fewer suffice where one of them is unknown to both standards, or a sign that has no place between Chinese characters."""
MIN_UNKNOWN = 2

_LOST = re.compile("\ufffd|锟斤拷|[烫屯]{6}|^[烫屯\\s]{2,}$")
_PRIVATE_USE = re.compile("[\ue000-\uf8ff\U000f0000-\U0010fffd]")
_LETTER = re.compile(r"[^\W\d_]")
_MISREAD_LATIN = re.compile("(?=[¡-ÿ]{4})[¡-ÿ]{0,6}[À-ÿ][¡-ÿ]{0,6}[À-ÿ]")
"""Four in a row: no language of Europe writes so, but "你好" in GBK read as Latin-1 does ("ÄãºÃ")."""
_HAN = re.compile("[\u3400-\u9fff]")
_STRAY_SIGN = re.compile("(?<=[\u3400-\u9fff])[\u0370-\u04ff\u2500-\u257fァ-ヶ](?=[\u3400-\u9fff])")
_HIRAGANA = re.compile("[ぁ-ゖ]{2}")
_IN_USE = frozenset(
    "嘅咗唔喺啲嘢冇嚟佢哋冚瞓攰嗰乜嘥諗揾搵餸靚氹咁噉啱喎啩囉啰嗱嘞叻唞嚿攞孭咪嗌囧焗嘚屌欸跩喆堃犇羴鱻祎玹嫲舖叒叕"
)
"""Outside the first levels, but written every day: Cantonese, net language, given names."""


def is_garbled(text: str) -> bool:
    """Say whether a text, after mending, holds anything that was lost or put out of step."""
    if "????" in text and not _LETTER.search(text):
        return True
    if text.isascii():
        return False
    if _LOST.search(text) or _PRIVATE_USE.search(text) or _MISREAD_LATIN.search(text):
        return True
    return _out_of_step(text)


def _out_of_step(text: str) -> bool:
    uncommon = {character for character in set(text) - first_level() - _IN_USE if _HAN.match(character)}
    strays = set(_STRAY_SIGN.findall(text))
    if len(uncommon) + len(strays) < MIN_UNKNOWN or _HIRAGANA.search(text):
        return False
    unknown = (uncommon - second_level()) | strays
    uncommon |= strays
    for place, character in enumerate(text):
        if character in uncommon:
            near = uncommon.intersection(text[place : place + WINDOW])
            odd = len(near & unknown)
            if odd >= MIN_UNKNOWN or len(near) >= (MIN_UNCOMMON_WITH_UNKNOWN if odd else MIN_UNCOMMON):
                return True
    return False


@cache
def first_level() -> frozenset[str]:
    """Characters of running text: the first levels of GB 2312 (3,755), Big5 (5,401) and JIS X 0208 (2,965)."""
    return (
        _characters("gb2312", range(0xB0, 0xD8), range(0xA1, 0xFF))
        | _characters("big5", range(0xA4, 0xC7), (*range(0x40, 0x7F), *range(0xA1, 0xFF)))
        | _characters("euc_jp", range(0xB0, 0xD0), range(0xA1, 0xFF))
    )


@cache
def second_level() -> frozenset[str]:
    """Characters that GB 2312 or Big5 have, but not in the first level."""
    return (
        _characters("gb2312", range(0xD8, 0xF8), range(0xA1, 0xFF))
        | _characters("big5", range(0xC9, 0xFA), (*range(0x40, 0x7F), *range(0xA1, 0xFF)))
    ) - first_level()


def _characters(codec: str, leads: range, trails: range | tuple[int, ...]) -> frozenset[str]:
    """The characters that a double-byte codec of the standard library has in some rows of its table."""
    return frozenset(bytes(byte for lead in leads for trail in trails for byte in (lead, trail)).decode(codec, "ignore"))
