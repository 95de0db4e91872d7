"""Rows: written and read back equal in every format, every fault named with its line."""

from __future__ import annotations

import json
import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.errors import DataError
from data.rows import MAX_FAULT_KINDS, PEEKED_ROWS, Row, RowFault, read_rows, scan_rows, write_rows
from data.tables import FORMATS as TABLE_FORMATS
from data.taxonomy import Taxonomy

FORMATS = [f"rows{end}" for end in TABLE_FORMATS] + ["rows.csv.gz", "rows.tsv.zst", "rows.jsonl.gz", "rows.ndjson.zst"]
LINES = ("jsonl", "ndjson")
TEXTS = {
    "newlines": "第一行\n第二行\r\n第三行\r",
    "quotes": 'He said "fine", she said ""no""; \'why\'',
    "separators": "a,b;c\td|e",
    "lone bar": "|",
    "quote first": '"',
    "emoji": "👍🏽👨‍👩‍👧 عالی 🇮🇷",
    "half-space": "نمی‌خواهم پس می‌دهم، كيفيت بد",
    "Traditional": "客服態度很差，等咗成個禮拜都未送到喎！「離譜」",
    "Simplified": "快递太慢了，客服也不回消息……",
    "spaces": "  leading and trailing  ",
    "formula": "=1+1",
    "number": "007",
    "json": '{"text": [1, null]}',
    "null word": "null",
    "separators of Unicode": "一\u2028二\x85三\xa0四\ufeff五",
    "formula that calls": '=HYPERLINK("http://example.com", "خرید")',
    "formula after a line": "\r=1",
    "plus": "+1 از پشتیبانی",
    "at": "@shop 很慢",
    "apostrophe": "'quoted",
    "control character": "a\x0bb" + "好" * 100,
    "as Excel writes a line end": "_x000D_ and _x005F_x000D_ and _x4E2D_",
    "error of a sheet": "#N/A",
    "labels as JSON": '["price"]',
}


@pytest.fixture(scope="module")
def optional() -> Taxonomy:
    """A taxonomy whose multi task may have no label."""
    labels = [{"name": name} for name in ("billing", "shipping", "app")]
    moods = [{"name": "glad"}, {"name": "sad"}]
    return Taxonomy.from_dict(
        {"tasks": {"topic": {"kind": "multi", "labels": labels}, "mood": {"kind": "single", "labels": moods}}}
    )


