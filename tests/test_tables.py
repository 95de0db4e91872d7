"""Files of records: every kind and encoding read as it is, every fault named, nothing half-written."""

from __future__ import annotations

import codecs
import gzip
import json
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.errors import DataError
from data.tables import READ_BATCH_ROWS, BadRecord, Record, TableWriter, open_table

MESSAGES = {
    "zh": ["快递太慢了，等了一个星期才到", "客服态度很好，问题马上就解决了", "怎么退款？付了两次钱"],
    "zh-Hant": ["物流太慢了，等了一個星期才到", "客服態度很好，問題馬上就解決了", "請問怎麼退款？付了兩次錢"],
    "yue": ["啲客服真係好好人，唔該晒", "等咗成個禮拜都未送到"],
    "fa": ["پیک خیلی دیر رسید، یک هفته منتظر بودم", "پشتیبانی عالی بود", "چطور پولم را پس بگیرم؟"],
    "en": ["The parcel took a week", "Support was great, solved at once", "How do I get a refund? “Twice” charged…"],
}
ENCODINGS = [
    *((language, encoding) for language in MESSAGES for encoding in ("utf-8", "utf-8-sig", "utf-16")),
    *((language, "gb18030") for language in MESSAGES if language != "fa"),
    ("zh-Hant", "big5hkscs"),
    ("yue", "big5hkscs"),
    ("fa", "cp1256"),
]


def texts(language: str, encoding: str) -> list[str]:
    """Messages as such a file has them: Windows-1256 has no Persian yeh, so that its files hold the Arabic one."""
    return [text.replace("ی", "ي") if encoding == "cp1256" else text for text in MESSAGES[language]]


def values(path: Path, **options: str) -> list[dict[str, object]]:
    records = list(open_table(path, **options).records())
    assert all(isinstance(record, Record) for record in records), records
    return [record.values for record in records if isinstance(record, Record)]


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
@pytest.mark.parametrize(("language", "encoding"), ENCODINGS)
def test_each_encoding_is_found_and_can_be_named(tmp_path: Path, language: str, encoding: str, kind: str) -> None:
    path = tmp_path / f"messages.{kind}"
    with TableWriter(path, ["text"], encoding=encoding) as writer:
        for text in texts(language, encoding):
            writer.write({"text": text})
    assert path.read_bytes()[:200].decode(encoding, "ignore").count(texts(language, encoding)[0]) == 1
    for options in ({}, {"encoding": encoding}):
        assert [value["text"] for value in values(path, **options)] == texts(language, encoding)


@pytest.mark.parametrize(
    ("named", "means"), [("gbk", "gb18030"), ("gb2312", "gb18030"), ("big5", "big5hkscs"), ("windows-1256", "cp1256")]
)
def test_an_encoding_may_be_named_as_people_name_it(tmp_path: Path, named: str, means: str) -> None:
    language = {"gb18030": "zh", "big5hkscs": "zh-Hant", "cp1256": "fa"}[means]
    path = tmp_path / "messages.csv"
    path.write_bytes("\n".join(["text", *texts(language, means)]).encode(means))
    assert open_table(path, encoding=named).encoding == means


def test_plain_ascii_before_the_first_other_character_does_not_hide_the_encoding(tmp_path: Path) -> None:
    path = tmp_path / "late.csv"
    path.write_bytes(b"text\n" + b"plain\n" * 300_000 + "客服态度很好".encode("gb18030") + b"\n")
    assert open_table(path).encoding == "gb18030"


@pytest.mark.parametrize("named", ["utf-8", "utf-16"])
def test_a_wrong_named_encoding_says_where_it_breaks_and_what_it_looks_like(tmp_path: Path, named: str) -> None:
    path = tmp_path / "excel.csv"
    path.write_bytes("id,text\r\n1,ok\r\n2,客服很好，问题解决了\r\n".encode("gb18030"))
    with pytest.raises(DataError, match=rf"excel.csv:\d+: byte \d+ is not {named}. It looks like gb18030"):
        open_table(path, encoding=named)


def test_the_byte_and_line_of_a_wrong_encoding_are_exact(tmp_path: Path) -> None:
    path = tmp_path / "excel.csv"
    path.write_bytes(b"id,text\r\n1,ok\r\n2," + "客服很好".encode("gb18030"))
    with pytest.raises(DataError, match=r"excel.csv:3: byte 17 is not utf-8"):
        open_table(path, encoding="utf-8")


