"""Which texts of a set count as the same."""

from __future__ import annotations

import pytest

from data.text_keys import text_key


@pytest.mark.parametrize(
    ("one", "other"),
    [("It works!", "it  works"), ("كتاب خوبي بود.", "کتاب خوبی بود"), ("ＡＢＣ 很好。", "abc很好"), ("می‌شود", "میشود")],
    ids=["en", "fa", "zh", "half-space"],
)
def test_texts_that_differ_in_signs_only_have_one_key(one, other):
    assert text_key(one) == text_key(other)


def test_texts_of_signs_only_keep_their_own_key():
    assert text_key("👍") != text_key("👎")
