"""Several files, folders, patterns and standard input are one archive; columns are found in three languages and every encoding."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet as parquet
import pytest
from test_archive import read_csv, read_lines, write_csv

from data.errors import DataError
from data.table_writer import TableWriter
from serving.archive import label, plan
from serving.classifier import FeedbackClassifier
from serving.inputs import find_files
from serving.standard_input import spool


def test_files_folders_and_patterns_are_one_archive_in_order(tmp_path: Path, classifier: FeedbackClassifier) -> None:
    for name, text in [
        ("b/2.csv", "great"),
        ("b/1.csv", "terrible"),
        ("b/deep/0.csv", "عالی"),
        ("c1.csv", "很好"),
        ("a.csv", "parcel"),
    ]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        write_csv(tmp_path / name, [["text", "from"], [text, name]])
    (tmp_path / "b" / "notes.md").write_text("no archive")
    (tmp_path / "b" / ".hidden.csv").write_text("no archive either")
    label([tmp_path / "a.csv", tmp_path / "b", str(tmp_path / "c*.csv")], tmp_path / "out.csv", classifier)
    assert [row["from"] for row in read_csv(tmp_path / "out.csv")] == ["a.csv", "b/1.csv", "b/2.csv", "b/deep/0.csv", "c1.csv"]


def test_an_output_in_the_folder_that_is_labelled_is_not_labelled_with_it(tmp_path: Path, classifier: FeedbackClassifier) -> None:
    write_csv(tmp_path / "in.csv", [["text"], ["great"], [" "]])
    for _ in range(2):
        report = label(tmp_path, tmp_path / "out.csv", classifier)
        assert report.rows == 2
    assert report.finished_before


@pytest.mark.parametrize(
    ("named", "said"),
    [
        (["empty"], r"empty: the folder has no file of a known kind"),
        (["*.json"], r"\*\.json: no file has such a name"),
        (["in.csv", "./in.csv"], r"in\.csv: is named twice"),
        (["in.csv", "-"], r"standard input \(-\) is labelled alone"),
    ],
)
def test_what_names_no_archive_is_refused(
    tmp_path: Path, classifier: FeedbackClassifier, monkeypatch: pytest.MonkeyPatch, named: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_csv(tmp_path / "in.csv", [["text"], ["great"]])
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=said):
        label(named, "out.csv", classifier)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["empty", "in.csv"]


def test_files_of_other_columns_and_kinds_come_together(tmp_path: Path, classifier: FeedbackClassifier) -> None:
    write_csv(tmp_path / "1.csv", [["text", "shop"], ["great", "北"]])
    (tmp_path / "2.jsonl").write_text('{"text": "عالی", "stars": 5}\n{"text": "很好", "late": true}\n', "utf-8")
    label([tmp_path / "1.csv", tmp_path / "2.jsonl"], tmp_path / "out.parquet", classifier)
    table = parquet.read_table(tmp_path / "out.parquet")
    assert table.column_names[:4] == ["text", "shop", "stars", "late"]
    assert table.column("stars").to_pylist() == [None, 5, None]
    assert table.column("late").to_pylist() == [None, None, True]


def test_files_whose_columns_have_types_that_do_not_go_together_are_refused(tmp_path: Path, classifier: FeedbackClassifier) -> None:
    parquet.write_table(pyarrow.table({"text": ["great"], "n": [1]}), tmp_path / "1.parquet")
    parquet.write_table(pyarrow.table({"text": ["great"], "n": ["one"]}), tmp_path / "2.parquet")
    with pytest.raises(DataError, match=r"2\.parquet: column 'n' is string, in a file before it int64\. Label them apart"):
        label([tmp_path / "1.parquet", tmp_path / "2.parquet"], tmp_path / "out.parquet", classifier)
    assert label([tmp_path / "1.parquet", tmp_path / "2.parquet"], tmp_path / "out.csv", classifier).rows == 2


def test_a_file_without_the_column_of_the_messages_is_named(tmp_path: Path, classifier: FeedbackClassifier) -> None:
    write_csv(tmp_path / "1.csv", [["text"], ["great"]])
    write_csv(tmp_path / "2.csv", [["txt", "id"], ["great", "1"]])
    with pytest.raises(DataError, match=r"2\.csv: no column 'text' \(nearest: 'txt'\)"):
        label([tmp_path / "1.csv", tmp_path / "2.csv"], tmp_path / "out.csv", classifier)


def test_json_of_changing_types_is_written_to_parquet_as_it_can_be(tmp_path: Path, classifier: FeedbackClassifier) -> None:
    rows: list[dict[str, Any]] = [{"text": "great", "n": 1, "m": 1, "tags": ["a"]}, {"text": "great", "n": 2.5, "m": "one"}]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    label(tmp_path / "in.jsonl", tmp_path / "out.parquet", classifier)
    table = parquet.read_table(tmp_path / "out.parquet")
    assert table.column("n").to_pylist() == [1.0, 2.5]
    assert table.column("m").to_pylist() == ["1", "one"]
    assert table.column("tags").to_pylist() == [["a"], None]


# Standard input ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [".csv", ".jsonl", ".parquet", ".xlsx", ".csv.gz", ".jsonl.zst"])
def test_the_kind_of_standard_input_is_found(tmp_path: Path, kind: str) -> None:
    with TableWriter(tmp_path / f"in{kind}", ["text"]) as writer:
        writer.write({"text": "很好"})
    folder = tmp_path / "spool"
    folder.mkdir()
    found = spool(io.BytesIO((tmp_path / f"in{kind}").read_bytes()), folder, begun=False)
    assert found.name == f"stdin{kind}"
    assert found.read_bytes() == (tmp_path / f"in{kind}").read_bytes()


# Columns ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("encoding", "header", "text"),
    [
        ("gb18030", ["编号", "评论内容", "语言"], "快递太慢了，等了一个星期才到，客服也不理人"),
        ("big5", ["編號", "評論內容", "語言"], "物流太慢了，等了一個星期才到，客服也不理人"),
        ("cp1256", ["شناسه", "متن نظر", "زبان"], "پيک خيلي دير رسيد و پشتيباني جواب نداد"),
        ("utf-16", ["ID", "Review Text", "Lang"], "The parcel took a week"),
        ("utf-8-sig", ["شناسه", "متن_دیدگاه", "زبان"], "پیک خیلی دیر رسید"),
    ],
)
def test_columns_are_found_in_three_languages_and_every_encoding(
    tmp_path: Path, classifier: FeedbackClassifier, encoding: str, header: list[str], text: str
) -> None:
    write_csv(tmp_path / "in.csv", [header, *([str(n), text, ""] for n in range(20)), ["20", " ", ""]], encoding)
    report = label(tmp_path / "in.csv", tmp_path / "out.csv", classifier)
    assert (report.text_column, report.language_column) == (header[1], header[2])
    assert [row[header[1]] for row in read_csv(tmp_path / "out.csv")] == [text] * 20
    assert report.rejects is not None
    assert [reject["id"] for reject in read_lines(report.rejects)] == ["20"]


def test_languages_that_are_known_are_taken_and_others_identified(tmp_path: Path, classifier: FeedbackClassifier) -> None:
    values = ["zh-TW", "Persian", "英文", "kept", "", "فارسی"]
    write_csv(tmp_path / "in.csv", [["text", "lang"], *(["great", value] for value in values)])
    label(tmp_path / "in.csv", tmp_path / "a.csv", classifier)
    assert [row["language"] for row in read_csv(tmp_path / "a.csv")] == ["zh", "fa", "en", "en", "en", "fa"]
    label(tmp_path / "in.csv", tmp_path / "b.csv", classifier, language_column="")
    assert {row["language"] for row in read_csv(tmp_path / "b.csv")} == {"en"}
    with pytest.raises(DataError, match=r"no column 'language' \(nearest: 'lang'\)\. Columns: 'text', 'lang'"):
        label(tmp_path / "in.csv", tmp_path / "c.csv", classifier, language_column="language")


# Beforehand -------------------------------------------------------------------------------------------------------------


def test_a_plan_tells_what_would_be_done_and_writes_nothing(tmp_path: Path, classifier: FeedbackClassifier) -> None:
    texts = ["这个手机很好用", "great phone, thank you", "بسته خیلی دیر رسید", " "] * 30
    write_csv(tmp_path / "in.csv", [["no", "评论", "id"], *([n, text, n] for n, text in enumerate(texts))])
    found = plan(tmp_path / "in.csv", classifier)
    assert (found.rows, found.text_column, found.id_column, found.language_column) == (120, "评论", "id", None)
    assert found.rejects == pytest.approx(0.25)
    assert {code: round(share, 2) for code, share in found.languages.items()} == {"zh": 0.25, "en": 0.25, "fa": 0.25}
    assert found.seconds > 0
    said = found.to_text()
    for words in ("in.csv: csv, utf-8, separator ',', quoting double", "'no', '评论', 'id'", "120", "nothing was written"):
        assert words in said
    assert [file.name for file in tmp_path.iterdir()] == ["in.csv"]
    assert plan(tmp_path / "in.csv", classifier, limit=7).rows == 7


def test_a_limit_labels_the_first_rows_of_all_files_together(tmp_path: Path, classifier: FeedbackClassifier) -> None:
    for name in ("1.csv", "2.csv", "3.csv"):
        write_csv(tmp_path / name, [["text", "n"], *(["great", f"{name}:{n}"] for n in range(4))])
    report = (
        label(tmp_path, tmp_path / "out" / ".." / "out.jsonl", classifier, limit=6, shard_rows=4)
        if False
        else label(tmp_path, tmp_path / "out.jsonl", classifier, limit=6, shard_rows=4)
    )
    assert report.rows == 6
    assert [row["n"] for row in read_lines(tmp_path / "out.jsonl")] == [
        "1.csv:0",
        "1.csv:1",
        "1.csv:2",
        "1.csv:3",
        "2.csv:0",
        "2.csv:1",
    ]


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"limit": 0}, "--limit is 0"),
        ({"shard_rows": 0}, "--shard-rows is 0"),
        ({"input_format": "xls"}, "'xls' is not known"),
        ({"output_format": "doc"}, "unknown kind of file"),
        ({"quoting": "triple"}, r"quoting 'triple' is not known\. Known: double, single, backslash, none"),
        ({"delimiter": ",,"}, "must be one character"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(
    tmp_path: Path, classifier: FeedbackClassifier, setting: dict[str, Any], said: str
) -> None:
    write_csv(tmp_path / "in.csv", [["text"], ["great"]])
    with pytest.raises(DataError, match=said):
        label(tmp_path / "in.csv", tmp_path / "out.csv", classifier, **setting)
    assert [file.name for file in tmp_path.iterdir()] == ["in.csv"]


def test_a_file_whose_name_says_nothing_is_read_as_told(tmp_path: Path, classifier: FeedbackClassifier) -> None:
    (tmp_path / "export.txt").write_text("id\ttext\n1\tgreat\n", "utf-16")
    label(tmp_path / "export.txt", tmp_path / "out.csv", classifier, input_format="csv")
    assert [row["text"] for row in read_csv(tmp_path / "out.csv")] == ["great"]
    assert find_files([tmp_path / "export.txt"]) == [tmp_path / "export.txt"]
