"""Text that cannot be mended: lost bytes, private-use characters, double-byte characters out of step.

A byte lost from GBK or Big5 pairs every later byte with the wrong neighbour. What comes out are Chinese characters, but
chosen almost evenly from the whole code table, of which running text uses a small part: of 187,000 characters in real
feedback one in 300 lay outside the first level of GB 2312 or Big5, and one in 4,000 outside both standards.
"""

from __future__ import annotations

import re
from functools import cache

WINDOW = 8
"""Chinese characters looked at together."""
MIN_RARITY = 5
"""Sum over the different characters of a window: second level 1, outside the standards 2."""
MIN_UNKNOWN = 2
"""So many different characters outside all standards suffice too."""

_LOST = re.compile("\ufffd|锟斤拷|[烫屯]{6}|^[烫屯\\s]{2,}$")
_PRIVATE_USE = re.compile("[\ue000-\uf8ff\U000f0000-\U0010fffd]")
_ONLY_QUESTION_MARKS = re.compile(r"[\W\d_]*\?{4}[\W\d_]*")
_MISREAD_LATIN = re.compile("(?=[¡-ÿ]{4})[¡-ÿ]*[À-ÿ][¡-ÿ]*[À-ÿ]")
"""Four in a row: no language of Europe writes so, but "你好" in GBK read as Latin-1 does ("ÄãºÃ")."""
_HAN = re.compile("[\u3400-\u9fff]")
_HAN_RUN = re.compile("[\u3400-\u9fff][\u3400-\u9fff\\W_]*")
_KANA = re.compile("[\u3041-\u3096\u30a1-\u30fa]")
_IN_USE = frozenset("嘅咗唔喺啲嘢冇嚟佢哋冚瞓攰嗰乜嘥諗揾搵餸靚氹咁噉啱喎啩囉啰嗱嘞叻唞嚿攞孭咪嗌囧焗嘚屌欸跩喆堃犇羴鱻祎玹嫲舖叒叕")
"""Outside the first levels, but written every day: Cantonese, net language, given names."""


def is_garbled(text: str) -> bool:
    """Say whether a text, after mending, holds anything that was lost or put out of step."""
    if text.isascii():
        return "????" in text and _ONLY_QUESTION_MARKS.fullmatch(text) is not None
    if _LOST.search(text) or _PRIVATE_USE.search(text) or _MISREAD_LATIN.search(text):
        return True
    return _out_of_step(text) or ("????" in text and _ONLY_QUESTION_MARKS.fullmatch(text) is not None)


def _out_of_step(text: str) -> bool:
    rare = {character for character in set(text) - first_level() - _IN_USE if _HAN.match(character)}
    if len(rare) < MIN_UNKNOWN or _KANA.search(text):
        return False
    unknown = rare - second_level()
    for run in _HAN_RUN.findall(text):
        places = [index for index, character in enumerate(run) if character in rare]
        for start in places:
            near = rare.intersection(run[start : start + WINDOW])
            if len(near) + len(near & unknown) >= MIN_RARITY or len(near & unknown) >= MIN_UNKNOWN:
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
