"""What the model reads as one: a character in its Traditional and its Simplified form, a newer emoji and an older one like it."""

from __future__ import annotations

from functools import cache
from pathlib import Path

TABLE = Path(__file__).with_name("variants.txt")
"""Lines `from to`, each one code point. Chinese: the one-to-one part of OpenCC's Traditional to Simplified (Apache-2.0)."""


def as_read(text: str) -> str:
    """The text with every character as the model reads it; as many characters as before, so that offsets hold.

    For the tokenizer alone: what is shown, compared and stored keeps its form.
    """
    return text if text.isascii() else text.translate(_table())


@cache
def _table() -> dict[int, str]:
    lines = TABLE.read_text("utf-8").splitlines()
    return {ord(line[0]): line[2] for line in lines if line and not line.startswith("#")}
