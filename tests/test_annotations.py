"""Overlays: our labels find their texts in the user's copy of a set, and hold no text themselves."""

from __future__ import annotations

import hashlib
import json

import pyarrow
import pyarrow.parquet
import pytest

from data.annotations import Annotation, annotate, annotate_all, read_overlay
from data.errors import DataError
from data.importer import IMPORTER_VERSION
from data.rows import read_rows
from data.taxonomy import Taxonomy

LATE = {
    "zh": "等了一个半小时，面都坨了",
    "en": "an hour and a half, noodles one lump",
    "fa": "یک ساعت و نیم طول کشید، غذا یخ کرده بود",
}
SOURCES = """
[sources.noodles]
title = "Reviews of noodles"
language = "{language}"
origin = "owner/noodles"
licence = "ok"
licence_note = "MIT."
files = ["train"]
test_files = ["test"]
{more}

[sources.noodles.tasks.sentiment]
field = "stars"
known = ["positive", "negative"]
values = {{ "1..2" = "negative", "3.." = "positive" }}
"""


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()


def annotation(text, /, **changes):
    return {
        "sha256": digest(text),
        "importer": IMPORTER_VERSION,
        "sentiment": "negative",
        "tone": "frustrated",
        "category": ["product_quality", "delivery"],
        "agreed": True,
        "sure": True,
        **changes,
    }


@pytest.fixture
def overlay(tmp_path):
    """A function that writes the overlay of the set and returns its path."""

    def overlay(*entries):
        path = tmp_path / "annotations" / "noodles.jsonl"
        path.parent.mkdir(exist_ok=True)
        lines = [entry if isinstance(entry, str) else json.dumps(entry, ensure_ascii=False) for entry in entries]
        path.write_text("\n".join(lines) + "\n", "utf-8")
        return path

    return overlay


@pytest.fixture
def join(tmp_path, taxonomy, overlay):
    """A function that writes set and overlay, joins them, and returns rows and report."""

    def join(entries, language="en", more="", origin=None, **splits):
        (tmp_path / "sources.toml").write_text(SOURCES.format(language=language, more=more), "utf-8")
        folder = tmp_path / "set"
        folder.mkdir(exist_ok=True)
        for name, records in splits.items():
            table = pyarrow.Table.from_pylist([{"stars": 1, **record} for record in records])
            pyarrow.parquet.write_table(table, folder / f"{name}.parquet")
        output = tmp_path / "rows.jsonl"
        report = annotate(
            "noodles",
            origin or folder,
            output,
            taxonomy,
            overlays=overlay(*entries).parent,
            sources=tmp_path / "sources.toml",
        )
        return list(read_rows(output, taxonomy)), report

    return join


@pytest.mark.parametrize("language", LATE)
def test_a_text_of_the_set_gets_our_labels_for_all_tasks(join, language):
    text = LATE[language]
    (row,), report = join([annotation(text)], language, train=[{"text": text}, {"text": "x"}])
    assert row.text == text
    assert row.labels == {"sentiment": ("negative",), "tone": ("frustrated",), "category": ("product_quality", "delivery")}
    assert row.id == f"annotated_noodles-{digest(text)[:12]}"
    assert (row.source, row.language, row.split, row.extra) == ("annotated_noodles", language, None, {"sure": True})
    assert (report.annotations, report.matched, report.unmatched, report.unsure) == (1, 1, 0, 0)


def test_every_split_of_the_set_is_looked_through(join):
    entries = [annotation(text) for text in LATE.values()]
    rows, report = join(entries, train=[{"text": LATE["zh"]}], test=[{"text": LATE["en"]}], leftover=[{"text": LATE["fa"]}])
    assert {row.text for row in rows} == set(LATE.values())
    assert report.matched == 3


def test_the_report_counts_what_did_not_match_and_what_is_unsure(join):
    entries = [annotation("soup cold", sure=False, agreed=False), annotation("not in this copy"), annotation("soup fine")]
    rows, report = join(entries, train=[{"text": "soup cold"}, {"text": "soup fine"}])
    assert [row.extra["sure"] for row in rows] == [False, True]
    assert "3 annotations, 2 joined" in report.to_text()
    assert "1 did not match" in report.to_text()
    assert "1 of those written are marked unsure" in report.to_text()


def test_a_text_that_the_set_has_twice_gives_one_row(join):
    rows, report = join(
        [annotation("soup cold")], train=[{"text": "soup cold"}, {"text": "soup cold"}], test=[{"text": "soup cold"}]
    )
    assert len(rows) == report.matched == 1


def test_one_sign_less_is_another_text(join):
    with pytest.raises(DataError, match="none of the 1 annotated texts of noodles is in it"):
        join([annotation("soup cold.")], train=[{"text": "soup cold"}])


def test_a_text_is_altered_as_its_import_alters_it_and_found_by_what_stood_there(join):
    original = "the soup did n't taste ."
    (row,), _ = join([annotation(original)], more='alter = ["detokenise"]', train=[{"text": original}])
    assert row.text == "the soup didn't taste."
    assert row.extra["original"] == original
    assert row.id.endswith(digest(original)[:12])


