"""Finds national ids of China, Iran, the United States and the United Kingdom in a folded text (data/redaction.py)."""

from __future__ import annotations

import re
from collections.abc import Iterator

_CHINESE = re.compile(r"(?<![0-9A-Za-z])[1-9][0-9]{5}([ -]?)[0-9]{8}\1[0-9]{3}[0-9Xx](?![0-9A-Za-z])")
_IRANIAN = re.compile(r"(?<![0-9A-Za-z])(?<![0-9][.,/-])(?:[0-9]{10}|[0-9]{3}-[0-9]{6}-[0-9])(?![0-9A-Za-z])(?![.,/-][0-9])")
_IRANIAN_CUE = re.compile(r"(?:ملی|national (?:code|id)|melli|کدملی)[^0-9]{0,20}$", re.IGNORECASE)
_MONEY_AFTER = re.compile(
    r"\s*(?:تومان|تومن|ریال|هزار|میلیون|میلیارد|امتیاز|rial|toman|元|块|円|日元|usd|eur|gbp|dollar|euro|\$|€|£)", re.IGNORECASE
)
_ARABIC_LETTER = re.compile("[\u0620-\u064a\u067e-\u06d3]")

_SSN = re.compile(r"(?<![0-9A-Za-z-])[0-9]{3}-[0-9]{2}-[0-9]{4}(?![0-9A-Za-z-])")
_SSN_NAMED = re.compile(r"(?:\bssn|social security)[^0-9]{0,25}([0-9]{3}[- ]?[0-9]{2}[- ]?[0-9]{4})(?![0-9A-Za-z])", re.IGNORECASE)
_UK = re.compile(
    r"(?<![0-9A-Za-z])(?!BG|GB|KN|NK|NT|TN|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z]([ -]?)"
    r"[0-9]{2}\1[0-9]{2}\1[0-9]{2}\1[A-D](?![0-9A-Za-z])",
    re.IGNORECASE,
)


def chinese_ids(text: str) -> Iterator[tuple[int, int]]:
    """Spans of resident ids of 18 characters: place and date of birth, check digit."""
    from stdnum.cn import ric

    for match in _CHINESE.finditer(text):
        if ric.is_valid(re.sub("[ -]", "", match.group())):
            yield match.span()


def iranian_ids(text: str) -> Iterator[tuple[int, int]]:
    """Spans of ids of 10 digits with a right check digit, in a Persian text or after their name.

    One number of 10 digits in eleven has a right check digit by chance: elsewhere they are left alone.
    """
    persian = bool(_ARABIC_LETTER.search(text))
    for match in _IRANIAN.finditer(text):
        if not is_iranian_id(match.group().replace("-", "")) or _MONEY_AFTER.match(text, match.end()):
            continue
        if persian or _IRANIAN_CUE.search(text, max(0, match.start() - 40), match.start()):
            yield match.span()


def is_iranian_id(digits: str) -> bool:
    """The tenth digit is 11 less the weighted sum of the others modulo 11 (the remainder itself under 2)."""
    rest = sum(int(digit) * (10 - place) for place, digit in enumerate(digits[:9])) % 11
    return len(set(digits)) > 1 and int(digits[9]) == (rest if rest < 2 else 11 - rest)


def social_security_numbers(text: str) -> Iterator[tuple[int, int]]:
    """Spans of numbers written 3-2-4 that could have been given out, or of 9 digits after their name. They have no check digit."""
    from stdnum.us import ssn

    for match in _SSN.finditer(text):
        if ssn.is_valid(match.group()):
            yield match.span()
    for match in _SSN_NAMED.finditer(text):
        if ssn.is_valid(re.sub("[ -]", "", match.group(1))):
            yield match.span(1)


def uk_insurance_numbers(text: str) -> Iterator[tuple[int, int]]:
    """Spans of National Insurance numbers: letters that are given out, six digits, a letter. They have no check digit."""
    for match in _UK.finditer(text):
        yield match.span()
