"""Dates and ratings are read as people write them in three languages, and what is unclear is left unread."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from data.dates import read_date, read_rating

DAY = date(2025, 11, 9)


@pytest.mark.parametrize(
    "written",
    [
        "2025-11-09", "2025-11-09T14:35:22Z", "2025/11/9 08:00", "20251109", "9.11.2025", "2025年11月9日", "２０２５年１１月９日",
        "۱۴۰۴/۰۸/۱۸", "1404-08-18 10:30", "٢٠٢٥/١١/٠٩", DAY, datetime(2025, 11, 9, 23, tzinfo=UTC), 1762646400, "1762646400000",
    ],
    ids=str,
)  # fmt: skip
def test_a_day_is_read(written):
    assert read_date(written) == DAY


@pytest.mark.parametrize(
    "written", ["", "yesterday", "2025-13-40", "9/11/2025", "0001-01-01", True, None, "۱۴۰۴/۱۳/۰۱", "99999999999"], ids=str
)
def test_what_is_no_day_or_could_be_two_is_left(written):
    assert read_date(written) is None


def test_a_day_with_slashes_is_read_where_only_one_order_is_possible_or_its_form_is_named():
    assert read_date("25/11/2025") == read_date("11/25/2025") == date(2025, 11, 25)
    assert read_date("9/11/2025", "%d/%m/%Y") == DAY
    assert read_date("11/9/2025", "%m/%d/%Y") == DAY
    assert read_date("2025-11-09", "%d/%m/%Y") is None


@pytest.mark.parametrize(
    ("written", "rating"),
    [("4", 4), (4.5, 4.5), ("۴٫۵", 4.5), ("4/5", 4), ("۴ از ۵", 4), ("5星", 5), ("４分", 4), ("★★★★☆", 4),
     ("⭐️⭐️", 2), ("80%", 80), ("4,5", 4.5),
     ("3 stars", 3), (0, 0)],
)  # fmt: skip
def test_a_rating_is_read(written, rating):
    assert read_rating(written) == rating


@pytest.mark.parametrize("written", ["", "good", "4 and 5", "12345", True, None, "v1.2.3"], ids=str)
def test_what_is_no_rating_is_left(written):
    assert read_rating(written) is None
