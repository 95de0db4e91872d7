"""Files of records: every kind read as it is, every fault named."""

from __future__ import annotations

import codecs
import gzip
from pathlib import Path

import pytest
from messages import MESSAGES, values

from data.errors import DataError
from data.table_writer import TableWriter
from data.tables import READ_BATCH_ROWS, BadRecord, Record, open_table


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("language", MESSAGES)
def test_the_separator_is_found(tmp_path: Path, delimiter: str, language: str) -> None:
    path = tmp_path / "messages.csv"
    rows = [{"id": str(n), "text": text + ", ; | \t", "note": ""} for n, text in enumerate(MESSAGES[language])]
    with TableWriter(path, ["id", "text", "note"], delimiter=delimiter) as writer:
        for row in rows:
            writer.write(row)
    table = open_table(path)
    assert (table.delimiter, table.columns) == (delimiter, ("id", "text", "note"))
    assert values(path) == rows


def test_a_single_column_needs_no_separator(tmp_path: Path) -> None:
    path = tmp_path / "messages.csv"
    path.write_text('text\n"好，很好; 真的"\nعالی\n', "utf-8")
    assert [value["text"] for value in values(path)] == ["好，很好; 真的", "عالی"]


@pytest.mark.parametrize("content", [b"id,text", b"id,text\r\n", b"\n\nid,text\n\n", codecs.BOM_UTF8 + b"id,text\n"])
def test_a_header_without_rows_is_a_table_of_no_records(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "messages.csv"
    path.write_bytes(content)
    table = open_table(path)
    assert table.columns == ("id", "text")
    assert list(table.records()) == []


def test_line_numbers_count_the_lines_inside_fields(tmp_path: Path) -> None:
    path = tmp_path / "messages.csv"
    path.write_bytes(b'id,text\r\n1,"first\r\nsecond ""quoted"""\r\n\r\n2,third\r\n')
    records = list(open_table(path).records())
    assert records == [
        Record({"id": "1", "text": 'first\r\nsecond "quoted"'}, 2),
        Record({"id": "2", "text": "third"}, 5),
    ]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("1,a,b", "has 3 fields, the header has 2"),
        ("1", "has 1 fields, the header has 2"),
        ('1,"a" b', "text after a closing double quote"),
    ],
)
def test_a_bad_csv_row_is_told_with_its_line_and_spoils_no_other(tmp_path: Path, line: str, reason: str) -> None:
    path = tmp_path / "messages.csv"
    path.write_text(f"id,text\n0,好\n{line}\n2,عالی\n", "utf-8")
    first, bad, last = open_table(path).records()
    assert isinstance(bad, BadRecord)
    assert bad.line == 3
    assert reason in bad.reason
    assert [record.values["text"] for record in (first, last) if isinstance(record, Record)] == ["好", "عالی"]


def test_a_quote_that_is_never_closed_is_told_with_its_line_and_swallows_no_other(tmp_path: Path) -> None:
    path = tmp_path / "messages.csv"
    path.write_text('id,text\n0,ok\n1,"never closed\n2,swallowed\n', "utf-8")
    assert list(open_table(path).records())[1:] == [
        BadRecord(3, None, "opens a double quote that is never closed; close it, or double a quote that is meant"),
        Record({"id": "2", "text": "swallowed"}, 4),
    ]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"text": "好"', "not JSON: Expecting ',' delimiter at character"),
        ('["好"]', "not a JSON object in braces"),
        ('{"text": "a", "text": "b"}', "a key stands twice"),
        ('{"text": "a", "score": NaN}', "NaN is no JSON; write null"),
        ('{"text": "\\ud83d"}', "half a character"),
    ],
)
def test_a_broken_json_line_is_told_with_its_number_and_spoils_no_other(tmp_path: Path, line: str, reason: str) -> None:
    path = tmp_path / "messages.jsonl"
    path.write_text(f'{{"text": "ok"}}\n\n{line}\n{{"text": "عالی", "stars": 5}}\n', "utf-8")
    first, bad, last = open_table(path).records()
    assert isinstance(bad, BadRecord)
    assert bad.line == 3
    assert reason in bad.reason
    assert [first, last] == [Record({"text": "ok"}, 1), Record({"text": "عالی", "stars": 5}, 4)]


