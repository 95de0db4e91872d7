"""Which rows train, which validate, which test: fixed by the hash of the text, near duplicates on one side.

No later file moves a row from test to train: a row's own hash never changes, and a group of near duplicates takes the
strictest side among its members, so that new members can only make it stricter (train, validation, test).
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from data.rows import SPLITS, Row
from data.taxonomy import Taxonomy
from data.text import normalise

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Hashes = NDArray[numpy.uint64]
    Signatures = NDArray[numpy.uint32]

TEST_SHARE = 0.15
VALIDATION_SHARE = 0.15
SALT = "feedback split 1:"
"""Never changed: it decides which rows were ever tested on."""
NEAR = 0.8
"""Jaccard similarity of the character n-grams from which two texts are near duplicates."""
NGRAM = 5
BANDS = 20
ROWS_A_BAND = 6
"""20 bands of 6 find 99.8 % of the pairs at similarity 0.8, and look at 27 % of those at 0.5."""
BLOCK_CHARACTERS = 1 << 18
"""Characters hashed at once, about 20 MB of arrays."""


def skeleton(text: str) -> str:
    """What a text says, for comparing: mended, case-folded, letters only, each number as one 0.

    A text without letters or digits (emoji alone) is its own skeleton.
    """
    return skeleton_of_mended(normalise(text))


def skeleton_of_mended(text: str) -> str:
    """The skeleton of a text that is mended already."""
    letters = re.sub(r"[\W_]+", "", text.casefold())
    return re.sub(r"\d+", "0", letters) or re.sub(r"\s+", "", text)


def split_of(text: str) -> str:
    """`train` (70 %), `validation` (15 %) or `test` (15 %): a function of the text alone."""
    return _split_of_skeleton(skeleton(text))


def _split_of_skeleton(bones: str) -> str:
    digest = hashlib.sha256((SALT + bones).encode("utf-8", "surrogatepass")).digest()
    position = int.from_bytes(digest[:8], "big") / 2**64
    if position < TEST_SHARE:
        return "test"
    return "validation" if position < TEST_SHARE + VALIDATION_SHARE else "train"


def assign_splits(rows: Iterable[Row]) -> list[Row]:
    """The same rows in the same order, each with its split.

    A row's side is its own split, or the hash's where it has none. Near duplicates all take the strictest side among
    them: test before validation before train. A row given as test thus stays test; one given as train moves only when a
    near duplicate of it is tested or validated on.
    """
    rows = list(rows)
    skeletons = [skeleton(row.text) for row in rows]
    sides = [row.split or _split_of_skeleton(bones) for row, bones in zip(rows, skeletons, strict=True)]
    groups = near_duplicate_groups(skeletons)
    strictest: dict[int, str] = {}
    for group, side in zip(groups, sides, strict=True):
        strictest[group] = max(strictest.get(group, side), side, key=SPLITS.index)
    return [
        row if row.split == strictest[group] else replace(row, split=strictest[group])
        for row, group in zip(rows, groups, strict=True)
    ]


@dataclass(frozen=True)
class Cell:
    """How many rows of one split and language have one label."""

    split: str
    language: str
    """`unknown` for rows without a language."""
    task: str
    label: str
    rows: int
    share: float
    """Of the rows with this language and label: 0 to 1. Balanced: 0.70, 0.15, 0.15."""


def balance(rows: Iterable[Row], taxonomy: Taxonomy) -> list[Cell]:
    """Counts by split, language and label, in the taxonomy's order; unknown labels count nowhere."""
    counts: Counter[tuple[str, str, str, str]] = Counter()
    languages: set[str] = set()
    for row in rows:
        language = row.language or "unknown"
        languages.add(language)
        for name, labels in row.labels.items():
            counts.update((row.split or "none", language, name, label) for label in labels)
    cells = []
    splits = [*SPLITS, *(["none"] if any(key[0] == "none" for key in counts) else [])]
    for task in taxonomy:
        for language in sorted(languages):
            for label in task.names:
                total = sum(counts[split, language, task.name, label] for split in splits)
                for split in splits:
                    found = counts[split, language, task.name, label]
                    cells.append(Cell(split, language, task.name, label, found, found / total if total else 0.0))
    return cells


def near_duplicate_groups(skeletons: Sequence[str]) -> list[int]:
    """The group of each text: the position of its first member; a text like no other is a group of its own.

    Two texts are linked when they share a band of their MinHash signatures and at least NEAR of the signatures agree
    (Broder 1997; bands: Leskovec et al., Mining of Massive Datasets, 3.4); groups are what links connect. Whether two
    texts are linked depends on them alone, so groups only grow when texts are added.
    """
    first: dict[str, int] = {}
    unique = [position for position, bones in enumerate(skeletons) if first.setdefault(bones, position) == position]
    parents = _linked(_signatures([skeletons[position] for position in unique])) if unique else []
    group = {skeletons[position]: unique[parent] for position, parent in zip(unique, parents, strict=True)}
    return [group[bones] for bones in skeletons]


