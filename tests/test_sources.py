"""The file of sources: every fault is named, every label is one of the taxonomy."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from data.errors import DataError
from data.sources import Source, read_sources
from data.taxonomy import Taxonomy

TINY = """
[sources.tiny]
title = "Tiny"
language = "fa"
origin = "owner/name"
licence = "ok"
licence_note = "MIT."
files = ["all"]

[sources.tiny.tasks.sentiment]
field = "label"
known = ["positive", "negative"]
values = { good = "positive", bad = "negative", "*" = {} }
"""


@pytest.fixture
def write(tmp_path):
    def write(text):
        path = tmp_path / "sources.toml"
        path.write_text(text, "utf-8")
        return path

    return write


@pytest.mark.parametrize("name", read_sources())
def test_every_source_fits_the_taxonomy(name, taxonomy):
    assert read_sources()[name].faults(taxonomy) == []


def test_the_sources_cover_three_languages_and_every_task(taxonomy):
    sources = read_sources().values()
    assert len(sources) >= 18
    for language in ("zh", "en", "fa"):
        covered = {task for source in sources if source.language == language for task in source.tasks}
        assert covered == set(taxonomy.task_names)


def test_every_source_says_where_it_is_from_and_under_which_licence():
    for source in read_sources().values():
        assert source.origin, source.name
        assert source.commit, source.name
        assert source.licence in ("ok", "silent", "nc"), source.name
        assert source.licence_note.endswith("."), source.name


def test_the_page_on_sources_lists_every_one_and_its_example_is_right(write, taxonomy):
    page = (Path(__file__).parents[1] / "docs" / "sources.md").read_text("utf-8")
    for name in read_sources():
        assert page.count(f"| `{name}` |") == 2, name
    example = read_sources(write(page.split("```toml\n")[1].split("```")[0]))
    assert [source.faults(taxonomy) for source in example.values()] == [[]]


def test_a_source_is_read_with_everything_that_the_file_says(write):
    source = Source.read("tiny", write(TINY))
    assert (source.name, source.language, source.files, source.text) == ("tiny", "fa", ("all",), ("text",))
    assert source.tasks == ("sentiment",)
    assert source.rules[0].known == ("positive", "negative")
    assert source.rules[0].meaning("good").labels == ("positive",)
    assert source.rules[0].meaning("whatever").silent


def test_sources_cannot_be_changed():
    with pytest.raises(AttributeError):
        Source.read("waimai_10k").language = "en"


@pytest.mark.parametrize(
    ("name", "nearest"), [("waimai", "waimai_10k"), ("snapfood", "snappfood"), ("pan-app-reviews", "pan_app_reviews")]
)
def test_an_unknown_name_is_answered_with_the_nearest(name, nearest):
    with pytest.raises(DataError, match=f"no source '{name}' \\(nearest: '{nearest}'\\)"):
        Source.read(name)


def test_all_faults_are_named_at_once(write):
    text = TINY.replace('licence = "ok"', 'licence = "free"\nlisence = "ok"\nalter = ["detokenize"]').replace(
        'known = ["positive", "negative"]', 'known = ["positive"]\nfields = "label"'
    )
    with pytest.raises(DataError) as error:
        read_sources(write(text))
    for part in (
        "source 'tiny': unknown key 'lisence' (nearest: 'licence')",
        "source 'tiny': licence is 'free'; write one of ok, silent, nc",
        "source 'tiny': no alteration 'detokenize'",
        "source 'tiny', task 'sentiment': unknown key 'fields' (nearest: 'field')",
        "source 'tiny', task 'sentiment': value 'bad' gives negative, which known does not list",
    ):
        assert part in str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('title = "Tiny"', "", "'title' is missing; write a text"),
        ('files = ["all"]', "", "has no files"),
        ('files = ["all"]', 'files = ["all"]\ntest_files = ["all"]', "files stand twice: all"),
        ('files = ["all"]', 'files = ["all"]\nfilters = [{ reason = "old" }]', "filter 1: write either keep or drop"),
        ('files = ["all"]', 'files = ["all"]\nfilters = [{ drop = { a = "1" } }]', "'reason' is missing"),
        ('files = ["all"]', 'files = ["all"]\nweak = "yes"', "'weak' is 'yes'; write true or false"),
        ('field = "label"', "", "'field' is missing; name the column"),
        ('good = "positive"', "good = 5", "value 'good': write it as a table, not 5"),
        ('good = "positive"', 'good = { labels = "positive" }', "unknown key 'labels' (nearest: 'label')"),
        ('good = "positive"', 'good = { label = "positive", one_of = ["negative"] }', "write either label or one_of"),
        ("[sources.tiny]", "[sources.Tiny-1]", "use small letters, digits and underscores"),
        ("[sources.tiny]", "[source.tiny]", "unknown key"),
    ],
)
def test_a_fault_is_named(write, old, new, message):
    with pytest.raises(DataError, match=re.escape(message)):
        read_sources(write(TINY.replace(old, new)))


@pytest.mark.parametrize(
    ("content", "message"),
    [("[sources", "not a TOML file in UTF-8"), ("", "no sources. Write at least one")],
    ids=["broken", "empty"],
)
def test_a_file_that_is_no_file_of_sources_is_refused(write, content, message):
    with pytest.raises(DataError, match=message):
        read_sources(write(content))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"nowhere\.toml: no such file"):
        read_sources(tmp_path / "nowhere.toml")


def test_a_label_that_the_taxonomy_lacks_is_named_with_the_nearest(write):
    other = Taxonomy.from_dict({"tasks": {"sentiment": {"kind": "single", "labels": [{"name": "positiv"}, {"name": "schlecht"}]}}})
    faults = Source.read("tiny", write(TINY)).faults(other)
    assert "sentiment 'positive' is not in the taxonomy (nearest: 'positiv')" in faults


def test_a_task_that_the_taxonomy_lacks_is_named(write, taxonomy):
    source = Source.read("tiny", write(TINY.replace("tasks.sentiment", "tasks.mood")))
    assert source.faults(taxonomy) == ["task 'mood' is not in the taxonomy (tasks: sentiment, tone, category)"]
    assert source.faults(taxonomy, tasks=("sentiment",)) == []


def test_a_task_with_one_label_takes_no_list(write, taxonomy):
    source = Source.read("tiny", write(TINY.replace('good = "positive"', 'good = ["positive", "negative"]')))
    assert source.faults(taxonomy) == ["sentiment: value 'good' gives 2 labels, the task takes exactly one"]
