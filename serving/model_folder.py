"""A model folder: all that serving needs and nothing that can run code (contract 3 of docs/contracts.md)."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from data.errors import ModelFolderError, TaxonomyError
from data.taxonomy import Taxonomy
from data.text import NORMALISER_VERSION
from serving.onnx_check import check_network

FORMAT_VERSION = 1

MANIFEST = "manifest.json"
ONNX = "model.onnx"
ONNX_DATA = "model.onnx.data"
TOKENIZER = "tokenizer.json"
CONFIG = "config.json"
WEIGHTS = "model.safetensors"
METRICS = "metrics.json"
CARD = "README.md"
NEEDED = (ONNX, ONNX_DATA, TOKENIZER, CONFIG, WEIGHTS, METRICS, CARD)
MANIFEST_KEYS = (
    "format", "model_version", "created", "taxonomy", "normaliser_version", "label_order", "temperatures", "window", "limits",
    "base", "sources", "training", "files", "decisions",
)  # fmt: skip
OWN_KEYS = ("format", "model_version", "created", "label_order", "files")
"""What `ModelFolder.create` writes into the manifest by itself."""
ALL_LANGUAGES = "all"
"""Key of the temperature of a task that holds where a language has none of its own."""

DEFAULT_THRESHOLD = 0.5
"""Probability from which a label of a multi task is given where none was fitted."""


@dataclass(frozen=True)
class Window:
    """How a text longer than the encoder's window is read."""

    length: int
    """Pieces in a window, special tokens included."""
    stride: int
    """Pieces that two neighbouring windows share."""


@dataclass(frozen=True)
class ModelFolder:
    path: Path
    manifest: Mapping[str, Any]

    @classmethod
    def open(cls, path: str | Path) -> ModelFolder:
        """Read and check a model folder: its format, every file's SHA-256, the manifest itself.

        Raises ModelFolderError naming what is missing, cut, altered or of another version.
        """
        path = Path(path)
        if not path.is_dir():
            raise ModelFolderError(
                f"{path}: no such model folder. Train one (feedback train), or name another with --model or MODEL_FOLDER."
            )
        manifest = _read_manifest(path)
        missing = [name for name in NEEDED if not (path / name).is_file()]
        if missing:
            raise ModelFolderError(f"{path} lacks {', '.join(missing)}. Copy the folder again, whole, or train anew.")
        listed = manifest["files"]
        if unlisted := [name for name in NEEDED if name not in listed]:
            raise ModelFolderError(f"{path}/{MANIFEST} lists no SHA-256 for {', '.join(unlisted)}. The folder is not trustworthy.")
        altered = [name for name in listed if not _is_inside(name) or _sha256(path / name) != listed[name]]
        if altered:
            raise ModelFolderError(
                f"{path}: {', '.join(altered)} differ from the SHA-256 in {MANIFEST}: cut short or altered. Copy the folder again."
            )
        check_network(path / ONNX, ONNX_DATA)
        if manifest["normaliser_version"] != NORMALISER_VERSION:
            raise ModelFolderError(
                f"{path} was trained with text normaliser {manifest['normaliser_version']}, this program has {NORMALISER_VERSION}. "
                "Use the program's version that made it, or train anew."
            )
        folder = cls(path, manifest)
        if manifest["label_order"] != label_order(folder.taxonomy):
            raise ModelFolderError(f"{path}/{MANIFEST}: label_order is not the order of the taxonomy. Train anew.")
        return folder

    @classmethod
    def create(cls, path: str | Path, fill: Callable[[Path], Mapping[str, Any]], version_prefix: str | None = None) -> ModelFolder:
        """Write a folder aside and rename it, so that it is whole or absent.

        fill: puts every file but the manifest into the folder that it is given and returns the manifest's
            sections (all of MANIFEST_KEYS but OWN_KEYS).
        version_prefix: what stands before the `+` of the model's version; year.month.0 if none.
        Raises ModelFolderError, and leaves nothing behind, if something stands at `path` or the result would not open.
        """
        path = Path(path)
        refuse_existing(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=f".{path.name}.part-", dir=path.parent))
        try:
            manifest: dict[str, Any] = dict(fill(aside))
            now = datetime.now(UTC)
            manifest["format"] = FORMAT_VERSION
            manifest["created"] = now.strftime("%Y-%m-%dT%H:%M:%SZ")
            manifest["label_order"] = label_order(Taxonomy.from_dict(manifest["taxonomy"]))
            manifest["files"] = {file.name: _sha256(file) for file in sorted(aside.iterdir())}
            prefix = version_prefix or f"{now.year}.{now.month}.0"
            manifest["model_version"] = f"{prefix}+{_fingerprint(manifest)}"
            (aside / MANIFEST).write_text(json.dumps(manifest, ensure_ascii=False, indent=1) + "\n", "utf-8")
            for file in aside.iterdir():
                with file.open("rb+") as handle:  # Windows flushes only what is open for writing
                    os.fsync(handle.fileno())
            cls.open(aside)
            aside.chmod(0o755)
            refuse_existing(path)
            aside.rename(path)
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            raise
        return cls(path, manifest)

    @property
    def version(self) -> str:
        return str(self.manifest["model_version"])

    @cached_property
    def taxonomy(self) -> Taxonomy:
        """The taxonomy that it was trained on, with the departments, priority and abstention of `decisions`."""
        document = json.loads(json.dumps(self.manifest["taxonomy"]))
        decisions = self.manifest["decisions"]
        for task, table in document["tasks"].items():
            table["abstain_below"] = decisions["abstain_below"][task]
            for label in table["labels"]:
                label["departments"] = decisions["departments"][task][label["name"]]
                label.update(decisions["display"][task][label["name"]])
        document["priority"] = decisions["priority"]
        try:
            return Taxonomy.from_dict(document, where=f"{self.path}/{MANIFEST}")
        except TaxonomyError as error:
            raise ModelFolderError(str(error)) from error

    @property
    def thresholds(self) -> Mapping[str, Mapping[str, float]]:
        """By multi task and label, the probability from which the label is given."""
        thresholds: Mapping[str, Mapping[str, float]] = self.manifest["decisions"]["thresholds"]
        return thresholds

    @property
    def temperatures(self) -> Mapping[str, Mapping[str, float]]:
        """By task, then by language code or ALL_LANGUAGES, the divisor of the logits."""
        temperatures: Mapping[str, Mapping[str, float]] = self.manifest["temperatures"]
        return temperatures

    @property
    def window(self) -> Window:
        return Window(**self.manifest["window"])

    @property
    def max_characters(self) -> int:
        """Texts longer than this are refused."""
        return int(self.manifest["limits"]["max_characters"])


