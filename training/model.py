"""Any Hugging Face encoder under one joint head over all tasks' labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import AutoModel, AutoTokenizer
from transformers.utils import logging

from data.errors import ConfigError, ModelFolderError
from data.taxonomy import Taxonomy
from serving.model_folder import MANIFEST, TOKENIZER, WEIGHTS, ModelFolder
from serving.settings import SHIPPED_MODEL

FloatArray = npt.NDArray[np.float32]
_transformers_logging: Any = logging  # its functions carry no types
HEAD_PREFIX = "head."
CLOSED_BIAS = -9.0
"""Logit of a label that is not learnt: a probability of 0.0001."""
CLOSED = -1e4
"""Logit of a label that a row cannot have had; finite, so that a row that knows nothing gives 0 and not NaN."""


@dataclass(frozen=True)
class Base:
    """What a training run starts from."""

    encoder: Any
    """A transformers encoder; its configuration has no type that all kinds share."""
    tokenizer: Tokenizer
    pad_id: int
    origin: dict[str, Any]
    """Name and kind, for the manifest."""
    head: Mapping[str, Tensor]
    """Head rows by `task.label`, (hidden + 1,) with the bias last, of a model folder of ours; else empty."""


class Network(nn.Module):
    """Encoder, pooling and the joint head; a task is a slice of the logits."""

    def __init__(self, encoder: Any, taxonomy: Taxonomy, pooling: str = "mean", dropout: float = 0.1) -> None:
        super().__init__()
        self.encoder: Any = encoder
        self.pooling = pooling
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(encoder.config.hidden_size, taxonomy.size)
        nn.init.normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Logits, (batch, labels), of pieces and mask, each (batch, length)."""
        logits: Tensor = self.head(self.dropout(self.pooled(input_ids, attention_mask)))
        return logits

    def close(self, labels: Sequence[tuple[str, ...]], taxonomy: Taxonomy) -> None:
        """Make the head never give these labels, each a task and a label."""
        with torch.no_grad():
            for task, label in labels:
                row = taxonomy.columns(task).start + taxonomy[task].index(label)
                self.head.weight[row] = 0.0
                self.head.bias[row] = CLOSED_BIAS

    def pooled(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """One vector a text, (batch, hidden)."""
        states = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state  # (b, t, hidden)
        if self.pooling == "first":
            vector: Tensor = states[:, 0]
        else:
            mask = attention_mask.unsqueeze(1).to(states.dtype)  # (b, 1, t)
            # A product, not a sum: ONNX Runtime adds the rows of a batch in another order than those of one text alone.
            vector = torch.bmm(mask, states).squeeze(1) / mask.sum(2).clamp(min=1.0)
        return vector


class MultiTaskLoss(nn.Module):
    """Masked loss over all tasks: cross-entropy for single tasks, weighted binary cross-entropy for multi tasks."""

    positive_weight: Tensor

    def __init__(self, taxonomy: Taxonomy, positive_weight: FloatArray, smoothing: float, multi_weight: float) -> None:
        super().__init__()
        self.taxonomy = taxonomy
        self.smoothing = smoothing
        self.multi_weight = multi_weight
        self.register_buffer("positive_weight", torch.from_numpy(positive_weight), persistent=False)

    def forward(self, logits: Tensor, positive: Tensor, considered: Tensor, weight: Tensor) -> Tensor:
        """Mean over the batch of the weighted sum of the tasks' losses.

        logits, positive, considered: (batch, labels), see `encoding.Targets`. weight: (batch, tasks), 0 where a task is unknown.
        """
        total = logits.new_zeros((), dtype=torch.float32)
        for number, task in enumerate(self.taxonomy):
            columns = self.taxonomy.columns(task.name)
            scores, right, open_ = logits[:, columns].float(), positive[:, columns], considered[:, columns]
            if task.single:
                possible = scores.masked_fill(open_ == 0, CLOSED)
                every = possible.logsumexp(1)
                loss = every - scores.masked_fill(right == 0, CLOSED).logsumexp(1)
                if self.smoothing:
                    spread = ((every.unsqueeze(1) - possible) * open_).sum(1) / open_.sum(1).clamp(min=1.0)
                    loss = (1 - self.smoothing) * loss + self.smoothing * spread
            else:
                each = nn.functional.binary_cross_entropy_with_logits(
                    scores, right, reduction="none", pos_weight=self.positive_weight[columns]
                )
                loss = self.multi_weight * (each * open_).sum(1)
            total = total + (loss * weight[:, number]).sum()
        return total / len(logits)


def load_base(name: str, layers: int = 0) -> Base:
    """Load an encoder and its fast tokenizer from a checkpoint folder, a model folder of ours, or a hub id.

    name: the shipped model if empty. layers: how many of its layers to keep, evenly spread; 0 for all.
    Raises ConfigError if there is no such base or it has no fast tokenizer.
    """
    if not name:
        if not SHIPPED_MODEL.is_dir():
            raise ConfigError(
                f"no base, and no model is shipped here ({SHIPPED_MODEL}). Name one with --base: a folder "
                "(see feedback base recover) or a hub id."
            )
        name = str(SHIPPED_MODEL)
    folder = Path(name)
    head: dict[str, Tensor] = {}
    origin: dict[str, Any] = {"name": folder.name if folder.is_dir() else name, "kind": "checkpoint folder"}
    if (folder / MANIFEST).is_file():
        opened = ModelFolder.open(folder)
        head = _read_head(opened)
        origin = {
            "name": opened.version,
            "kind": "model folder",
            "of": opened.manifest["base"],
            "sources": opened.manifest["sources"],
        }
    elif not folder.is_dir():
        if folder.is_absolute() or name.startswith((".", "~")) or len(folder.parts) > 2:
            raise ConfigError(f"base {name}: no such folder. Make one (feedback base recover -o FOLDER) or name a hub id.")
        origin["kind"] = "hub"
    _transformers_logging.set_verbosity_error()  # it reports weights (a pooler, a language-model head) that we do not want
    _transformers_logging.disable_progress_bar()
    try:
        encoder = AutoModel.from_pretrained(name, dtype=torch.float32, attn_implementation="sdpa")
    except ValueError:  # an architecture without fused attention
        encoder = _or_config_error(name, lambda: AutoModel.from_pretrained(name, dtype=torch.float32))
    except Exception as error:  # the libraries raise OSError, JSON and safetensors errors of their own
        raise _cannot_load(name, error) from error
    if getattr(encoder, "pooler", None) is not None:
        encoder.pooler = None  # our head pools for itself; untrained weights would only be carried along
    if layers:
        keep_layers(encoder, layers)
    if (folder / TOKENIZER).is_file():
        tokenizer = _or_config_error(name, lambda: Tokenizer.from_file(str(folder / TOKENIZER)))
    else:
        slow_or_fast = _or_config_error(name, lambda: AutoTokenizer.from_pretrained(name))
        if not getattr(slow_or_fast, "is_fast", False):
            raise ConfigError(f"base {name} has no fast tokenizer (tokenizer.json). Convert it with transformers first.")
        tokenizer = slow_or_fast.backend_tokenizer
    tokenizer.no_padding()
    tokenizer.no_truncation()
    pad_id = encoder.config.pad_token_id
    return Base(encoder, tokenizer, 0 if pad_id is None else int(pad_id), origin, head)


def averaged(bases: Sequence[Base]) -> Base:
    """The first base with the mean of all bases' weights, head included. Raises ConfigError where they are not of one shape.

    Source: Wortsman et al. 2022, Model soups: averaging weights of multiple fine-tuned models; uniform soup.
    """
    first, *others = bases
    if not others:
        return first
    states = [base.encoder.state_dict() for base in bases]
    for base, state in zip(others, states[1:], strict=True):
        same = {name: tensor.shape for name, tensor in state.items()} == {name: tensor.shape for name, tensor in states[0].items()}
        if not same or base.tokenizer.to_str() != first.tokenizer.to_str() or set(base.head) != set(first.head):
            raise ConfigError(
                f"average: {base.origin['name']} cannot be averaged with {first.origin['name']}: shapes, tokenizer or labels "
                "differ. Name model folders that were trained from the same start."
            )
    means = {
        name: torch.stack([state[name] for state in states]).mean(0) if tensor.is_floating_point() else tensor
        for name, tensor in states[0].items()
    }
    first.encoder.load_state_dict(means)
    head = {label: torch.stack([base.head[label] for base in bases]).mean(0) for label in first.head}
    origin = {**first.origin, "averaged_with": [base.origin["name"] for base in others]}
    return replace(first, origin=origin, head=head)


def keep_layers(encoder: nn.Module, count: int) -> None:
    """Keep `count` of an encoder's layers, evenly spread from the first to the last, in place."""
    config: Any = encoder.config
    total = config.num_hidden_layers
    if count > total:
        raise ConfigError(f"layers is {count}, the base has only {total}")
    kept = sorted({round(step) for step in np.linspace(0, total - 1, count)})
    for module in encoder.modules():
        for name, child in module.named_children():
            if isinstance(child, nn.ModuleList) and len(child) == total:
                setattr(module, name, nn.ModuleList([child[index] for index in kept]))
    if isinstance(getattr(config, "layer_types", None), list):
        config.layer_types = [config.layer_types[index] for index in kept]
    config.num_hidden_layers = count


def check_window(base: Base, window_length: int) -> None:
    """Refuse, with ConfigError, a window of more pieces than the base has positions for."""
    config: Any = base.encoder.config
    positions = getattr(config, "max_position_embeddings", None)
    # RoBERTa-like encoders number positions from the padding id + 1.
    usable = positions - (base.pad_id + 1 if "roberta" in config.model_type else 0) if positions else None
    if usable and window_length > usable:
        raise ConfigError(f"window_length is {window_length}, the base reads at most {usable} pieces")


def set_dropout(encoder: nn.Module, share: float) -> None:
    """Set the share of values, 0 to 1, that every dropout in an encoder drops, in place."""
    for module in encoder.modules():
        if isinstance(module, nn.Dropout):
            module.p = share
        for name in ("dropout_prob", "attention_dropout", "drop_prob"):  # where attention keeps its own number
            if isinstance(getattr(module, name, None), float):
                setattr(module, name, share)


def start_head(network: Network, base: Base, taxonomy: Taxonomy, frequencies: FloatArray) -> int:
    """Set the head's bias to the labels' frequencies and take over rows that the base has for the same labels.

    frequencies: (labels,), 0 to 1. Returns how many labels were taken over.
    """
    taken = 0
    with torch.no_grad():
        for task in taxonomy:
            columns = taxonomy.columns(task.name)
            share = torch.from_numpy(frequencies[columns])
            network.head.bias[columns] = torch.log(share) if task.single else torch.logit(share)
            rows = [base.head.get(f"{task.name}.{label}") for label in task.names]
            if all(row is not None and len(row) == network.head.in_features + 1 for row in rows):
                for offset, row in enumerate(rows):
                    assert row is not None
                    network.head.weight[columns.start + offset] = row[:-1]
                    network.head.bias[columns.start + offset] = row[-1]
                taken += len(rows)
    return taken


def save_weights(network: Network, folder: Path) -> None:
    """Write config.json and model.safetensors (half precision): `AutoModel.from_pretrained(folder)` reads the encoder back."""
    encoder: Any = network.encoder
    encoder.config.save_pretrained(folder)
    tensors = {name: tensor.half().contiguous() for name, tensor in encoder.state_dict().items()}
    tensors |= {HEAD_PREFIX + name: tensor.float().contiguous() for name, tensor in network.head.state_dict().items()}
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})


