"""The model that adapts a base: its encoder under a fresh head that guesses hidden pieces, and is thrown away afterwards."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from training.loop import fast_attention
from training.masking import IGNORED, MaskingCollate, Windows

HEAD_STEPS = 300
"""Optimizer steps of the fresh head alone, at most a fifth of all, before the encoder moves."""
HEAD_LEARNING_RATE = 1e-3


class MaskedModel(nn.Module):
    """The encoder and its head; a guess is compared with the encoder's own word rows."""

    def __init__(self, encoder: Any) -> None:
        super().__init__()
        self.encoder: Any = encoder
        rows, width = encoder.get_input_embeddings().weight.shape
        self.dense = nn.Linear(encoder.config.hidden_size, width)
        self.norm = nn.LayerNorm(width)
        self.bias = nn.Parameter(torch.zeros(rows))

    def forward(self, input_ids: Tensor, attention_mask: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """The loss under `loss`. All three are (batch, length); targets: IGNORED where nothing is to be guessed."""
        with fast_attention(input_ids, self.training):
            states = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state  # (batch, length, hidden)
        return {"loss": self.guess_loss(states[targets != IGNORED], targets[targets != IGNORED])}

    def guess_loss(self, states: Tensor, targets: Tensor) -> Tensor:
        """Mean cross-entropy in nats. states: (hidden pieces, hidden). targets: (hidden pieces,)."""
        guesses = self.norm(nn.functional.gelu(self.dense(states)))
        logits = nn.functional.linear(guesses, self.encoder.get_input_embeddings().weight, self.bias)
        return nn.functional.cross_entropy(logits.float(), targets)


def fit_head(model: MaskedModel, windows: Windows, collate: MaskingCollate, batch_size: int, seed: int, steps: int) -> None:
    """Fit the fresh head on the untouched encoder, so that its first gradients do not harm it. steps: of the whole training."""
    parameters = [parameter for name, parameter in model.named_parameters() if not name.startswith("encoder.")]
    optimizer = torch.optim.AdamW(parameters, lr=HEAD_LEARNING_RATE, weight_decay=0.0)
    order = torch.randperm(len(windows), generator=torch.Generator().manual_seed(seed)).tolist()
    model.eval()
    for step in range(min(HEAD_STEPS, max(steps // 5, 1))):
        start = step * batch_size % len(order)
        batch = collate([windows[number] for number in order[start : start + batch_size]])
        with torch.inference_mode():
            states = model.encoder(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).last_hidden_state
        chosen = batch["targets"] != IGNORED
        optimizer.zero_grad()
        loss = model.guess_loss(states[chosen].clone(), batch["targets"][chosen])
        torch.autograd.backward(loss)
        optimizer.step()


def mean_loss(model: MaskedModel, windows: Windows, collate: MaskingCollate, batch_size: int) -> float:
    """Mean loss over the hidden pieces of the windows, in nats; the model is left in the mode that it was in."""
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    total = pieces = 0.0
    with torch.inference_mode():
        for start in range(0, len(windows), batch_size):
            batch = collate([windows[number] for number in range(start, min(start + batch_size, len(windows)))])
            count = int((batch["targets"] != IGNORED).sum())
            total += count * float(model(**{name: values.to(device) for name, values in batch.items()})["loss"])
            pieces += count
    model.train(was_training)
    return total / pieces
