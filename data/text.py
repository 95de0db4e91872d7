"""Mends a message and names what it mended; what is whole passes unchanged (docs/text.md).

Training and serving both call `mend`, so that a model meets the text it was trained on. Any change to what it, or `as_read` in
data/variants.py, returns raises NORMALISER_VERSION, which a model folder records.
"""

from __future__ import annotations

import html
import re
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from unicodedata import normalize

from data.garbled import is_garbled
from data.mojibake import Edit, reread
from data.scripts import ARABIC_LETTER, ARABIC_MARK, HAN_LETTER, HANGUL_LETTER, KANA_LETTER, arabic_script_language

NORMALISER_VERSION = 2
MAX_ROUNDS = 8
"""One repair may uncover another (`&amp;amp;`); each shortens or simplifies, so more rounds than this are not met."""


@dataclass(frozen=True)
class _Change:
    """Characters `start` to `end` became characters `new_start` to `new_end`."""

    start: int
    end: int
    new_start: int
    new_end: int


@dataclass(frozen=True)
class Mended:
    """A message, what became of it, and the way back."""

    original: str
    text: str
    repairs: tuple[str, ...]
    """Names out of REPAIRS, in that order; only those that changed something."""
    warnings: tuple[str, ...]
    """`garbled`: holds what cannot be mended."""
    _steps: tuple[tuple[_Change, ...], ...] = field(default=(), repr=False, compare=False)

    def original_span(self, start: int, end: int) -> tuple[int, int]:
        """Return offsets in `original` of what `text[start:end]` was made from. ValueError outside the text."""
        if not 0 <= start <= end <= len(self.text):
            raise ValueError(f"span {start}:{end} lies outside a text of {len(self.text)} characters")
        for step in reversed(self._steps):
            before = _before(step, start)[0]
            start, end = before, max(before, _before(step, end - 1)[1] if end > start else before)
        return start, end


def normalise(text: str) -> str:
    """Return the mended text alone."""
    return mend(text).text


def mend(text: str) -> Mended:
    """Mend a text as far as it can be; mending the result again changes nothing."""
    original, steps, done = text, [], set()
    for _ in range(MAX_ROUNDS):
        before = text
        for name, find in _REPAIRS.items():
            edits = find(text)
            if edits:
                text, step = _apply(text, edits)
                steps.append(step)
                done.add(name)
        if text == before:
            break
    return Mended(
        original=original,
        text=text,
        repairs=tuple(name for name in REPAIRS if name in done),
        warnings=("garbled",) if is_garbled(text) else (),
        _steps=tuple(steps),
    )


def _apply(text: str, edits: list[Edit]) -> tuple[str, tuple[_Change, ...]]:
    parts, step, position, length = [], [], 0, 0
    for start, end, replacement in edits:
        parts += [text[position:start], replacement]
        new_start = length + start - position
        length = new_start + len(replacement)
        position = end
        step.append(_Change(start, end, new_start, length))
    return "".join(parts) + text[position:], tuple(step)


def _before(step: tuple[_Change, ...], index: int) -> tuple[int, int]:
    """Return the span that character `index` had before a step."""
    place = bisect_right(step, index, key=lambda change: change.new_start) - 1
    if place < 0:
        return index, index + 1
    change = step[place]
    if index < change.new_end:
        return change.start, change.end
    moved = index + change.end - change.new_end
    return moved, moved + 1


# HTML entities

_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,31});|&(?:nbsp|quot|amp|lt|gt)(?![\w=;])")


def _html_entities(text: str) -> list[Edit]:
    if "&" not in text:
        return []
    return [(*match.span(), read) for match in _ENTITY.finditer(text) if (read := _entity(match.group())) != match.group()]


def _entity(entity: str) -> str:
    """Read one entity; halves of a surrogate pair come back as such, to be joined later."""
    if entity.startswith("&#"):
        digits = entity[2:-1]
        code = int(digits[1:], 16) if digits[0] in "xX" else int(digits)
        if 0xD800 <= code < 0xE000:
            return chr(code)
    return html.unescape(entity)


