"""Sentences of three languages: where they end, what only looks like an end, and that nothing is lost between them."""

from __future__ import annotations

import random

import pytest

from serving.sentences import sentences

CASES = {
    "zh": ["快递太慢了！", "客服也不回复。", "我要退款"],
    "zh-quoted": ["他说：“明天到。”", "结果没到。"],
    "zh-dots": ["等了很久……", "还是没货？！", "算了。"],
    "zh-ascii-stop": ["东西不错.", "就是贵"],
    "en": ["The parcel was late. ", "Nobody answered my calls! ", "Can I get a refund?"],
    "en-lower-case": ["it broke. ", "i want my money back"],
    "en-numbers": ["Version 2.0 of the app costs 3.50 at example.com. ", "Too much."],
    "en-short-forms": ["I wrote to Mr. Smith, e.g. on Monday, about order no. 5. ", "No answer."],
    "en-initials": ["J. R. Smith was helpful. ", "Thanks."],
    "en-pause": ["Well... it works. ", "Hmm... ", "No."],
    "en-list": ["1. Slow courier\n", "2. Rude staff\n", "3. No refund"],
    "en-quoted": ['"Tomorrow," they said (twice!) ', '"Never again."'],
    "en-letter-and-stop": ["I paid for plan B. Nothing came."],  # taken for an initial
    "fa": ["بسته دیر رسید. ", "پشتیبانی جواب نداد؟ ", "پولم را پس بدهید!"],
    "fa-half-space": ["می‌خواهم پس بدهم. ", "کیفیتش بد بود"],
    "lines": ["Bad service\n\n", "不会再来\n", "خیلی بد بود"],
    "emoji": ["Great phone!!! 😀 👍 ", "Bad box."],
    "no-stops": ["快递很慢 客服也不回 想退款"],
    "no-letters": ["!!! 👍👍 ..."],
    "nothing-first": ["... so slow"],
    "blank": ["   "],
    "empty": [],
}


@pytest.mark.parametrize("name", CASES)
def test_sentences_end_where_a_reader_ends_them(name: str) -> None:
    text = "".join(CASES[name])
    assert [text[start:end] for start, end in sentences(text)] == CASES[name]


PIECES = [
    "快递慢",
    "。",
    "！",
    "?",
    "؟",
    ".",
    "...",
    "…",
    "1.",
    "Mr.",
    "good",
    "عالی",
    "می\u200cشود",
    "😀",
    "”",
    ")",
    "3.5",
    "\n",
    "  ",
    " ",
]


@pytest.mark.parametrize("seed", range(60))
def test_sentences_cover_the_text_without_gap_or_overlap(seed: int) -> None:
    chance = random.Random(seed)
    text = "".join(chance.choices(PIECES, k=chance.randint(1, 40)))
    found = sentences(text)
    assert "".join(text[start:end] for start, end in found) == text
    assert all(start < end for start, end in found)
    if len(found) > 1:
        assert all(any(character.isalnum() for character in text[start:end]) for start, end in found)


def test_a_long_text_takes_linear_time() -> None:
    for piece in ("a.", "a. ", "Mr. ", "…", "1. ", "\n", "好。"):
        assert len(sentences(piece * 20_000)) <= 20_000
