"""Labelling a file: the input's columns come out untouched, and labelled rows and rejects together are the input's rows."""

from __future__ import annotations

import csv
import hashlib
import json
import threading
import time
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet as parquet
import pytest

from data.errors import DataError, ModelFolderError
from serving.archive import LabelReport, Progress, label
from serving.classifier import FeedbackClassifier
from serving.prediction import Prediction

TEXTS = ["快递太差，我要退款", "terrible parcel, I want a refund", "بسته افتضاح بود، بازپرداخت می‌خواهم", "great"]
ADDED = [
    "language", "sentiment", "sentiment_probability", "tone", "tone_probability", "category", "category_probabilities",
    "departments", "priority", "abstained", "repairs", "warnings", "model",
]  # fmt: skip


def write_csv(path: Path, rows: list[list[Any]], encoding: str = "utf-8") -> Path:
    with path.open("w", encoding=encoding, newline="") as stream:
        csv.writer(stream).writerows(rows)
    return path


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return write_csv(tmp_path / "in.csv", [["id", "text", "shop"], *([number, text, "北"] for number, text in enumerate(TEXTS))])


def test_a_csv_file_gets_the_columns_of_the_contract_after_its_own(
    archive: Path, tmp_path: Path, classifier: FeedbackClassifier
) -> None:
    report = label(archive, tmp_path / "out.csv", classifier)
    rows = read_csv(tmp_path / "out.csv")
    assert list(rows[0]) == ["id", "text", "shop", *ADDED]
    assert [(row["id"], row["text"], row["shop"]) for row in rows] == [(str(n), text, "北") for n, text in enumerate(TEXTS)]
    assert [row["language"] for row in rows] == ["zh", "en", "fa", "en"]
    assert rows[0]["category"] == "delivery|payment"
    assert len(rows[0]["category_probabilities"].split("|")) == 2
    assert rows[0]["departments"] == "logistics|finance"
    assert rows[3]["abstained"] == "tone|category"
    assert rows[0]["model"] == report.model == classifier.version
    assert (report.rows, report.labelled, report.rejected, report.rejects) == (4, 4, {}, None)
    assert report.languages == {"en": 2, "zh": 1, "fa": 1}
    assert not (tmp_path / "out.csv.rejects.jsonl").exists()


def test_labels_and_probabilities_are_those_of_the_classifier(
    archive: Path, tmp_path: Path, classifier: FeedbackClassifier
) -> None:
    label(archive, tmp_path / "out.jsonl", classifier, scores=True)
    for row, result in zip(read_lines(tmp_path / "out.jsonl"), classifier.predict(TEXTS), strict=True):
        assert isinstance(result, Prediction)
        document = result.to_dict(scores=True)
        assert row["tone"] == document["answers"]["tone"]["label"]
        assert row["tone_probability"] == document["answers"]["tone"]["probability"]
        assert row["tone_scores"] == document["answers"]["tone"]["scores"]
        assert row["category"] == [choice["label"] for choice in document["answers"]["category"]["labels"]]
        assert row["category_probabilities"] == [choice["probability"] for choice in document["answers"]["category"]["labels"]]
        assert row["category_scores"] == document["answers"]["category"]["scores"]
        for name in ("departments", "priority", "repairs", "warnings", "model"):
            assert row[name] == document[name]


def test_a_parquet_file_keeps_its_types_and_gets_lists(tmp_path: Path, classifier: FeedbackClassifier) -> None:
    schema = pyarrow.schema([("n", pyarrow.int16()), ("内容", pyarrow.large_string()), ("at", pyarrow.timestamp("ms"))])
    table = pyarrow.table({"n": [1, 2, None, 4], "内容": TEXTS, "at": [0, 1, None, 3]}, schema=schema)
    parquet.write_table(table, tmp_path / "in.parquet")
    label(tmp_path / "in.parquet", tmp_path / "out.parquet", classifier, scores=True)
    out = parquet.read_table(tmp_path / "out.parquet")
    assert out.select(["n", "内容", "at"]).equals(table)
    assert out.schema.field("category").type == pyarrow.list_(pyarrow.string())
    assert out.schema.field("category_probabilities").type == pyarrow.list_(pyarrow.float64())
    assert out.column("category").to_pylist()[0] == ["delivery", "payment"]
    assert list(out.column("sentiment_scores").to_pylist()[0]) == ["positive", "neutral", "negative"]
    assert out.column("repairs").to_pylist() == [[], [], [], []]


