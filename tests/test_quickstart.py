"""What the two commands do, on small data: `bootstrap.py` refuses what cannot work, `feedback quickstart` walks the whole path."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from test_train import FAST, rows_of, write_rows_file
from tiny_base import make_tiny_base
from tiny_model import make_tiny_model

from data.errors import ConfigError
from training.quickstart import quickstart

ROOT = Path.cwd()


@pytest.fixture
def bootstrap():
    spec = importlib.util.spec_from_file_location("bootstrap", ROOT / "bootstrap.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_quickstart_ends_with_a_table_where_everything_lies_and_what_to_type_next(tmp_path, monkeypatch):
    make_tiny_base(tmp_path / "base", texts=[row["text"] for row in rows_of()])
    monkeypatch.setattr("training.quickstart.SHIPPED_MODEL", make_tiny_model(tmp_path / "shipped").path)
    write_rows_file(tmp_path / "rows.jsonl", rows_of())
    settings = {
        **FAST,
        "rows": ["rows.jsonl"],
        "base": "base",
        "output": "runs/quickstart",
        "max_steps": 2,
        "demonstration": True,
    }
    (tmp_path / "training").mkdir()
    (tmp_path / "training" / "quickstart.toml").write_text(
        "\n".join(f"{key} = {json.dumps(value)}" for key, value in settings.items()), "utf-8"
    )
    (tmp_path / "data").mkdir()
    shutil.copy("data/sample_archive.csv", tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    for _ in range(2):  # a second run takes the place of the first
        said: list[str] = []
        quickstart(said.append)
        text = "\n".join(said)
        for words in ("macro-F1", "demonstration only (trained on 162 rows)", "runs/quickstart/report.html", "make serve", "curl"):
            assert words in text
    assert (tmp_path / "runs" / "quickstart" / "manifest.json").is_file()
    assert len((tmp_path / "runs" / "sample_labelled.csv").read_text("utf-8").splitlines()) > 50
    assert sorted(path.name for path in (tmp_path / "runs").iterdir())[:1] == ["quickstart"]


def test_quickstart_outside_the_repository_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="run it from the top of the repository"):
        quickstart(lambda _: None)


def test_quickstart_without_disk_says_how_much_is_needed(monkeypatch):
    monkeypatch.setattr("training.quickstart.shutil.disk_usage", lambda _: shutil._ntuple_diskusage(10, 9, 10**8))
    with pytest.raises(ConfigError, match=r"only 0\.1 GB are free here; 2 GB are needed"):
        quickstart(lambda _: None)


def test_an_unfit_python_is_refused_with_the_remedy(bootstrap, monkeypatch):
    monkeypatch.setattr(bootstrap.sys, "version_info", (3, 9, 2))
    with pytest.raises(
        SystemExit, match=r"Python 3\.9 is too old: 3\.11 to 3\.13 is needed\.\nName another one: make quickstart PYTHON="
    ):
        bootstrap.check_python()


def test_a_full_disk_is_refused_before_anything_is_installed(bootstrap, monkeypatch):
    monkeypatch.setattr(bootstrap.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 9, 10**9))
    with pytest.raises(SystemExit, match=r"only 1\.0 GB are free"):
        bootstrap.check_disk(6)


def test_without_a_registry_the_installation_says_what_to_do(bootstrap, monkeypatch, tmp_path):
    monkeypatch.setattr(bootstrap, "STAMP", tmp_path / "stamp")
    monkeypatch.setattr(bootstrap.subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 1))
    monkeypatch.setattr(sys, "argv", ["bootstrap.py"])
    with pytest.raises(SystemExit, match="No package registry\\? Set PIP_INDEX_URL"):
        bootstrap.main()
    assert not (tmp_path / "stamp").exists()


def test_an_environment_that_is_up_to_date_is_left_alone(bootstrap, monkeypatch, tmp_path):
    stamp = tmp_path / "stamp"
    stamp.write_text(bootstrap.fingerprint("train,base,notebooks,dev"), "utf-8")
    monkeypatch.setattr(bootstrap, "STAMP", stamp)
    monkeypatch.setattr(bootstrap.subprocess, "run", lambda *_, **__: pytest.fail("nothing may be installed"))
    monkeypatch.setattr(sys, "argv", ["bootstrap.py"])
    bootstrap.main()
