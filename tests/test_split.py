"""Splits: a function of the text, near duplicates on one side, nothing ever moves from test to train."""

from __future__ import annotations

import random
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy
import pytest

from data.rows import SPLITS, Row
from data.split import assign_splits, balance, near_duplicate_groups, skeleton, split_of
from data.taxonomy import Taxonomy

LONG = {
    "zh": "上周三下的单，说好两天内送达，结果等了整整九天还没有收到包裹，打客服电话永远占线，在线客服只会发送模板回复，真失望",
    "en": "Ordered on Wednesday with two day shipping, nine days later nothing has arrived and the phone line is always busy",
    "fa": "چهارشنبه سفارش دادم و قرار بود دو روزه برسد ولی بعد از نه روز خبری نیست، تلفن پشتیبانی همیشه اشغال است",
}
LETTERS = {
    "zh": [chr(code) for code in range(0x4E00, 0x4E00 + 2000)],
    "en": list("abcdefghijklmnopqrstuvwxyz  "),
    "fa": list("ابپتجدرزسشعفقکگلمنوهی  "),
}


def made_up(language: str, count: int, seed: int = 0, length: int = 60) -> list[str]:
    """Texts of random letters: unlike one another."""
    chance = random.Random(f"{language}{seed}")
    return ["".join(chance.choices(LETTERS[language], k=length)) for _ in range(count)]


@pytest.mark.parametrize(
    ("text", "split"),
    [
        ("很好", "train"),
        ("太貴了", "test"),
        ("客服態度很差", "train"),
        ("great", "validation"),
        ("The zip broke on day two.", "train"),
        ("عالی", "train"),
        ("افتضاح", "test"),
    ],
)
def test_the_split_of_a_text_never_changes(text: str, split: str) -> None:
    assert split_of(text) == split


@pytest.mark.parametrize("language", LONG)
def test_shares_are_seventy_fifteen_fifteen(language: str) -> None:
    counts = Counter(split_of(text) for text in made_up(language, 6000))
    assert counts["train"] / 6000 == pytest.approx(0.70, abs=0.02)
    assert counts["validation"] / 6000 == pytest.approx(0.15, abs=0.015)
    assert counts["test"] / 6000 == pytest.approx(0.15, abs=0.015)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Order 12345 is LATE!!!", "order 9 is late"),
        ("快递太慢了！！", "快递 太慢了。"),
        ("می‌خواهم پس بدهم", "میخواهم پس بدهم!"),
        ("كيفيت عالي", "کیفیت عالی 👍"),
        ("ｇｏｏｄ", "Good."),
    ],
)
def test_case_signs_numbers_and_letter_forms_do_not_change_the_split(one: str, other: str) -> None:
    assert skeleton(one) == skeleton(other)
    assert split_of(one) == split_of(other)


def test_texts_without_letters_are_told_apart() -> None:
    assert len({skeleton("👍👍"), skeleton("😡"), skeleton("?!"), skeleton("❤️")}) == 4


def test_the_split_is_the_same_in_another_process() -> None:
    texts = [*LONG.values(), "很好"]
    code = f"from data.split import split_of; print([split_of(t) for t in {texts!a}])"
    folder = Path(__file__).parent.parent
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=folder).stdout
    assert told.strip() == repr([split_of(text) for text in texts])


