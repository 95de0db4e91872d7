"""The command line, as a person meets it: what goes wrong is said in one line or a few, and nothing is half-written."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

FEEDBACK = [sys.executable, "-m", "feedback"]


def run(*arguments, **environment):
    return subprocess.run(
        [*FEEDBACK, *map(str, arguments)], capture_output=True, text=True, encoding="utf-8", env={**os.environ, **environment}
    )


def row(**values):
    return json.dumps({"text": "the parcel is late", "sentiment": "negative", **values}, ensure_ascii=False) + "\n"


def config(tmp_path, rows, **settings):
    path = tmp_path / "run.toml"
    lines = {"rows": [str(rows)], "output": str(tmp_path / "model"), "base": "unused", **settings}
    path.write_text("\n".join(f"{key} = {json.dumps(value)}" for key, value in lines.items()), "utf-8")
    return path


def refused(result, *said):
    assert result.returncode == 1, result.stdout + result.stderr
    assert "Traceback" not in result.stderr
    assert result.stderr.startswith("error: ")
    for words in said:
        assert words in result.stderr


def test_help_lists_every_verb_and_loads_nothing_heavy():
    code = """
import sys, feedback
try:
    feedback.main(["--help"])
except SystemExit:
    pass
print(sorted({"torch", "numpy", "onnxruntime", "bentoml", "pyarrow"} & set(sys.modules)))
"""
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    for verb in ("predict", "label", "serve", "train", "pretrain", "evaluate", "compare", "decide", "data", "base", "quickstart"):
        assert f"    {verb} " in shown or f"    {verb}\n" in shown
    assert shown.endswith("[]\n")


def test_predict_prints_one_json_object_a_message_in_order(model_path):
    result = run("predict", "--model", model_path, "快递太慢", "great", "عالی بود")
    assert result.returncode == 0, result.stderr
    answers = [json.loads(line) for line in result.stdout.splitlines()]
    assert [answer["language"]["code"] for answer in answers] == ["zh", "en", "fa"]


def test_predict_reads_lines_of_standard_input(model_path):
    result = subprocess.run(
        [*FEEDBACK, "predict", "--model", str(model_path)], input="good\n\nbad\n", capture_output=True, text=True, encoding="utf-8"
    )
    answers = [json.loads(line) for line in result.stdout.splitlines()]
    assert [("error" in answer) for answer in answers] == [False, True, False]
    assert result.returncode == 3


def test_a_text_of_a_megabyte_is_refused_in_its_place(model_path):
    result = subprocess.run(
        [*FEEDBACK, "predict", "--model", str(model_path)], input="x" * 1_000_000, capture_output=True, text=True
    )
    answer = json.loads(result.stdout)
    assert answer["error"]["code"] == "too_long"
    assert "1,000,000 characters; at most" in answer["error"]["message"]


def test_label_and_decide_work_from_the_shell(model_path, tmp_path):
    archive = tmp_path / "archive.csv"
    archive.write_text("id,text\n1,late parcel\n2,\n3,عالی\n", "utf-8")
    result = run("label", archive, "-o", tmp_path / "out.jsonl", "--model", model_path)
    assert result.returncode == 3, result.stderr
    assert len((tmp_path / "out.jsonl").read_text("utf-8").splitlines()) == 2
    assert len((tmp_path / "out.jsonl.rejects.jsonl").read_text("utf-8").splitlines()) == 1
    changed = run("decide", model_path, "--set", "abstain_below.tone=0.9", "-o", tmp_path / "strict")
    assert changed.returncode == 0, changed.stderr
    refused(run("decide", model_path, "--set", "abstain_below.tome=0.9", "-o", tmp_path / "x"), "nearest: 'tone'")
    assert not (tmp_path / "x").exists()


def test_label_goes_from_standard_input_to_standard_output_and_tells_of_it_apart(model_path):
    command = [*FEEDBACK, "label", "-", "-o", "-", "--output-format", "jsonl", "--model", str(model_path)]
    result = subprocess.run(command, input="id,متن\n1,عالی\n2,\n", capture_output=True, text=True, encoding="utf-8")
    assert result.returncode == 3, result.stderr
    (row,) = [json.loads(line) for line in result.stdout.splitlines()]
    assert (row["id"], row["متن"], row["language"]) == ("1", "عالی", "fa")
    assert "labelled  1 of 2 rows" in result.stderr
    assert '"line": 3, "id": "2"' in result.stderr


def test_label_plans_and_asks_where_to(model_path, tmp_path):
    archive = tmp_path / "archive.csv"
    archive.write_text("id,text\n1,late parcel\n", "utf-8")
    shown = run("label", archive, "--dry-run", "--model", model_path)
    assert shown.returncode == 0, shown.stderr
    assert "rows      1" in shown.stdout
    asked = run("label", archive, "--model", model_path)
    assert (asked.returncode, asked.stderr) == (2, "error: where to? Name the output with -o.\n")
    assert [file.name for file in tmp_path.iterdir()] == ["archive.csv"]


def test_the_shipped_model_answers_from_any_folder(tmp_path):
    environment = {name: value for name, value in os.environ.items() if name != "MODEL_FOLDER"}
    called = subprocess.run(
        [*FEEDBACK, "predict", "快递太慢了"], cwd=tmp_path, env=environment, capture_output=True, text=True, encoding="utf-8"
    )
    assert called.returncode == 0, called.stderr
    assert json.loads(called.stdout)["answers"]["category"]["labels"][0]["label"] == "delivery"


@pytest.mark.skipif(os.name == "nt", reason="Windows sends Ctrl-C to a whole console")
def test_ctrl_c_stops_labelling_and_says_how_to_go_on(model_path, tmp_path):
    archive = tmp_path / "archive.csv"
    archive.write_text("text\n" + "".join(f"late parcel {number}\n" for number in range(20_000)), "utf-8")
    command = ["label", str(archive), "-o", str(tmp_path / "out.csv"), "--model", str(model_path), "--shard-rows", "100"]
    process = subprocess.Popen(
        [*FEEDBACK, *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background jobs ignore Ctrl-C, and what they start does too: the suite may be such a job.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    while process.poll() is None and not (tmp_path / "out.csv.parts" / "part-000002.json").exists():
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    said = process.communicate()[1]
    assert process.returncode == 130, said
    assert "stopped. " in said
    assert f"of 20,000 rows are kept in {tmp_path / 'out.csv.parts'}: make the same call again" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        (
            "label.jsonl",
            row(sentiment="negativ"),
            ["label.jsonl:1", "sentiment 'negativ' is not in the taxonomy", "nearest: 'negative'"],
        ),
        ("column.csv", "message,sentiment\nlate,negative\n", ["column.csv", "text", "message"]),
        ("broken.jsonl", row() + '{"text": "half\n' + row(), ["broken.jsonl:2"]),
        ("empty.jsonl", "", ["empty.jsonl", "empty"]),
        ("binary.csv", b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00", ["binary.csv"]),
        ("sheet.csv", b"PK\x03\x04\x14\x00\x06\x00xl/workbook.xml", ["sheet.csv"]),
    ],
)
def test_bad_rows_are_refused_before_anything_is_trained_or_written(name, content, said, tmp_path):
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    refused(run("train", config(tmp_path, path)), *said)
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted([name, "run.toml"])
    assert run("data", "check", path).returncode == 1


def test_a_file_in_another_encoding_than_named_is_refused(tmp_path, model_path):
    path = tmp_path / "archive.csv"
    path.write_bytes("text\n快递太慢了，客服也不理人\n".encode("gb18030"))
    refused(run("label", path, "-o", tmp_path / "out.csv", "--model", model_path, "--encoding", "utf-8"), "archive.csv", "gb18030")
    assert not list(tmp_path.glob("out*"))
    assert run("label", path, "-o", tmp_path / "out.csv", "--model", model_path).returncode == 0


def test_a_typo_in_a_configuration_is_refused(tmp_path):
    rows = tmp_path / "rows.jsonl"
    rows.write_text(row(), "utf-8")
    refused(run("train", config(tmp_path, rows, epoch=3)), "unknown key 'epoch' (nearest: 'epochs')")


def test_a_base_that_does_not_exist_is_refused(tmp_path):
    rows = tmp_path / "rows.jsonl"
    rows.write_text(row() * 1, "utf-8")
    result = run("train", config(tmp_path, rows), "--base", tmp_path / "nowhere", HF_HUB_OFFLINE="1")
    assert result.returncode == 1
    assert "nowhere: no such folder. Make one (feedback base recover -o FOLDER)" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "model.checkpoints").exists()


def test_a_taxonomy_whose_task_is_named_like_a_column_is_refused(tmp_path):
    rows = tmp_path / "rows.jsonl"
    rows.write_text(row(), "utf-8")
    taxonomy = tmp_path / "own.toml"
    taxonomy.write_text('[tasks.model]\nkind = "single"\nlabels = [{ name = "a" }, { name = "b" }]\n', "utf-8")
    refused(run("train", config(tmp_path, rows, taxonomy=str(taxonomy))), "own.toml", "task 'model'", "Rename the task")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda folder: (folder / "model.onnx").write_bytes((folder / "model.onnx").read_bytes() + b"x"), "model.onnx differ"),
        (lambda folder: (folder / "model.onnx.data").unlink(), "lacks model.onnx.data"),
        (
            lambda folder: (folder / "manifest.json").write_text(
                (folder / "manifest.json").read_text("utf-8").replace('"format": 1', '"format": 9'), "utf-8"
            ),
            "has format 9, this program reads format 1. Update the program.",
        ),
    ],
)
def test_a_damaged_model_folder_is_named_and_nothing_is_labelled(damage, said, model_path, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(model_path, folder)
    damage(folder)
    archive = tmp_path / "archive.csv"
    archive.write_text("text\nlate\n", "utf-8")
    refused(run("predict", "--model", folder, "late"), said)
    refused(run("label", archive, "-o", tmp_path / "out.csv", "--model", folder), said)
    assert not list(tmp_path.glob("out*"))


def test_evaluate_and_compare_print_tables(model_path, tmp_path):
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(row(text=f"parcel number {word} is late", language="en") for word in ("one", "two", "three")), "utf-8")
    shown = run("evaluate", model_path, rows, "-o", tmp_path / "page.html")
    assert shown.returncode == 0, shown.stderr
    assert "macro-F1" in shown.stdout
    assert (tmp_path / "page.html").read_text("utf-8").startswith("<!doctype html>")
    compared = run("compare", model_path, model_path, rows)
    assert "no clear difference" in compared.stdout
    refused(run("evaluate", model_path, rows, "--split", "tset"), "no row of split 'tset'")


def test_a_source_that_is_not_known_is_told_with_the_nearest(tmp_path):
    refused(run("data", "import", "waimai_1k", "--from", tmp_path, "-o", tmp_path / "x.jsonl"), "waimai_10k")


def test_output_that_a_reader_cuts_off_ends_quietly(model_path):
    process = subprocess.Popen([*FEEDBACK, "data", "sources"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.readline()
    process.stdout.close()
    time.sleep(0.2)
    assert b"Traceback" not in process.stderr.read()
    process.wait()


def test_the_examples_of_the_readme_name_verbs_that_exist():
    readme = Path("README.md").read_text("utf-8")
    shown = run("--help").stdout
    named = {
        line.split("feedback ")[1].split()[0]
        for line in readme.splitlines()
        if line.startswith((".venv/bin/feedback ", "feedback "))
    }
    assert named
    for verb in named:
        assert f"    {verb}" in shown, verb


def test_label_masks_what_points_at_a_person_and_measures_it(model_path, tmp_path):
    (tmp_path / "in.csv").write_text("text\nwrite to anna@example.com\n", "utf-8")
    result = run("label", tmp_path / "in.csv", "-o", tmp_path / "out.csv", "--model", model_path, "--redact")
    assert result.returncode == 0, result.stderr
    assert "masked    email 1" in result.stdout
    assert "write to [EMAIL]" in (tmp_path / "out.csv").read_text("utf-8")
    (tmp_path / "marked.tsv").write_text("language\ttext\nfa\tبه {{email:anna@example.com}} بنویسید\n", "utf-8")
    shown = run("data", "redaction", tmp_path / "marked.tsv").stdout.splitlines()
    assert shown[0] == "1 rows, 0 of them with nothing to mask"
    assert shown[2].split() == ["email", "1", "1", "1", "100.0%", "100.0%", "100.0%"]


def test_report_makes_a_page_and_a_sheet_that_comes_back_as_rows(model_path, tmp_path):
    (tmp_path / "in.csv").write_text("text,date\nthe parcel is late,2025-11-09\n太差,2025-11-10\n", "utf-8")
    run("label", tmp_path / "in.csv", "-o", tmp_path / "out.csv", "--model", model_path)
    made = run("report", tmp_path / "out.csv", "-o", tmp_path / "page.html", "--review", "2")
    assert made.returncode == 0, made.stderr
    assert "columns   text 'text', date 'date'; no column found for rating (name one with --rating-column)" in made.stdout
    sheet = tmp_path / "page.review.csv"
    sheet.write_text(sheet.read_text("utf-8-sig").replace("\n,", "\nyes,"), "utf-8-sig")
    back = run("data", "import", "review", "--from", sheet, "-o", tmp_path / "rows.jsonl")
    assert back.returncode == 0, back.stderr
    assert len((tmp_path / "rows.jsonl").read_text("utf-8").splitlines()) == 2
    refused(run("report", tmp_path / "in.csv", "-o", tmp_path / "other.html"), "not a labelled file", "Label it first")
    assert run("report", tmp_path / "out.csv", "-o", tmp_path / "x.html", "--review", "-1").returncode == 2