@pytest.mark.parametrize(
    ("language", "written", "named"),
    [("fa", "utf-8", "cp1256"), ("zh", "gb18030", "cp1256"), ("zh", "gb18030", "big5"), ("zh-Hant", "big5", "gb18030")],
)
def test_a_wrong_named_encoding_is_refused_though_every_byte_fits(tmp_path: Path, language: str, written: str, named: str) -> None:
    path = tmp_path / "messages.csv"
    path.write_bytes(("text\n" + MESSAGES[language][1]).encode(written))
    with pytest.raises(DataError, match=rf"every byte could be {named}, .* It looks like {written}"):
        open_table(path, encoding=named)


def test_an_encoding_that_does_not_exist_is_named(tmp_path: Path) -> None:
    path = tmp_path / "messages.csv"
    path.write_text("text\n好\n", "utf-8")
    with pytest.raises(DataError, match=r"encoding 'utf-9' is not known. Known: utf-8, utf-16, gb18030, big5, cp1256"):
        open_table(path, encoding="utf-9")


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_lost_bytes_in_one_row_of_many_spoil_that_row_alone(tmp_path: Path, kind: str) -> None:
    rows = [f'{{"text": "客服态度很好 {n}"}}' if kind == "jsonl" else f"客服态度很好 {n}" for n in range(100)]
    content = "\n".join(rows if kind == "jsonl" else ["text", *rows]).encode()
    path = tmp_path / f"damaged.{kind}"
    path.write_bytes(content.replace("好 70".encode(), b"\xe5\xa5 70"))  # the last byte of a character is lost
    records = list(open_table(path).records())
    bad = [record for record in records if isinstance(record, BadRecord)]
    assert [(record.line, record.reason) for record in bad] == [(71 + (kind == "csv"), "holds bytes that are not utf-8")]
    assert len(records) == 100


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


def test_a_quote_that_is_never_closed_is_told_with_the_line_where_it_opens(tmp_path: Path) -> None:
    path = tmp_path / "messages.csv"
    path.write_text('id,text\n0,ok\n1,"never closed\n2,swallowed\n', "utf-8")
    assert list(open_table(path).records())[1:] == [BadRecord(3, None, "opens a double quote that is never closed")]


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


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_gzip_is_read_and_written_the_same_each_time(tmp_path: Path, kind: str) -> None:
    paths = [tmp_path / name / f"messages.{kind}.gz" for name in ("a", "b")]
    for path in paths:
        path.parent.mkdir()
        with TableWriter(path, ["text"]) as writer:
            writer.write({"text": "نیم‌فاصله"})
    assert values(paths[0]) == [{"text": "نیم‌فاصله"}]
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_a_cut_gzip_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "messages.csv.gz"
    path.write_bytes(gzip.compress(b"text\n" + b"good\n" * 9)[:-9])
    with pytest.raises(DataError, match=r"messages.csv.gz: cannot be read"):
        list(open_table(path).records())


def test_parquet_columns_come_through_with_their_types(tmp_path: Path) -> None:
    columns = {
        "text": pa.array(["好", None, "عالی"], pa.large_string()),
        "stars": pa.array([5, None, 1], pa.int8()),
        "big": pa.array([2**64 - 1, None, 0], pa.uint64()),
        "share": pa.array([0.1, None, 0.5], pa.float32()),
        "when": pa.array([1_234_567_890_123_456_789, None, 1], pa.timestamp("ns", "Asia/Tehran")),
        "took": pa.array([7, None, 1], pa.duration("ns")),
        "seen": pa.array([[1_234_567_890_123_456_789], None, []], pa.list_(pa.timestamp("ns"))),
        "day": pa.array([date(2026, 1, 31), None, date(1999, 1, 1)]),
        "sum": pa.array([Decimal("1.20"), None, Decimal("3.00")]),
        "raw": pa.array([b"\x00\xff", None, b""]),
        "shop": pa.array(["a", None, "a"]).dictionary_encode(),
        "tags": pa.array([["x", None], None, []]),
        "who": pa.array([{"age": 1, "name": None}, None, {"age": None, "name": "n"}]),
        "map": pa.array([[("k", 1)], None, []], pa.map_(pa.string(), pa.int64())),
        "none": pa.nulls(3),
    }
    before = pa.table(columns).replace_schema_metadata({"made": "by a test"})
    source, target = tmp_path / "in.parquet", tmp_path / "out.parquet"
    pq.write_table(before, source)
    table = open_table(source)
    with TableWriter(target, [*table.columns, "label"], schema=table.schema) as writer:
        for record in table.records():
            assert isinstance(record, Record)
            writer.write({**record.values, "label": "x"})
    after = pq.read_table(target)
    assert after.schema.metadata[b"made"] == b"by a test"
    assert after.drop_columns("label").equals(before)


