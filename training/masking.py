"""Masked-language-model examples: windows of pieces, some of them hidden."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor

from training.padding import padded

MASK_TOKENS = ("<mask>", "[MASK]")
UNKNOWN_TOKENS = ("<unk>", "[UNK]")
IGNORED = -100
"""Target of a piece that is not to be guessed."""
SHARE_REPLACED, SHARE_RANDOM = 0.8, 0.1
"""Of the pieces to guess: how many show the mask, and how many another piece; the rest stay.

Source: Devlin et al. 2019, BERT, 3.1.
"""


class Windows:
    """Windows of pieces as a dataset for the Trainer; a long text gives several."""

    def __init__(self, texts: Iterable[str], tokenizer: Tokenizer, window_length: int) -> None:
        tokenizer.enable_truncation(window_length)
        self.input_ids = [
            part.ids for encoding in tokenizer.encode_batch(list(texts)) for part in (encoding, *encoding.overflowing) if part.ids
        ]
        tokenizer.no_truncation()
        self.lengths = [len(ids) for ids in self.input_ids]

    def __len__(self) -> int:
        return len(self.input_ids)

    def __getitem__(self, number: int) -> dict[str, Any]:
        return {"input_ids": self.input_ids[number]}


def mask_id(tokenizer: Tokenizer) -> int:
    """The piece that hides another: the tokenizer's mask, else its unknown piece."""
    for token in (*MASK_TOKENS, *UNKNOWN_TOKENS):
        if (found := tokenizer.token_to_id(token)) is not None:
            return int(found)
    return 0


def special_ids(tokenizer: Tokenizer) -> list[int]:
    """Pieces that are never hidden."""
    return sorted(number for number, token in tokenizer.get_added_tokens_decoder().items() if token.special)


@dataclass(frozen=True)
class MaskingCollate:
    """Make a batch and hide pieces of it, others each time. With a generator of a fixed seed, always the same ones."""

    pad_id: int
    mask_id: int
    special: tuple[int, ...]
    vocabulary: int
    share: float
    """Of the pieces, 0 to 1."""
    generator: torch.Generator | None = None

    def __call__(self, items: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
        input_ids, attention_mask = padded([item["input_ids"] for item in items], self.pad_id)  # (batch, length)
        usable = (attention_mask == 1) & ~torch.isin(input_ids, torch.tensor(self.special, dtype=torch.long))
        hidden = usable & (torch.rand(input_ids.shape, generator=self.generator) < self.share)
        if not hidden.any():  # a batch of very short texts: one piece at least, so that the loss is a number
            hidden = usable & (usable.cumsum(1) == 1)
        targets = input_ids.masked_fill(~hidden, IGNORED)
        chance = torch.rand(input_ids.shape, generator=self.generator)
        others = torch.randint(self.vocabulary, input_ids.shape, generator=self.generator)
        shown = torch.where(hidden & (chance < SHARE_REPLACED), self.mask_id, input_ids)
        random = hidden & (chance >= SHARE_REPLACED) & (chance < SHARE_REPLACED + SHARE_RANDOM)
        return {"input_ids": torch.where(random, others, shown), "attention_mask": attention_mask, "targets": targets}
