"""The encoding of a file: each is found or can be named, and what does not fit is told with its place."""

from __future__ import annotations

from pathlib import Path

import pytest
from messages import MESSAGES, values

from data.encodings import find_encoding
from data.errors import DataError
from data.table_writer import TableWriter
from data.tables import BadRecord, open_table

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
    assert find_encoding(path, named) == means


def test_plain_ascii_before_the_first_other_character_does_not_hide_the_encoding(tmp_path: Path) -> None:
    path = tmp_path / "late.csv"
    path.write_bytes(b"text\n" + b"plain\n" * 300_000 + "客服态度很好".encode("gb18030") + b"\n")
    assert find_encoding(path) == "gb18030"


@pytest.mark.parametrize("named", ["utf-8", "utf-16"])
def test_a_wrong_named_encoding_says_where_it_breaks_and_what_it_looks_like(tmp_path: Path, named: str) -> None:
    path = tmp_path / "excel.csv"
    path.write_bytes("id,text\r\n1,ok\r\n2,客服很好，问题解决了\r\n".encode("gb18030"))
    with pytest.raises(DataError, match=rf"excel.csv:\d+: byte \d+ is not {named}. It looks like gb18030"):
        find_encoding(path, named)


def test_the_byte_and_line_of_a_wrong_encoding_are_exact(tmp_path: Path) -> None:
    path = tmp_path / "excel.csv"
    path.write_bytes(b"id,text\r\n1,ok\r\n2," + "客服很好".encode("gb18030"))
    with pytest.raises(DataError, match=r"excel.csv:3: byte 17 is not utf-8"):
        find_encoding(path, "utf-8")


@pytest.mark.parametrize(
    ("language", "written", "named"),
    [("fa", "utf-8", "cp1256"), ("zh", "gb18030", "cp1256"), ("zh", "gb18030", "big5"), ("zh-Hant", "big5", "gb18030")],
)
def test_a_wrong_named_encoding_is_refused_though_every_byte_fits(tmp_path: Path, language: str, written: str, named: str) -> None:
    path = tmp_path / "messages.csv"
    path.write_bytes(("text\n" + MESSAGES[language][1]).encode(written))
    with pytest.raises(DataError, match=rf"every byte could be {named}, .* It looks like {written}"):
        find_encoding(path, named)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("language", MESSAGES)
def test_utf_16_without_a_mark_is_told_and_read_when_it_is_named(tmp_path: Path, language: str, encoding: str) -> None:
    path = tmp_path / "messages.csv"
    path.write_bytes("\r\n".join(["text", *(f'"{text}"' for text in MESSAGES[language])]).encode(encoding))
    with pytest.raises(DataError, match=rf"messages.csv: looks like UTF-16 without .* Name the encoding \(--encoding {encoding}\)"):
        find_encoding(path)
    assert [value["text"] for value in values(path, encoding=encoding)] == MESSAGES[language]


@pytest.mark.parametrize("named", ["utf-16", "utf-8", "gb18030", "cp1256", "utf-16-be"])
@pytest.mark.parametrize("language", MESSAGES)
def test_another_encoding_named_for_utf_16_without_a_mark_is_refused(tmp_path: Path, language: str, named: str) -> None:
    path = tmp_path / "messages.csv"
    path.write_bytes("\n".join(["text", *MESSAGES[language]]).encode("utf-16-le"))
    with pytest.raises(DataError, match=rf"{named}.* It looks like UTF-16 without a byte order mark: name utf-16-le\."):
        find_encoding(path, named)


def test_a_single_byte_encoding_named_for_utf_16_with_a_mark_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "messages.csv"
    path.write_bytes("text\nپشتیبانی عالی بود\n".encode("utf-16"))
    with pytest.raises(DataError, match=r"every byte could be cp1256, .* It looks like utf-16: name that, or none"):
        find_encoding(path, "cp1256")


def test_control_characters_are_told_by_place_and_read_when_the_encoding_is_named(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("text\n好\n\x01عا\x01لی\x01\n", "utf-8")
    with pytest.raises(DataError, match=r"UTF-8, but with control .* first is 0x01 \(byte 9, line 3\)\. Take them out"):
        find_encoding(path)
    assert find_encoding(path, "utf-8") == "utf-8"


def test_an_encoding_that_does_not_exist_is_named(tmp_path: Path) -> None:
    path = tmp_path / "messages.csv"
    path.write_text("text\n好\n", "utf-8")
    with pytest.raises(DataError, match=r"encoding 'utf-9' is not known. Known: utf-8, utf-16, gb18030, big5, cp1256"):
        find_encoding(path, "utf-9")


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
