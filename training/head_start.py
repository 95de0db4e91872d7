"""Fit the head on the untouched base before fine-tuning, so that the first gradients already mean something."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from training.encoding import Collate, EncodedRows
from training.model import MultiTaskLoss, Network

ITERATIONS = 60
"""Of L-BFGS over the head alone; it has converged long before."""
SHRINKAGE = 1e-3
"""Weight of the squared head in the loss, which keeps few rows from being learnt by heart."""
BATCH_ROWS = 64


def fit_head(
    network: Network, loss: MultiTaskLoss, rows: EncodedRows, collate: Collate, count: int, seed: int, bfloat16: bool = False
) -> float:
    """Fit the head on the pooled vectors of `count` rows, with the encoder as it is; returns the loss reached.

    A freshly made head sends noise into the encoder for hundreds of steps, which an optimizer that normalises gradients
    follows at full speed. Source: Kumar et al. 2022, Fine-Tuning can Distort Pretrained Features, section 3.
    """
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randperm(len(rows), generator=generator)[:count].tolist()
    chosen.sort(key=rows.lengths.__getitem__)
    vectors, positive, considered, weight = _vectors(network, rows, collate, chosen, bfloat16)
    # The vectors of a pretrained encoder share most of their direction: fit on standardised ones, then fold that into the head.
    mean, deviation = vectors.mean(0), vectors.std(0, correction=0).clamp(min=1e-6)
    standard = (vectors - mean) / deviation  # (rows, hidden)
    matrix = torch.zeros_like(network.head.weight, requires_grad=True)  # (labels, hidden)
    bias = network.head.bias.detach().clone().requires_grad_()
    optimizer: Any = torch.optim.LBFGS([matrix, bias], max_iter=ITERATIONS, history_size=10, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        value: Tensor = loss(standard @ matrix.T + bias, positive, considered, weight) + SHRINKAGE * matrix.square().sum()
        torch.autograd.backward(value)
        return value

    optimizer.step(closure)
    with torch.no_grad():
        reached = float(loss(standard @ matrix.T + bias, positive, considered, weight))
        network.head.weight.copy_(matrix / deviation)
        network.head.bias.copy_(bias - (matrix / deviation) @ mean)
    return reached


def _vectors(network: Network, rows: EncodedRows, collate: Collate, chosen: Sequence[int], bfloat16: bool) -> tuple[Tensor, ...]:
    """Pooled vectors (rows, hidden) and targets of the chosen rows."""
    network.eval()
    parts = []
    device = network.head.weight.device
    with torch.inference_mode():
        for start in range(0, len(chosen), BATCH_ROWS):
            batch = collate([rows[number] for number in chosen[start : start + BATCH_ROWS]])
            batch = {name: tensor.to(device) for name, tensor in batch.items()}
            with torch.autocast(device.type, dtype=torch.bfloat16, enabled=bfloat16):
                pooled = network.pooled(batch["input_ids"], batch["attention_mask"])
            parts.append((pooled.float(), batch["positive"], batch["considered"], batch["weight"]))
    network.train()
    # Out of inference mode: these take part in a loss.
    return tuple(torch.cat(column).clone() for column in zip(*parts, strict=True))
