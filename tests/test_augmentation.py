import random
import re

import pytest

from data.rows import Row
from data.text import normalise
from training.augmentation import apply, augment, kinds, with_copies

TEXTS = {
    "zh": "物流太慢了，等了3天才到，客服的态度也很差！😡",
    "en": "The parcel came three days late and nobody answered the phone! 😡",
    "fa": "بسته‌ام ۳ روز دیر رسید و پشتیبانی هم جواب نمی‌ده! 😡",
}


@pytest.mark.parametrize("language", TEXTS)
def test_a_seed_repeats_a_change_and_seeds_differ(language):
    text = TEXTS[language]
    changed = [augment(text, language, random.Random(seed)) for seed in range(40)]
    assert changed == [augment(text, language, random.Random(seed)) for seed in range(40)]
    assert text not in changed
    assert len(set(changed)) > 10


@pytest.mark.parametrize("language", TEXTS)
def test_every_kind_changes_what_the_normaliser_does_not_undo(language):
    for kind in kinds(language):
        changed = {normalise(apply(kind, TEXTS[language], random.Random(seed))) for seed in range(40)}
        if kind == "casing" and language != "en":
            assert changed == {normalise(TEXTS[language])}  # no letters with case
        else:
            assert changed - {normalise(TEXTS[language])}, kind


def test_persian_is_written_in_latin_letters_and_chinese_in_both_scripts():
    assert not re.search("[\u0600-\u06ff]", apply("persian_in_latin", TEXTS["fa"], random.Random(0)))
    traditional = apply("other_chinese", "这个软件很好，谢谢", random.Random(0))
    assert traditional.startswith("這個")
    assert apply("other_chinese", traditional, random.Random(0)) == "这个软件很好，谢谢"


def test_half_spaces_become_spaces_or_nothing_and_back():
    made = {apply("half_spaces", "نمی‌خوام", random.Random(seed)) for seed in range(20)}
    assert made == {"نمی خوام", "نمیخوام"}
    assert "نمی\u200cخوام" in {apply("half_spaces", "نمی خوام", random.Random(seed)) for seed in range(20)}


@pytest.mark.parametrize("text", ["not good", "نه", "نیست", "can't", "不好", "no"])
def test_respelling_never_touches_a_short_word_that_may_say_no(text):
    denials = {"not good": "not", "can't": "t", "不好": "不"}
    for seed in range(50):
        assert denials.get(text, text) in apply("respelling", text, random.Random(seed))


def test_a_question_keeps_its_mark_and_an_emoji_alone_stays():
    for seed in range(50):
        assert re.search("[?؟？]", apply("punctuation", "کی می‌رسه؟", random.Random(seed)))
        assert "🙄" in apply("emoji", "nice 🙄", random.Random(seed))


def test_a_link_or_a_greeting_that_is_there_is_left_alone():
    for seed in range(20):
        assert apply("casing", "see https://a.example/Ab", random.Random(seed)) == "see https://a.example/Ab"
        assert apply("greeting", "سلام، خوب بود", random.Random(seed)) == "سلام، خوب بود"


def test_copies_are_added_behind_the_rows_with_the_labels_and_only_the_text_changed():
    rows = [
        Row(text=f"{text} {number}", labels={"a": ("b",)}, language=code, source="s")
        for number in range(60)
        for code, text in TEXTS.items()
    ]
    made = with_copies(rows, 0.5, seed=1)
    assert made[: len(rows)] == rows
    copies = made[len(rows) :]
    assert 0.35 * len(rows) < len(copies) < 0.65 * len(rows)
    assert all(copy.labels == {"a": ("b",)} and copy.source == "s" for copy in copies)
    assert {copy.text for copy in copies}.isdisjoint({row.text for row in rows})


def test_a_rows_copy_does_not_depend_on_its_neighbours_and_a_larger_share_keeps_it():
    rows = [Row(text=f"{text} {number}", language=code) for number in range(30) for code, text in TEXTS.items()]
    few = {row.text for row in with_copies(rows, 0.3, seed=1)}
    assert few <= {row.text for row in with_copies(rows[::-1], 0.6, seed=1)}
    assert with_copies(rows, 0.0, seed=1) == rows
    assert with_copies(rows, 0.3, seed=1) != with_copies(rows, 0.3, seed=2)
