"""The checkpoints of a run: whose they are, which is the newest whole one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any

from data.errors import ConfigError
from data.taxonomy import DEFAULT_TAXONOMY
from training.config import TrainingConfig

CONFIG_COPY = "config.json"
"""In the folder of the checkpoints: the configuration that they belong to."""
LATER_SETTINGS = frozenset(
    {
        "onnx_format",
        "min_agreement",
        "max_characters",
        "test_rows",
        "threads",
        "report_to",
        "demonstration",
        "baseline",
        "behaviour",
    }
)
"""What may be another when a run is resumed: nothing that was learnt depends on it."""
FILES_SHA256 = "files_sha256"
"""Key of that configuration: what the rows and the taxonomy were."""
CHECKPOINT_FILES = ("trainer_state.json", "optimizer.pt", "scheduler.pt", "model.safetensors", "training_args.bin")
"""A checkpoint that lacks one of them was cut short by a kill and is passed over."""


def claim_checkpoints(config: TrainingConfig, resume: bool) -> None:
    """Refuse to mix two runs: checkpoints on the disk must be wanted, and of the same configuration."""
    files = (*config.rows, config.taxonomy or DEFAULT_TAXONOMY)
    # A setting that the earlier run's release did not have yet was as it is by default.
    defaults = TrainingConfig(rows=config.rows, output=config.output).to_dict()
    claim_folder(config.checkpoints, config.to_dict(), files, resume, LATER_SETTINGS, defaults)


def claim_folder(
    folder: Path,
    settings: Mapping[str, Any],
    files: Sequence[str | Path],
    resume: bool,
    later: AbstractSet[str] = frozenset(),
    defaults: Mapping[str, Any] | None = None,
) -> None:
    """The same for any run: its settings, the files that it learns from, and which settings may be others when it is resumed."""
    document = {**settings, FILES_SHA256: [_sha256(path) for path in files]}
    copy = folder / CONFIG_COPY
    if folder.exists() and not resume:
        raise ConfigError(f"{folder} holds checkpoints of an earlier run. Go on with --resume, or remove the folder to start anew.")
    if copy.exists():
        before = {**(defaults or {}), **_read_copy(copy)}
        changed = sorted(key for key in {*before, *document} - later - {FILES_SHA256} if before.get(key) != document.get(key))
        if changed:
            raise ConfigError(
                f"{folder} belongs to a run with other settings: "
                + "; ".join(f"{key} was {before.get(key)!r}, is {document.get(key)!r}" for key in changed)
                + ". Use the same settings, or remove the folder to start anew."
            )
        if before.get(FILES_SHA256, document[FILES_SHA256]) != document[FILES_SHA256]:
            # The rows might be split otherwise now, and a row that was trained on be tested on.
            raise ConfigError(
                f"{folder}: its files (rows, texts or taxonomy) have changed since that run. Remove the folder to start anew."
            )
    aside = copy.with_name(CONFIG_COPY + ".part")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        aside.write_text(json.dumps(document, ensure_ascii=False, indent=1), "utf-8")
        aside.replace(copy)
    except OSError as error:
        raise ConfigError(f"{folder}: the checkpoints cannot be written there: {error}. Name another output.") from error


def newest_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint that was written whole; None if there is none."""
    found = sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]), reverse=True)
    return next((path for path in found if _is_whole(path)), None)


def _is_whole(checkpoint: Path) -> bool:
    if not all((checkpoint / name).is_file() for name in CHECKPOINT_FILES):
        return False
    try:  # the last file that is written
        json.loads((checkpoint / CHECKPOINT_FILES[0]).read_text("utf-8"))
    except ValueError:
        return False
    return True


def _read_copy(copy: Path) -> dict[str, Any]:
    try:
        before = json.loads(copy.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{copy} cannot be read: {error}. Remove its folder to start anew.") from error
    if not isinstance(before, dict):
        raise ConfigError(f"{copy} holds no settings. Remove its folder to start anew.")
    return before


def _sha256(path: str | Path) -> str:
    with Path(path).open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
