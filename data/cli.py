"""The verbs of labelled rows: `feedback data check, import, annotate, sources, redaction`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from data.verbs import CLEAN, FAILED, add_verb


def add(verbs: Any) -> None:
    """Add these verbs to the command's."""
    data = verbs.add_parser("data", help="labelled rows: check, import, annotate, sources, redaction").add_subparsers(
        required=True, metavar="VERB"
    )
    check = add_verb(data, "check", _data_check, "faults, duplicates, leakage and counts of labelled rows; exit code 1 on errors")
    check.add_argument("files", nargs="+", metavar="FILE")
    check.add_argument("--json", action="store_true")
    check.add_argument("--taxonomy")
    check.add_argument("--encoding", help="of text files; found out if not given")
    imported = add_verb(data, "import", _data_import, "turn a public data set into rows")
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
    annotated = add_verb(
        data, "annotate", _data_annotate, "join our labels with a public set that you have, as rows with every task"
    )
    which = annotated.add_mutually_exclusive_group(required=True)
    which.add_argument("--source", metavar="NAME")
    which.add_argument("--all", action="store_true", help="every annotated set whose folder lies under --from, into one file")
    annotated.add_argument("--from", dest="origin", required=True, metavar="PATH_OR_HUB_ID")
    annotated.add_argument("-o", "--output", required=True)
    annotated.add_argument("--sources", metavar="FILE")
    known = add_verb(data, "sources", _data_sources, "the public data sets that can be imported")
    known.add_argument("--sources", metavar="FILE")

    redaction = add_verb(data, "redaction", _data_redaction, "precision and recall of `label --redact` on rows that are marked")
    redaction.add_argument("files", nargs="+", metavar="FILE", help="tab-separated language and text, as docs/redaction.md says")


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
    from data.table_writer import check_output
    from data.taxonomy import Taxonomy

    taxonomy = Taxonomy.read(options.taxonomy) if options.taxonomy else Taxonomy.read()
    if bool(options.all) == bool(options.name):
        raise ConfigError("name the set to import, or --all; one of the two")
    if options.all:
        _check_folders(Path(options.origin), Path(options.output))
    else:
        check_output(options.output, options.origin)
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


def _check_folders(origin: Path, output: Path) -> None:
    from data.errors import DataError

    if not origin.is_dir():
        raise DataError(f"{origin}: is {'a file' if origin.exists() else 'not there'}. With --all, name a folder of sets.")
    if output.exists() and not output.is_dir():
        raise DataError(f"{output}: is a file. With --all, name a folder for the rows of all sets.")


def _data_annotate(options: argparse.Namespace) -> int:
    from data.annotations import annotate, annotate_all
    from data.table_writer import check_output
    from data.taxonomy import Taxonomy

    check_output(options.output, options.origin)
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