def write_lines(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return path


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_text_is_read_back_as_it_was_written(tmp_path: Path, taxonomy: Taxonomy, name: str, text: str) -> None:
    rows = [Row(text, {"sentiment": ("neutral",)}), Row(text + "x", extra={"answer": text}), Row("x" + text, source=text)]
    assert write_rows(tmp_path / name, rows, taxonomy) == 3
    assert list(read_rows(tmp_path / name, taxonomy)) == rows


@pytest.mark.parametrize("name", FORMATS)
def test_all_that_is_known_of_a_row_is_read_back(tmp_path: Path, taxonomy: Taxonomy, name: str) -> None:
    rows = [
        Row(
            "快递慢，还多收钱", {"sentiment": ("negative",), "tone": ("calm",), "category": ("delivery", "payment")}, language="zh"
        ),
        Row("great", {"sentiment": ("positive",)}, {"sentiment": ("positive", "negative")}, {"tone": ("sarcastic", "angry")}),
        Row("عالی", {"category": ("general",)}, language="fa", source="shop", split="test", id="fa-1", extra={"channel": "app"}),
        Row("nothing is known"),
        Row("known in part", {"category": ()}, {"category": ("price", "payment")}),
        Row("=SUM(1)\n退款", {"category": ("price",)}, excluded={"category": ("payment", "delivery")}, id="=1", extra={"=x": "+1"}),
    ]
    write_rows(tmp_path / name, rows, taxonomy)
    assert list(read_rows(tmp_path / name, taxonomy)) == rows


@pytest.mark.parametrize("name", FORMATS)
def test_known_to_have_none_differs_from_unknown(tmp_path: Path, optional: Taxonomy, name: str) -> None:
    rows = [Row("none of them", {"topic": ()}), Row("unknown")]
    write_rows(tmp_path / name, rows, optional)
    assert [row.labels for row in read_rows(tmp_path / name, optional)] == [{"topic": ()}, {}]


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.parquet"])
def test_other_columns_keep_their_types(tmp_path: Path, taxonomy: Taxonomy, name: str) -> None:
    rows = [Row("好", extra={"stars": 5, "paid": 1.5, "seen": True, "tags": ["a", "b"]}), Row("bad", extra={"stars": 1})]
    write_rows(tmp_path / name, rows, taxonomy)
    assert list(read_rows(tmp_path / name, taxonomy)) == rows


@pytest.mark.parametrize("name", FORMATS)
def test_lines_are_those_of_the_file(tmp_path: Path, taxonomy: Taxonomy, name: str) -> None:
    write_rows(tmp_path / name, [Row("one\ntwo"), Row("three")], taxonomy)
    lines = [row.line for row in read_rows(tmp_path / name, taxonomy)]
    under_header = {".xlsx": [2, 3], ".csv": [2, 4], ".tsv": [2, 4]}
    assert lines == under_header.get(Path(name).with_suffix("").suffix or Path(name).suffix, [1, 2])


@pytest.mark.parametrize(
    ("encoding", "text"),
    [("gb18030", "客服态度很好，问题马上解决了"), ("big5", "客服態度很好，問題馬上解決了"), ("cp1256", "پشتيباني خيلي عالي بود"),
     ("utf-16", "عالی بود، 很好 👍"), ("utf-8-sig", "می‌خواهم 👍 great")],
)  # fmt: skip
def test_rows_as_excel_saves_them_are_read(tmp_path: Path, taxonomy: Taxonomy, encoding: str, text: str) -> None:
    path = tmp_path / "excel.csv"
    path.write_bytes(f'text;sentiment;category\r\n"{text}";positive;price|payment\r\n'.encode(encoding))
    expected = [Row(text, {"sentiment": ("positive",), "category": ("price", "payment")})]
    assert list(read_rows(path, taxonomy)) == expected
    assert list(read_rows(path, taxonomy, encoding=encoding)) == expected


FAULTS = {
    "unknown label": ({"category": ["refund"]}, r"category 'refund' is not in the taxonomy \(nearest: '.*'\). Correct the row"),
    "named twice": ({"category": ["price", "price"]}, "category names 'price' twice"),
    "stands alone": ({"category": ["general", "price"]}, "category 'general' stands alone"),
    "at least one": ({"category": []}, "category is an empty list and takes at least one label"),
    "given and excluded": ({"tone": "calm", "tone_not": ["calm"]}, "tone 'calm' is both given and excluded in tone_not"),
    "outside known": ({"tone": "calm", "tone_known": ["angry"]}, "tone 'calm' is given but not among tone_known"),
    "unknown in known": ({"tone_known": ["furious"]}, "tone 'furious' is not in the taxonomy"),
    "all excluded": ({"sentiment_not": ["positive", "neutral", "negative"]}, "sentiment_not excludes every label"),
    "unknown split": ({"split": "dev"}, "split 'dev' is not known. Write train, validation, test"),
    "two labels": ({"sentiment": "positive|negative"}, "sentiment has 2 labels and takes exactly one"),
    "no label": ({"sentiment": []}, "sentiment has 0 labels and takes exactly one"),
    "number as label": ({"sentiment": 1}, "sentiment is a number. Write the labels' names"),
    "number as text": ({"text": 5}, "text is a number. Write it as text"),
    "no text": ({"text": None}, "text is empty"),
    "blank text": ({"text": " \n"}, "text is empty"),
    "list as id": ({"id": ["a"]}, "id is a list. Write it as text"),
}


@pytest.mark.parametrize(("values", "message"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_named_with_file_and_line(tmp_path: Path, taxonomy: Taxonomy, values: dict[str, Any], message: str) -> None:
    path = write_lines(tmp_path / "rows.jsonl", {"text": "好"}, {"text": "عالی", **values}, {"text": "fine"})
    read: list[Row] = []
    with pytest.raises(DataError, match=rf"rows.jsonl:2: {message}"):
        read.extend(read_rows(path, taxonomy))
    assert [row.text for row in read] == ["好", "fine"]


def test_every_fault_is_told_at_once_and_the_same_one_once(tmp_path: Path, taxonomy: Taxonomy) -> None:
    rows = [{"text": "好", "category": ["refund"]} for _ in range(9)]
    path = write_lines(tmp_path / "rows.jsonl", *rows, {"text": "خوب", "split": "dev", "tone": "furious"})
    with pytest.raises(DataError) as raised:
        list(read_rows(path, taxonomy))
    lines = str(raised.value).splitlines()
    assert len(lines) == 3
    assert lines[0].startswith(f"{path}:1: category 'refund' is not in the taxonomy")
    assert lines[0].endswith("Same fault in rows 2, 3, 4, 5, 6 and 3 more.")
    assert lines[1].startswith(f"{path}:10: split 'dev'")
    assert lines[2].startswith(f"{path}:10: tone 'furious'")


def test_reading_stops_at_too_many_different_faults(tmp_path: Path, taxonomy: Taxonomy) -> None:
    path = write_lines(tmp_path / "rows.jsonl", *({"text": "x", "tone": f"label{n}"} for n in range(1000)))
    with pytest.raises(DataError, match=f"Stopped after {MAX_FAULT_KINDS} different faults") as raised:
        list(read_rows(path, taxonomy))
    assert len(str(raised.value).splitlines()) == MAX_FAULT_KINDS + 1


def test_broken_lines_and_wrong_fields_are_faults_too(tmp_path: Path, taxonomy: Taxonomy) -> None:
    lines, table = tmp_path / "rows.jsonl", tmp_path / "rows.csv"
    lines.write_text('{"text": "好"}\n{"text": \n', "utf-8")
    table.write_text("text,tone\nخوب,calm\na,b,calm\n", "utf-8")
    with pytest.raises(DataError, match=r"rows.jsonl:2: not JSON: Expecting value at character"):
        list(read_rows(lines, taxonomy))
    with pytest.raises(DataError, match=r"rows.csv:3: has 3 fields, the header has 2"):
        list(read_rows(table, taxonomy))


@pytest.mark.parametrize(
    ("header", "hint"),
    [("id,Text,tone", "Rename 'Text' to 'text'"), ("id,texts,tone", "Rename 'texts' to 'text'"),
     ("编号,内容,tone", "Name the column that holds the messages 'text'")],
)  # fmt: skip
def test_a_missing_text_column_is_told_before_the_first_row(tmp_path: Path, taxonomy: Taxonomy, header: str, hint: str) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(header + "\n1,好,calm\n", "utf-8")
    found = ", ".join(f"'{name}'" for name in header.split(","))
    with pytest.raises(DataError, match=f"rows.csv: no column 'text'. Columns found: {found}. {hint}"):
        read_rows(path, taxonomy)


def test_a_file_without_a_header_does_not_print_its_first_message(tmp_path: Path, taxonomy: Taxonomy) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("这是一条很长的反馈" * 50 + ",1\n", "utf-8")
    with pytest.raises(DataError) as raised:
        read_rows(path, taxonomy)
    assert len(str(raised.value)) < 300 + len(str(path))


def test_a_missing_file_is_told_before_the_first_row(tmp_path: Path, taxonomy: Taxonomy) -> None:
    with pytest.raises(DataError, match=r"rows.csv: no such file"):
        read_rows(tmp_path / "rows.csv", taxonomy)


def test_faults_and_rows_can_be_had_together(tmp_path: Path, taxonomy: Taxonomy) -> None:
    path = write_lines(tmp_path / "rows.jsonl", {"text": "好"}, {"text": "x", "split": "dev"})
    first, second = scan_rows(path, taxonomy)
    assert isinstance(first, Row)
    assert isinstance(second, RowFault)
    assert (second.line, second.column) == (2, "split")


def test_labels_may_be_joined_in_any_format_and_numbers_may_be_ids(tmp_path: Path, taxonomy: Taxonomy) -> None:
    path = write_lines(tmp_path / "rows.jsonl", {"text": "好", "category": "price | payment", "id": 7, "tone": ""})
    assert list(read_rows(path, taxonomy)) == [Row("好", {"category": ("price", "payment")}, id="7")]


def test_a_parquet_file_has_lists_and_texts_even_where_nothing_is_known(tmp_path: Path, taxonomy: Taxonomy) -> None:
    write_rows(tmp_path / "rows.parquet", [Row("好")], taxonomy)
    schema = pq.read_schema(tmp_path / "rows.parquet")
    assert schema.field("category").type == pa.list_(pa.string())
    assert schema.field("tone").type == pa.string()


def test_a_wrong_row_leaves_the_written_file_as_it_was(tmp_path: Path, taxonomy: Taxonomy) -> None:
    source = write_lines(tmp_path / "in.jsonl", {"text": "好"}, {"text": "x", "split": "dev"})
    target = tmp_path / "out.csv"
    target.write_text("old")
    with pytest.raises(DataError, match="split 'dev'"):
        write_rows(target, read_rows(source, taxonomy), taxonomy)
    assert target.read_text() == "old"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["in.jsonl", "out.csv"]


def test_a_column_that_comes_late_in_a_stream_is_refused_and_in_a_list_is_not(
    tmp_path: Path, taxonomy: Taxonomy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("data.rows.PEEKED_ROWS", 3)
    rows = [*(Row(str(number)) for number in range(5)), Row("last", extra={"stars": "5"})]
    with pytest.raises(DataError, match=r"row 6 has columns that the file lacks: 'stars'. Write JSON Lines instead"):
        write_rows(tmp_path / "rows.csv", iter(rows), taxonomy)
    for name in FORMATS:
        write_rows(tmp_path / name, iter(rows) if any(end in name for end in LINES) else rows, taxonomy)
        assert list(read_rows(tmp_path / name, taxonomy)) == rows


@pytest.mark.parametrize("name", FORMATS)
def test_rows_are_streamed_from_file_to_file(
    tmp_path: Path, taxonomy: Taxonomy, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("data.rows.PEEKED_ROWS", 100)
    monkeypatch.setattr("data.table_writer.WRITE_BATCH_ROWS", 100)
    total = 3000
    write_rows(tmp_path / name, (Row(f"消息 {number}") for number in range(total)), taxonomy)
    alive: dict[int, weakref.ref[Row]] = {}
    most = 0

    def watched() -> Iterator[Row]:
        nonlocal most
        for number, row in enumerate(read_rows(tmp_path / name, taxonomy)):
            alive[number] = weakref.ref(row, lambda _, key=number: alive.pop(key))  # type: ignore[misc]  # the default binds it
            most = max(most, len(alive))
            yield row

    assert write_rows(tmp_path / f"copy-{name}", watched(), taxonomy) == total
    assert most <= 110


def test_the_peeked_rows_are_the_first_that_are_written(tmp_path: Path, taxonomy: Taxonomy) -> None:
    rows = [Row(str(number)) for number in range(PEEKED_ROWS + 5)]
    assert write_rows(tmp_path / "rows.csv", iter(rows), taxonomy) == len(rows)
    assert [row.text for row in read_rows(tmp_path / "rows.csv", taxonomy)] == [row.text for row in rows]


def test_rows_are_equal_wherever_they_stand() -> None:
    assert Row("好", line=3) == Row("好", line=9)
    assert replace(Row("好"), split="test") != Row("好")
