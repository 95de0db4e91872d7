"""What a value of a set says: patterns, cells as the file of sources writes them, conditions."""

from __future__ import annotations

import pytest

from data.mapping import Condition, matches, plain


@pytest.mark.parametrize(
    ("pattern", "value", "holds"),
    [
        ("3", "3", True),
        ("1..2", "1.5", True),
        ("1..2", "2", True),
        ("1..2", "2.1", False),
        ("0.65..", "0.7", True),
        ("..2", "-1", True),
        ("1..2", "", False),
        ("*#PRICE", "LAPTOP#PRICE", True),
        ("*[?]*", "چرا؟ why?", True),
        ("*[?]*", "no question", False),
        ("*慢*", "送得太慢了", True),
        ("*دیر*", "خیلی دیر رسید", True),
        ("card?", "card?", True),
        ("", "", True),
        ("HAPPY", "happy", False),
    ],
)
def test_patterns_match_texts_and_numbers(pattern, value, holds):
    assert matches(pattern, value) is holds


@pytest.mark.parametrize(
    ("cell", "text"), [(None, ""), (float("nan"), ""), (True, "true"), (3.0, "3"), (-1, "-1"), (2.5, "2.5"), ("好", "好")]
)
def test_cells_are_compared_as_the_file_writes_them(cell, text):
    assert plain(cell) == text


def test_a_condition_on_a_list_holds_when_every_element_matches():
    condition = Condition({"polarity": ("positive", "neutral")})
    assert condition.holds({"polarity": ["positive", "neutral"]})
    assert not condition.holds({"polarity": ["positive", "negative"]})