@pytest.mark.parametrize("output", ["out.csv", "out.tsv", "out.jsonl", "out.parquet", "out.csv.gz"])
@pytest.mark.parametrize("source", ["csv", "jsonl", "parquet"])
def test_every_format_goes_into_every_other(tmp_path: Path, classifier: FeedbackClassifier, source: str, output: str) -> None:
    if source == "csv":
        path = write_csv(tmp_path / "in.csv", [["n", "متن"], *([n, text] for n, text in enumerate(TEXTS))])
    elif source == "jsonl":
        path = tmp_path / "in.jsonl"
        path.write_text("".join(json.dumps({"n": n, "متن": text}) + "\n" for n, text in enumerate(TEXTS)), "utf-8")
    else:
        path = tmp_path / "in.parquet"
        parquet.write_table(pyarrow.table({"n": [0, 1, 2, 3], "متن": TEXTS}), path)
    report = label(path, tmp_path / output, classifier)
    assert (report.labelled, report.text_column) == (4, "متن")
    assert (tmp_path / output).stat().st_size > 0


def test_a_file_from_excel_in_a_chinese_encoding_is_read(tmp_path: Path, classifier: FeedbackClassifier) -> None:
    texts = ["快递太差，我要退款，客服也不回复", "这个手机很好用，屏幕清楚，电池也不错"] * 5
    path = write_csv(tmp_path / "in.csv", [["评价"], *([text] for text in texts)], encoding="gb18030")
    label(path, tmp_path / "out.csv", classifier)
    assert [row["评价"] for row in read_csv(tmp_path / "out.csv")] == texts


@pytest.mark.parametrize("output", ["out.csv", "out.jsonl", "out.parquet"])
@pytest.mark.parametrize("source", ["in.csv", "in.parquet"])
def test_columns_without_rows_give_columns_without_rows(
    tmp_path: Path, classifier: FeedbackClassifier, source: str, output: str
) -> None:
    if source == "in.csv":
        write_csv(tmp_path / source, [["id", "text"]])
    else:
        parquet.write_table(pyarrow.table({"id": pyarrow.array([], pyarrow.int8()), "text": pyarrow.nulls(0)}), tmp_path / source)
    report = label(tmp_path / source, tmp_path / output, classifier)
    assert (report.rows, report.rejects) == (0, None)
    assert "labelled  no rows" in report.to_text()
    assert json.loads(report.manifest.read_text("utf-8"))["rows"] == {"read": 0, "labelled": 0, "rejected": {}}
    if output == "out.csv":
        assert (tmp_path / output).read_text("utf-8").split("\n") == [",".join(["id", "text", *ADDED]), ""]
    elif output == "out.parquet":
        table = parquet.read_table(tmp_path / output)
        assert (table.column_names, table.num_rows) == (["id", "text", *ADDED], 0)
    else:
        assert (tmp_path / output).read_bytes() == b""


# Rejects ----------------------------------------------------------------------------------------------------------------