@pytest.mark.parametrize("language", LONG)
def test_near_duplicates_are_one_group_and_others_are_not(language: str) -> None:
    text = LONG[language]
    near = [text, text[:-1], text[1:], text.replace(text[40], "X", 1)]
    groups = near_duplicate_groups([skeleton(other) for other in [*near, *made_up(language, 50), text[: len(text) // 2]]])
    assert groups[:4] == [0, 0, 0, 0]
    assert groups[4:] == list(range(4, 55))


def test_groups_agree_with_jaccard_similarity() -> None:
    chance = random.Random(1)
    texts = []
    for base in made_up("en", 40, length=150):
        texts.append(base)
        for changes in (1, 2, 4, 8, 16):
            letters = list(base)
            for place in chance.sample(range(len(letters)), changes):
                letters[place] = "#"
            texts.append("".join(letters))
    grams = [{text[place : place + 5] for place in range(len(text) - 4)} for text in texts]
    groups = near_duplicate_groups(texts)
    for one, other in combinations(range(len(texts)), 2):
        similarity = len(grams[one] & grams[other]) / len(grams[one] | grams[other])
        if similarity >= 0.92:
            assert groups[one] == groups[other]
        if one // 6 != other // 6:
            assert groups[one] != groups[other]


def test_short_texts_are_grouped_only_when_they_say_the_same() -> None:
    texts = ["好", "很好", "好！", "good", "goods", "Good", "عالی", "عالیه", ""]
    assert near_duplicate_groups([skeleton(text) for text in texts]) == [0, 1, 0, 3, 4, 3, 6, 7, 8]


def test_no_texts_make_no_groups() -> None:
    assert near_duplicate_groups([]) == []
    assert assign_splits([]) == []


def test_every_row_gets_the_split_of_its_text_in_the_order_given() -> None:
    rows = [Row(text) for language in LONG for text in made_up(language, 200)]
    done = assign_splits(iter(rows))
    assert done == [replace(row, split=split_of(row.text)) for row in rows]


@pytest.mark.parametrize("language", LONG)
@pytest.mark.parametrize("strict", ["test", "validation"])
def test_a_group_takes_the_strictest_side(language: str, strict: str) -> None:
    text = LONG[language]
    rows = [Row(text, split="train"), Row(text + "X", split=strict), Row("X" + text, split="train")]
    assert [row.split for row in assign_splits(rows)] == [strict] * 3


def test_a_row_keeps_its_own_split_whatever_its_hash() -> None:
    rows = [Row(text, split=split) for split in SPLITS for text in made_up("en", 30, seed=SPLITS.index(split))]
    assert assign_splits(rows) == rows


@pytest.mark.parametrize("language", LONG)
def test_later_rows_never_move_a_row_to_a_laxer_side(language: str) -> None:
    chance = random.Random(7)
    bases = made_up(language, 150, length=80)
    rows = [Row(base[: chance.randrange(70, 80)] + chance.choice(["", "!", "a", "bb"])) for base in bases * 4]
    chance.shuffle(rows)
    before = assign_splits(rows[:200])
    after = assign_splits([*rows[200:], *rows[:200]])  # the new rows even come first
    moved = 0
    for old, new in zip(before, after[-200:], strict=True):
        assert old.split is not None
        assert new.split is not None
        assert SPLITS.index(new.split) >= SPLITS.index(old.split)
        moved += new.split != old.split
    assert moved > 0  # otherwise nothing was tested


def test_no_group_stands_on_two_sides() -> None:
    chance = random.Random(3)
    rows = [Row(base[: chance.randrange(110, 121)]) for base in made_up("fa", 100, length=120) for _ in range(4)]
    done = assign_splits(rows)
    sides: dict[int, set[str | None]] = {}
    for group, row in zip(near_duplicate_groups([skeleton(row.text) for row in done]), done, strict=True):
        sides.setdefault(group, set()).add(row.split)
    assert len(sides) < 200
    assert all(len(side) == 1 for side in sides.values())


def test_groups_do_not_depend_on_block_size(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [text[: 80 - number % 3] for language in LONG for number, text in enumerate(made_up(language, 40, length=80) * 3)]
    whole = near_duplicate_groups(texts)
    monkeypatch.setattr("data.split.BLOCK_CHARACTERS", 100)
    assert near_duplicate_groups(texts) == whole
    assert len(set(whole)) == 120


def test_balance_counts_every_split_language_and_label() -> None:
    taxonomy = Taxonomy.read()
    rows = [
        Row("a", {"sentiment": ("positive",), "category": ("price", "payment")}, language="en", split="train"),
        Row("b", {"sentiment": ("positive",)}, language="en", split="test"),
        Row("c", {"sentiment": ("negative",)}, language="fa", split="train"),
        Row("d", language="zh"),
    ]
    cells = {(cell.split, cell.language, cell.label): cell for cell in balance(rows, taxonomy)}
    assert cells["train", "en", "positive"].rows == 1
    assert cells["train", "en", "positive"].share == 0.5
    assert cells["test", "en", "positive"].rows == 1
    assert cells["train", "en", "payment"].rows == 1
    assert cells["validation", "zh", "calm"].rows == 0
    assert len(cells) == 3 * 3 * taxonomy.size
    assert sum(cell.rows for cell in cells.values()) == 5


@pytest.mark.parametrize("language", LONG)
def test_the_split_is_balanced_by_language_and_label(language: str) -> None:
    taxonomy = Taxonomy.read()
    labels = taxonomy["tone"].names
    rows = [Row(text, {"tone": (labels[n % 6],)}, language=language) for n, text in enumerate(made_up(language, 3000))]
    for cell in balance(assign_splits(rows), taxonomy):
        if cell.task == "tone":
            assert cell.share == pytest.approx({"train": 0.7, "validation": 0.15, "test": 0.15}[cell.split], abs=0.08)


def test_signatures_are_the_same_on_every_machine() -> None:
    from data.split import _signatures

    signature = _signatures(["the same text on every machine"])[0]
    assert signature.dtype == numpy.uint32
    assert [int(value) for value in signature[:3]] == [99_685_054, 94_263_506, 137_459_233]
