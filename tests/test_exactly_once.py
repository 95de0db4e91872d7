"""A run that breaks off loses nothing, and goes on to what an undisturbed run gives; what it was begun with is held to."""

from __future__ import annotations

import errno
import io
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from test_archive import read_csv, write_csv
from test_kills import content

from data.errors import DataError
from serving.archive import LabelReport, Progress, label
from serving.classifier import FeedbackClassifier

ROWS, SHARD_ROWS = 60, 20
TEXTS = ["快递太差 {}", "terrible parcel {}", "بسته {} افتضاح بود", " "]


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    rows = [[number, TEXTS[number % len(TEXTS)].format(number)] for number in range(ROWS)]
    return write_csv(tmp_path / "in.csv", [["id", "text"], *rows])


@pytest.fixture
def stopping(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, BaseException | Callable[[], Any]], Callable[[Progress], None]]:
    """A progress that does something at a row, once."""
    monkeypatch.setattr("serving.label_run.PROGRESS_SECONDS", 0.0)

    def at(row: int, what: BaseException | Callable[[], Any]) -> Callable[[Progress], None]:
        done: list[int] = []

        def progress(now: Progress) -> None:
            if now.rows >= row and not done:
                done.append(row)
                if isinstance(what, BaseException):
                    raise what
                what()

        return progress

    return at


def labelled(archive: Path | str, output: Path, classifier: FeedbackClassifier, **more: Any) -> LabelReport:
    return label(archive, output, classifier, **{"shard_rows": SHARD_ROWS, **more})


def whole(output: Path) -> tuple[Any, bytes]:
    return content(output), output.with_name(output.name + ".rejects.jsonl").read_bytes()


