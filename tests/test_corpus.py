"""The corpus keeps what its card promises. Some facts of rows are those of the card's own functions, so that both say the same."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from data.annotations import read_overlay
from data.checks import check
from data.language import identify
from data.rows import SPLITS
from data.sources import read_sources
from data.split import near_duplicate_groups, skeleton, split_of
from data.text import mend
from training.corpus_card import outdated
from training.corpus_figures import CORPUS, LANGUAGES, Corpus, openings, several_labels_share, shortcut, texts_of, traits

MIN_ROWS = 1800
MIN_TONE, MIN_CATEGORY = 220, 110
SEVERAL = (0.28, 0.45)
"""Share of rows with two categories or more."""
MIN_TRADITIONAL, MIN_LATIN_PERSIAN = 0.12, 0.03
MAX_NEAR_DUPLICATES, MAX_OPENING = 0.005, 0.01
SPLIT_SHARES = {"train": 0.70, "validation": 0.15, "test": 0.15}
SPLIT_MARGIN = 0.03
MIN_READ_TWICE, MIN_REAL = 300, 1500
MIN_REAL_READ_TWICE = 1 / 3
CONTRAST = {"pairs": 450, "trilingual": 200, "scripts_fa": 200, "scripts_zh": 200}
MIN_PAIRS = 150
MAX_SHORTCUT = 0.45
"""Macro-F1 of a guess at the tone from length, punctuation and channel; always the commonest tone gives 0.07."""
PLAUSIBLE = {
    "satisfied": ("positive", "neutral"),
    "calm": ("positive", "neutral", "negative"),
    "frustrated": ("positive", "neutral", "negative"),
    "angry": ("neutral", "negative"),
    "sarcastic": ("positive", "neutral", "negative"),
    "anxious": ("positive", "neutral", "negative"),
}
CHANNELS = set(
    [
        "app_store",
        "shop_review",
        "map_review",
        "social",
        "chat",
        "email",
        "survey",
        "interview",
        "forum",
        "ticket",
        "phone_note",
        "sms",
    ]
)
DOMAINS_ASKED_FOR = set(
    [
        "shopping",
        "food_delivery",
        "travel",
        "telecom",
        "banking",
        "games",
        "business_software",
        "hotels",
        "education",
        "health",
        "government",
        "cars",
        "appliances",
    ]
)

every_language = pytest.mark.parametrize("code", LANGUAGES)


@pytest.fixture(scope="module")
def corpus():
    return Corpus.read()


@pytest.fixture(scope="module")
def overlays():
    return sorted((CORPUS / "annotations").glob("*.jsonl"))


@pytest.fixture(scope="module")
def groups(corpus):
    """The near-duplicate group of every text of the rows, and of every contrast text after them."""
    texts = [row.text for row in corpus.all_rows] + corpus.contrast_texts()
    found = near_duplicate_groups([skeleton(text) for text in texts])
    return found[: len(corpus.all_rows)], found[len(corpus.all_rows) :]


# The written part


@every_language
def test_there_are_enough_rows_and_all_are_of_the_file_s_language(corpus, code):
    rows = corpus.rows[code]
    assert len(rows) >= MIN_ROWS
    assert {row.language for row in rows} == {code}
    assert {row.source for row in rows} == {"corpus"}
    assert all(row.id.startswith(f"{code}-") for row in rows)


def test_every_row_has_an_answer_to_every_task_and_a_name_of_its_own(corpus):
    rows = corpus.all_rows
    assert all(set(row.labels) == set(corpus.taxonomy.task_names) for row in rows)
    assert not any(row.known or row.excluded for row in rows)
    assert [name for name, count in Counter(row.id for row in rows).items() if count > 1] == []


def test_the_checker_finds_no_error():
    report = check([CORPUS / f"{code}.jsonl" for code in LANGUAGES], Corpus.read().taxonomy)
    assert [finding.message for finding in report.errors] == []
    assert [finding.message for finding in report.warnings if finding.kind in ("duplicate", "garbled", "column")] == []
    assert report.duplicate_rate == 0
    assert report.near_duplicate_rate < MAX_NEAR_DUPLICATES


@every_language
def test_every_tone_and_every_category_is_there_often_enough(corpus, code):
    counts = Counter((task, label) for row in corpus.rows[code] for task, labels in row.labels.items() for label in labels)
    least = {"tone": MIN_TONE, "category": MIN_CATEGORY}
    short = {
        label: counts[task, label]
        for task, wanted in least.items()
        for label in corpus.taxonomy[task].names
        if counts[task, label] < wanted
    }
    assert short == {}


@every_language
def test_every_tone_comes_with_every_plausible_sentiment(corpus, code):
    met = {(row.labels["tone"][0], row.labels["sentiment"][0]) for row in corpus.rows[code]}
    assert [(tone, sentiment) for tone, wanted in PLAUSIBLE.items() for sentiment in wanted if (tone, sentiment) not in met] == []


@every_language
def test_about_a_third_of_the_rows_have_several_categories(corpus, code):
    low, high = SEVERAL
    assert low <= several_labels_share(corpus.rows[code], "category") <= high


@every_language
def test_channels_and_domains_are_many_and_none_is_missing(corpus, code):
    rows = corpus.rows[code]
    assert {row.extra["channel"] for row in rows} == CHANNELS
    assert {row.extra["domain"] for row in rows} >= DOMAINS_ASKED_FOR


@every_language
def test_lengths_go_from_one_word_to_long_e_mails_and_most_are_short(corpus, code):
    # 200 Chinese characters say about what 130 English words do.
    sizes = sorted(len(row.text) if code == "zh" else len(row.text.split()) for row in corpus.rows[code])
    shortest, middle, longest = (2, 40, 250) if code == "zh" else (1, 25, 200)
    assert sizes[0] <= shortest
    assert sizes[len(sizes) // 2] <= middle
    assert longest <= sizes[-1] <= 600


def test_chinese_is_also_in_traditional_characters(corpus):
    assert traits(corpus.rows["zh"])["in Traditional characters"] >= MIN_TRADITIONAL


def test_persian_is_also_in_latin_letters_arabic_letters_and_with_and_without_half_spaces(corpus):
    found = traits(corpus.rows["fa"])
    assert found["in Latin letters"] >= MIN_LATIN_PERSIAN
    for name, share in found.items():
        if name.startswith("with "):
            assert share > 0.01, name


@every_language
def test_no_opening_is_common(corpus, code):
    opening, count = openings(corpus.rows[code]).most_common(1)[0]
    assert count / len(corpus.rows[code]) < MAX_OPENING, opening


@every_language
def test_texts_are_whole_and_nearly_all_are_recognised_as_their_language(corpus, code):
    rows = corpus.rows[code]
    assert [row.id for row in rows if mend(row.text).warnings] == []
    other = sum(identify(mend(row.text).text).code != code for row in rows)
    assert other / len(rows) < 0.03


@every_language
def test_length_punctuation_and_channel_do_not_tell_the_tone(corpus, code):
    macro_f1 = shortcut(corpus.rows[code], "tone").macro_f1
    assert macro_f1 < MAX_SHORTCUT


# Split


@every_language
def test_the_split_is_seventy_fifteen_fifteen(corpus, code):
    counts = Counter(row.split for row in corpus.rows[code])
    assert set(counts) == set(SPLITS)
    for name, share in SPLIT_SHARES.items():
        assert counts[name] / len(corpus.rows[code]) == pytest.approx(share, abs=SPLIT_MARGIN), name


def test_near_duplicates_are_few_and_on_one_side(corpus, groups):
    sides = defaultdict(set)
    for row, group in zip(corpus.all_rows, groups[0], strict=True):
        sides[group].add(row.split)
    assert 1 - len(sides) / len(groups[0]) < MAX_NEAR_DUPLICATES
    assert [group for group, splits in sides.items() if len(splits) > 1] == []


def test_a_row_alone_is_where_the_hash_of_its_text_puts_it(corpus, groups):
    size = Counter(groups[0])
    moved = [
        row.id
        for row, group in zip(corpus.all_rows, groups[0], strict=True)
        if size[group] == 1 and row.split != split_of(row.text)
    ]
    assert moved == []


# Readings


@every_language
def test_enough_rows_were_read_a_second_time(corpus, code):
    assert sum(pair.language == code for pair in corpus.read_twice) >= MIN_READ_TWICE


def test_the_second_reading_names_a_row_once_and_gives_valid_labels_for_all_tasks(corpus):
    entries = [json.loads(line) for line in (CORPUS / "readings" / "written.jsonl").read_text("utf-8").splitlines()]
    assert [name for name, count in Counter(entry["id"] for entry in entries).items() if count > 1] == []
    for pair in corpus.read_twice:
        for reading in (pair.first, pair.second):
            assert faults(reading, corpus.taxonomy) == []


@every_language
def test_enough_real_texts_are_annotated_and_a_third_of_them_was_read_twice(corpus, code):
    entries = corpus.annotations(code)
    assert len(entries) >= MIN_REAL
    assert sum(entry.agreed is not None for entry in entries) / len(entries) >= MIN_REAL_READ_TWICE


def test_overlays_hold_hashes_and_labels_and_no_text(corpus, overlays):
    assert overlays
    allowed = {"sha256", "importer", "agreed", "sure", "readings", *corpus.taxonomy.task_names}
    short = {"sha256": 64, **{name: max(map(len, corpus.taxonomy[name].names)) for name in corpus.taxonomy.task_names}}
    for path in overlays:
        for line in path.read_text("utf-8").splitlines():
            entry = json.loads(line)
            assert set(entry) <= allowed, path
            for reading in (entry, *entry.get("readings", ())):
                assert set(reading) <= allowed, path
                for name, size in short.items():
                    given = reading.get(name) or ""
                    assert all(len(value) <= size for value in ([given] if isinstance(given, str) else given)), path


def test_overlays_belong_to_described_sets_and_label_every_task(corpus, overlays):
    assert overlays
    sources = read_sources()
    for path in overlays:
        assert path.stem in sources, path.stem
        for entry in read_overlay(path, corpus.taxonomy):
            assert faults(entry.labels, corpus.taxonomy) == [], entry.sha256
            if entry.agreed is not None:
                assert len(entry.readings) >= 2, entry.sha256


# Contrast sets


@every_language
def test_exercises_only_train_and_have_an_answer_to_every_task(corpus, code):
    rows = corpus.exercises[code]
    assert {(row.split, row.source, row.language.split("-")[0]) for row in rows} == {("train", "corpus", code)}
    assert all(set(row.labels) == set(corpus.taxonomy.task_names) and row.extra["group"] for row in rows)
    assert len({row.id for row in rows}) == len(rows)


def test_no_exercise_is_near_to_a_text_that_validates_or_tests(corpus):
    measured = [row.text for row in corpus.all_rows if row.split != "train"] + corpus.contrast_texts()
    exercises = [row.text for rows in corpus.exercises.values() for row in rows]
    groups = near_duplicate_groups([skeleton(text) for text in [*measured, *exercises]])
    shared = set(groups[: len(measured)])
    assert [text for text, group in zip(exercises, groups[len(measured) :], strict=True) if group in shared] == []


def test_both_sides_of_a_pair_that_trains_differ_in_a_label(corpus):
    pairs: dict[str, list] = defaultdict(list)
    for rows in corpus.exercises.values():
        for row in rows:
            if row.extra["kind"] == "pair":
                pairs[row.extra["group"]].append(row)
    assert len(pairs) > 500
    assert [group for group, (one, other) in pairs.items() if dict(one.labels) == dict(other.labels)] == []


def test_the_contrast_sets_are_complete(corpus):
    assert {name: len(entries) for name, entries in corpus.contrast.items()} == CONTRAST
    by_language = Counter(entry["language"] for entry in corpus.contrast["pairs"])
    assert by_language == dict.fromkeys(LANGUAGES, MIN_PAIRS)


@pytest.mark.parametrize("name", CONTRAST)
def test_contrast_entries_have_names_of_their_own_valid_labels_and_all_their_texts(corpus, name):
    entries = corpus.contrast[name]
    assert len({entry["id"] for entry in entries}) == len(entries)
    for entry in entries:
        for labelled in [entry["a"], entry["b"]] if name == "pairs" else [entry]:
            assert faults(labelled, corpus.taxonomy) == [], entry["id"]
        texts = texts_of(entry)
        assert len(texts) == (3 if name == "trilingual" else 2)
        assert all(text.strip() for text in texts)
        assert len(set(texts)) == len(texts), entry["id"]


def test_what_turns_a_pair_turns_at_least_one_answer(corpus):
    same = [
        entry["id"]
        for entry in corpus.contrast["pairs"]
        if all(labels_of(entry["a"], task.name) == labels_of(entry["b"], task.name) for task in corpus.taxonomy)
    ]
    assert same == []


def test_pairs_turn_every_task_and_show_every_label(corpus):
    sides = [(entry["a"], entry["b"]) for entry in corpus.contrast["pairs"]]
    for task in corpus.taxonomy:
        assert sum(labels_of(a, task.name) != labels_of(b, task.name) for a, b in sides) >= 30, task.name
        assert set().union(*(labels_of(side, task.name) for pair in sides for side in pair)) == set(task.names)


def test_each_script_is_what_its_column_says(corpus):
    for entry in corpus.contrast["scripts_fa"]:
        assert not any("\u0600" <= character <= "\u06ff" for character in entry["latin"]), entry["id"]
        assert any("\u0600" <= character <= "\u06ff" for character in entry["persian"]), entry["id"]


def test_no_contrast_text_is_in_the_corpus_or_near_to_one_of_it(corpus, groups):
    of_rows, of_contrast = groups
    shared = set(of_rows) & set(of_contrast)
    assert [text for text, group in zip(corpus.contrast_texts(), of_contrast, strict=True) if group in shared] == []


# The card


def test_the_card_and_its_pictures_are_up_to_date():
    assert [path.name for path in outdated()] == []


def test_the_card_says_how_the_corpus_was_made():
    card = " ".join((CORPUS / "README.md").read_text("utf-8").replace("**", "").split())
    for words in ("composed by a language model", "collected from nobody", "not between people", "CC BY 4.0"):
        assert words in card
    for picture in Path(CORPUS / "pictures").glob("*.png"):
        assert f"](pictures/{picture.name})" in card
        assert picture.stat().st_size < 60_000


def labels_of(entry, task):
    given = entry[task]
    return {given} if isinstance(given, str) else set(given)


def faults(entry, taxonomy):
    """What is wrong with the labels of an entry that must answer every task."""
    found = []
    for task in taxonomy:
        given = entry.get(task.name)
        names = [given] if isinstance(given, str) else list(given or ())
        if not names or len(set(names)) < len(names) or not set(names) <= set(task.names):
            found.append(f"{task.name} {names}")
        if len(names) > 1 and (task.single or any(label.exclusive and label.name in names for label in task.labels)):
            found.append(f"{task.name} {names}")
    return found
