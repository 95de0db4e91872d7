"""The verbs `feedback data …` on files that are wrong: said what, where and what to do, exit code 1 or 2, nothing written."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

import feedback

SET = "label,text\n1,很好吃\n0,太慢了\n"
Verb = Callable[..., tuple[int, str]]


@pytest.fixture
def verb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Verb:
    """Runs `feedback data` in `tmp_path`, which holds broken files; gives the exit code and all that was printed."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder.csv").mkdir()
    files = {
        "set.csv": SET.encode(),
        "rows.csv": b"text,sentiment\ngreat,positive\n",
        "empty.csv": b"",
        "columns.csv": "comment,mood\n很好,positive\n".encode(),
        "label.csv": "text,sentiment\n很好,postive\n".encode(),
        "few.csv": b"text,sentiment,tone\ngreat,positive\n",
        "quote.csv": b'text,sentiment\n"great,positive\n',
        "mixed.csv": "label,text\n1,很好吃\n".encode() + "0,太慢了\n".encode("gb18030"),
        "encodings.csv": "text\n很好\n".encode() + "很差劲\n".encode("gb18030") + "عالي\n".encode("cp1256") + "عالی\n".encode(),
        "row.csv": ("text\n" + "很好用的产品\n" * 200).encode() + "很差劲\n".encode("gb18030"),
        "twice.jsonl": b'{"text": "a", "text": "b"}\n',
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)

    def run(*arguments: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as stopped:
            feedback.main(["data", *arguments])
        said = "".join(capfd.readouterr())
        assert "Traceback" not in said
        return stopped.value.code, said  # type: ignore[return-value]  # always a number here

    return run


CHECKED = {
    "folder": "folder: is a folder. Name a file",
    "folder.csv": "folder.csv: is a folder. Name a file",
    "empty.csv": "empty.csv: the file is empty, it has no rows.\n",
    "columns.csv": "no column 'text'. Columns found: 'comment', 'mood'. Name the column that holds the messages 'text'.\n",
    "label.csv": "nearest: 'positive'). Correct the row, or add the label to the taxonomy and retrain. (1 row)\n    label.csv:2\n",
    "few.csv": "has 2 fields, the header has 3; leave none out, an empty one has its separator too. (1 row)\n    few.csv:2\n",
    "quote.csv": "opens a double quote that is never closed; close it, or double a quote that is meant. (1 row)\n    quote.csv:2\n",
    "encodings.csv": "if its lines are in several, bring them all into UTF-8",
    "row.csv": "holds bytes that are not utf-8. Write the row anew in it, or delete the row. (1 row)\n    row.csv:202\n",
    "twice.jsonl": "twice.jsonl:1: not JSON that can be read: a key stands twice; rename or remove one",
    "missing.csv": "missing.csv: no such file",
}


@pytest.mark.parametrize(("name", "said"), CHECKED.items(), ids=CHECKED)
def test_a_check_says_what_is_wrong_where_and_what_to_do(verb: Verb, name: str, said: str) -> None:
    code, printed = verb("check", name)
    assert (code, said in printed) == (1, True), printed


OUTPUTS = {
    "folder": "folder: is a folder. Name a file in it",
    "folder.csv": "folder.csv: is a folder. Name a file in it",
    "missing/rows.jsonl": "missing/rows.jsonl: its folder does not exist. Make it",
    "rows.txt": "rows.txt: unknown kind of file. Known: .csv",
    "set.csv": "set.csv: is what is read, and would be replaced. Name another file",
    "./folder/../set.csv": "is what is read, and would be replaced",
}


@pytest.mark.parametrize("call", [("import", "waimai_10k"), ("import", "review"), ("annotate", "--source", "waimai_10k")], ids=str)
@pytest.mark.parametrize(("output", "said"), OUTPUTS.items(), ids=OUTPUTS)
def test_an_output_that_cannot_be_is_refused_before_anything_is_read(
    tmp_path: Path, verb: Verb, call: tuple[str, ...], output: str, said: str
) -> None:
    before = sorted(tmp_path.rglob("*"))
    code, printed = verb(*call, "--from", "set.csv", "-o", output)
    assert (code, said in printed) == (1, True), printed
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "set.csv").read_text("utf-8") == SET


@pytest.mark.parametrize(
    ("origin", "output", "said"),
    [("missing", "new", "missing: is not there. With --all, name a folder of sets"),
     ("set.csv", "new", "set.csv: is a file. With --all, name a folder of sets"),
     ("folder", "rows.csv", "rows.csv: is a file. With --all, name a folder for the rows")],
)  # fmt: skip
def test_all_sets_go_from_a_folder_into_a_folder(tmp_path: Path, verb: Verb, origin: str, output: str, said: str) -> None:
    code, printed = verb("import", "--all", "--from", origin, "-o", output)
    assert (code, said in printed) == (1, True), printed
    assert not (tmp_path / "new").exists()


def test_a_set_in_mixed_encodings_is_told_once_and_nothing_is_written(tmp_path: Path, verb: Verb) -> None:
    code, printed = verb("import", "waimai_10k", "--from", "mixed.csv", "-o", "new.jsonl")
    assert code == 1
    assert printed.count("can't decode byte") == 1
    assert printed.rstrip().endswith("Sets are read in UTF-8 throughout: save the file so.")
    assert not list(tmp_path.glob("new*"))


def test_a_folder_as_taxonomy_and_a_set_in_place_of_marked_rows_are_told(tmp_path: Path, verb: Verb) -> None:
    assert "folder: cannot be read: Is a directory; name the file in it" in verb("check", "rows.csv", "--taxonomy", "folder")[1]
    code, printed = verb("redaction", "mixed.csv")
    assert (code, "mixed.csv:3: byte 27 is not UTF-8. Save the file in UTF-8" in printed) == (1, True), printed


def test_a_file_that_may_not_be_read_is_told(tmp_path: Path, verb: Verb) -> None:
    (tmp_path / "rows.csv").chmod(0)
    if os.access(tmp_path / "rows.csv", os.R_OK):
        pytest.skip("this user may read everything")
    code, printed = verb("check", "rows.csv")
    assert (code, "rows.csv: cannot be read: permission denied. Allow yourself to read it" in printed) == (1, True), printed
    (tmp_path / "folder").chmod(0o500)
    code, printed = verb("import", "waimai_10k", "--from", "set.csv", "-o", "folder/rows.jsonl")
    assert (code, "folder/rows.jsonl: its folder may not be written to" in printed) == (1, True), printed
