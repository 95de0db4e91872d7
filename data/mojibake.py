"""Text whose bytes were read in the wrong encoding, read again in the right one.

UTF-8 read as Windows-1252 or Latin-1 ("è¿™ä¸ª", "Ø³Ù„Ø§Ù…"), as Windows-1256 ("ط³ظ„ط§ظ…") and as GBK ("杩欎釜").
Whether Latin text is broken is for ftfy to say; it knows no other alphabet, so the rest is here.
"""

from __future__ import annotations

import re
from codecs import getincrementaldecoder
from collections.abc import Iterator
from functools import cache
from itertools import takewhile

from data.garbled import first_level, second_level

Edit = tuple[int, int, str]
"""Start and end in the text, and what comes in their place."""

MAX_GROUP = 64
"""Characters of GBK that one edit covers at most, where they never end together with a character of UTF-8."""
_TWO, _THREE, _FOUR, _NEXT = range(0xC2, 0xE0), range(0xE0, 0xF0), range(0xF0, 0xF5), range(0x80, 0xC0)
"""First bytes of UTF-8 sequences of that length, and the bytes that follow."""
_MAYBE_LATIN = re.compile("[\u00c2-\u00f4][^\\w\\s,.;:!?)'\"]|[\u00c2-\u00f4][\u0080-\u00bfŠŒŽšœžŸƒˆ]|[ÂÃ] ")
_MAYBE_1256 = re.compile("[طظعغهونم][^\\w\\s،؛؟!.,:)»\u200c]")
_HAN = re.compile("[\u3400-\u9fff]")
_PLAUSIBLE_SIGN = re.compile(
    "[\\s!-~«»×÷·°\u066a-\u066c\u200c\u200d\u2010-\u2027\u2030-\u205e\u2190-\u27bf\u3000-\u30ff\ufe0f\uff00-\uffef\U0001f000-\U0001faff]"
)
_PERSIAN_OR_ARABIC = re.compile("[\u0621-\u063a\u0641-\u0652\u06f0-\u06f9\u0660-\u0669پچژگکیۀ،؛؟]")


def reread(text: str) -> list[Edit]:
    """Return the edits that undo a wrong reading; none for a text that was read well."""
    edits: list[Edit] = []
    if _MAYBE_1256.search(text):
        edits = _single_byte(text, "cp1256")
    if not edits and _MAYBE_LATIN.search(text):
        edits = _latin(text)
    if not edits and _HAN.search(text):
        edits = _gbk(text, _chinese_as_gbk(), 2) or _gbk(text, _persian_as_gbk(), 3)
    return edits


def _latin(text: str) -> list[Edit]:
    from ftfy import fix_encoding  # here, because importing it takes longer than everything else
    from ftfy.badness import is_bad

    if not is_bad(text):
        return []
    edits = _single_byte(text, "cp1252")
    if edits:
        return edits
    mended = fix_encoding(text)  # bytes lost or changed on the way: it knows the usual ones
    return [_difference(text, mended)] if mended != text else []


def _single_byte(text: str, codec: str) -> list[Edit]:
    """Find runs of characters whose bytes in `codec` are UTF-8; edits go character by character."""
    byte_of = _bytes_of(codec)
    runs = []
    for match in _utf8_read_as(codec).finditer(text):
        try:
            runs.append((match.start(), bytes(byte_of[character] for character in match.group()).decode()))
        except UnicodeDecodeError:  # over-long forms and surrogates
            continue
    # Beyond Latin nobody tells us that the text is broken: two sequences side by side must make sense.
    if codec != "cp1252":
        runs = [(start, read) for start, read in runs if all(map(_plausible, read))]
        if not any(len(read) > 1 for _, read in runs):
            return []
    edits = []
    for start, read in runs:
        for character in read:
            edits.append((start, start + len(character.encode()), character))
            start += len(character.encode())
    return edits


def _gbk(text: str, trigger: re.Pattern[str], least: int) -> list[Edit]:
    """Read double-byte characters as UTF-8 from each trigger as far as that makes sense; one place must give `least`."""
    runs: list[list[Edit]] = []
    position = 0
    while match := trigger.search(text, position):
        run = list(takewhile(lambda edit: all(map(_plausible, edit[2])), _aligned(text, match.start())))
        position = run[-1][1] if run else match.end()
        runs.append(run)
    if not any(sum(len(read) for _, _, read in run if not read.isascii()) >= least for run in runs):
        return []
    return [edit for run in runs for edit in run if text[edit[0] : edit[1]] != edit[2]]


def _aligned(text: str, start: int) -> Iterator[Edit]:
    """Yield edits from `start` on, each from and to whole characters: three of GBK are two of UTF-8."""
    decoder = getincrementaldecoder("utf-8")()
    begin, read = start, ""
    for position in range(start, len(text)):
        try:
            code = b"\x80" if text[position] == "€" else text[position].encode("gb18030")
            if len(code) > 2:  # not in GBK
                return
            read += decoder.decode(code)
        except UnicodeError:  # half of a surrogate pair, or no UTF-8
            return
        if read and (not decoder.getstate()[0] or position - begin > MAX_GROUP):
            yield begin, position + 1, read
            begin, read = position + 1, ""


def _plausible(character: str) -> bool:
    return (
        character in first_level()
        or character in second_level()
        or any(kind.match(character) for kind in (_PLAUSIBLE_SIGN, _PERSIAN_OR_ARABIC))
    )


def _difference(before: str, after: str) -> Edit:
    """One edit that turns one text into the other: what lies between their common ends."""
    shorter = min(len(before), len(after))
    head = next((index for index in range(shorter) if before[index] != after[index]), shorter)
    tail = next((index for index in range(shorter - head) if before[-1 - index] != after[-1 - index]), shorter - head)
    return head, len(before) - tail, after[head : len(after) - tail]


@cache
def _bytes_of(codec: str) -> dict[str, int]:
    """High bytes by the character that they are read as; bytes without one are read as in Latin-1."""
    table = {chr(byte): byte for byte in range(0x80, 0x100)}
    for byte in range(0x80, 0x100):
        table[bytes([byte]).decode(codec, "ignore") or chr(byte)] = byte
    return table


@cache
def _utf8_read_as(codec: str) -> re.Pattern[str]:
    table = _bytes_of(codec)
    two, three, four, rest = (
        "[" + "".join(re.escape(character) for character, byte in table.items() if byte in bytes_) + "]"
        for bytes_ in (_TWO, _THREE, _FOUR, _NEXT)
    )
    return re.compile(f"(?:{two}{rest}|{three}{rest}{{2}}|{four}{rest}{{3}})+")


@cache
def _chinese_as_gbk() -> re.Pattern[str]:
    """Two characters of three bytes each, or one whose last byte stands alone as the euro sign."""
    lead = (*range(0xE3, 0xEA), 0xEF)
    first, middle, last = _gbk_class(lead, _NEXT), _gbk_class(_NEXT, lead), _gbk_class(_NEXT, _NEXT)
    return re.compile(f"{first}(?:{middle}{last}|€)")


@cache
def _persian_as_gbk() -> re.Pattern[str]:
    """A letter of two bytes, as a Chinese character has in GBK."""
    return re.compile(_gbk_class(range(0xD8, 0xDC), _NEXT))


def _gbk_class(leads: range | tuple[int, ...], trails: range | tuple[int, ...]) -> str:
    pairs = bytes(byte for lead in leads for trail in trails if lead > 0x80 and trail != 0x7F for byte in (lead, trail))
    return "[" + "".join(map(re.escape, pairs.decode("gb18030", "ignore"))) + "]"
