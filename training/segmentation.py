"""How texts fall into the pieces of a tokenizer: which pieces they use, and what trimming changes."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from training.vocabulary import Vocabulary

if TYPE_CHECKING:
    from tokenizers import Tokenizer

BATCH_TEXTS = 1_000
SAMPLES = 500
SAMPLE_CHARACTERS = 200


@dataclass(frozen=True)
class PieceUse:
    """Which pieces some texts use."""

    counts: np.ndarray[tuple[int], np.dtype[np.int64]]
    """How often, by id."""
    distinct: np.ndarray[tuple[int], np.dtype[np.int32]]
    """The ids of each text without repeats, one text after the other."""
    ends: np.ndarray[tuple[int], np.dtype[np.int64]]
    """Where each text ends in `distinct`."""
    samples: tuple[str, ...]
    """The first short texts."""

    @property
    def texts(self) -> int:
        return len(self.ends)

    def unchanged(self, kept: AbstractSet[int]) -> float:
        """Share of the texts, 0 to 1, that use only kept pieces; 1 without texts."""
        if not self.texts:
            return 1.0
        lost = ~np.isin(self.distinct, np.fromiter(kept, np.int32, len(kept)))
        losses = np.concatenate(([0], np.cumsum(lost)))[np.concatenate(([0], self.ends))]
        return float(np.mean(np.diff(losses) == 0))


@dataclass(frozen=True)
class Segmentation:
    """Texts before and after trimming."""

    texts: int
    pieces_before: float
    """Mean of a text, special tokens not counted."""
    pieces_after: float
    unknown_before: float
    """Share of unknown pieces among all, 0 to 1."""
    unknown_after: float
    unchanged: float
    """Share of texts that fall into the same pieces, 0 to 1."""


def piece_use(tokenizer: Tokenizer, texts: Iterable[str]) -> PieceUse:
    """Count the pieces of all texts; `texts` is read once, in batches."""
    counts = np.zeros(tokenizer.get_vocab_size(with_added_tokens=True), np.int64)
    distinct, ends = array("i"), array("q")
    samples: list[str] = []
    for batch in _batches(texts):
        samples += [text for text in batch if len(text) <= SAMPLE_CHARACTERS][: SAMPLES - len(samples)]
        for encoding in tokenizer.encode_batch_fast(batch, add_special_tokens=False):
            found, times = np.unique(np.asarray(encoding.ids, np.int32), return_counts=True)
            counts[found] += times
            distinct.frombytes(found.tobytes())
            ends.append(len(distinct))
    return PieceUse(counts, np.frombuffer(distinct, np.int32), np.frombuffer(ends, np.int64), tuple(samples))


def compare_segmentation(before: Tokenizer, after: Tokenizer, texts: Iterable[str]) -> Segmentation:
    """Measure what trimming `before` to `after` changes for texts (held-out ones, best by language)."""
    old, new = (Vocabulary.of(tokenizer.to_str(), "tokenizer") for tokenizer in (before, after))
    numbers = {piece: index for index, piece in enumerate(new.pieces)}
    renumbered = [numbers.get(piece, -1) for piece in old.pieces]  # an id of `before` to that of `after`
    total = unchanged = 0
    pieces, unknown = [0, 0], [0, 0]
    for batch in _batches(texts):
        both = [tokenizer.encode_batch_fast(batch, add_special_tokens=False) for tokenizer in (before, after)]
        for was, now in zip(*both, strict=True):
            total += 1
            unchanged += [renumbered[index] for index in was.ids] == now.ids
            for side, (ids, vocabulary) in enumerate(((was.ids, old), (now.ids, new))):
                pieces[side] += len(ids)
                unknown[side] += ids.count(-1 if vocabulary.unknown is None else vocabulary.unknown)
    shares = [found / max(count, 1) for found, count in zip(unknown, pieces, strict=True)]
    return Segmentation(
        total, pieces[0] / max(total, 1), pieces[1] / max(total, 1), shares[0], shares[1], unchanged / max(total, 1)
    )


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    stream = iter(texts)
    while batch := list(islice(stream, BATCH_TEXTS)):
        yield batch
