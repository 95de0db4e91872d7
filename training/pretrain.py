"""Adapt a base to texts without labels: continued masked-language modelling under a fresh head, which is thrown away.

Source: Gururangan et al. 2020, Don't Stop Pretraining.
"""

from __future__ import annotations

import json
import logging
import math
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast, Trainer, TrainerControl, TrainerState, TrainingArguments

from data.errors import ConfigError, DataError
from data.tables import Record, names_of, open_table
from data.text import normalise
from data.variants import as_read
from training.aside import refuse_existing, written_aside
from training.checkpoints import claim_folder, newest_checkpoint
from training.loop import Progress, bfloat16_is_fast, finished_state, prepare, run, trainer_arguments
from training.masked_model import MaskedModel, fit_head, mean_loss
from training.masking import MaskingCollate, Windows, mask_id, special_ids
from training.model import Base, check_window, load_base, set_dropout

logger = logging.getLogger(__name__)

HELD_OUT_SHARE = 0.02
HELD_OUT_TEXTS = 1000
"""Texts kept out of training at most, chosen by hash, on which the loss is measured."""
MIN_TEXTS = 50
SAVED_EVERY = 1000
"""Steps between checkpoints at most; a quarter of the run if that is less."""
WARMUP = 0.06
STARTED = "started.json"
"""Beside the checkpoints: the loss before the encoder moved."""


@dataclass(frozen=True)
class PretrainSettings:
    base: str
    texts: tuple[str, ...]
    """Files with messages (CSV, JSON Lines, Parquet, spreadsheets); labels are not looked at."""
    output: str
    """The checkpoint folder to write; must not exist. Checkpoints go to `<output>.checkpoints` beside it."""
    text_column: str = "text"
    epochs: float = 1.0
    """Passes over the texts."""
    max_steps: int = 0
    """Optimizer steps at most; 0 leaves it to `epochs`."""
    batch_size: int = 32
    """Windows in one optimizer step."""
    learning_rate: float = 1e-4
    window_length: int = 128
    """Pieces in a window, special ones included; longer texts give several."""
    masked: float = 0.15
    """Share of the pieces that are hidden and guessed."""
    seed: int = 0
    threads: int = 0
    """Processor threads; 0 uses every core."""

    def __post_init__(self) -> None:
        bounds = {"epochs": (1e-6, 1e6), "max_steps": (0, 10**9), "batch_size": (1, 65536), "learning_rate": (1e-9, 1.0)}
        bounds |= {"window_length": (8, 8192), "masked": (0.01, 0.9), "seed": (0, 2**32 - 1), "threads": (0, 4096)}
        faults = [
            f"{key} is {getattr(self, key)}; from {low:g} to {high:g}"
            for key, (low, high) in bounds.items()
            if not low <= getattr(self, key) <= high
        ]
        if faults:
            raise ConfigError("pretrain:\n  " + "\n  ".join(faults))

    @property
    def checkpoints(self) -> Path:
        output = Path(self.output)
        return output.with_name(output.name + ".checkpoints")


@dataclass(frozen=True)
class PretrainReport:
    output: Path
    texts: int
    held_out: int
    steps: int
    loss_before: float
    """Mean over the hidden pieces of the held-out texts, in nats, of a head fitted on the untouched encoder."""
    loss_after: float
    seconds: float

    def to_text(self) -> str:
        before, after = self.loss_before, self.loss_after
        return (
            f"{self.texts:,} different texts, {self.held_out:,} more held out; {self.steps:,} steps in {self.seconds:,.0f} s\n"
            f"loss on the held-out texts: {before:.3f} with the base as it was, {after:.3f} now "
            f"(a hidden piece is {math.exp(before - after):.2f} times as probable)\n"
            f"base  {self.output}  (feedback train CONFIG.toml --base {self.output})"
        )


def pretrain(settings: PretrainSettings, resume: bool = False) -> PretrainReport:
    """Train the base on the texts and write it as a checkpoint folder that `--base` takes.

    resume: go on from the newest whole checkpoint of the same settings.
    Raises ConfigError or DataError before anything is written; a kill leaves checkpoints and no folder.
    """
    output = Path(settings.output)
    refuse_existing(output)
    texts, held_out = read_texts(settings)
    base = load_base(settings.base)
    check_window(base, settings.window_length)
    document: dict[str, Any] = {**asdict(settings), "texts": list(settings.texts)}
    claim_folder(settings.checkpoints, document, settings.texts, resume, later=frozenset({"threads"}))
    started = time.monotonic()
    try:
        model, before, steps = _fit(settings, base, texts, held_out, resume)
    except BaseException:
        if not any(settings.checkpoints.glob("checkpoint-*")):
            shutil.rmtree(settings.checkpoints, ignore_errors=True)  # there is nothing to go on from
        raise
    after = _held_out_loss(model, base, held_out, settings)
    if not math.isfinite(after):
        raise ConfigError("the training diverged: the loss is no number. Lower --learning-rate and start anew.")
    need = 4 * sum(parameter.numel() for parameter in base.encoder.parameters())
    with written_aside(output, need_bytes=need) as folder:
        save_base(base, folder)
        (folder / "README.md").write_text(_readme(base, len(texts), steps, before, after), "utf-8")
    load_base(str(output))
    shutil.rmtree(settings.checkpoints, ignore_errors=True)
    return PretrainReport(output, len(texts), len(held_out), steps, before, after, time.monotonic() - started)


