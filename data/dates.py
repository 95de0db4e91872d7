"""Dates and ratings as people write them in three languages, read from the cells of a file."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any

from data.folding import fold

EARLIEST, LATEST = date(1990, 1, 1), date(2100, 1, 1)
"""A date outside is a slip or no date at all."""
_YEAR_FIRST = re.compile(r"\s*([0-9]{4})\s*[-/.年 ]\s*([0-9]{1,2})\s*[-/.月 ]\s*([0-9]{1,2})(?![0-9])")
_COMPACT = re.compile(r"\s*([0-9]{4})([0-9]{2})([0-9]{2})(?:[T ]?[0-9]{2,6})?\s*$")
_YEAR_LAST = re.compile(r"\s*([0-9]{1,2})\s*([-/.])\s*([0-9]{1,2})\s*\2\s*([0-9]{4})(?![0-9])")
_SECONDS = re.compile(r"\s*([0-9]{10}|[0-9]{13})(?:\.[0-9]+)?\s*$")
_JALALI_YEARS = range(1300, 1500)
_RATING = re.compile(
    r"\s*(-?[0-9]{1,3}(?:[.,][0-9]{1,3})?)\s*(?:(?:/|out of|از)\s*[0-9]{1,3}(?:\.0+)?|%|分|星|颗星|stars?|ستاره|امتیاز)?\s*$",
    re.IGNORECASE,
)
_STARS = re.compile(r"\s*([★⭐]\ufe0f?){1,5}☆*\s*$")


def read_date(value: Any, form: str | None = None) -> date | None:
    """The day that a cell names, or None.

    Understood: dates and times of a library, ISO, `2025年11月9日`, Jalali `۱۴۰۴/۰۸/۱۸`, `9.11.2025`, seconds since 1970.

    `9/11/2025` is a day only if one of the two numbers cannot be a month: name its form then (as `strptime` writes it).
    """
    found = _read_date(value, form)
    return found if found is not None and EARLIEST <= found <= LATEST else None


def _read_date(value: Any, form: str | None) -> date | None:
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    if isinstance(value, bool) or value is None:
        return None
    return _written_date(str(value), form)


@lru_cache(4096)
def _written_date(written: str, form: str | None) -> date | None:
    """Cached, since the days of a file are few."""
    written = fold(written).text
    if form is not None:
        try:
            return datetime.strptime(written.strip(), form).date()
        except ValueError:
            return None
    if match := _YEAR_FIRST.match(written) or _COMPACT.match(written):
        year, month, day = map(int, match.groups())
        if (found := _day(year, month, day)) is not None:
            return found
    if match := _YEAR_LAST.match(written):
        first, sign, second, year = int(match[1]), match[2], int(match[3]), int(match[4])
        if sign == "." or first > 12:
            return _day(year, second, first)
        return _day(year, first, second) if second > 12 or first == second else None
    if match := _SECONDS.match(written):
        seconds = int(match[1]) / (1000 if len(match[1]) == 13 else 1)
        return datetime.fromtimestamp(seconds, UTC).date()
    return None


def _day(year: int, month: int, day: int) -> date | None:
    try:
        if year in _JALALI_YEARS:
            import jdatetime  # type: ignore[import-untyped]  # ships no types

            converted: date = jdatetime.date(year, month, day).togregorian()
            return converted
        return date(year, month, day)
    except ValueError:
        return None


def read_rating(value: Any) -> float | None:
    """The number that a cell gives as a rating, or None: `4`, `۴٫۵`, `4/5`, `4 از 5`, `5星`, `★★★★☆`, `80%`."""
    if isinstance(value, bool) or value is None:
        return None
    written = str(value)
    if _STARS.match(written):
        return float(sum(written.count(star) for star in "★⭐"))
    match = _RATING.match(fold(written).text)
    return float(match[1].replace(",", ".")) if match else None