# Half-spaces and what is not seen

_LETTER = f"{ARABIC_LETTER}{ARABIC_MARK}"
_INDIC = "\u0900-\u0dff"
_EMOJI = "\u2190-\u2bff\ufe0f\U0001f000-\U0001faff"
_HALF_SPACES = re.compile("[\u200b-\u200f\u00ac\u00ad\ufeff]+")
"""Half-spaces, and what stands for one between Persian letters; Word's optional hyphen is U+00AC."""
_BESIDE = re.compile(f"[{_LETTER}]")
_INDIC_LETTER = re.compile(f"[{_INDIC}]")
_INVISIBLE = re.compile(
    "[\ud800-\udbff][\udc00-\udfff]|[\ud800-\udfff]"  # halves of characters
    "|[\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffc\ufffe\uffff]"
    f"|(?<![{_EMOJI}{_INDIC}])\u200d|\u200d(?![{_EMOJI}{_INDIC}])"
)
_LINE_ENDS = "\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"
_SPACES = re.compile(f"\r\n|[{_LINE_ENDS}]|[\u00a0\u1680\u2000-\u200a\u202f\u205f]")


def _half_spaces(text: str) -> list[Edit]:
    """One half-space (U+200C) where Persian letters join, none elsewhere; other scripts that need it keep it."""
    edits = []
    for match in _HALF_SPACES.finditer(text):
        start, end = match.span()
        before, after = text[start - 1 : start], text[end : end + 1]
        letters = bool(_BESIDE.match(before)) + bool(_BESIDE.match(after))
        if letters == 2 or (letters and "\u200c" in match.group() and (before.isalnum() and after.isalnum())):
            new = "\u200c"
        elif "\u200c" in match.group() and not _INDIC_LETTER.match(before):
            new = "".join(character for character in match.group() if character == "\u00ac")
        else:
            continue
        if match.group() != new:
            edits.append((start, end, new))
    return edits


def _control_characters(text: str) -> list[Edit]:
    return [(*match.span(), _visible(match.group())) for match in _INVISIBLE.finditer(text)]


def _visible(found: str) -> str:
    if "\ud800" <= found[0] <= "\udfff":
        return found.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return ""


def _whitespace(text: str) -> list[Edit]:
    return [(*match.span(), "\n" if match.group()[0] in _LINE_ENDS else " ") for match in _SPACES.finditer(text)]


# Full width

_WIDE = re.compile("[\uff01-\uff5e\u3000]")
_CHINESE_SIGNS = frozenset("！（），：；？［］｛｝～")
_EAST_ASIAN = re.compile(f"[{HAN_LETTER}{KANA_LETTER}{HANGUL_LETTER}\u3105-\u312f]")
_ANY_LETTER = re.compile(r"[^\W\d_]")


def _full_width(text: str) -> list[Edit]:
    """Full-width letters, digits and signs; but a Chinese message keeps its own punctuation."""
    if not _WIDE.search(text):
        return []
    keep = _CHINESE_SIGNS if _EAST_ASIAN.search(text) or not _ANY_LETTER.search(text) else frozenset()
    return [(*match.span(), normalize("NFKC", match.group())) for match in _WIDE.finditer(text) if match.group() not in keep]


# Arabic letters

_PERSIAN_OF = {"ي": "ی", "ى": "ی", "ك": "ک", "ة": "ه"}
_ARABIC_FORM = re.compile(f"[يىكةﭐ-ﯿﷲ﷼ﹰ-ﻼ]|(?<=[{_LETTER}])ـ+|(?<!ـ)ـ+(?=[{_LETTER}])")


