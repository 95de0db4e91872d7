"""A base as it was published: any encoder of Hugging Face with its fast tokenizer, from a folder or a hub."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data.errors import ConfigError

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

STATES_PIECES = 64
HUB_ID = re.compile(r"\w[\w.-]*(/[\w.-]+)?")


@dataclass(frozen=True)
class Checkpoint:
    model: PreTrainedModel
    """The encoder alone, without a head, ready to compute vectors."""
    tokenizer: PreTrainedTokenizerBase
    lacking: frozenset[str]
    """Weights that the checkpoint lacks, often a pooler's: the model has random ones in their place."""

    @classmethod
    def load(cls, name: Path | str) -> Checkpoint:
        """Load a folder or a hub id. ConfigError if there is no encoder, or no fast tokenizer."""
        if not Path(name).is_dir() and (isinstance(name, Path) or not HUB_ID.fullmatch(name)):
            raise ConfigError(f"{name}: no such folder. Make one with `feedback base recover`, or name a model of a hub.")
        from transformers import AutoModel, AutoTokenizer

        try:
            with quiet():
                tokenizer = AutoTokenizer.from_pretrained(str(name))
                model, info = AutoModel.from_pretrained(str(name), output_loading_info=True)
        except Exception as error:  # transformers, tokenizers and safetensors each raise kinds of their own
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise ConfigError(
                f"{name}: no encoder can be loaded from there ({reason}). Name a folder with config.json, model.safetensors and "
                "tokenizer.json (`feedback base recover` makes one), or a model of a hub that can be reached."
            ) from error
        if not tokenizer.is_fast:
            raise ConfigError(f"{name}: has no fast tokenizer (tokenizer.json). Name another base.")
        return cls(model.eval(), tokenizer, frozenset(info["missing_keys"]))

    def plain_tokenizer(self) -> Tokenizer:
        """A copy of the tokenizer underneath, that neither cuts nor pads."""
        from tokenizers import Tokenizer

        plain: Tokenizer = Tokenizer.from_str(self.tokenizer.backend_tokenizer.to_str())
        plain.no_truncation()
        plain.no_padding()
        return plain

    def states(self, text: str) -> torch.Tensor:
        """Last hidden states of one text by itself, of its first STATES_PIECES pieces: (pieces, hidden)."""
        import torch

        encoded = self.tokenizer(text, return_tensors="pt", truncation=True, max_length=STATES_PIECES)
        with torch.inference_mode():
            states: torch.Tensor = self.model(**encoded).last_hidden_state
        return states[0]


def word_rows(model: PreTrainedModel) -> torch.Tensor:
    """The word embedding, (rows, width); there may be more rows than pieces."""
    import torch

    weight = model.get_input_embeddings().weight
    assert isinstance(weight, torch.Tensor)
    return weight.data


@contextmanager
def quiet() -> Iterator[None]:
    """No progress bars, and no report of a missing pooler, which nobody here uses."""
    from transformers.utils import logging as untyped

    logging: Any = untyped
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(logging.ERROR)
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
