"""Train as the exported int8 graph computes: weights on their integer grid, activations rounded row by row."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from training.export import MAX_QUANTIZED, MIN_EMBEDDING_ROWS

LEVELS = 255
"""Of an activation, between the least and the greatest value of its row; as `export._matmul_int8` has it."""
SMALLEST = 1e-12


class Switch:
    """Whether rounding is on; shared by all that rounds in a network."""

    def __init__(self, on: bool = True) -> None:
        self.on = on


class Rounded(nn.Module):
    """A weight (out, in), or a table (rows, hidden), moved to the nearest multiples of its rows' scales.

    The gradient passes as if nothing had been rounded. Source: Bengio et al. 2013, Estimating or Propagating Gradients Through
    Stochastic Neurons (straight-through); Jacob et al. 2018, Quantization and Training of Neural Networks, section 3.
    """

    def __init__(self, switch: Switch) -> None:
        super().__init__()
        self._switch = switch

    def forward(self, weight: Tensor) -> Tensor:
        if not self._switch.on:
            return weight
        with torch.no_grad():
            scale = weight.abs().amax(1, keepdim=True).div_(MAX_QUANTIZED).clamp_(min=SMALLEST)  # (out, 1)
            moved = (weight / scale).round_().mul_(scale).sub_(weight)
        return weight + moved


class _Activations:
    """Rounds activations (…, in) to the 256 levels of their row, once for all that read the same ones (query, key, value)."""

    def __init__(self, switch: Switch) -> None:
        self._switch = switch
        self._given: Tensor | None = None
        self._rounded: Tensor | None = None

    def __call__(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        if not self._switch.on:
            return inputs
        values = inputs[0]
        if values is not self._given or self._rounded is None:
            with torch.no_grad():
                least, greatest = torch.aminmax(values.detach(), dim=-1, keepdim=True)
                scale = (greatest - least).float().div_(LEVELS).clamp_(min=SMALLEST)
                moved = (values.float() - least).div_(scale).round_().mul_(scale).add_(least).sub_(values)
            self._given, self._rounded = values, values + moved.to(values.dtype)
        return (self._rounded, *inputs[1:])


class Rounding:
    """Rounds what the export will round, while `switch` is on, until `end`; parameters keep their objects, for the optimizer."""

    def __init__(self, network: nn.Module, on: bool = True) -> None:
        self.switch = Switch(on)
        self._network = network
        self._hooks: list[Any] = []
        activations = _Activations(self.switch)
        for module in list(network.modules()):
            if isinstance(module, nn.Linear):
                parametrize.register_parametrization(module, "weight", Rounded(self.switch))
                self._hooks.append(module.register_forward_pre_hook(activations))
            elif isinstance(module, nn.Embedding) and module.num_embeddings >= MIN_EMBEDDING_ROWS:
                parametrize.register_parametrization(module, "weight", Rounded(self.switch))

    def end(self, on_grid: bool = True) -> None:
        """Take everything off again and leave the weights on their grid, whether rounding was on yet or not; or as they are."""
        self.switch.on = on_grid
        for hook in self._hooks:
            hook.remove()
        for module in list(self._network.modules()):
            if parametrize.is_parametrized(module, "weight"):
                parametrize.remove_parametrizations(module, "weight", leave_parametrized=True)
