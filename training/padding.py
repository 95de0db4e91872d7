"""Texts of several lengths as one rectangle."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def padded(pieces: Sequence[Sequence[int]], pad_id: int) -> tuple[Tensor, Tensor]:
    """Pieces and attention mask, each (texts, pieces of the longest): most messages are far below the window."""
    longest = max(len(ids) for ids in pieces)
    input_ids = torch.full((len(pieces), longest), pad_id, dtype=torch.long)
    attention_mask = torch.zeros((len(pieces), longest), dtype=torch.long)
    for number, ids in enumerate(pieces):
        input_ids[number, : len(ids)] = torch.tensor(ids)
        attention_mask[number, : len(ids)] = 1
    return input_ids, attention_mask