def label_order(taxonomy: Taxonomy) -> dict[str, list[str]]:
    """By task, in the order in which they stand in the joint logits, the labels."""
    return {task.name: list(task.names) for task in taxonomy}


def decisions_of(taxonomy: Taxonomy, thresholds: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    """The `decisions` section for a taxonomy and fitted thresholds: all that can be changed without training.

    thresholds: by multi task and label; DEFAULT_THRESHOLD where one is missing.
    """
    return {
        "thresholds": {
            task.name: {label: float(thresholds.get(task.name, {}).get(label, DEFAULT_THRESHOLD)) for label in task.names}
            for task in taxonomy
            if not task.single
        },
        "abstain_below": {task.name: task.abstain_below for task in taxonomy},
        "departments": {task.name: {label.name: list(label.departments) for label in task.labels} for task in taxonomy},
        "priority": taxonomy.to_dict()["priority"],
        "display": {task.name: {label.name: dict(label.display) for label in task.labels} for task in taxonomy},
    }


def refuse_existing(path: Path) -> None:
    """Raise ModelFolderError if something stands where a model folder should be written."""
    if path.exists():
        raise ModelFolderError(f"{path} exists already. Name another output folder, or remove it first.")


def _read_manifest(path: Path) -> dict[str, Any]:
    file = path / MANIFEST
    if not file.is_file():
        raise ModelFolderError(f"{path} lacks {MANIFEST}: not a model folder, or one that was not copied whole.")
    try:
        manifest = json.loads(file.read_text("utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ModelFolderError(f"{file} is not JSON in UTF-8 ({error}). Copy the folder again.") from error
    if not isinstance(manifest, dict) or not isinstance(manifest.get("format"), int):
        raise ModelFolderError(f"{file} has no format number: not a manifest of this program.")
    if manifest["format"] != FORMAT_VERSION:
        raise ModelFolderError(
            f"{path} has format {manifest['format']}, this program reads format {FORMAT_VERSION}. "
            + ("Update the program." if manifest["format"] > FORMAT_VERSION else "Train anew.")
        )
    if lacking := [key for key in MANIFEST_KEYS if key not in manifest]:
        raise ModelFolderError(f"{file} lacks {', '.join(lacking)}. Copy the folder again.")
    if not str(manifest["model_version"]).endswith("+" + _fingerprint(manifest)):
        raise ModelFolderError(
            f"{file} was altered after it was written. Copy the folder again; to change decisions, use feedback decide."
        )
    return manifest


def _fingerprint(manifest: Mapping[str, Any]) -> str:
    """Six hexadecimal digits over everything in the manifest but the version that carries them."""
    body = {key: value for key, value in manifest.items() if key != "model_version"}
    return hashlib.sha256(json.dumps(body, ensure_ascii=False, sort_keys=True).encode()).hexdigest()[:6]


def _is_inside(name: str) -> bool:
    return name == Path(name).name and name not in (".", "..")


def _sha256(path: Path) -> str:
    if not path.is_file() or path.is_symlink():
        return "no regular file"
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
