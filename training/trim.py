"""A base cut to the pieces that Chinese, English and Persian need: the same vectors from a third of the parameters."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from itertools import islice, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from data.errors import ConfigError, DataError
from data.tables import Record, names_of, open_table
from data.text import normalise
from training.alphabet import SCRIPTS, alphabet, script
from training.aside import refuse_existing, written_aside
from training.base import Checkpoint, quiet, word_rows
from training.segmentation import PieceUse, Segmentation, compare_segmentation, piece_use
from training.vocabulary import Vocabulary

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer
    from transformers import PretrainedConfig

logger = logging.getLogger(__name__)

MAX_PARAMETERS = 35_000_000
OWN_SAMPLES = ("Hello, 123!", "你好，很好。", "سلام، خوب است.")
TEXT_COLUMN, LANGUAGE_COLUMN = "text", "language"
TEXTS_A_LANGUAGE = 2_000
"""How many texts of a language are compared for the report."""
CHECKED_TEXTS = 8
"""Texts whose vectors are compared before a trimmed base is accepted."""


@dataclass(frozen=True)
class TrimReport:
    """What a trimming kept."""

    output: Path
    vocabulary_before: int
    vocabulary_after: int
    parameters_before: int
    parameters_after: int
    always: int
    """Pieces kept whatever the texts: special tokens, letters, digits, signs, emoji, common Chinese characters."""
    counted: int
    """Pieces kept because the texts use them."""
    filled: int
    """Pieces kept by the tokenizer's own scores, to fill the rest of the budget."""
    texts: int
    unchanged: float
    """Share of these texts, 0 to 1, whose pieces all stayed: their segmentation and vectors are the same. 1 without texts."""
    by_language: Mapping[str, Segmentation] = field(default_factory=dict)
    """The first texts of each language before and after, if the languages are known."""

    def to_text(self) -> str:
        """The report as lines for people."""
        lines = [
            f"{self.vocabulary_before:,} pieces became {self.vocabulary_after:,} ({self.always:,} always kept, "
            f"{self.counted:,} by count, {self.filled:,} by score)",
            f"{self.parameters_before / 1e6:.1f} M parameters became {self.parameters_after / 1e6:.1f} M",
            f"{self.unchanged:.1%} of {self.texts:,} texts keep their pieces, and so exactly their vectors",
        ]
        for language, found in self.by_language.items():
            lines.append(
                f"  {language}: {found.unchanged:.1%} of {found.texts:,} texts; pieces a text {found.pieces_before:.2f} and "
                f"{found.pieces_after:.2f}, unknown {found.unknown_before:.3%} and {found.unknown_after:.3%}"
            )
        return "\n".join([*lines, f"written to {self.output}"])