def load_network(folder: ModelFolder) -> Network:
    """The torch network of a model folder, to compare with its exported graph."""
    base = load_base(str(folder.path))
    network = Network(base.encoder, folder.taxonomy, folder.manifest["training"]["config"]["pooling"])
    state = load_file(folder.path / WEIGHTS)
    network.head.load_state_dict({name: state[HEAD_PREFIX + name] for name in ("weight", "bias")})
    return network.eval()


def _read_head(folder: ModelFolder) -> dict[str, Tensor]:
    state = load_file(folder.path / WEIGHTS)
    try:
        joined = torch.cat([state[HEAD_PREFIX + "weight"], state[HEAD_PREFIX + "bias"].unsqueeze(1)], dim=1)  # (labels, hidden + 1)
    except KeyError as error:
        raise ModelFolderError(f"{folder.path}/{WEIGHTS} lacks {error}. Copy the folder again, or train anew.") from error
    names = [f"{task}.{label}" for task, labels in folder.manifest["label_order"].items() for label in labels]
    return dict(zip(names, joined, strict=True))


def _or_config_error(name: str, load: Any) -> Any:
    try:
        return load()
    except Exception as error:
        raise _cannot_load(name, error) from error


def _cannot_load(name: str, error: Exception) -> ConfigError:
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return ConfigError(
        f"base {name} cannot be loaded: {first}\n"
        "Name a folder with config.json, model.safetensors and tokenizer.json, or a hub id that can be reached from here."
    )
