"""The whole path on the rows in the repository: a labelled archive, a model trained further, its evaluation."""

from __future__ import annotations

import json
import logging
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from data.errors import ConfigError
from data.taxonomy import Taxonomy
from serving.settings import SHIPPED_MODEL
from training.config import TrainingConfig

logger = logging.getLogger(__name__)

CONFIG = Path("training/quickstart.toml")
ARCHIVE = Path("data/sample_archive.csv")
NEEDED_GB = 2
REAL_SETS = "FEEDBACK_DATA"
"""Environment variable: a folder with public sets; if it is set, the real part of the corpus is evaluated too."""


def quickstart(say: Callable[[str], None]) -> None:
    """Run it from the top of the repository; `say` receives what a person should read.

    Raises ConfigError where something is missing.
    """
    if not CONFIG.is_file():
        raise ConfigError("run it from the top of the repository: training/quickstart.toml is not here")
    free = shutil.disk_usage(".").free / 1e9
    if free < NEEDED_GB:
        raise ConfigError(f"only {free:.1f} GB are free here; {NEEDED_GB} GB are needed for the checkpoints")
    sets = os.environ.get(REAL_SETS)
    if sets and not Path(sets).is_dir():
        raise ConfigError(f"{REAL_SETS} is {sets}: no such folder. Name the folder that holds the public sets, or unset it.")
    started = time.monotonic()
    config = TrainingConfig.read(CONFIG)
    labelled = Path(config.output).with_name("sample_labelled.csv")
    labelled.parent.mkdir(parents=True, exist_ok=True)
    say(f"1/2  Labelling {ARCHIVE} with the model that is shipped")
    say(_label(SHIPPED_MODEL, labelled))
    say("")
    say("2/2  Training it further on the written rows, as you would on yours: training, calibrating, exporting, evaluating")
    folder = _train(config)
    metrics = json.loads((folder / "metrics.json").read_text("utf-8"))

    from training.report import summary

    say("")
    say(summary(metrics))
    say("")
    if sets:
        say(f"On the real part of the corpus, joined with the sets under {sets}:")
        say(_real_part(folder, Path(sets), Path(config.output).with_name("real_part.jsonl")))
        say("")
    say(f"model folder     {folder}")
    say(f"report           {folder / 'report.html'}   (open it in a browser)")
    say(f"labelled file    {labelled}")
    say(f"time             {time.monotonic() - started:.0f} s")
    say("")
    say("Next:")
    say('  .venv/bin/feedback predict "The courier was rude and the parcel two days late"')
    say("  make serve")
    say('  curl -s localhost:3000/v1/classify -H \'Content-Type: application/json\' -d \'{"texts": ["快递太慢了", "عالی بود"]}\'')


def _train(config: TrainingConfig) -> Path:
    """Train into a folder aside, then put it in the place of an earlier one."""
    from training.train import train

    output = Path(config.output)
    fresh = output.with_name(output.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    shutil.rmtree(fresh.with_name(fresh.name + ".checkpoints"), ignore_errors=True)
    train(TrainingConfig.read(CONFIG, output=str(fresh)))
    shutil.rmtree(output, ignore_errors=True)
    fresh.rename(output)
    return output


def _real_part(folder: Path, sets: Path, rows: Path) -> str:
    """Figures on our labels for real messages, which need the sets that the messages are from."""
    from data.annotations import annotate_all
    from training.evaluation import evaluate_files
    from training.report import summary

    annotate_all(sets, rows, Taxonomy.read())
    return summary(evaluate_files(folder, [str(rows)], behaviour=False)[1])


def _label(model: Path, labelled: Path) -> str:
    from serving.archive import label

    for leftover in labelled.parent.glob(labelled.name + "*"):
        leftover.unlink()
    return label(ARCHIVE, labelled, model).to_text()