@pytest.mark.parametrize("annotated", ["Never again\ncold soup", "cold soup"], ids=["joined as imported", "one column"])
def test_of_several_columns_the_joined_text_is_found_and_each_alone(join, annotated):
    record = {"title": "Never again", "text": "cold soup"}
    (row,), _ = join([annotation(annotated)], more='text = ["title", "text"]', train=[record])
    assert row.text == annotated


def test_a_missing_title_leaves_the_text_alone(join):
    (row,), _ = join([annotation("cold soup")], more='text = ["title", "text"]', train=[{"title": None, "text": "cold soup"}])
    assert row.text == "cold soup"


def test_a_task_that_an_annotation_leaves_out_is_unknown(join):
    entry = annotation("soup cold", tone=None)
    del entry["category"]
    (row,), _ = join([entry], train=[{"text": "soup cold"}])
    assert row.labels == {"sentiment": ("negative",)}


def test_a_missing_folder_is_named(join, tmp_path):
    with pytest.raises(DataError, match="no such file or folder"):
        join([annotation("soup cold")], origin=tmp_path / "nowhere")


def test_nothing_is_written_when_nothing_matches(join, tmp_path):
    with pytest.raises(DataError, match="none of the 1"):
        join([annotation("soup cold")], train=[{"text": "rice"}])
    assert not (tmp_path / "rows.jsonl").exists()


def test_a_set_without_annotations_is_answered_with_those_that_have_some(overlay, taxonomy):
    path = overlay(annotation("soup cold"))
    with pytest.raises(DataError, match=r"no annotations for this set\. Annotated sets: noodles"):
        read_overlay(path.with_name("rice.jsonl"), taxonomy)


def test_readings_are_kept_as_they_were_given(overlay, taxonomy):
    readings = [
        {"sentiment": "negative", "tone": "calm", "category": ["delivery"]},
        {"sentiment": "negative", "tone": "frustrated", "category": ["product_quality", "delivery"]},
    ]
    (found,) = read_overlay(overlay(annotation("soup cold", agreed=False, readings=readings)), taxonomy)
    assert isinstance(found, Annotation)
    assert found.agreed is False
    assert [reading["tone"] for reading in found.readings] == [("calm",), ("frustrated",)]
    assert found.readings[1]["category"] == ("product_quality", "delivery")


def test_one_reading_alone_neither_agrees_nor_disagrees(overlay, taxonomy):
    (found,) = read_overlay(overlay(annotation("soup cold", agreed=None)), taxonomy)
    assert found.agreed is None
    assert found.readings == ()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tone": "frustated"}, r"tone 'frustated' is not in the taxonomy \(nearest: 'frustrated'\)"),
        ({"category": ["general", "price"]}, "category 'general' stands alone"),
        ({"category": []}, "category has 0 labels"),
        ({"sentiment": ["positive", "negative"]}, "sentiment has 2 labels"),
        ({"importer": IMPORTER_VERSION + 1}, f"made with importer {IMPORTER_VERSION + 1}, this is {IMPORTER_VERSION}"),
        ({"sha256": "abc"}, "sha256 is not 64 hexadecimal digits"),
        ({"sure": None}, "sure is neither true nor false"),
        ({"agreed": "yes"}, "agreed is neither true, false nor null"),
        ({"readings": ["calm"]}, "readings is not a list of objects"),
        ({"readings": [{"tone": "livid"}]}, "tone 'livid' is not in the taxonomy"),
        ({"text": "soup cold"}, "holds a text"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_wrong_line_is_named_with_its_fault(overlay, taxonomy, changes, message):
    path = overlay(annotation("rice"), annotation("soup cold", **changes))
    with pytest.raises(DataError, match=rf"noodles\.jsonl:2: {message}"):
        read_overlay(path, taxonomy)


def test_all_faults_of_an_overlay_are_told_at_once(overlay, taxonomy):
    path = overlay(annotation("a", tone="livid"), "{not json", annotation("b"), annotation("b"))
    with pytest.raises(DataError, match=r"(?s):1: tone 'livid'.*:2: not JSON.*:4: the same text is annotated twice"):
        read_overlay(path, taxonomy)


def test_all_annotated_sets_under_a_folder_are_joined_into_one_file(tmp_path):
    text = "اپ خیلی خوبه ولی دیر باز میشه"
    entry = {
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
        "importer": 1,
        "sentiment": "positive",
        "agreed": None,
        "sure": True,
    }
    overlays = tmp_path / "overlays"
    overlays.mkdir()
    (overlays / "senti_persian.jsonl").write_text(json.dumps({**entry, "readings": [{"sentiment": "positive"}]}) + "\n", "utf-8")
    folder = tmp_path / "sets" / "fa" / "senti-persian"
    folder.mkdir(parents=True)
    (folder / "all.jsonl").write_text(json.dumps({"text": text, "label": 1}) + "\n", "utf-8")
    taxonomy = Taxonomy.read()
    [report] = annotate_all(tmp_path / "sets", tmp_path / "rows.jsonl", taxonomy, overlays=overlays)
    assert (report.source, report.matched, report.unmatched) == ("senti_persian", 1, 0)
    [row] = read_rows(tmp_path / "rows.jsonl", taxonomy)
    assert (row.text, row.labels, row.source) == (text, {"sentiment": ("positive",)}, "annotated_senti_persian")
    with pytest.raises(DataError, match="no folder of an annotated set is under it"):
        annotate_all(overlays, tmp_path / "none.jsonl", taxonomy, overlays=overlays)
