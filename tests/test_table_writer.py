"""Written tables: values and types as they were given, whole files or none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from messages import values

from data.errors import DataError
from data.table_writer import TableWriter
from data.tables import Record, open_table


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_gzip_is_read_and_written_the_same_each_time(tmp_path: Path, kind: str) -> None:
    paths = [tmp_path / name / f"messages.{kind}.gz" for name in ("a", "b")]
    for path in paths:
        path.parent.mkdir()
        with TableWriter(path, ["text"]) as writer:
            writer.write({"text": "نیم‌فاصله"})
    assert values(paths[0]) == [{"text": "نیم‌فاصله"}]
    assert paths[0].read_bytes() == paths[1].read_bytes()


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


def test_writing_parquet_holds_one_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("data.table_writer.WRITE_BATCH_ROWS", 50)
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
