"""The verbs of a model that is there: `feedback predict, label, report, serve, decide`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from data.verbs import CALLED_WRONGLY, CLEAN, WITH_REJECTS, add_verb


def add(verbs: Any) -> None:
    """Add these verbs to the command's."""
    predict = add_verb(verbs, "predict", _predict, "label texts given as arguments, or lines of standard input, as JSON")
    predict.add_argument("text", nargs="*", help="messages; standard input if there is none")
    predict.add_argument("--scores", action="store_true", help="add the probability of every label")
    predict.add_argument(
        "--explain", action="store_true", help="name the sentences that carried each label, as offsets into the text"
    )
    predict.add_argument("--indent", type=int, help="spread the JSON over lines")
    model_option(predict)

    label = add_verb(
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
    model_option(label)

    report = add_verb(verbs, "report", _report, "one page to look at a labelled file; a sheet of unsure messages to correct")
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

    serve = add_verb(verbs, "serve", _serve, "answer over HTTP")
    serve.add_argument("--host", default="127.0.0.1")
    serve.add_argument("--port", type=int, default=3000)
    serve.add_argument("--workers", type=int, default=1)
    serve.add_argument("--jobs", metavar="FOLDER", help="also take files to label, and keep them here (docs/jobs.md)")
    model_option(serve)

    decide = add_verb(verbs, "decide", _decide, "change thresholds, abstention, departments or priority without training")
    decide.add_argument("model", metavar="FOLDER")
    decide.add_argument(
        "--set", action="append", required=True, metavar="PATH=VALUE", help="for example thresholds.category.delivery=0.4"
    )
    decide.add_argument("-o", "--output", required=True)


def _rows(written: str) -> int:
    """A number of rows. argparse tells a ValueError."""
    number = int(written)
    if number < 0:
        raise ValueError
    return number


def model_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", metavar="FOLDER", help="model folder; else MODEL_FOLDER, else the one that is shipped")


def model_of(options: argparse.Namespace) -> str:
    """The model folder of a call: the option, the environment, the one that ships."""
    from serving.settings import SHIPPED_MODEL

    return str(options.model or os.environ.get("MODEL_FOLDER") or SHIPPED_MODEL)


def _predict(options: argparse.Namespace) -> int:
    from serving.classifier import FeedbackClassifier
    from serving.prediction import Failure

    texts = options.text or [line.rstrip("\n") for line in sys.stdin]
    failed = False
    for result in FeedbackClassifier.load(model_of(options)).predict(texts, explain=options.explain):
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
        print(plan(options.input, model_of(options), **settings).to_text())
        return CLEAN
    shown = sys.stderr.isatty() or options.verbose
    with _labelled_to(options.output, options.output_format) as output:
        report = label(
            options.input,
            output,
            model_of(options),
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


def _progress(done: Any) -> None:
    print(f"\r{done.to_text():<90}", end="", file=sys.stderr, flush=True)


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

    return serve(model_of(options), host=options.host, port=options.port, workers=options.workers, jobs=options.jobs)


def _decide(options: argparse.Namespace) -> int:
    from serving.decisions import decide
    from serving.model_folder import ModelFolder

    folder = decide(ModelFolder.open(model_of(options)), options.set, options.output)
    print(f"{folder.path}  (version {folder.version})")
    return CLEAN
