"""A text in windows: the pieces of it that the network reads at a time."""

from __future__ import annotations

from dataclasses import dataclass

from data.language import Language
from data.text import Mended


@dataclass(frozen=True)
class ReadWindow:
    """One window of a text, as the network reads it."""

    ids: list[int]
    """Special tokens included."""
    spans: list[tuple[int, int] | None]
    """Of each piece, where it stands in the text; None for a special token."""
    stale: int
    """Pieces at the beginning that the window before has read already."""

    @property
    def pieces(self) -> int:
        """Pieces of the text, special tokens apart."""
        return sum(span is not None for span in self.spans)

    @property
    def fresh(self) -> int:
        """Pieces that the window before has not read: the window's weight where windows are averaged."""
        return self.pieces - self.stale

    def without(self, start: int, end: int) -> ReadWindow:
        """The window without the pieces that end in text[start:end]; itself if there are none."""
        kept = [place for place, span in enumerate(self.spans) if span is None or not start <= max(span[0], span[1] - 1) < end]
        if len(kept) == len(self.ids):
            return self
        read = [place for place, span in enumerate(self.spans) if span is not None][: self.stale]
        stale = len(set(read).intersection(kept))
        return ReadWindow([self.ids[place] for place in kept], [self.spans[place] for place in kept], stale)


@dataclass(frozen=True)
class ReadMessage:
    """A text that is ready for the network."""

    mended: Mended
    language: Language
    warnings: tuple[str, ...]
    windows: list[ReadWindow]
