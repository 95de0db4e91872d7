"""The corpus's card: computed from the files alone, the same at every writing, out of date when they change."""

from __future__ import annotations

import hashlib
import json
import shutil

import pytest

from data.errors import DataError
from data.importer import IMPORTER_VERSION
from data.rows import Row
from training.corpus_card import main, outdated, write
from training.corpus_figures import CORPUS, LANGUAGES, Corpus, near_duplicate_rate, openings, percentiles, shortcut, traits
from training.corpus_sections import examples

ROWS = 100


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A corpus with the first rows of each language, two readings of some, an overlay of one set, and the card of all that."""
    tmp_path = tmp_path_factory.mktemp("corpus")
    (tmp_path / "annotations").mkdir()
    (tmp_path / "contrast").mkdir()
    second = []
    for code in LANGUAGES:
        lines = (CORPUS / f"{code}.jsonl").read_text("utf-8").splitlines()[:ROWS]
        (tmp_path / f"{code}.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
        first = json.loads(lines[0])
        second += [{name: json.loads(line)[name] for name in ("id", "sentiment", "tone", "category")} for line in lines[1:20]]
        second.append({**second[0], "id": first["id"], "settled": True, "first": {**second[0], "tone": "calm"}, "tone": "angry"})
    (tmp_path / "readings").mkdir()
    write_lines(tmp_path / "readings" / "written.jsonl", second)
    reading = {"sentiment": "negative", "tone": "calm", "category": ["delivery"]}
    write_lines(tmp_path / "annotations" / "snappfood.jsonl", [overlay("a", [reading, reading]), overlay("b", [], agreed=None)])
    pair = {
        "id": "1",
        "language": "en",
        "turn": "negation",
        "a": {"text": "it is late", **reading},
        "b": {"text": "not late", **reading},
    }
    write_lines(tmp_path / "contrast" / "pairs.jsonl", [pair])
    write(tmp_path)
    return tmp_path


@pytest.fixture
def folder(written, tmp_path):
    """A copy to change."""
    return shutil.copytree(written, tmp_path / "corpus")


def overlay(text, readings, agreed=True):
    return {
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
        "importer": IMPORTER_VERSION,
        "sentiment": "negative",
        "tone": "calm",
        "category": ["delivery"],
        "agreed": agreed,
        "sure": True,
        "readings": readings,
    }


def write_lines(path, entries):
    path.write_text("".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries), "utf-8")


def row(text, language="en", **changes):
    labels = {"sentiment": ("negative",), "tone": ("calm",), "category": ("delivery",)}
    return Row(text, labels, language=language, split="train", extra={"channel": "chat", "domain": "other"}, **changes)


def test_a_card_just_written_is_up_to_date(written):
    assert outdated(written) == []


def test_the_card_shows_both_parts_and_how_far_their_readings_agree(written):
    card = (written / "README.md").read_text("utf-8")
    assert "60 rows were labelled a second time" in card
    assert "3 of them in dispute were settled" in card
    assert "| written | en | tone | 20 | 95.0 % |" in card
    assert "angry or calm (3)" in card
    assert "| real | fa | category | 1 | 100.0 % | 100.0 % |" in card
    assert "| snappfood | fa | 2 | 1 | 100 % | 0 |" in card
    assert "`contrast/pairs.jsonl`" in card
    assert "$" not in card.split("## Ten rows a language")[0]


def test_a_changed_row_makes_card_and_pictures_out_of_date(folder):
    path = folder / "en.jsonl"
    path.write_text(path.read_text("utf-8").replace('"positive"', '"neutral"'), "utf-8")
    stale = [path.name for path in outdated(folder)]
    assert {"README.md", "labels.png", "coverage.png"} <= set(stale)
    assert "lengths.png" not in stale


@pytest.mark.parametrize(("stale", "code"), [([], 0), (["README.md"], 1)], ids=["up to date", "out of date"])
def test_the_command_ends_with_one_when_the_card_is_out_of_date(monkeypatch, written, stale, code):
    monkeypatch.setattr("training.corpus_card.outdated", lambda folder: [folder / name for name in stale])
    with pytest.raises(SystemExit) as exit_:
        main(["--check", "--folder", str(written)])
    assert exit_.value.code == code


def test_a_second_reading_of_a_row_that_is_not_there_is_named(folder):
    with (folder / "readings" / "written.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"id": "en-gone", "tone": "calm"}\n')
    with pytest.raises(DataError, match=r"written\.jsonl:61: no row 'en-gone' in the corpus"):
        Corpus.read(folder)


def test_a_row_that_was_dropped_after_a_dispute_still_counts_in_the_agreement(folder):
    gone = {"id": "fa-gone", "tone": "calm", "first": {"tone": "angry"}}
    with (folder / "readings" / "written.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(gone) + "\n")
    pair = Corpus.read(folder).read_twice[-1]
    assert (pair.language, pair.first, pair.second) == ("fa", {"tone": ("angry",)}, {"tone": ("calm",)})


def test_an_overlay_of_a_set_that_is_not_described_is_refused(folder):
    (folder / "annotations" / "snappfood.jsonl").rename(folder / "annotations" / "snapfood.jsonl")
    with pytest.raises(DataError, match=r"no source 'snapfood' \(nearest: 'snappfood'"):
        Corpus.read(folder)


def test_openings_are_five_characters_of_chinese_and_two_words_of_the_others():
    assert openings([row("等了一个半小时", "zh"), row("等了一个半天", "zh")]) == {"等了一个半": 2}
    assert openings([row("Still no parcel"), row("still NO answer")]) == {"still no": 2}
    assert openings([row("هنوز نیامده", "fa"), row("بد", "fa")]) == {"هنوز نیامده": 1, "بد": 1}


def test_texts_that_differ_in_signs_or_numbers_only_are_near_duplicates():
    assert near_duplicate_rate(["Order 12 is late!", "order 77 is late", "第一次", "عالی"]) == 0.25
    assert near_duplicate_rate([]) == 0


def test_percentiles_are_values_that_occur():
    assert percentiles([5, 1, 3, 2, 4], [1, 50, 90, 100]) == [1, 3, 5, 5]


@pytest.mark.parametrize(
    ("language", "text", "trait"),
    [
        ("zh", "東西壞了，客服不理人", "in Traditional characters"),
        ("zh", "啲嘢壞咗", "with signs of written Cantonese"),
        ("en", "why is it late", "in lower case only"),
        ("en", "soooo late", "with a letter three times running, or stretched"),
        ("fa", "kheili bad bood", "in Latin letters"),
        ("fa", "نمی‌رسد", "with می or نمی joined by a half-space"),
        ("fa", "نمی رسد", "with می or نمی and a space instead"),
        ("fa", "میرسه", "with می or نمی and nothing between"),
        ("fa", "خيلي بد", "with the Arabic letters ي or ك"),
        ("fa", "۳ روز", "with Persian digits (۰ to ۹)"),
    ],
)
def test_traits_of_typing_are_found(language, text, trait):
    other = {"zh": "东西坏了。", "en": "It is Late.", "fa": "دیر رسید."}[language]
    assert traits([row(text, language), row(other, language)])[trait] == 0.5


def test_a_habit_of_punctuation_is_found_and_its_absence_too():
    def rows(signs):
        texts = [f"message number {'x' * (number % 7)}{signs[number % 2]}" for number in range(100)]
        return [
            Row(text, {"tone": ("calm", "angry")[n % 2 : n % 2 + 1]}, extra={"channel": "chat"}) for n, text in enumerate(texts)
        ]

    assert shortcut(rows([".", "!!"]), "tone").macro_f1 == 1
    assert shortcut(rows([".", "."]), "tone").macro_f1 < 0.65
    assert shortcut(rows([".", "."]), "tone").majority_macro_f1 == pytest.approx(1 / 3)


def test_a_channel_tells_only_when_it_is_told():
    rows = [
        Row("late", {"tone": (tone,)}, extra={"channel": channel})
        for tone, channel in [("calm", "survey"), ("angry", "social")]
        for _ in range(20)
    ]
    assert shortcut(rows, "tone").macro_f1 == 1
    assert shortcut(rows, "tone", channel=False).macro_f1 < 0.65


def test_examples_are_short_training_rows_that_show_many_labels():
    chosen = examples(Corpus.read().rows["en"])
    assert len(chosen) == 10
    assert {found.split for found in chosen} == {"train"}
    assert {label for found in chosen for label in found.labels["sentiment"]} == {"positive", "neutral", "negative"}
    assert len({label for found in chosen for label in found.labels["tone"]}) == 6
