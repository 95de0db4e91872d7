"""Spreadsheets in and out: types stay, nothing is run as a formula, and what a cell cannot hold is told."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook, load_workbook
from test_archive import read_csv, read_lines, write_csv

from data.errors import DataError
from data.table_writer import TableWriter, is_formula
from data.tables import BadRecord, Record, open_table
from serving.archive import label
from serving.classifier import FeedbackClassifier


def book(path: Path, **sheets: list[list[Any]]) -> Path:
    workbook = Workbook()
    workbook.remove(workbook.active)  # type: ignore[arg-type]  # a new book has a sheet
    for name, rows in sheets.items():
        sheet = workbook.create_sheet(name)
        for row in rows:
            sheet.append(row)
    workbook.save(path)
    return path


def cells(path: Path) -> list[list[tuple[str, Any]]]:
    sheet = load_workbook(path).active
    assert sheet is not None
    return [[(cell.data_type, cell.value) for cell in row] for row in sheet.iter_rows()]


@pytest.mark.parametrize("shard_rows", [1, 10_000])
def test_every_kind_of_cell_goes_through_labelling(tmp_path: Path, classifier: FeedbackClassifier, shard_rows: int) -> None:
    rows = [
        ["编号", "内容", "at", "day", "hour", "took", "sum", "ok", "blank"],
        [1, "快递太差", datetime(2024, 1, 2, 3, 4, 5), date(2024, 5, 6), time(7, 8), timedelta(hours=30), 1.5, True, None],
        [2, "great", None, None, None, None, -3, False, None],
        [3, 5, None, None, None, None, None, None, None],
    ]
    book(tmp_path / "in.xlsx", نظرات=rows)
    report = label(tmp_path / "in.xlsx", tmp_path / "out.xlsx", classifier, shard_rows=shard_rows)
    assert (report.rows, report.text_column) == (3, "内容")
    before, after = cells(tmp_path / "in.xlsx"), cells(tmp_path / "out.xlsx")
    width = len(rows[0])
    assert [row[:width] for row in after] == before
    assert [value for _, value in after[0][width : width + 3]] == ["language", "sentiment", "sentiment_probability"]
    assert [kind for kind, _ in after[1][width : width + 3]] == ["s", "s", "n"]


def test_text_that_looks_like_a_formula_stays_text_in_a_sheet(tmp_path: Path, classifier: FeedbackClassifier) -> None:
    texts = ["=1+1 great", "+1 for the phone", "-好", "@cmd", '=HYPERLINK("http://x")']
    write_csv(tmp_path / "in.csv", [["text"], *([text] for text in texts)])
    label(tmp_path / "in.csv", tmp_path / "out.xlsx", classifier)
    assert [row[0] for row in cells(tmp_path / "out.xlsx")[1:]] == [("s", text) for text in texts]
    label(tmp_path / "in.csv", tmp_path / "bare.xlsx", classifier, guard=False)
    assert cells(tmp_path / "bare.xlsx")[1][0] == ("f", "=1+1 great")


def test_what_a_cell_cannot_hold_is_text_or_a_reject(tmp_path: Path, model_path: Path) -> None:
    from tiny_model import make_tiny_model

    path = tmp_path / "in.jsonl"
    rows = [{"text": "great", "n": 12345678901234567, "tags": ["a"], "c": "a\x0bb"}, {"text": "好" * 32_768}]
    with TableWriter(path) as writer:
        for row in rows:
            writer.write(row)
    report = label(path, tmp_path / "out.xlsx", make_tiny_model(tmp_path / "model", max_characters=50_000))
    (values,) = [record.values for record in open_table(tmp_path / "out.xlsx").records() if isinstance(record, Record)]
    assert (values["n"], values["tags"], values["c"]) == ("12345678901234567", '["a"]', "a\x0bb")
    assert report.rejects is not None
    (reject,) = read_lines(report.rejects)
    assert (reject["line"], reject["code"]) == (2, "unwritable")
    assert "a cell of a spreadsheet holds 32,767" in reject["reason"]


def test_line_ends_and_control_characters_are_written_as_excel_writes_them(tmp_path: Path) -> None:
    text = "一\r\n二\x0b _x000D_ _x0041_ _X0041_"
    with TableWriter(tmp_path / "a.xlsx", ["text\r"]) as writer:
        writer.write({"text\r": text})
    written = "一_x000D_\n二_x000B_ _x005F_x000D_ _x005F_x0041_ _X0041_"
    assert cells(tmp_path / "a.xlsx") == [[("s", "text_x000D_")], [("s", written)]]
    assert list(open_table(tmp_path / "a.xlsx").records()) == [Record({"text\r": text}, 2)]


def test_text_that_outgrows_a_cell_only_as_it_is_written_is_refused_and_never_cut(tmp_path: Path) -> None:
    with TableWriter(tmp_path / "a.xlsx", ["text"]) as writer:
        writer.write({"text": "\r" * 4_681})
        with pytest.raises(DataError, match=r"row 2: .* 32,774 characters as written; .* holds 32,767"):
            writer.write({"text": "\r" * 4_682})


def test_times_with_a_zone_are_written_as_text(tmp_path: Path) -> None:
    with TableWriter(tmp_path / "a.xlsx", ["at"]) as writer:
        writer.write({"at": datetime(2024, 1, 2, tzinfo=UTC)})
    assert cells(tmp_path / "a.xlsx")[1] == [("s", "2024-01-02T00:00:00+00:00")]


def test_more_rows_than_a_sheet_has_are_refused_before_anything_is_labelled(
    tmp_path: Path, classifier: FeedbackClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.shards.MAX_ROWS", 3)
    write_csv(tmp_path / "in.csv", [["text"], *(["great"] for _ in range(4))])
    with pytest.raises(DataError, match=r"4 rows, and a spreadsheet holds 3\. Write CSV or Parquet"):
        label(tmp_path / "in.csv", tmp_path / "out.xlsx", classifier)
    assert [file.name for file in tmp_path.iterdir()] == ["in.csv"]


@pytest.mark.parametrize(
    ("sheets", "said"),
    [
        ({"A": [["text"], ["great"]], "B": [["text"], ["bad"]]}, "several sheets have rows. Name one with --sheet. Sheets: A, B"),
        ({"A": []}, "the file is empty, it has no rows"),
        ({"A": [["text", "text"], ["a", "b"]]}, "columns stand twice in the header: 'text'"),
    ],
)
def test_a_sheet_that_cannot_be_told_is_asked_for(tmp_path: Path, sheets: dict[str, list[list[Any]]], said: str) -> None:
    with pytest.raises(DataError, match=said):
        open_table(book(tmp_path / "in.xlsx", **sheets))


def test_a_sheet_is_read_under_its_first_row_that_is_not_empty(tmp_path: Path) -> None:
    rows: list[list[Any]] = [[], ["id", None, "text"], [1, "x", "great"], [], [2], [3, None, "bad", None, "outside"]]
    path = book(tmp_path / "in.xlsx", A=[["other"]], B=rows, C=[])
    table = open_table(path, sheet="B")
    assert table.columns == ("id", "column_2", "text")
    assert list(table.records()) == [
        Record({"id": 1, "column_2": "x", "text": "great"}, 3),
        Record({"id": 2, "column_2": None, "text": None}, 5),
        BadRecord(6, None, "has cells right of the last column of the header ('text')"),
    ]
    with pytest.raises(DataError, match=r"no sheet 'D'\. Sheets: A, B, C"):
        open_table(path, sheet="D")


def test_a_cut_spreadsheet_is_refused(tmp_path: Path) -> None:
    path = book(tmp_path / "in.xlsx", A=[["text"], *([f"row {n}"] for n in range(500))])
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(DataError, match=r"in\.xlsx: not a spreadsheet \(\.xlsx\), or cut off"):
        open_table(path)


# CSV that is opened in a spreadsheet ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "cell", ["=1+1", "+1 for this", "-好", "@x", "＝1", "\t=1", "\r1", " =1", "\u200f=1", "\ufeff=1", "+98 912 1"]
)
def test_a_cell_that_would_be_run_is_known(cell: str) -> None:
    assert is_formula(cell)


@pytest.mark.parametrize("cell", ["", "5", "-5", "+989121234567", "-1,234.5", "1e-5", "+5%", "好=坏", "a@b", "'=1", "۵-"])
def test_numbers_and_ordinary_text_are_left_alone(cell: str) -> None:
    assert not is_formula(cell)


def test_csv_is_guarded_in_every_column_and_header_unless_told_not_to(tmp_path: Path, classifier: FeedbackClassifier) -> None:
    write_csv(tmp_path / "in.csv", [["text", "=note"], ["=great", "-5"], ["عالی", "+x"]])
    label(tmp_path / "in.csv", tmp_path / "out.csv", classifier, shard_rows=1)
    rows = read_csv(tmp_path / "out.csv")
    assert [(row["text"], row["'=note"]) for row in rows] == [("'=great", "-5"), ("عالی", "'+x")]
    label(tmp_path / "in.csv", tmp_path / "bare.csv", classifier, shard_rows=1, guard=False)
    assert [(row["text"], row["=note"]) for row in read_csv(tmp_path / "bare.csv")] == [("=great", "-5"), ("عالی", "+x")]


def test_a_mark_for_excel_stands_once_at_the_beginning(tmp_path: Path, classifier: FeedbackClassifier) -> None:
    write_csv(tmp_path / "in.csv", [["متن"], ["عالی"], ["很好"], ["great"]])
    label(tmp_path / "in.csv", tmp_path / "out.csv", classifier, shard_rows=1, excel=True)
    content = (tmp_path / "out.csv").read_bytes()
    assert content.startswith(b"\xef\xbb\xbf" + "متن,language".encode())
    assert content.count(b"\xef\xbb\xbf") == 1
    assert content.count("متن".encode()) == 1