def test_parquet_values_can_be_written_as_text(tmp_path: Path) -> None:
    before = pa.table({"when": pa.array([1_000_000_001], pa.timestamp("ns")), "day": [date(2026, 1, 31)], "x": [float("nan")]})
    pq.write_table(before, tmp_path / "in.parquet")
    for name in ("out.csv", "out.jsonl"):
        with TableWriter(tmp_path / name, ["when", "day", "x"]) as writer:
            for value in values(tmp_path / "in.parquet"):
                writer.write(value)
    assert (tmp_path / "out.csv").read_text() == "when,day,x\n1970-01-01 00:00:01.000000001,2026-01-31,nan\n"
    assert json.loads((tmp_path / "out.jsonl").read_text())["x"] is None


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.csv", b"", "empty.csv: the file is empty"),
        ("bom.jsonl", codecs.BOM_UTF8, "bom.jsonl: the file is empty"),
        ("blank.csv", b"\n\n", "blank.csv: the file is empty"),
        ("picture.csv", b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "picture.csv: not a text file but a PNG picture"),
        ("book.csv", b"PK\x03\x04\x14\x00\x06\x00\x08\x00", r"book.csv: not a text file but .* spreadsheet \(.xlsx\)"),
        ("noise.jsonl", bytes(range(256)) * 4, r"noise.jsonl: not text in UTF-8 \(byte \d+, line \d+\)"),
        ("fake.parquet", b"text\ngood\n", "fake.parquet: not a Parquet file, or cut off"),
        ("book.xlsx", b"PK\x03\x04", r"book.xlsx: unknown kind of file. Known: .csv, .tsv, .jsonl, .ndjson, .parquet"),
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


@pytest.mark.parametrize("name", ["out.csv", "out.jsonl", "out.parquet", "out.csv.gz"])
def test_nothing_is_left_when_writing_fails(tmp_path: Path, name: str) -> None:
    def failing() -> None:
        with TableWriter(tmp_path / name, ["text"]) as writer:
            writer.write({"text": "好"})
            raise RuntimeError("the model broke")

    with pytest.raises(RuntimeError, match="the model broke"):
        failing()
    assert list(tmp_path.iterdir()) == []


def write(path: Path, columns: list[str], rows: list[dict[str, object]], encoding: str = "utf-8") -> None:
    with TableWriter(path, columns, encoding=encoding) as writer:
        for row in rows:
            writer.write(row)


def test_a_file_that_was_there_stays_when_writing_fails(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.write_text("old")
    with pytest.raises(DataError, match=r"out.csv: row 2: .* cannot write '\\u5feb'. Write UTF-8"):
        write(path, ["text"], [{"text": "عالي"}, {"text": "快"}], encoding="cp1256")
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["out.csv"]


def test_writing_says_what_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot be written: No such file or directory. Name a file in a folder that exists"):
        write(tmp_path / "nowhere" / "out.csv", ["text"], [])
    with pytest.raises(DataError, match="row 1 has columns that the file lacks: 'stars'"):
        write(tmp_path / "out.csv", ["text"], [{"text": "a", "stars": 1}])
    with pytest.raises(DataError, match="column 'stars', rows 1 to 2: values that are not of one type"):
        write(tmp_path / "out.parquet", ["stars"], [{"stars": 1}, {"stars": "five"}])


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    for name in ("out.csv", "out.jsonl", "out.parquet"):
        with pytest.raises(DataError, match=rf"{name}: cannot be written: .*No space left on device"):
            write(tmp_path / name, ["text"], [{"text": "好"}])
    assert list(tmp_path.iterdir()) == []


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


def test_writing_parquet_holds_one_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("data.tables.WRITE_BATCH_ROWS", 50)
    waiting: list[int] = []

    def stream(writer: TableWriter) -> Iterator[dict[str, str]]:
        for number in range(500):
            waiting.append(len(writer._batch))
            yield {"text": str(number)}

    with TableWriter(tmp_path / "out.parquet", ["text"]) as writer:
        for value in stream(writer):
            writer.write(value)
    assert max(waiting) == 49
    assert pq.ParquetFile(tmp_path / "out.parquet").num_row_groups == 10