def test_rows_and_rejects_together_are_the_inputs_rows(tmp_path: Path, classifier: FeedbackClassifier) -> None:
    lines = [
        json.dumps({"id": 1, "text": "great"}),
        json.dumps({"id": 2, "text": "  "}),
        '{"id": 3, "text": "cut',
        json.dumps({"id": 4, "text": "y" * 2001}),
        json.dumps({"id": 5}),
        json.dumps({"id": 6, "text": 12}),
        json.dumps({"id": 7, "text": "عالی"}),
        "[]",
    ]
    (tmp_path / "in.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    report = label(tmp_path / "in.jsonl", tmp_path / "out.jsonl", classifier, id_column="id")
    assert [row["id"] for row in read_lines(tmp_path / "out.jsonl")] == [1, 7]
    assert report.rejects == tmp_path / "out.jsonl.rejects.jsonl"
    rejects = read_lines(report.rejects)
    assert [list(reject) for reject in rejects] == [["file", "line", "id", "column", "code", "reason"]] * 6
    assert [(reject["line"], reject["id"], reject["column"], reject["code"]) for reject in rejects] == [
        (2, 2, "text", "empty"),
        (3, None, None, "unreadable"),
        (4, 4, "text", "too_long"),
        (5, 5, "text", "empty"),
        (6, 6, "text", "not_text"),
        (8, None, None, "unreadable"),
    ]
    assert "at most 2,000" in rejects[2]["reason"]
    assert report.rejected == {"empty": 2, "unreadable": 2, "too_long": 1, "not_text": 1}
    assert report.rows == len(lines)


def test_a_file_of_nothing_but_rejects_ends_with_an_empty_output(tmp_path: Path, classifier: FeedbackClassifier) -> None:
    path = write_csv(tmp_path / "in.csv", [["id", "text"], *([n, " "] for n in range(50))])
    report = label(path, tmp_path / "out.csv", classifier)
    assert (report.labelled, report.rejected) == (0, {"empty": 50})
    assert read_csv(tmp_path / "out.csv") == []


def test_no_reject_repeats_the_text(tmp_path: Path, classifier: FeedbackClassifier) -> None:
    path = write_csv(tmp_path / "in.csv", [["text"], ["MARKER " * 500]])
    report = label(path, tmp_path / "out.csv", classifier)
    assert report.rejects is not None
    assert "MARKER" not in report.rejects.read_text("utf-8")
    assert "MARKER" not in report.manifest.read_text("utf-8")


# Columns ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("column", ["text", "Comment", " review ", "内容", "评论", "評價", "反馈", "متن", "نظر", "پیام", "ديدگاه"])
def test_an_obvious_text_column_is_found(tmp_path: Path, classifier: FeedbackClassifier, column: str) -> None:
    path = write_csv(tmp_path / "in.csv", [["id", column, "stars"], ["1", "great", "5"]])
    assert label(path, tmp_path / "out.csv", classifier).text_column == column


def test_the_only_column_is_the_text_column(tmp_path: Path, classifier: FeedbackClassifier) -> None:
    path = write_csv(tmp_path / "in.csv", [["q7"], ["great"]])
    assert label(path, tmp_path / "out.csv", classifier).text_column == "q7"


@pytest.mark.parametrize(
    ("header", "named", "message"),
    [
        (["id", "q7"], None, r"no column's name says .* --text-column\. Columns: 'id', 'q7'\."),
        (
            ["text", "评论"],
            None,
            r"'text' or '评论' could hold the messages\. Name it with --text-column\. Columns: 'text', '评论'",
        ),
        (["id", "message"], "mesage", r"no column 'mesage' \(nearest: 'message'\)\. Columns: 'id', 'message'"),
    ],
)
def test_a_text_column_that_is_not_obvious_is_asked_for(
    tmp_path: Path, classifier: FeedbackClassifier, header: list[str], named: str | None, message: str
) -> None:
    path = write_csv(tmp_path / "in.csv", [header, ["1", "great"]])
    with pytest.raises(DataError, match=message):
        label(path, tmp_path / "out.csv", classifier, text_column=named)
    assert [file.name for file in tmp_path.iterdir()] == ["in.csv"]


def test_a_column_that_exists_is_never_written_over_and_a_prefix_helps(tmp_path: Path, classifier: FeedbackClassifier) -> None:
    path = write_csv(tmp_path / "in.csv", [["text", "language", "tone"], ["great", "kept", "kept too"]])
    with pytest.raises(DataError, match=r"has columns language, tone already.*--prefix model_"):
        label(path, tmp_path / "out.csv", classifier)
    label(path, tmp_path / "out.csv", classifier, prefix="ai_")
    (row,) = read_csv(tmp_path / "out.csv")
    assert (row["language"], row["tone"], row["ai_language"]) == ("kept", "kept too", "en")
    assert list(row) == ["text", "language", "tone", *(f"ai_{name}" for name in ADDED)]


def test_a_late_json_column_is_not_written_over_either(tmp_path: Path, classifier: FeedbackClassifier) -> None:
    lines = ['{"text": "great"}'] * 1500 + ['{"text": "great", "tone": "mine"}']
    (tmp_path / "in.jsonl").write_text("\n".join(lines), "utf-8")
    with pytest.raises(DataError, match=r"in\.jsonl: has columns tone already"):
        label(tmp_path / "in.jsonl", tmp_path / "out.jsonl", classifier)
    assert [file.name for file in tmp_path.iterdir()] == ["in.jsonl"]


# Files ------------------------------------------------------------------------------------------------------------------


def test_the_manifest_says_what_was_labelled_by_what(archive: Path, tmp_path: Path, classifier: FeedbackClassifier) -> None:
    write_csv(archive, [["text"], ["great"], [" "]])
    report = label(archive, tmp_path / "out.csv", classifier)
    manifest = json.loads(report.manifest.read_text("utf-8"))
    assert manifest["inputs"][0]["sha256"] == hashlib.sha256(archive.read_bytes()).hexdigest()
    assert manifest["output"]["sha256"] == hashlib.sha256((tmp_path / "out.csv").read_bytes()).hexdigest()
    assert manifest["rows"] == {"read": 2, "labelled": 1, "rejected": {"empty": 1}}
    assert manifest["model"] == classifier.version
    assert manifest["rejects"] == "out.csv.rejects.jsonl"
    assert manifest["seconds"] > 0
    assert str(tmp_path) not in report.manifest.read_text("utf-8")


def test_the_input_is_never_written_over(archive: Path, classifier: FeedbackClassifier) -> None:
    before = archive.read_bytes()
    with pytest.raises(DataError, match="would write over the input"):
        label(archive, archive.parent / "." / archive.name, classifier, overwrite=True)
    assert archive.read_bytes() == before


def test_an_output_that_exists_is_written_over_only_when_told(
    archive: Path, tmp_path: Path, classifier: FeedbackClassifier
) -> None:
    bad = write_csv(tmp_path / "bad.csv", [["text"], [" "]])
    label(bad, tmp_path / "out.csv", classifier)
    with pytest.raises(DataError, match=r"out\.csv: exists already.*--overwrite"):
        label(archive, tmp_path / "out.csv", classifier)
    assert label(archive, tmp_path / "out.csv", classifier, overwrite=True).labelled == 4
    assert not (tmp_path / "out.csv.rejects.jsonl").exists()  # of the run before


def test_a_run_that_breaks_off_leaves_nothing_behind(
    archive: Path, tmp_path: Path, classifier: FeedbackClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.label_run.PROGRESS_SECONDS", 0.0)
    write_csv(archive, [["text"], *([f"great {n}"] for n in range(200)), [" "]])

    def stop(done: Progress) -> None:
        if done.rows == 100:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        label(archive, tmp_path / "out.csv", classifier, progress=stop)
    assert [file.name for file in tmp_path.iterdir()] == ["in.csv"]


def test_an_input_that_changes_meanwhile_is_noticed(archive: Path, tmp_path: Path, model_path: Path) -> None:
    class Meddling(FeedbackClassifier):
        def network(self, windows: Any) -> Any:
            with archive.open("a", encoding="utf-8") as stream:
                stream.write("9,late,x\r\n")
            return super().network(windows)

    meddling = Meddling.load(model_path, threads=1)
    with pytest.raises(DataError, match="changed while it was read"):
        label(archive, tmp_path / "out.csv", meddling)
    meddling.close()
    assert [file.name for file in tmp_path.iterdir()] == ["in.csv"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("in.csv", b"", "the file is empty, it has no rows"),
        ("in.jsonl", b"\n\n", "the file is empty, it has no rows"),
        ("in.jsonl", b"{}\n", "no rows: the objects at its beginning have no keys"),
        ("in.csv", "text\n快递太慢了\n".encode("utf-16-le"), r"UTF-16 without .* Name the encoding \(--encoding utf-16-le\)"),
        ("in.jsonl", '{"text": "عالی بود"}\n'.encode("utf-16-be"), r"UTF-16 without .* \(--encoding utf-16-be\)"),
        ("in.csv", b"\x89PNG\r\n\x1a\n\x00\x00", "a PNG picture"),
        ("in.txt", b"great", "unknown kind of file"),
    ],
)
def test_bad_input_is_refused_before_anything_is_written(
    tmp_path: Path, classifier: FeedbackClassifier, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        label(tmp_path / name, tmp_path / "out.csv", classifier)
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_a_missing_input_folder_or_model_is_named(archive: Path, tmp_path: Path, classifier: FeedbackClassifier) -> None:
    with pytest.raises(DataError, match=r"none\.csv: no such file"):
        label(tmp_path / "none.csv", tmp_path / "out.csv", classifier)
    with pytest.raises(DataError, match="cannot be written"):
        label(archive, tmp_path / "nowhere" / "out.csv", classifier)
    with pytest.raises(DataError, match="unknown kind of file"):
        label(archive, tmp_path / "out.xls", classifier)
    with pytest.raises(ModelFolderError, match="no such model folder"):
        label(archive, tmp_path / "out.csv", tmp_path / "model")


def test_a_model_folder_does_in_place_of_a_classifier(archive: Path, tmp_path: Path, model_path: Path) -> None:
    assert label(archive, tmp_path / "out.csv", model_path).labelled == 4


def test_progress_ends_with_the_whole_and_text_for_people(archive: Path, tmp_path: Path, classifier: FeedbackClassifier) -> None:
    seen: list[Progress] = []
    report = label(archive, tmp_path / "out.csv", classifier, progress=seen.append)
    assert (seen[-1].rows, seen[-1].rejects) == (4, 0)
    assert seen[-1].rate == pytest.approx(report.rate)
    assert "labelled  4 of 4 rows" in report.to_text()
    assert LabelReport.to_text(report).count("\n") == 3


def test_few_rows_are_read_ahead_of_what_is_written(tmp_path: Path, model_path: Path) -> None:
    """Memory stays bounded: the reader waits for the slowest text."""
    gate = threading.Event()
    pulled = 0

    class Waiting(FeedbackClassifier):
        def network(self, windows: Any) -> Any:
            gate.wait(10)
            return super().network(windows)

    def texts() -> Any:
        nonlocal pulled
        for _ in range(1000):
            pulled += 1
            yield "great"

    waiting = Waiting.load(model_path, threads=1)
    threading.Timer(0.2, lambda: (reached.append(pulled), gate.set())).start()
    reached: list[int] = []
    assert sum(1 for _ in waiting.stream(texts())) == 1000
    waiting.close()
    assert reached[0] <= 10


def test_rows_that_a_stopped_run_had_read_ahead_are_not_labelled(tmp_path: Path, model_path: Path) -> None:
    class Counting(FeedbackClassifier):
        ran = 0

        def network(self, windows: Any) -> Any:
            self.ran += len(windows)
            time.sleep(0.002 * len(windows))
            return super().network(windows)

    def stop(progress: Progress) -> None:
        raise OSError("the consumer fails")

    archive = tmp_path / "in.csv"
    archive.write_text("text\n" + "".join(f"great parcel {number}\n" for number in range(3000)), "utf-8")
    counting = Counting.load(model_path, threads=1)
    assert isinstance(counting, Counting)
    _ = counting.shares_runs  # looked at before runs are counted
    counting.ran = 0
    with pytest.raises(DataError, match="the consumer fails"):
        label(archive, tmp_path / "out.csv", counting, shard_rows=100, progress=stop)
    counting.close()  # waits for what is queued
    assert 0 < counting.ran < 1500


def test_progress_is_told_while_a_block_is_waited_for(tmp_path: Path, model_path: Path) -> None:
    class Slow(FeedbackClassifier):
        def network(self, windows: Any) -> Any:
            time.sleep(1.5)
            return super().network(windows)

    archive = tmp_path / "in.csv"
    archive.write_text("text\ngreat parcel\n", "utf-8")
    slow = Slow.load(model_path, threads=1)
    seen: list[Progress] = []
    label(archive, tmp_path / "out.csv", slow, progress=seen.append)
    slow.close()
    assert [progress.rows for progress in seen][:2] == [0, 0]


def test_long_texts_make_small_blocks_and_no_block_goes_over_a_shard() -> None:
    from data.tables import Record
    from serving import labelling

    table: Any = type("Table", (), {"format": "csv"})()
    texts = ["x" * 30_000] * 5 + ["y"] * 3000
    items = [(table, Record({"text": text}, number)) for number, text in enumerate(texts)]
    made = list(labelling._blocks(items, labelling.Reading("text"), 1000))
    assert [len(block.items) for block in made] == [4, 996, 1000, 1000, 5]
    assert [item for block in made for item in block.items] == items
