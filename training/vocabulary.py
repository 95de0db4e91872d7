"""The vocabulary of a fast tokenizer, as its tokenizer.json has it: read, and cut to some of its pieces."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from data.errors import ConfigError

SPACE_MARK = "\u2581"
BYTE_PIECE = re.compile(r"<0x[0-9A-F]{2}>")


@dataclass(frozen=True)
class Vocabulary:
    pieces: tuple[str, ...]
    """By id. Added tokens that stand outside the model (mask tokens of some) come after its pieces, as in the file."""
    scores: tuple[float, ...]
    """By id, higher is more frequent: log-probabilities (Unigram), or the order in the vocabulary (WordPiece)."""
    added: frozenset[int]
    """Special and other added tokens."""
    unknown: int | None
    mark: str
    """What a piece begins with: a space (Unigram) or the inside of a word (WordPiece)."""
    document: Mapping[str, Any] = field(repr=False)
    """The whole tokenizer.json."""

    @classmethod
    def of(cls, tokenizer_json: str, where: str) -> Vocabulary:
        """Read a tokenizer.json. ConfigError if its model is neither Unigram nor WordPiece, or its ids have gaps."""
        document = json.loads(tokenizer_json)
        model = document["model"]
        kind = model.get("type") or ("Unigram" if isinstance(model.get("vocab"), list) else "unnamed")
        added = {int(token["id"]): str(token["content"]) for token in document.get("added_tokens") or ()}
        if kind == "Unigram":
            by_id = {index: str(piece) for index, (piece, _) in enumerate(model["vocab"])}
            unknown = model.get("unk_id")
        elif kind == "WordPiece":
            by_id = {int(index): str(piece) for piece, index in model["vocab"].items()}
            unknown = model["vocab"].get(model.get("unk_token"))
        else:
            raise ConfigError(
                f"{where}: its tokenizer is of the kind {kind}; only Unigram and WordPiece vocabularies can be trimmed, since "
                f"pieces of {kind} are built from one another. Use this base untrimmed, or another one."
            )
        by_id.update({index: piece for index, piece in added.items() if index not in by_id})
        if sorted(by_id) != list(range(len(by_id))):
            raise ConfigError(f"{where}: the ids of its tokenizer have gaps or repeats; it cannot be trimmed. Use it untrimmed.")
        pieces = tuple(by_id[index] for index in range(len(by_id)))
        if kind == "Unigram":
            scores = [float(score) for _, score in model["vocab"]]
            scores += [0.0] * (len(pieces) - len(scores))
            mark = SPACE_MARK
        else:
            scores = [-float(index) for index in range(len(pieces))]
            mark = str(model.get("continuing_subword_prefix", "##"))
        return cls(pieces, tuple(scores), frozenset(added), unknown, mark, document)

    @property
    def unigram(self) -> bool:
        return isinstance(self.document["model"]["vocab"], list)

    def bare(self, index: int) -> str:
        """A piece without its mark."""
        return self.pieces[index].removeprefix(self.mark)

    def indispensable(self) -> set[int]:
        """Ids without which the remaining pieces would work otherwise: added tokens, the unknown piece, bytes, the lowest score."""
        kept = set(self.added) | {index for index, piece in enumerate(self.pieces) if BYTE_PIECE.fullmatch(piece)}
        if self.unknown is not None:
            kept.add(self.unknown)
        if self.unigram:  # the price of an unknown character is the lowest score of all pieces, less a constant
            own = range(len(self.document["model"]["vocab"]))
            kept.add(min(own, key=self.scores.__getitem__))
        return kept

    def cut(self, kept: Sequence[int]) -> str:
        """The tokenizer.json with only the pieces `kept` (ids, rising), numbered anew in that order; scores stay."""
        new = {old: index for index, old in enumerate(kept)}
        document: dict[str, Any] = copy.deepcopy(dict(self.document))
        model = document["model"]
        if self.unigram:
            model["vocab"] = [model["vocab"][old] for old in kept if old < len(model["vocab"])]
            if self.unknown is not None:
                model["unk_id"] = new[self.unknown]
        else:
            model["vocab"] = {piece: new[old] for piece, old in model["vocab"].items() if old in new}
        for token in document.get("added_tokens") or ():
            token["id"] = new[token["id"]]
        if document.get("padding"):
            document["padding"]["pad_id"] = new[document["padding"]["pad_id"]]
        if document.get("post_processor"):
            _renumber(document["post_processor"], new)
        return json.dumps(document, ensure_ascii=False)


def _renumber(processor: dict[str, Any], new: Mapping[int, int]) -> None:
    for inner in processor.get("processors") or ():
        _renumber(inner, new)
    if processor["type"] == "TemplateProcessing":
        for token in processor["special_tokens"].values():
            token["ids"] = [new[old] for old in token["ids"]]
    elif processor["type"] in ("BertProcessing", "RobertaProcessing"):
        for name in ("sep", "cls"):
            processor[name] = [processor[name][0], new[processor[name][1]]]
