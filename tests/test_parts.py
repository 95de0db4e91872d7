"""Which rows train: by licence, by source, by count."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from data.errors import ConfigError
from data.rows import Row, write_rows
from data.taxonomy import DEFAULT_TAXONOMY, Taxonomy
from training.config import TrainingConfig
from training.parts import read_parts, source_licence

TAXONOMY = Taxonomy.read(DEFAULT_TAXONOMY)
SOURCES = {"snappfood": "silent", "armanemo": "nc", "goemotions": "ok", "annotated_armanemo": "nc", "corpus": "ok", "ours": None}
ROWS = [
    Row(text=text, labels={"sentiment": ("positive",)}, source=source, split=split)
    for source in SOURCES
    for split in ("train", "validation", "test")
    for text in (f"{source} 很好 {split} {'甲乙丙'[i]}{'子丑寅'[i]}" for i in range(3))
]


def parts(tmp_path: Path, **settings: Any) -> dict[str, list[Row]]:
    write_rows(tmp_path / "rows.jsonl", ROWS, TAXONOMY)
    return read_parts(TrainingConfig(rows=(str(tmp_path / "rows.jsonl"),), output=str(tmp_path / "m"), **settings), TAXONOMY)


def sources(rows: list[Row]) -> set[str]:
    return {row.source or "" for row in rows}


@pytest.mark.parametrize(("source", "licence"), SOURCES.items())
def test_the_licence_of_a_source_is_that_of_the_public_set_also_under_our_labels(source: str, licence: str | None):
    assert source_licence(source) == licence


def test_without_licences_every_source_trains(tmp_path: Path):
    assert sources(parts(tmp_path)["train"]) == set(SOURCES)


@pytest.mark.parametrize(
    ("licences", "kept"),
    [(("ok",), {"goemotions", "corpus", "ours"}), (("ok", "silent"), {"goemotions", "corpus", "ours", "snappfood"})],
)
def test_licences_choose_what_trains_and_calibrates_but_not_what_is_measured(
    tmp_path: Path, licences: tuple[str, ...], kept: set[str], caplog: pytest.LogCaptureFixture
):
    with caplog.at_level(logging.INFO):
        found = parts(tmp_path, licences=licences)
    assert sources(found["train"]) == kept
    assert sources(found["validation"]) == kept
    assert sources(found["test"]) == set(SOURCES)
    assert "Not trained on, by their licences: annotated_armanemo, armanemo" in caplog.text


def test_an_unknown_licence_is_refused():
    with pytest.raises(ConfigError, match="licences has 'free'; known: ok, silent, nc"):
        TrainingConfig(rows=("a.csv",), output="m", licences=("free",))


def test_source_rows_limit_single_sources_and_leave_others_to_rows_per_source(tmp_path: Path):
    train = parts(tmp_path, rows_per_source=2, source_rows={"snappfood": 1, "goemotions": 0, "corpus": 3})["train"]
    counts = {name: sum(row.source == name for row in train) for name in SOURCES}
    assert counts == {"snappfood": 1, "goemotions": 0, "corpus": 3, "armanemo": 2, "annotated_armanemo": 2, "ours": 2}


def test_source_rows_take_patterns_and_the_first_that_fits_counts(tmp_path: Path):
    train = parts(tmp_path, rows_per_source=1, source_rows={"annotated_armanemo": 2, "annotated_*": 0, "*emo*": 3})["train"]
    counts = {name: sum(row.source == name for row in train) for name in SOURCES}
    assert counts == {"snappfood": 1, "goemotions": 3, "corpus": 1, "armanemo": 3, "annotated_armanemo": 2, "ours": 1}


def test_validation_sources_choose_what_validates(tmp_path: Path):
    found = parts(tmp_path, validation_sources=("corpus", "annotated_*"))
    assert sources(found["validation"]) == {"corpus", "annotated_armanemo"}
    assert sources(found["train"]) == sources(found["test"]) == set(SOURCES)


def test_source_rows_of_a_source_that_is_not_there_is_an_error(tmp_path: Path):
    with pytest.raises(ConfigError, match="source_rows names snapfood; the training rows come from annotated_armanemo, armanemo"):
        parts(tmp_path, source_rows={"snapfood": 1})


def test_source_rows_must_be_whole_numbers():
    with pytest.raises(ConfigError, match=r"source_rows is .*; write a table of names and whole numbers"):
        TrainingConfig(rows=("a.csv",), output="m", source_rows={"snappfood": -1})


def test_languages_choose_what_trains_and_calibrates_but_not_what_is_measured(tmp_path: Path):
    rows = [
        Row(text=f"{language} {split} {word}", language=language, labels={"sentiment": ("positive",)}, source="ours", split=split)
        for language in ("zh-Hant", "en", "fa")
        for split in ("train", "validation", "test")
        for word in ("一二三", "four five", "شش هفت")
    ]
    write_rows(tmp_path / "rows.jsonl", rows, TAXONOMY)
    config = TrainingConfig(rows=(str(tmp_path / "rows.jsonl"),), output=str(tmp_path / "m"), languages=("zh", "en"))
    found = read_parts(config, TAXONOMY)
    languages = {name: {row.primary_language for row in part} for name, part in found.items()}
    assert languages == {"train": {"zh", "en"}, "validation": {"zh", "en"}, "test": {"zh", "en", "fa"}}
