"""How tables, texts and numbers are written in Markdown."""

from __future__ import annotations

import math
from collections.abc import Sequence


def table(head: Sequence[str], body: Sequence[Sequence[str]], left: int = 1) -> str:
    """A table whose first `left` columns stand to the left, the others to the right."""
    rule = ["---" if place < left else "---:" for place in range(len(head))]
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, rule, *body))


def cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ⏎ ")


def percent(share: float, digits: int = 1) -> str:
    return "-" if math.isnan(share) else f"{100 * share:.{digits}f} %"


def figure(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.2f}"


def listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else "".join(names)
