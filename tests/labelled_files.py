"""Labelled files that tests write: contract 4 as columns, for any tasks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def labelled(
    text: str, number: int = 0, *, language: str = "en", sure: float = 0.9, label: str = "good", **more: Any
) -> dict[str, Any]:
    """One row with a single task `mood` and a multi task `topics`."""
    topics = more.pop("topics", ["shipping"])
    return {
        "id": str(number),
        "text": text,
        **more.pop("own", {}),
        "language": language,
        "mood": label,
        "mood_probability": sure,
        "topics": topics,
        "topics_probabilities": [sure] * len(topics),
        "departments": ["warehouse"] if topics else [],
        "priority": 2 if label == "bad" else 0,
        "abstained": ["mood"] if sure < 0.5 else [],
        "repairs": [],
        "warnings": [],
        "model": "1.0",
        **more,
    }


def write_lines(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return path