def _signatures(texts: Sequence[str]) -> Signatures:
    """MinHash signatures of the texts' character n-grams, shape (texts, BANDS * ROWS_A_BAND)."""
    import numpy

    size = BANDS * ROWS_A_BAND
    # From a hash, not from a generator, whose numbers may change with numpy's version.
    numbers = numpy.frombuffer(hashlib.shake_256(SALT.encode()).digest(16 * size), dtype="<u8").astype(numpy.uint64)
    factors, offsets = numbers[:size] | numpy.uint64(1), numbers[size:]
    signatures = numpy.empty((len(texts), size), dtype=numpy.uint32)
    start = 0
    while start < len(texts):
        end, characters = start, 0
        while end < len(texts) and (end == start or characters + len(texts[end]) <= BLOCK_CHARACTERS):
            characters += max(NGRAM, len(texts[end]))
            end += 1
        hashes, begins = _ngrams([text.ljust(NGRAM, "\0") for text in texts[start:end]])
        for column in range(size):
            # Multiply-shift (Dietzfelbinger et al. 1997): the upper half of a 64-bit product.
            mixed = ((hashes * factors[column] + offsets[column]) >> numpy.uint64(32)).astype(numpy.uint32)
            signatures[start:end, column] = numpy.minimum.reduceat(mixed, begins)
        start = end
    return signatures


def _ngrams(texts: Sequence[str]) -> tuple[Hashes, NDArray[numpy.int64]]:
    """Hashes of all n-grams of the texts one after the other, and where each text's begin."""
    import numpy

    lengths = numpy.array([len(text) for text in texts], dtype=numpy.int64)
    codes = numpy.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), dtype=numpy.uint32).astype(numpy.uint64)
    windows = len(codes) - NGRAM + 1
    hashes = numpy.zeros(windows, dtype=numpy.uint64)
    for shift in range(NGRAM):
        hashes = hashes * numpy.uint64(0x9E3779B97F4A7C15) + codes[shift : shift + windows]
    hashes ^= hashes >> numpy.uint64(31)  # the lower bits reach the upper ones
    hashes *= numpy.uint64(0xBF58476D1CE4E5B9)
    hashes ^= hashes >> numpy.uint64(27)
    counts = lengths - NGRAM + 1
    ends = numpy.cumsum(lengths)
    inside = numpy.ones(windows, dtype=bool)  # windows that do not reach into the next text
    for back in range(1, NGRAM):
        crossing = ends[:-1] - back
        inside[crossing[crossing < windows]] = False
    begins = numpy.concatenate([numpy.zeros(1, dtype=numpy.int64), numpy.cumsum(counts)[:-1]])
    return hashes[inside], begins


def _linked(signatures: Signatures) -> list[int]:
    """For each signature the first position that it is connected to."""
    import numpy

    parents = list(range(len(signatures)))

    def root(position: int) -> int:
        while parents[position] != position:
            parents[position] = parents[parents[position]]
            position = parents[position]
        return position

    needed = int(numpy.ceil(NEAR * signatures.shape[1]))
    for band in range(BANDS):
        keys = numpy.ascontiguousarray(signatures[:, band * ROWS_A_BAND : (band + 1) * ROWS_A_BAND])
        packed = keys.view([("", keys.dtype)] * ROWS_A_BAND).ravel()
        order = numpy.argsort(packed, kind="stable")
        same = packed[order[1:]] == packed[order[:-1]]
        edges = numpy.flatnonzero(numpy.diff(numpy.concatenate([[False], same, [False]]).astype(numpy.int8)))
        for begin, end in zip(edges[::2], edges[1::2], strict=True):  # order[begin : end + 1] share the band
            waiting = order[begin : end + 1]
            while len(waiting) > 1:
                # Spread from one member to all that are like it, then to all that are like those.
                reached, waiting = [waiting[0]], waiting[1:]
                while reached and len(waiting):
                    member = reached.pop()
                    like = (signatures[waiting] == signatures[member]).sum(axis=1) >= needed
                    for other in waiting[like]:
                        low, high = sorted((root(int(member)), root(int(other))))
                        parents[high] = low
                    reached += list(waiting[like])
                    waiting = waiting[~like]
    return [root(position) for position in range(len(parents))]