def read_texts(settings: PretrainSettings) -> tuple[list[str], list[str]]:
    """The mended texts of the files, each once, in two parts by hash: to train on, and held out."""
    texts: dict[str, None] = {}
    for name in settings.texts:
        table = open_table(name)
        if settings.text_column not in table.columns:
            raise DataError(
                f"{name}: no column '{settings.text_column}'. It has {names_of(table.columns)}. Name one with --text-column."
            )
        for record in table.records():
            text = record.values.get(settings.text_column) if isinstance(record, Record) else None
            if isinstance(text, str) and (mended := as_read(normalise(text)).strip()):
                texts[mended] = None
    if len(texts) < MIN_TEXTS:
        raise DataError(f"{', '.join(settings.texts)}: {len(texts)} different texts; at least {MIN_TEXTS} are needed.")
    by_hash = sorted(texts, key=lambda text: sha256(text.encode("utf-8", "surrogatepass")).digest())
    held_out = set(by_hash[: min(max(10, round(HELD_OUT_SHARE * len(texts))), HELD_OUT_TEXTS)])
    return [text for text in texts if text not in held_out], sorted(held_out, key=lambda text: (len(text), text))


def _fit(
    settings: PretrainSettings, base: Base, texts: Sequence[str], held_out: Sequence[str], resume: bool
) -> tuple[MaskedModel, float, int]:
    """Train; returns the model, the held-out loss before the encoder moved, and the steps."""
    prepare(settings.seed, settings.threads)
    set_dropout(base.encoder, 0.0)  # one pass over many texts does not need it, and it takes a fifth of the time on a processor
    windows = Windows(texts, base.tokenizer, settings.window_length)
    steps = math.ceil(math.ceil(len(windows) / settings.batch_size) * settings.epochs)
    steps = min(steps, settings.max_steps) if settings.max_steps else steps
    model = MaskedModel(base.encoder)
    checkpoint = newest_checkpoint(settings.checkpoints) if resume else None
    arguments = _arguments(settings, steps)
    if checkpoint is None:
        fit_head(model, windows, _collate(base, settings), settings.batch_size, settings.seed, steps)
        before = _held_out_loss(model, base, held_out, settings)
        (settings.checkpoints / STARTED).write_text(json.dumps({"loss_before": before}), "utf-8")
        logger.info("Loss on %d held-out texts, the base as it is: %.3f", len(held_out), before)
    else:
        before = float(json.loads((settings.checkpoints / STARTED).read_text("utf-8"))["loss_before"])
        logger.info("Going on from %s", checkpoint)
        if finished_state(checkpoint, steps):
            model.load_state_dict(load_file(checkpoint / "model.safetensors"))
            return model, before, steps
    trainer = Trainer(
        model=model,
        args=arguments,
        train_dataset=windows,
        data_collator=_collate(base, settings),
        callbacks=[_Progress(lambda: _held_out_loss(model, base, held_out, settings))],
    )
    run(trainer, checkpoint)
    model.cpu()
    return model, before, steps


def _held_out_loss(model: MaskedModel, base: Base, held_out: Sequence[str], settings: PretrainSettings) -> float:
    """Mean loss over the hidden pieces of the held-out texts; always the same pieces are hidden."""
    windows = Windows(held_out, base.tokenizer, settings.window_length)
    return mean_loss(model, windows, _collate(base, settings, torch.Generator().manual_seed(1)), settings.batch_size)


class _Progress(Progress):
    """Besides, the held-out loss at every checkpoint."""

    def __init__(self, held_out_loss: Callable[[], float]) -> None:
        super().__init__()
        self.held_out_loss = held_out_loss

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        logger.info("Step %d: held-out loss %.3f", state.global_step, self.held_out_loss())


def _arguments(settings: PretrainSettings, steps: int) -> TrainingArguments:
    return trainer_arguments(
        settings.checkpoints,
        steps=steps,
        every=max(1, min(math.ceil(steps / 4), SAVED_EVERY)),
        batch_size=settings.batch_size,
        warmup_steps=math.ceil(steps * WARMUP),
        seed=settings.seed,
        bfloat16=bfloat16_is_fast(),
        learning_rate=settings.learning_rate,
        weight_decay=0.01,
        report_to="none",
    )


def _collate(base: Base, settings: PretrainSettings, generator: torch.Generator | None = None) -> MaskingCollate:
    tokenizer = base.tokenizer
    special = tuple({*special_ids(tokenizer), base.pad_id})
    return MaskingCollate(base.pad_id, mask_id(tokenizer), special, tokenizer.get_vocab_size(), settings.masked, generator)


def save_base(base: Base, folder: Path) -> None:
    """Write config.json, model.safetensors, tokenizer.json and tokenizer_config.json, as transformers reads them."""
    base.encoder.save_pretrained(folder)
    tokenizer: Tokenizer = base.tokenizer
    known = {
        name: token
        for name, tokens in {
            "pad_token": ("<pad>", "[PAD]"),
            "unk_token": ("<unk>", "[UNK]"),
            "bos_token": ("<s>",),
            "eos_token": ("</s>",),
            "cls_token": ("[CLS]", "<s>"),
            "sep_token": ("[SEP]", "</s>"),
            "mask_token": ("<mask>", "[MASK]"),
        }.items()
        for token in tokens
        if tokenizer.token_to_id(token) is not None
    }
    make: Any = PreTrainedTokenizerFast  # it carries no types
    make(tokenizer_object=tokenizer, **known).save_pretrained(folder)


def _readme(base: Base, texts: int, steps: int, before: float, after: float) -> str:
    name = base.origin["name"]
    return f"""# {name}, adapted

`{name}` after {steps:,} steps of masked-language modelling on {texts:,} texts without labels (`feedback pretrain`).
Loss on held-out texts: {before:.3f} before, {after:.3f} after, in nats a hidden piece. The licence is that of the base; whether the
texts bind it is for you to judge.
"""
