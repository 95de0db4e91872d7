"""Language identification, measured on texts of one to three words and on what lies beside the three languages."""

import csv
import subprocess
import sys
from pathlib import Path

import pytest

from data.language import Language, identify, is_mixed
from data.text import normalise

CASES = Path(__file__).parent / "language_cases"


def cases(name: str) -> list[tuple[str, str]]:
    with (CASES / f"{name}.tsv").open(encoding="utf-8", newline="") as file:
        return [(row[0], row[1]) for row in csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)][1:]


def accuracy(rows: list[tuple[str, str]]) -> float:
    return sum(identify(normalise(text)).code == code for code, text in rows) / len(rows)


@pytest.mark.parametrize("language", ["zh", "en", "fa"])
def test_short_texts_are_identified(language: str) -> None:
    rows = [row for row in cases("short") if row[0] == language]
    assert len(rows) >= 100
    assert accuracy(rows) >= 0.98


def test_persian_in_latin_letters_is_identified() -> None:
    rows = cases("latin_persian")
    assert len(rows) >= 100
    assert accuracy(rows) >= 0.95


def test_latin_persian_written_after_the_words_were_chosen_is_identified() -> None:
    rows = cases("latin_persian_unseen")
    assert len(rows) >= 50
    assert accuracy(rows) >= 0.85


def test_short_english_is_not_taken_for_persian() -> None:
    rows = [text for code, text in cases("short") if code == "en"]
    assert sum(identify(text).code == "fa" for text in rows) <= 0.03 * len(rows)


def test_other_languages_are_named() -> None:
    rows = cases("other")
    assert len(rows) >= 60
    assert len({code for code, _ in rows}) >= 10
    assert accuracy(rows) >= 0.88


@pytest.mark.parametrize("language", ["ar", "ur", "ja", "ko", "es", "fr", "de", "tr", "ru", "id"])
def test_no_other_language_is_lost(language: str) -> None:
    assert accuracy([row for row in cases("other") if row[0] == language]) >= 0.75


@pytest.mark.parametrize(("mixed", "text"), cases("mixed"))
def test_mixed_messages_are_told_from_brands_and_single_words(mixed: str, text: str) -> None:
    assert is_mixed(normalise(text)) == (mixed == "yes")


@pytest.mark.parametrize("text", ["", " ", "12345", "۱۲۳۴", "!!!", "👍👍", "❤️", "@someone", "https://example.com", "10/10"])
def test_texts_without_letters_have_no_language(text: str) -> None:
    assert identify(text) == Language("und", 1.0, False)
    assert not is_mixed(text)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("iPhone15手机壳很好5", "zh"),
        ("鲜の每日奶茶好喝", "zh"),
        ("好吃ヽ(°▽°)ノ", "zh"),
        ("ㄅ好喝", "zh"),
        ("app打不开", "zh"),
        ("唔該晒，好好食", "zh"),
        ("گوشی Samsung Galaxy A52 خوبه", "fa"),
        ("برای xperia mini و xperia arc", "fa"),
        ("فوق العاده", "fa"),
        ("شکریہ بہت", "ur"),
        ("الخدمة ممتازة", "ar"),
        ("ok 👌", "en"),
        ("GREAT!!!", "en"),
        ("Can’t relate", "en"),
        ("aaaaaliiii bood", "fa"),
        ("salam alaikum brother the food was great", "en"),
        ("I met Khosrow in Tehran and loved the kabab", "en"),
    ],
)
def test_script_and_words_decide(text: str, code: str) -> None:
    assert identify(normalise(text)).code == code


@pytest.mark.parametrize(
    "text", ["bahut kharab service hai", "terima kasih banyak", "selam, çok iyi bir ürün", "in the bar", "Bonjour, merci"]
)
def test_latin_text_of_others_is_not_taken_for_persian(text: str) -> None:
    assert identify(text).code != "fa"


@pytest.mark.parametrize(
    "text", ["不错", "not bad", "بد نبود", "bad nabood", "no está mal", "👍"], ids=["zh", "en", "fa", "fa-Latn", "es", "und"]
)
def test_answers_repeat_and_are_probabilities(text: str) -> None:
    first = identify(text)
    assert all(identify(text) == first for _ in range(3))
    assert 0 < first.probability <= 1
    assert first.supported == (first.code in ("zh", "en", "fa"))


def test_long_texts_of_one_kind_are_cut_before_they_are_read() -> None:
    for piece in ("@a.", "a1", "سلام ", "好", "a@"):
        assert isinstance(identify(piece * 20_000), Language)
        assert is_mixed(piece * 20_000) is False


def test_nothing_is_downloaded_or_loaded_before_it_is_needed() -> None:
    code = (
        "import sys, socket\n"
        "def refuse(*args, **kwargs): raise AssertionError('network')\n"
        "socket.socket.connect = refuse\n"
        "from data.language import identify\n"
        "identify('很好'), identify('خوب'), identify('kheili bad bood')\n"
        "early = 'fasttext' in sys.modules\n"
        "print(early, identify('muy bueno, gracias').code, 'torch' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split() == [
        "False",
        "es",
        "False",
    ]
