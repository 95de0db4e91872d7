"""Change what follows from the probabilities (thresholds, abstention, departments, priority, names) without training."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from data.errors import ConfigError
from data.toml_files import written_value
from serving.model_folder import OWN_KEYS, ModelFolder


def decide(folder: ModelFolder, changes: Sequence[str], output: str | Path) -> ModelFolder:
    """Write a copy of a model folder with other decisions; it gets a version of its own.

    changes: `PATH=VALUE`, the path in dots as in the manifest's section `decisions`, the value as in TOML:
        `thresholds.category.delivery=0.4`, `abstain_below.tone=0.5`, `departments.category.delivery=["logistics", "shop"]`.
    Raises ConfigError for a path that does not exist or a value of another type, ModelFolderError if the result is not valid.
    """
    decisions = json.loads(json.dumps(folder.manifest["decisions"]))
    for change in changes:
        _apply(decisions, change)
    sections = {key: value for key, value in folder.manifest.items() if key not in OWN_KEYS}

    def fill(aside: Path) -> Mapping[str, Any]:
        for name in folder.manifest["files"]:
            shutil.copyfile(folder.path / name, aside / name)
        return {**sections, "decisions": decisions}

    # Refuses what contradicts the taxonomy, with the name of the folder that the user knows.
    _ = ModelFolder(folder.path, {**sections, "decisions": decisions}).taxonomy
    return ModelFolder.create(output, fill, version_prefix=folder.version.split("+")[0])


def _apply(decisions: dict[str, Any], change: str) -> None:
    path, equals, written = change.partition("=")
    if not equals:
        raise ConfigError(f"--set {change}: write PATH=VALUE, for example thresholds.category.delivery=0.4")
    keys = path.strip().split(".")
    place: Any = decisions
    for depth, key in enumerate(keys):
        if not isinstance(place, dict) or key not in place:
            known = list(place) if isinstance(place, dict) else []
            near = get_close_matches(key, known, n=1)
            hint = f"nearest: '{near[0]}'" if near else f"known: {', '.join(known)}" if known else "nothing stands under it"
            raise ConfigError(f"--set {change}: '{'.'.join(keys[: depth + 1])}' is not a decision ({hint})")
        if depth < len(keys) - 1:
            place = place[key]
    old = place[keys[-1]]
    if isinstance(old, dict):
        raise ConfigError(f"--set {change}: '{path.strip()}' is a table. Name one of its keys: {', '.join(old)}")
    place[keys[-1]] = _checked(change, keys, old, written_value(written.strip()))


def _checked(change: str, keys: Sequence[str], old: Any, value: Any) -> Any:
    """Return the value if it is of the kind that stands there now; ConfigError if not."""
    if isinstance(old, int | float):
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise ConfigError(f"--set {change}: write a number from 0 to 1")
        return float(value)
    if isinstance(old, str):
        if not isinstance(value, str) or not value.strip():
            raise ConfigError(f"--set {change}: write a text like {json.dumps(old, ensure_ascii=False)}")
        return value
    if list(keys) == ["priority", "rules"]:
        if not isinstance(value, list) or not all(_is_rule(entry) for entry in value):
            raise ConfigError(f'--set {change}: write [{{task = "TASK", labels = ["LABEL"]}}]')
        return value
    if not _are_texts(value):
        raise ConfigError(f'--set {change}: write a list of texts like ["NAME", "NAME"]')
    return value


def _is_rule(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and set(value) == {"task", "labels"}
        and isinstance(value["task"], str)
        and _are_texts(value["labels"])
    )


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(entry, str) and entry.strip() for entry in value)
