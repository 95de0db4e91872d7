"""The sheet to correct goes out, and what a person reviewed comes back as rows."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from data.errors import DataError
from data.review import import_sheet, write_sheet
from data.rows import read_rows
from data.taxonomy import Taxonomy

TAXONOMY = Taxonomy.read()
TASKS = TAXONOMY.task_names


def sheet(tmp_path: Path, *rows: dict) -> Path:
    path = tmp_path / "sheet.csv"
    write_sheet(path, rows, TASKS)
    return path


def correct(path: Path, change) -> None:
    """As a person does it in a spreadsheet: change cells, save."""
    with path.open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(stream))
    for row in rows:
        change(row)
    with path.open("w", encoding="utf-8-sig", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def test_only_reviewed_rows_come_back_with_the_persons_labels(tmp_path):
    path = sheet(
        tmp_path,
        {
            "id": "1",
            "text": "پیک دیر رسید",
            "language": "fa",
            "sentiment": "positive",
            "tone": "calm",
            "category": ["delivery", "price"],
        },
        {"id": "2", "text": "快递太慢", "language": "zh", "sentiment": "negative", "tone": "angry", "category": ["delivery"]},
        {"id": "3", "text": "meh", "language": "en", "sentiment": "neutral", "tone": "calm", "category": ["general"]},
    )

    def change(row):
        if row["id"] == "1":
            row.update(reviewed="بله", sentiment=" negative ", category="delivery", tone="")
        if row["id"] == "3":
            row.update(reviewed="no")

    correct(path, change)
    report = import_sheet(path, tmp_path / "rows.jsonl", TAXONOMY)
    (row,) = read_rows(tmp_path / "rows.jsonl", TAXONOMY)
    assert (row.text, row.language, row.id, row.source) == ("پیک دیر رسید", "fa", "1", "review")
    assert row.labels == {"sentiment": ("negative",), "category": ("delivery",)}, "an emptied cell is unknown"
    assert (report.read, report.written, report.open) == (3, 1, 2)


@pytest.mark.parametrize("text", ["=1+1", "+98 912", "-5", "@name", "'quoted", "'=x", "''", "\ttab", "很好", "plain"])
def test_a_text_that_a_spreadsheet_would_run_is_shown_and_comes_back_as_it_was(tmp_path, text):
    path = sheet(tmp_path, {"text": text, "sentiment": "neutral"})
    with path.open(encoding="utf-8-sig", newline="") as stream:
        assert next(csv.DictReader(stream))["text"][0] not in "=+-@\t\r"
    correct(path, lambda row: row.update(reviewed="x"))
    import_sheet(path, tmp_path / "rows.jsonl", TAXONOMY)
    assert next(read_rows(tmp_path / "rows.jsonl", TAXONOMY)).text == text


def test_faults_of_the_person_are_named_by_line_and_nothing_is_written(tmp_path):
    path = sheet(tmp_path, {"text": "a", "sentiment": "neutral"}, {"text": "b", "sentiment": "neutral"})
    correct(path, lambda row: row.update(reviewed="1", sentiment="negativ"))
    with pytest.raises(DataError, match=r"sheet\.csv:2: sentiment 'negativ' is not in .*nearest: 'negative'.* Same fault in row 3"):
        import_sheet(path, tmp_path / "rows.jsonl", TAXONOMY)
    assert not (tmp_path / "rows.jsonl").exists()


def test_a_sheet_that_nobody_touched_is_told(tmp_path):
    path = sheet(tmp_path, {"text": "a", "sentiment": "neutral"})
    with pytest.raises(DataError, match=r"no row is reviewed\. Write `yes` into the column 'reviewed'"):
        import_sheet(path, tmp_path / "rows.jsonl", TAXONOMY)


def test_another_file_is_no_sheet(tmp_path):
    (tmp_path / "a.csv").write_text("id,sentiment\n1,neutral\n", "utf-8")
    with pytest.raises(DataError, match=r"a\.csv: lacks 'reviewed' and 'text': not a sheet"):
        import_sheet(tmp_path / "a.csv", tmp_path / "rows.jsonl", TAXONOMY)
    (tmp_path / "b.csv").write_text("reviewed,text,mood\nyes,a,good\n", "utf-8")
    with pytest.raises(DataError, match="none of the taxonomy's tasks is a column"):
        import_sheet(tmp_path / "b.csv", tmp_path / "rows.jsonl", TAXONOMY)