def _arabic_letters(text: str) -> list[Edit]:
    """Presentation forms in any language; Arabic letters and kashidas only where the text is Persian."""
    found = list(_ARABIC_FORM.finditer(text))
    if not found:
        return []
    plain = _ARABIC_FORM.sub(lambda match: normalize("NFKC", match.group()).strip(), text)
    persian = arabic_script_language(plain) == "fa"
    return [(*match.span(), new) for match in found if (new := _persian(match.group(), persian)) != match.group()]


def _persian(found: str, persian: bool) -> str:
    plain = normalize("NFKC", found).strip() if found[0] > "\ufb00" else found
    if not persian:
        return plain
    return "".join(_PERSIAN_OF.get(letter, letter) for letter in plain if letter != "ـ")


# Stretched letters

_STRETCHED = re.compile(f"([{HAN_LETTER}])\\1{{3,}}|([^\\W\\d_{HAN_LETTER}])\\2{{2,}}")
MAX_WORD = 64
"""Characters; of longer ones only a part is looked at."""
_LATIN_WORD = re.compile(rf"[A-Za-z0-9@#._/:-]{{1,{2 * MAX_WORD}}}")


def _stretched_letters(text: str) -> list[Edit]:
    """Runs of one letter: two stay, of a Chinese character three ("好好好" is a word); codes and links are left alone."""
    edits = []
    word_end, code = 0, False
    for match in _STRETCHED.finditer(text):
        start, end = match.span()
        letter = text[start]
        if letter.isascii():
            if start >= word_end:
                word_end, code = _word_around(text, start)
            if code:
                continue
        stay = 3 if match.group(1) else 2
        edits.append((start + stay - 1, end, letter))
    return edits


def _word_around(text: str, place: int) -> tuple[int, bool]:
    """Return where the Latin word ends, and whether it is none: AAA, III, XXXL, a link, an order number."""
    start = place
    while start and place - start < MAX_WORD and _LATIN_WORD.match(text[start - 1]):
        start -= 1
    word = _LATIN_WORD.match(text, start)
    assert word  # the letter at `place` is one
    token = word.group().rstrip(".:/-_")
    code = bool(
        re.search(r"[0-9@#/_]|[A-Za-z]\.[A-Za-z]", token) or re.fullmatch("X+[LS]", token) or (token.isupper() and len(token) == 3)
    )
    return word.end(), code


# Pinyin in brackets

_GLOSS = re.compile(f"(?<=[{HAN_LETTER}])[(（]([A-Za-züÜāáǎàēéěèīíǐìōóǒòūúǔùǖǘǚǜńňǹḿĀÁǍÀĒÉĚÈŌÓǑÒ]{{1,6}})([1-5]?)[)）]")


def _pinyin_glosses(text: str) -> list[Edit]:
    """Pronunciations such as in 內(nèi)容: only a syllable that the character before it can be read as."""
    edits = []
    for match in _GLOSS.finditer(text):
        syllable = normalize("NFC", match.group(1))
        if syllable.isascii() and not match.group(2) and not syllable.islower():
            continue  # 王(Wang) is a name
        if syllable.lower() in _readings(text[match.start() - 1]):
            edits.append((*match.span(), ""))
    return edits


@cache
def _readings(character: str) -> frozenset[str]:
    from pypinyin import Style, pinyin  # here, because its tables take 50 MB and few texts need them

    styles = (Style.TONE, Style.NORMAL)
    return frozenset(reading for style in styles for found in pinyin(character, style=style, heteronym=True) for reading in found)


_REPAIRS: dict[str, Callable[[str], list[Edit]]] = {
    "mojibake": reread,
    "html_entities": _html_entities,
    "half_spaces": _half_spaces,
    "control_characters": _control_characters,
    "whitespace": _whitespace,
    "full_width": _full_width,
    "arabic_letters": _arabic_letters,
    "stretched_letters": _stretched_letters,
    "pinyin_glosses": _pinyin_glosses,
}
REPAIRS = tuple(_REPAIRS)
"""Names of the repairs, in the order in which they are tried; stable."""