# Faults -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["out.csv", "out.parquet", "out.jsonl.zst", "out.xlsx", "shards"])
@pytest.mark.parametrize("call", ["os.fsync", "os.replace"])
def test_a_flush_or_rename_that_fails_anywhere_loses_nothing(
    archive: Path, tmp_path: Path, classifier: FeedbackClassifier, monkeypatch: pytest.MonkeyPatch, call: str, name: str
) -> None:
    form = {"output_format": "csv"} if name == "shards" else {}
    real, calls, fails_at = getattr(os, call.removeprefix("os.")), 0, -1

    def failing(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == fails_at:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(*arguments)

    monkeypatch.setattr(call, failing)
    end = "/" if name == "shards" else ""
    (tmp_path / "a").mkdir()
    labelled(archive, f"{tmp_path / 'a' / name}{end}", classifier, **form)  # type: ignore[arg-type]  # a folder's name ends in /
    expected, steps = whole(tmp_path / "a" / name), calls
    assert steps >= 3 * (ROWS // SHARD_ROWS)
    for step in range(1, steps + 1, 3 if name == "out.csv" else 7):
        folder = tmp_path / str(step)
        folder.mkdir()
        calls, fails_at = 0, step
        with pytest.raises(DataError, match="No space left on device"):
            labelled(archive, f"{folder / name}{end}", classifier, **form)  # type: ignore[arg-type]  # a folder's name ends in /
        calls, fails_at = 0, -1
        labelled(archive, f"{folder / name}{end}", classifier, **form)  # type: ignore[arg-type]  # a folder's name ends in /
        assert whole(folder / name) == expected, step
        assert sorted(file.name for file in folder.iterdir()) == [name, f"{name}.manifest.json", f"{name}.rejects.jsonl"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no limit on the size of a process's files")
@pytest.mark.parametrize(("share", "kept"), [(0.9, ROWS), (0.1, 0)], ids=["of the whole", "of a shard"])
def test_a_write_that_fails_says_what_is_kept_and_the_next_call_goes_on(
    archive: Path, tmp_path: Path, classifier: FeedbackClassifier, model_path: Path, share: float, kept: int
) -> None:
    import resource

    labelled(archive, tmp_path / "a.csv", classifier)
    limit = int((tmp_path / "a.csv").stat().st_size * share)
    command = [sys.executable, "-m", "feedback", "label", str(archive), "-o", str(tmp_path / "b.csv"), "--model", str(model_path)]
    full = subprocess.run(
        [*command, "--shard-rows", str(SHARD_ROWS)],
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert full.returncode == 1, full.stdout
    assert "cannot be written: [Errno 27] File too large" in full.stderr
    said = f"{ROWS} of {ROWS} rows are kept in {tmp_path / 'b.csv.parts'}" if kept else "No rows were done yet"
    assert f"{said}: make the same call again" in full.stderr
    assert not (tmp_path / "b.csv").exists()
    report = labelled(archive, tmp_path / "b.csv", classifier)
    assert report.before == kept
    assert whole(tmp_path / "b.csv") == whole(tmp_path / "a.csv")


def test_a_folder_that_cannot_be_written_is_told_before_anything_is_done(
    archive: Path, tmp_path: Path, classifier: FeedbackClassifier
) -> None:
    (tmp_path / "out.csv.parts").write_text("in the way")
    with pytest.raises(DataError, match=r"out\.csv: cannot be written: .*May its folder be written to\?"):
        labelled(archive, tmp_path / "out.csv", classifier)


def test_a_shard_that_was_damaged_is_noticed_and_done_again(
    archive: Path, tmp_path: Path, classifier: FeedbackClassifier, stopping: Any
) -> None:
    labelled(archive, tmp_path / "a.csv", classifier)
    with pytest.raises(KeyboardInterrupt):
        labelled(archive, tmp_path / "b.csv", classifier, progress=stopping(50, KeyboardInterrupt()))
    shard = tmp_path / "b.csv.parts" / "part-000001.csv"
    shard.write_bytes(shard.read_bytes()[:-7])
    with pytest.raises(DataError, match=r"part-000001\.csv: is not what was written there"):
        labelled(archive, tmp_path / "b.csv", classifier)
    assert labelled(archive, tmp_path / "b.csv", classifier).before == 40
    assert whole(tmp_path / "b.csv") == whole(tmp_path / "a.csv")


# Going on ---------------------------------------------------------------------------------------------------------------


def test_a_stopped_run_says_how_to_go_on_and_does_at_most_one_shard_again(
    archive: Path, tmp_path: Path, classifier: FeedbackClassifier, model_path: Path, stopping: Any
) -> None:
    class Counting(FeedbackClassifier):
        ran = 0

        def network(self, windows: Any) -> Any:
            self.ran += len(windows)
            return super().network(windows)

    labelled(archive, tmp_path / "a.csv", classifier)
    with pytest.raises(KeyboardInterrupt, match=r"stopped\. 40 of 60 rows are kept in .*out\.csv\.parts: make the same call again"):
        labelled(archive, tmp_path / "out.csv", classifier, progress=stopping(55, KeyboardInterrupt()))
    counting = Counting.load(model_path, threads=1)
    assert isinstance(counting, Counting)
    _ = counting.shares_runs  # looked at before runs are counted
    counting.ran = 0
    seen: list[Progress] = []
    report = labelled(archive, tmp_path / "out.csv", counting, progress=seen.append)
    counting.close()
    assert counting.ran == 15  # the last shard, but for its blank rows
    assert (report.rows, report.before) == (60, 40)
    assert "40 of them before this call" in report.to_text()
    assert (seen[0].before, seen[-1].rows, seen[-1].total) == (40, 60, 60)
    assert whole(tmp_path / "out.csv") == whole(tmp_path / "a.csv")


def test_a_run_that_was_killed_while_another_was_forgotten_takes_nothing_of_that_one(
    archive: Path, tmp_path: Path, classifier: FeedbackClassifier, stopping: Any
) -> None:
    labelled(archive, tmp_path / "a.csv", classifier)
    with pytest.raises(KeyboardInterrupt):
        labelled(archive, tmp_path / "b.csv", classifier, scores=True, progress=stopping(50, KeyboardInterrupt()))
    (tmp_path / "b.csv.parts" / "run.json").unlink()  # what goes first when a run is forgotten; its shards still stand
    assert labelled(archive, tmp_path / "b.csv", classifier).before == 0
    assert whole(tmp_path / "b.csv") == whole(tmp_path / "a.csv")


def test_a_stop_before_the_first_shard_leaves_nothing(
    archive: Path, tmp_path: Path, classifier: FeedbackClassifier, stopping: Any
) -> None:
    with pytest.raises(KeyboardInterrupt, match="No rows were done yet"):
        labelled(archive, tmp_path / "out.csv", classifier, progress=stopping(10, KeyboardInterrupt()))
    assert [file.name for file in tmp_path.iterdir()] == ["in.csv"]


def test_a_finished_call_made_again_changes_nothing(archive: Path, tmp_path: Path, classifier: FeedbackClassifier) -> None:
    first = labelled(archive, tmp_path / "out.csv", classifier)
    stamps = [(file.name, file.stat().st_mtime_ns) for file in sorted(tmp_path.iterdir())]
    again = labelled(archive, tmp_path / "out.csv", classifier)
    assert again.finished_before
    assert "there was nothing left to do" in again.to_text()
    assert (again.labelled, again.rejected, again.rejects) == (first.labelled, first.rejected, first.rejects)
    assert [(file.name, file.stat().st_mtime_ns) for file in sorted(tmp_path.iterdir())] == stamps
    assert not labelled(archive, tmp_path / "out.csv", classifier, restart=True).finished_before
    with (tmp_path / "out.csv").open("a") as stream:
        stream.write("mine\r\n")
    with pytest.raises(DataError, match=r"out\.csv: exists already\. It was changed after it was labelled\..*--overwrite"):
        labelled(archive, tmp_path / "out.csv", classifier)
    assert not labelled(archive, tmp_path / "out.csv", classifier, overwrite=True).finished_before
    assert "mine" not in (tmp_path / "out.csv").read_text("utf-8")


def test_an_output_that_is_written_over_stays_until_the_new_one_is_whole(
    archive: Path, tmp_path: Path, classifier: FeedbackClassifier, stopping: Any
) -> None:
    other = write_csv(tmp_path / "other.csv", [["text"], ["great"]])
    labelled(other, tmp_path / "out.csv", classifier)
    with pytest.raises(KeyboardInterrupt):
        labelled(archive, tmp_path / "out.csv", classifier, overwrite=True, progress=stopping(50, KeyboardInterrupt()))
    assert [row["text"] for row in read_csv(tmp_path / "out.csv")] == ["great"]
    labelled(archive, tmp_path / "out.csv", classifier, overwrite=True)
    assert len(read_csv(tmp_path / "out.csv")) == 45


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet", "xlsx"])
def test_every_kind_of_input_is_gone_on_with(
    archive: Path, tmp_path: Path, classifier: FeedbackClassifier, stopping: Any, kind: str
) -> None:
    source = tmp_path / f"source.{kind}"
    labelled(archive, source, classifier)
    labelled(source, tmp_path / "a.csv", classifier, prefix="p_")
    with pytest.raises(KeyboardInterrupt):
        labelled(source, tmp_path / "b.csv", classifier, prefix="p_", progress=stopping(30, KeyboardInterrupt()))
    assert labelled(source, tmp_path / "b.csv", classifier, prefix="p_").before == 20
    assert (tmp_path / "b.csv").read_bytes() == (tmp_path / "a.csv").read_bytes()


def test_several_files_are_gone_on_with_across_their_borders(
    archive: Path, tmp_path: Path, classifier: FeedbackClassifier, stopping: Any
) -> None:
    parts = [tmp_path / "p1.csv", tmp_path / "p2.csv", tmp_path / "p3.csv"]
    for part in parts:
        shutil.copy(archive, part)
    label(parts, tmp_path / "a.csv", classifier, shard_rows=25)
    with pytest.raises(KeyboardInterrupt):
        label(parts, tmp_path / "b.csv", classifier, shard_rows=25, progress=stopping(140, KeyboardInterrupt()))
    assert label(parts, tmp_path / "b.csv", classifier, shard_rows=25).before == 125
    assert whole(tmp_path / "b.csv") == whole(tmp_path / "a.csv")
    assert len(read_csv(tmp_path / "b.csv")) == 3 * 45


def test_standard_input_is_kept_and_gone_on_with(
    archive: Path, tmp_path: Path, classifier: FeedbackClassifier, stopping: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pipe(content: bytes) -> None:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))

    labelled(archive, tmp_path / "a.csv", classifier)
    for sent in (archive.read_bytes(), b""):
        pipe(archive.read_bytes())
        with pytest.raises(KeyboardInterrupt):
            labelled("-", tmp_path / "b.csv", classifier, progress=stopping(30, KeyboardInterrupt()))
        pipe(b"id,text\r\n1,something else\r\n")
        with pytest.raises(DataError, match=r"standard input: differs from what this output was begun with.*--restart"):
            labelled("-", tmp_path / "b.csv", classifier)
        pipe(sent)
        assert labelled("-", tmp_path / "b.csv", classifier).before == 20
        assert (tmp_path / "b.csv").read_bytes() == (tmp_path / "a.csv").read_bytes()
        for file in tmp_path.glob("b.csv*"):
            file.unlink()
    pipe(b"")
    with pytest.raises(DataError, match="standard input: nothing came"):
        labelled("-", tmp_path / "b.csv", classifier)
    assert not list(tmp_path.glob("b.csv*"))


# Held to what it was begun with -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"scores": True}, "scores was false, is true"),
        ({"prefix": "p_"}, "prefix was '', is 'p_'"),
        ({"limit": 50}, "limit was not there, is 50"),
        ({"text_column": "id"}, "text column was 'text', is 'id'"),
        ({"shard_rows": 10}, "rows a shard was 20, is 10"),
        ({"redacted": True}, "redaction was not there, is 1"),
    ],
)
def test_other_settings_are_refused_with_the_difference_and_restart_starts_anew(
    archive: Path, tmp_path: Path, classifier: FeedbackClassifier, stopping: Any, change: dict[str, Any], said: str
) -> None:
    with pytest.raises(KeyboardInterrupt):
        labelled(archive, tmp_path / "out.csv", classifier, progress=stopping(50, KeyboardInterrupt()))
    with pytest.raises(DataError, match=rf"was begun with other input, model or settings: {said}\..*--restart"):
        labelled(archive, tmp_path / "out.csv", classifier, **change)
    assert labelled(archive, tmp_path / "out.csv", classifier, **change, restart=True).before == 0


def test_another_input_or_model_is_refused_with_the_difference(
    archive: Path, tmp_path: Path, classifier: FeedbackClassifier, stopping: Any
) -> None:
    from tiny_model import make_tiny_model

    with pytest.raises(KeyboardInterrupt):
        labelled(archive, tmp_path / "out.csv", classifier, progress=stopping(50, KeyboardInterrupt()))
    other = make_tiny_model(tmp_path / "model", max_characters=999)
    with pytest.raises(DataError, match=rf"model's version was '{classifier.version}', is '{other.version}'".replace("+", r"\+")):
        label(archive, tmp_path / "out.csv", other, shard_rows=SHARD_ROWS)
    with archive.open("a", encoding="utf-8") as stream:
        stream.write("99,great\r\n")
    with pytest.raises(DataError, match=r"input 1 in\.csv was '[\d,]+ bytes, SHA-256 [0-9a-f]{12}…, .*is '"):
        labelled(archive, tmp_path / "out.csv", classifier)


def test_two_runs_on_one_output_are_refused(archive: Path, tmp_path: Path, classifier: FeedbackClassifier, stopping: Any) -> None:
    refused: list[str] = []

    def second() -> None:
        with pytest.raises(DataError, match=r"out\.csv: another run is writing it") as error:
            labelled(archive, tmp_path / "out.csv", classifier)
        refused.append(str(error.value))

    assert labelled(archive, tmp_path / "out.csv", classifier, progress=stopping(30, second)).rows == ROWS
    assert len(refused) == 1


def test_an_input_that_vanishes_is_told_and_nothing_is_lost(
    archive: Path, tmp_path: Path, classifier: FeedbackClassifier, stopping: Any
) -> None:
    labelled(archive, tmp_path / "a.csv", classifier)
    away = tmp_path / "away"
    with pytest.raises(DataError, match=r"in\.csv: no such file any more\. Bring it back\.\n20 of 60 rows are kept"):
        labelled(archive, tmp_path / "out.csv", classifier, progress=stopping(30, lambda: archive.rename(away)))
    away.rename(archive)
    labelled(archive, tmp_path / "out.csv", classifier)
    assert whole(tmp_path / "out.csv") == whole(tmp_path / "a.csv")


def test_more_rejects_than_allowed_stop_the_run_and_more_may_be_allowed_then(
    archive: Path, tmp_path: Path, classifier: FeedbackClassifier
) -> None:
    with pytest.raises(DataError, match=r"9 rejects, and --max-rejects is 8\. For example: .*in\.csv:5: nothing to read") as error:
        labelled(archive, tmp_path / "out.csv", classifier, max_rejects=8)
    assert "20 of 60 rows are kept" in str(error.value)
    assert labelled(archive, tmp_path / "out.csv", classifier, max_rejects=15).before == 20