def trim(
    base: Path | str,
    output: Path,
    texts: Iterable[str],
    *,
    keep_at_most: int | None = None,
    max_parameters: int = MAX_PARAMETERS,
) -> TrimReport:
    """Write `base` with fewer pieces to the new folder `output`.

    base: a folder or a hub id, with a fast Unigram or WordPiece tokenizer. texts: messages of the three languages, mended as the
    classifier mends them; read once. keep_at_most: pieces. max_parameters: of the whole encoder.

    A text that used only kept pieces gets the same pieces, in the new numbering, and exactly the same vectors. (WordPiece only:
    a word that was unknown as a whole may become known.) Kept are first the characters of `alphabet`, then pieces by their count in
    the texts, then words in the scripts of the three languages by the tokenizer's own scores, until the budget is full.
    Raises ConfigError: no such base, another kind of tokenizer, a budget too small, `output` exists, disk full.
    """
    output = Path(output)
    refuse_existing(output)
    loaded = Checkpoint.load(base)
    model, plain = loaded.model, loaded.plain_tokenizer()
    vocabulary = Vocabulary.of(plain.to_str(), str(base))
    size = len(vocabulary.pieces)
    rows, width = word_rows(model).shape
    if size > rows:
        raise ConfigError(f"{base}: the tokenizer has {size} pieces, the model rows for {rows}. They do not belong together.")
    before = model.num_parameters()
    rest = before - rows * width
    room = min((max_parameters - rest) // width, size, size if keep_at_most is None else keep_at_most)

    always = vocabulary.indispensable() | _known_characters(vocabulary, plain) | _ids_of(model.config, size)
    if len(always) > room:
        raise ConfigError(
            f"{base}: special tokens and the characters of the three languages alone are {len(always)} pieces, and the budget has "
            f"room for {max(room, 0)}. Allow at least {len(always)} pieces and {rest + len(always) * width} parameters."
        )
    use = piece_use(plain, texts)
    counted = [int(piece) for piece in np.argsort(-use.counts, kind="stable") if use.counts[piece] and piece not in always]
    counted = counted[: room - len(always)]
    kept = always.union(counted)
    filled = list(islice((piece for piece in _words_by_score(vocabulary) if piece not in kept), room - len(kept)))
    kept = kept.union(filled)
    logger.info(
        "Keep %d of %d pieces: %d always, %d by count, %d by score", len(kept), size, len(always), len(counted), len(filled)
    )

    samples = _samples(use, plain, kept)
    vectors = [loaded.states(text) for text in samples]
    with written_aside(output, need_bytes=4 * (rest + len(kept) * width)) as folder:
        _write(loaded, vocabulary, sorted(kept), folder)
        (folder / "README.md").write_text(_readme(base, size, len(kept)), "utf-8")
        _check(folder, samples, vectors, base)
    return TrimReport(
        output=output,
        vocabulary_before=size,
        vocabulary_after=len(kept),
        parameters_before=before,
        parameters_after=rest + len(kept) * width,
        always=len(always),
        counted=len(counted),
        filled=len(filled),
        texts=use.texts,
        unchanged=use.unchanged(kept),
    )


def trim_to_files(
    base: Path | str, output: Path, files: Sequence[Path | str], *, max_parameters: int = MAX_PARAMETERS
) -> TrimReport:
    """`trim` with the mended texts of files (CSV, JSON Lines, Parquet; column `text`, and `language` if there is one).

    Raises ConfigError as `trim` does, DataError for a file that cannot be read or has no column `text`.
    """
    tables = [open_table(file) for file in files]
    for table in tables:
        if TEXT_COLUMN not in table.columns:
            raise DataError(f"{table.path}: no column '{TEXT_COLUMN}'. It has {names_of(table.columns)}. Rename one.")
    first: dict[str, list[str]] = {}

    def texts() -> Iterator[str]:
        for record in (record for table in tables for record in table.records()):
            text = record.values.get(TEXT_COLUMN) if isinstance(record, Record) else None
            if not isinstance(text, str) or not text.strip() or not isinstance(record, Record):
                continue
            mended = normalise(text)
            language = record.values.get(LANGUAGE_COLUMN)
            known = first.setdefault(language, []) if isinstance(language, str) and language else None
            if known is not None and len(known) < TEXTS_A_LANGUAGE:
                known.append(mended)
            yield mended

    report = trim(base, output, texts(), max_parameters=max_parameters)
    before, after = (Checkpoint.load(name).plain_tokenizer() for name in (base, report.output))
    return replace(report, by_language={name: compare_segmentation(before, after, first[name]) for name in sorted(first)})


def _known_characters(vocabulary: Vocabulary, plain: Tokenizer) -> set[int]:
    """What the tokenizer makes of every character of the alphabet, and that character's own pieces with and without the mark."""
    characters = sorted(alphabet())
    kept = {index for encoding in plain.encode_batch(characters, add_special_tokens=False) for index in encoding.ids}
    normalise = plain.normalizer.normalize_str if plain.normalizer is not None else str
    single = {found for character in characters for found in normalise(character)} | set(characters)
    kept.update(index for index in range(len(vocabulary.pieces)) if vocabulary.bare(index) in single or not vocabulary.bare(index))
    return kept


def _ids_of(config: PretrainedConfig, size: int) -> set[int]:
    """Every token id that a model's configuration names, so that each can be renumbered."""
    named = (value for name, value in config.to_dict().items() if name.endswith("_token_id"))
    listed = (one for value in named for one in (value if isinstance(value, list) else [value]))
    return {one for one in listed if isinstance(one, int) and 0 <= one < size}


def _words_by_score(vocabulary: Vocabulary) -> Iterator[int]:
    """Pieces wholly in one of our scripts, by their rank of score in that script: no script crowds out another."""
    ranked: dict[str, list[int]] = {name: [] for name in SCRIPTS}
    for index in sorted(range(len(vocabulary.pieces)), key=lambda index: (-vocabulary.scores[index], index)):
        name = script(vocabulary.bare(index))
        if name is not None:
            ranked[name].append(index)
    for turn in zip_longest(*ranked.values()):
        yield from (index for index in turn if index is not None)


def _samples(use: PieceUse, plain: Tokenizer, kept: AbstractSet[int]) -> list[str]:
    candidates = [*OWN_SAMPLES, *use.samples]
    encodings = plain.encode_batch(candidates, add_special_tokens=False)
    return [text for text, encoding in zip(candidates, encodings, strict=True) if kept >= set(encoding.ids)][:CHECKED_TEXTS]


def _write(base: Checkpoint, vocabulary: Vocabulary, order: Sequence[int], folder: Path) -> None:
    """Write the checkpoint with the pieces `order` alone. The loaded model is changed."""
    import torch

    new = {old: index for index, old in enumerate(order)}
    model, tokenizer = base.model, base.tokenizer
    embeddings = model.get_input_embeddings()
    embeddings.weight = torch.nn.Parameter(word_rows(model)[torch.tensor(order)].clone())
    for name, value in model.config.to_dict().items():
        if name.endswith("_token_id") and value is not None:
            setattr(model.config, name, [new.get(one) for one in value] if isinstance(value, list) else new.get(value))
    model.config.vocab_size = len(order)
    state = {name: values for name, values in model.state_dict().items() if name not in base.lacking}
    with quiet():
        model.save_pretrained(folder, state_dict=state)

    (folder / "tokenizer.json").write_text(vocabulary.cut(order), "utf-8")
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": tokenizer.model_max_length,
        "model_input_names": tokenizer.model_input_names,
        "padding_side": tokenizer.padding_side,
        "truncation_side": tokenizer.truncation_side,
        "clean_up_tokenization_spaces": False,
        **{name: token for name, token in tokenizer.special_tokens_map.items() if isinstance(token, str)},
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, ensure_ascii=False, indent=2) + "\n", "utf-8")


def _check(folder: Path, texts: Sequence[str], wanted: Sequence[torch.Tensor], name: Path | str) -> None:
    """Load what was written, and compare its vectors with the base's, bit by bit."""
    import torch

    trimmed = Checkpoint.load(folder)
    if not all(torch.equal(states, trimmed.states(text)) for text, states in zip(texts, wanted, strict=True)):
        raise ConfigError(f"{name}: gives other vectors once trimmed: it ties a meaning to a piece's number. Use it untrimmed.")


def _readme(base: Path | str, before: int, after: int) -> str:
    name = Path(base).name if Path(base).is_dir() else str(base)
    text = f"""# {name}, trimmed

Made from `{name}` by keeping {after:,} of its {before:,} pieces, for Chinese, English and Persian. Nothing was trained: a text that
uses only kept pieces has the same vectors. The licence is that of the base.
"""
    card = Path(base) / "README.md"
    return f"{text}\nThe card of the base follows.\n\n{card.read_text('utf-8')}" if card.is_file() else text
