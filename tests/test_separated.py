"""CSV as it is found: separator and quoting, and a record that breaks off spoils no other."""

from __future__ import annotations

from pathlib import Path

import pytest

from data.separated import MAX_RECORD_LINES
from data.tables import BadRecord, Record, open_table


def read(path: Path, content: str, **options: str) -> tuple[str, list[list[str]]]:
    path.write_text(content, "utf-8", newline="")
    table = open_table(path, **options)
    assert table.dialect is not None
    return table.dialect.quoting, [list(record.values.values()) for record in table.records() if isinstance(record, Record)]


@pytest.mark.parametrize(
    ("name", "content", "quoting", "rows"),
    [
        ("a.csv", 'id,text\n1,"好, ""很""好"\n2,x\n', "double", [["1", '好, "很"好'], ["2", "x"]]),
        ("a.csv", "id,text\n'1','好, 很好'\n'2','it''s'\n", "single", [["1", "好, 很好"], ["2", "it's"]]),
        ("a.csv", 'id,text\n1,"a \\"b, c\\" d"\n2,"عالی"\n', "backslash", [["1", 'a "b, c" d'], ["2", "عالی"]]),
        ("a.tsv", 'id\ttext\n1\t"good" phone\n2\t"open\n3\tx\n', "none", [["1", '"good" phone'], ["2", '"open'], ["3", "x"]]),
        ("a.csv", "id,text\n1,it's\n2,'tis\n", "double", [["1", "it's"], ["2", "'tis"]]),
        ("a.csv", 'sep=;\r\nid;text\r\n1;"a;b"\r\n', "double", [["1", "a;b"]]),
    ],
)
def test_the_quoting_is_found(tmp_path: Path, name: str, content: str, quoting: str, rows: list[list[str]]) -> None:
    assert read(tmp_path / name, content) == (quoting, rows)


def test_the_quoting_that_is_named_is_taken(tmp_path: Path) -> None:
    assert read(tmp_path / "a.csv", 'id,text\n1,"x"\n', quoting="none") == ("none", [["1", '"x"']])


def test_an_unclosed_quote_swallows_no_row_however_many_follow(tmp_path: Path) -> None:
    rows = 3 * MAX_RECORD_LINES
    lines = ["id,text", "0,ok", '1,"never closed', *(f"{number},row" for number in range(2, rows))]
    (tmp_path / "a.csv").write_text("\n".join(lines) + "\n", "utf-8")
    records = list(open_table(tmp_path / "a.csv").records())
    assert records[1] == BadRecord(3, None, "opens a double quote that is never closed; close it, or double a quote that is meant")
    good = [record for record in records if isinstance(record, Record)]
    assert [record.values["id"] for record in good] == ["0", *(str(number) for number in range(2, rows))]
    assert [record.line for record in good] == [2, *range(4, rows + 2)]


def test_two_unclosed_quotes_are_two_bad_rows(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('id,text\n1,"open\n2,fine\n3,"open too\n4,بد نیست\n', "utf-8")
    records = list(open_table(tmp_path / "a.csv").records())
    assert [record.line for record in records if isinstance(record, BadRecord)] == [2, 4]
    assert [record.values["id"] for record in records if isinstance(record, Record)] == ["2", "4"]