def test_a_file_of_broken_json_is_refused_with_its_first_line(tmp_path: Path) -> None:
    path = tmp_path / "messages.jsonl"
    path.write_text("text\n好\n", "utf-8")
    with pytest.raises(DataError, match=r"messages.jsonl:1: not JSON: Expecting value at character 1. JSON Lines has one object"):
        open_table(path)


def test_line_separators_of_unicode_do_not_end_a_json_line(tmp_path: Path) -> None:
    path = tmp_path / "messages.jsonl"
    with TableWriter(path) as writer:
        writer.write({"text": "一\u2028二\x85三\x0b四"})
    assert values(path) == [{"text": "一\u2028二\x85三\x0b四"}]


def test_a_cut_gzip_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "messages.csv.gz"
    path.write_bytes(gzip.compress(b"text\n" + b"good\n" * 9)[:-9])
    with pytest.raises(DataError, match=r"messages.csv.gz: cannot be read"):
        list(open_table(path).records())


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.csv", b"", "empty.csv: the file is empty"),
        ("bom.jsonl", codecs.BOM_UTF8, "bom.jsonl: the file is empty"),
        ("blank.csv", b"\n\n", "blank.csv: the file is empty, it has no rows"),
        ("blank.jsonl", b"\n \n", "blank.jsonl: the file is empty, it has no rows"),
        ("bare.jsonl", b"{}\n{}\n", r'bare.jsonl: no rows: the objects at its beginning have no keys. Write each as {"text": ...}'),
        ("picture.csv", b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "picture.csv: not a text file but a PNG picture"),
        ("book.csv", b"PK\x03\x04\x14\x00\x06\x00\x08\x00", r"book.csv: not a text file but .* spreadsheet \(.xlsx\)"),
        ("noise.jsonl", bytes(range(256)) * 4, r"noise.jsonl: not text in UTF-8 \(byte \d+, line \d+\)"),
        ("fake.parquet", b"text\ngood\n", "fake.parquet: not a Parquet file, or cut off"),
        ("book.xlsx", b"PK\x03\x04", r"book.xlsx: not a spreadsheet \(.xlsx\), or cut off"),
        ("book.xls", b"PK\x03\x04", r"book.xls: unknown kind of file. Known: .csv, .tsv, .jsonl, .ndjson, .parquet, .xlsx"),
        ("old.xlsx", b"\xd0\xcf\x11\xe0 and more", r"old.xlsx: an old Office document \(.xls\), or one with a password"),
        ("twice.csv", b"text,text\na,b\n", "twice.csv: columns stand twice in the header: 'text'"),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        open_table(path)


def test_a_missing_file_is_named_with_its_neighbour(tmp_path: Path) -> None:
    (tmp_path / "messages.csv").write_text("text\n")
    with pytest.raises(DataError, match=r"mesages.csv: no such file. Did you mean messages.csv\?"):
        open_table(tmp_path / "mesages.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(DataError, match=r"is a folder\. Name a file"):
        open_table(tmp_path / "folder.csv")


def test_a_message_of_a_megabyte_is_one_record(tmp_path: Path) -> None:
    text = "很长的反馈" * 70_000
    for name in ("long.csv", "long.jsonl", "long.parquet"):
        with TableWriter(tmp_path / name, ["text"]) as writer:
            writer.write({"text": text})
        assert values(tmp_path / name) == [{"text": text}]


@pytest.mark.parametrize("name", ["big.csv", "big.jsonl", "big.parquet"])
def test_reading_stays_a_bounded_way_ahead(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = 20 * READ_BATCH_ROWS
    with TableWriter(tmp_path / name, ["text"]) as writer:
        for number in range(rows):
            writer.write({"text": f"消息 {number}"})
    made = 0
    original = Record.__init__

    def counting(self: Record, *arguments: object) -> None:
        nonlocal made
        made += 1
        original(self, *arguments)  # type: ignore[arg-type]  # passes on what it was given

    monkeypatch.setattr(Record, "__init__", counting)
    records = open_table(tmp_path / name).records()
    made = 0
    for taken in range(1, 101):
        next(records)
        assert made == taken
    assert sum(1 for _ in records) == rows - 100
