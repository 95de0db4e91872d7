"""The notebooks run from top to bottom, on small data."""

import json
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from test_train import FAST, rows_of, write_rows_file
from tiny_base import make_tiny_base


def run(name, monkeypatch, **environment):
    for key, value in environment.items():
        monkeypatch.setenv(key, str(value))
    notebook = nbformat.read(Path("notebooks") / name, as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": "notebooks"}}).execute()
    return notebook


def outputs(notebook):
    return json.dumps([cell.get("outputs", []) for cell in notebook.cells], ensure_ascii=False)


def test_the_training_notebook_trains_and_shows_figures(tmp_path, monkeypatch):
    base = make_tiny_base(tmp_path / "base", texts=[row["text"] for row in rows_of()])
    rows = write_rows_file(tmp_path / "rows.jsonl", rows_of())
    settings = {**FAST, "rows": [str(rows)], "base": str(base), "output": "unused", "max_steps": 4}
    config = tmp_path / "run.toml"
    config.write_text("\n".join(f"{key} = {json.dumps(value)}" for key, value in settings.items()), "utf-8")
    shown = outputs(run("train_and_evaluate.ipynb", monkeypatch, FEEDBACK_CONFIG=config))
    assert "calibration error" in shown
    assert "satisfied" in shown


def test_the_archive_notebook_labels_the_sample_archive(model_path, monkeypatch):
    shown = outputs(run("explore_archive.ipynb", monkeypatch, MODEL_FOLDER=model_path))
    assert "image/png" in shown
    assert "departments" in shown


@pytest.mark.parametrize("path", sorted(Path("notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_notebooks_are_kept_without_outputs(path):
    notebook = nbformat.read(path, as_version=4)
    assert all(
        not cell.get("outputs") and cell.get("execution_count") is None for cell in notebook.cells if cell.cell_type == "code"
    )
