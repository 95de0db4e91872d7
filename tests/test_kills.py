"""Exactly once: a run that is killed at any moment, and made again, gives what an undisturbed one gives.

Ten random kills here, and one before each of some steps; `make kills` makes 200 (KILLS in the environment, SEED for other moments)
and one before every step.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as parquet
import pytest
from openpyxl import load_workbook

from data.table_writer import TableWriter

KILLS = int(os.environ.get("KILLS", "10"))
SEED = os.environ.get("SEED", "")
EVERY = 1 if KILLS >= 200 else 20
"""Before which steps a run is killed: each, or one of so many."""
ROWS, SHARD_ROWS = 800, 50
TEXTS = ["快递太差，我要退款 {}", "terrible parcel {}, I want a refund", "بسته {} افتضاح بود", " ", "great {}\nand a second line"]
OUTPUTS = ["out.csv", "out.parquet", "out.jsonl.gz", "out.xlsx", "shards/"]


def start(archive: Path, output: Path | str, model: Path, *more: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "feedback", "label", str(archive), "-o", str(output), "--model", str(model)]
    return subprocess.Popen(
        [*command, "--shard-rows", str(SHARD_ROWS), *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def content(output: Path) -> Any:
    """Bytes, but for the two kinds whose bytes may differ: there the rows with their types."""
    if output.is_dir():
        return {file.name: file.read_bytes() for file in sorted(output.iterdir())}
    if output.suffix == ".parquet":
        table = parquet.read_table(output)
        return table.schema, table.to_pylist()
    if output.suffix == ".xlsx":
        sheet = load_workbook(output, read_only=True).active
        assert sheet is not None
        return [[(cell.data_type, cell.value) for cell in row] for row in sheet.iter_rows()]
    return output.read_bytes()


def began(process: subprocess.Popen[str], folder: Path, before: int | None = None) -> None:
    """Wait until a run has changed something in its folder: nothing can be lost before that."""
    while process.poll() is None and changed(folder) == before:
        time.sleep(0.001)


def changed(folder: Path) -> int | None:
    try:
        return folder.stat().st_mtime_ns
    except FileNotFoundError:
        return None


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL; TerminateProcess is what kill() calls there, not tried yet")
@pytest.mark.parametrize("name", OUTPUTS)
def test_a_run_that_is_killed_at_random_ends_as_an_undisturbed_one(tmp_path: Path, model_path: Path, name: str) -> None:
    chance = random.Random(name + SEED)
    archive = tmp_path / "in.csv"
    with TableWriter(archive, ["id", "text", "=note"]) as writer:
        for number in range(ROWS):
            writer.write({"id": number, "text": TEXTS[number % len(TEXTS)].format(number), "=note": "=1+1" if number % 7 else "-5"})
    whole = tmp_path / "undisturbed" / name.rstrip("/")
    whole.parent.mkdir()
    process = start(archive, f"{whole}/" if name.endswith("/") else whole, model_path)
    began(process, whole.with_name(whole.name + ".parts"))
    begun = time.perf_counter()
    assert process.wait() == 3, process.communicate()
    seconds = time.perf_counter() - begun
    expected = content(whole), Path(f"{whole}.rejects.jsonl").read_bytes()
    assert Path(f"{whole}.rejects.jsonl").read_text("utf-8").count("\n") == ROWS // len(TEXTS)

    kills = finished = 0
    output = tmp_path / name.rstrip("/")
    parts = output.with_name(output.name + ".parts")
    while kills < max(1, KILLS // len(OUTPUTS)) or not finished:
        before = changed(parts)
        process = start(archive, f"{output}/" if name.endswith("/") else output, model_path)
        began(process, parts, before)
        time.sleep(chance.uniform(0, seconds * 1.1))
        process.kill()
        _, said = process.communicate()
        if process.returncode < 0:
            kills += 1
            continue
        assert process.returncode == 3, said
        finished += 1
        assert (content(output), Path(f"{output}.rejects.jsonl").read_bytes()) == expected
        assert not list(tmp_path.glob("*.part*"))
        again = start(archive, f"{output}/" if name.endswith("/") else output, model_path)
        assert "nothing left to do" in again.communicate()[0]
        for path in tmp_path.glob(output.name + "*"):
            for file in path.iterdir() if path.is_dir() else [path]:
                file.unlink()
            if path.is_dir():
                path.rmdir()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has neither SIGKILL nor fork")
@pytest.mark.parametrize("before", [[], ["prefix=earlier_"]], ids=["first run", "restart of another"])
@pytest.mark.parametrize("name", OUTPUTS if EVERY == 1 else ["shards/"])
def test_a_run_that_is_killed_before_any_of_its_steps_ends_as_an_undisturbed_one(
    tmp_path: Path, model_path: Path, name: str, before: list[str]
) -> None:
    archive = tmp_path / "in.csv"
    with TableWriter(archive, ["id", "text"]) as writer:
        for number in range(60):
            writer.write({"id": number, "text": TEXTS[number % len(TEXTS)].format(number)})
    (tmp_path / "0").mkdir()
    start(archive, f"{tmp_path}/0/{name}", model_path, "--shard-rows", "20").communicate()
    script = Path(__file__).with_name("killed_at_every_step.py")
    command = [sys.executable, str(script), str(archive), name, str(model_path), str(tmp_path), str(EVERY), *before]
    run = subprocess.run(command, capture_output=True, text=True)
    codes = {step: int(code) for step, code in (line.split() for line in run.stdout.splitlines())}
    assert len(codes) > 30 / EVERY, run.stderr
    assert set(codes.values()) == {3}, (codes, run.stderr)
    expected = everything(tmp_path / "0")
    assert {path.rstrip("/") for path in expected} >= {name.rstrip("/"), f"{name.rstrip('/')}.rejects.jsonl"}
    for step in codes:
        assert everything(tmp_path / step) == expected, step


def everything(folder: Path) -> dict[str, Any]:
    """What is in a folder; of a manifest, which has times, only that it is there."""
    return {path.name: None if path.name.endswith(".manifest.json") else content(path) for path in folder.iterdir()}
