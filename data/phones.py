"""Finds phone numbers in a folded text (data/redaction.py): shapes of the regions here, numbering plans by phonenumbers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial

_BEFORE = r"(?<![0-9A-Za-z+])(?<![0-9][.,:/-])"
_AFTER = r"(?![0-9A-Za-z])(?![.,:/][0-9])(?!-[0-9])"
_SEP = r"[ .()-]{0,3}"
_INTERNATIONAL = re.compile(rf"(?<![0-9A-Za-z+])(?:\+ ?|00 ?)[1-9](?:{_SEP}[0-9]){{6,14}}{_AFTER}")
_WITHOUT_PLUS = re.compile(rf"{_BEFORE}(?:86[ -]?1[3-9][0-9]|98[ -]?9[0-9]{{2}})(?:[ -]?[0-9]){{7,8}}{_AFTER}")
"""China's and Iran's mobiles with the country's code and nothing before it."""
_SHAPES: tuple[tuple[re.Pattern[str], tuple[str, ...]], ...] = (
    (re.compile(rf"{_BEFORE}1[3-9][0-9]([ -]?)[0-9]{{4}}\1[0-9]{{4}}{_AFTER}"), ("CN",)),
    (re.compile(rf"{_BEFORE}1[3-9][0-9]([ -])[0-9]{{3}}\1[0-9]{{5}}{_AFTER}"), ("CN",)),
    (re.compile(rf"{_BEFORE}[48]00([ -])[0-9]{{3,4}}\1[0-9]{{3,4}}{_AFTER}"), ("CN",)),
    (re.compile(rf"{_BEFORE}(?:\(0[0-9]{{1,4}}\)|0(?!\.))(?:[ .-]{{0,2}}[0-9]){{6,11}}{_AFTER}"), ("CN", "IR", "GB")),
    (
        re.compile(rf"{_BEFORE}(?:1[ .-])?(?:\([2-9][0-9]{{2}}\) ?|[2-9][0-9]{{2}}[ .-])[2-9][0-9]{{2}}[ .-][0-9]{{4}}{_AFTER}"),
        ("US",),
    ),
)
"""Shapes that no other number has, and the numbering plans that must know them."""
_CUE = (
    r"(?:电话|電話|手机号?|手機號?|座机|座機|热线|熱線|号码|號碼|致电|拨打|撥打|联系方式|微信"
    r"|\b(?:phone|tel|telephone|mobile|cell|call|ring|text|whatsapp|fax|landline|hotline)\b\.?"
    r"|تلفن|موبایل|همراه|تماس|گوشی|واتساپ|زنگ)"
)
_NAMED = re.compile(
    rf"{_CUE}(?:[\s:：()（）]|是|为|了|我|me|us|on|at|is|number|no\.?|من|ام|با|هست|شماره|م|به)*"
    rf"((?:[0-9][ -]?){{6,10}}[0-9]){_AFTER}",
    re.IGNORECASE,
)
_MONEY_AFTER = re.compile(r"\s*(?:تومان|تومن|ریال|هزار|میلیون|元|块|円|日元|usd|dollars?|\$|€|£|points|分|个|件)", re.IGNORECASE)
_NOT_DIGIT = re.compile(r"[^0-9]")
_BREAK = re.compile(r"[ .()-]+")


def phones(text: str) -> Iterator[tuple[int, int]]:
    """Spans of phone numbers: international ones, those of China, Iran, the US and the UK in their shapes, others after a cue."""
    taken: list[tuple[int, int]] = []

    def free(start: int, end: int) -> bool:
        return all(end <= other_start or start >= other_end for other_start, other_end in taken)

    for start, end in _candidates(text):
        if free(start, end):
            taken.append((start, end))
            yield start, end


def _candidates(text: str) -> Iterator[tuple[int, int]]:
    for match in _INTERNATIONAL.finditer(text):
        yield from _longest(text, *match.span(), _is_international)
    for match in _WITHOUT_PLUS.finditer(text):
        if _is_valid("+" + _NOT_DIGIT.sub("", match.group()), None):
            yield match.span()
    for pattern, regions in _SHAPES:
        for match in pattern.finditer(text):
            if _MONEY_AFTER.match(text, match.end()) and match.group().isdigit():
                continue
            yield from _longest(text, *match.span(), partial(_is_of, regions=regions))
    for match in _NAMED.finditer(text):
        if not _MONEY_AFTER.match(text, match.end(1)):
            yield match.span(1)


def _longest(text: str, start: int, end: int, accepts: Callable[[str], bool]) -> Iterator[tuple[int, int]]:
    """The match, or as much of it up to a break as is a number: what follows may be an extension or a price."""
    cuts = [end, *(place.start() for place in reversed(list(_BREAK.finditer(text, start, end))) if place.start() > start)]
    for cut in cuts:
        if accepts(text[start:cut]):
            yield start, cut
            return


def _is_international(written: str) -> bool:
    digits = _NOT_DIGIT.sub("", written)
    return _is_valid("+" + (digits if written.startswith("+") else digits.removeprefix("00")), None)


def _is_of(number: str, regions: tuple[str, ...]) -> bool:
    return any(_is_valid(number, region) for region in regions)


def _is_valid(number: str, region: str | None) -> bool:
    import phonenumbers

    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(number, region))
    except phonenumbers.NumberParseException:
        return False
