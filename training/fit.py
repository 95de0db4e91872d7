"""Fine-tune the network on rows: the loop is the Trainer's, what is learnt is ours."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.utils.data import SequentialSampler
from transformers import (
    EarlyStoppingCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from data.errors import ConfigError
from data.rows import Row
from data.taxonomy import Taxonomy
from training.checkpoints import newest_checkpoint
from training.config import TrainingConfig
from training.encoding import (
    Collate,
    EncodedRows,
    encode_targets,
    label_frequencies,
    positive_weights,
    row_weights,
    without_unlearnable,
)
from training.head_start import fit_head
from training.loop import Progress, bfloat16_is_fast, fast_attention, finished_state, prepare, run, trainer_arguments
from training.model import Base, MultiTaskLoss, Network, check_window, set_dropout, start_head
from training.quantization import Rounding
from training.validation import SCORE, ValidationScores

logger = logging.getLogger(__name__)


def fit(
    base: Base, taxonomy: Taxonomy, train: Sequence[Row], validation: Sequence[Row], config: TrainingConfig, resume: bool = False
) -> tuple[Network, dict[str, Any]]:
    """Train a network on rows; returns it, at its best evaluation, and what happened (steps, losses, scores).

    resume: go on from the newest whole checkpoint of the same configuration, if there is one.
    """
    prepare(config.seed, config.threads)
    set_dropout(base.encoder, config.encoder_dropout)
    network = Network(base.encoder, taxonomy, config.pooling, config.dropout)
    targets, unlearnable = without_unlearnable(encode_targets(train, taxonomy), taxonomy)
    for label, reason in unlearnable.items():
        logger.warning("Label %s cannot be learnt from these rows (%s) and will not be given", label, reason)
    taken = start_head(network, base, taxonomy, label_frequencies(targets))
    network.close([tuple(label.split(".", 1)) for label in unlearnable], taxonomy)
    if taken:
        logger.info("Took over %d labels' rows of the base's head", taken)
    check_window(base, config.window_length)
    base.tokenizer.enable_truncation(config.window_length)
    train_set = EncodedRows(
        train, base.tokenizer, targets, row_weights(train, targets, taxonomy, config.class_balance, config.source_balance)
    )
    validation = sorted(validation, key=lambda row: len(row.text))  # batches of one length: hardly any padding
    validation_targets = encode_targets(validation, taxonomy)
    validation_set = EncodedRows(
        validation, base.tokenizer, validation_targets, np.ones((len(validation), len(taxonomy.tasks)), np.float32)
    )
    base.tokenizer.no_truncation()

    steps = total_steps(len(train), config)
    # Beside the model folder: what lies among the checkpoints goes with them.
    os.environ.setdefault("TENSORBOARD_LOGGING_DIR", str(config.checkpoints.with_suffix(".logs")))
    arguments = _arguments(config, steps, has_validation=bool(validation))
    positive_weight = positive_weights(targets, config.positive_weight)
    # The loss moves the logits of a multi label by the log of its weight: begin there, and take it back at the end.
    _move_multi_bias(network, taxonomy, np.log(positive_weight))
    loss = MultiTaskLoss(taxonomy, positive_weight, config.label_smoothing, config.multi_weight)
    checkpoint = newest_checkpoint(config.checkpoints) if resume else None
    if config.head_start_rows and not taken and not checkpoint:
        reached = fit_head(network, loss, train_set, Collate(base.pad_id), config.head_start_rows, config.seed, arguments.bf16)
        logger.info("Head fitted on the untouched base, loss %.3f", reached)
    # Also where the graph will be float32, so that checkpoints fit a resume that changes that.
    rounding = Rounding(network, on=False) if config.quantization_aware else None
    rounded_share = config.quantization_aware if config.onnx_format == "int8" else 0.0
    trainer = _MultiTaskTrainer(
        model=_WithLoss(network, loss),
        args=arguments,
        train_dataset=train_set,
        eval_dataset=validation_set if validation else None,
        data_collator=Collate(base.pad_id),
        compute_metrics=ValidationScores(taxonomy, validation_targets, validation) if validation else None,
        callbacks=[
            _Progress(),
            *([_RoundAtTheEnd(rounding, math.floor(steps * (1 - rounded_share)))] if rounding else []),
            *([EarlyStoppingCallback(config.patience)] if config.patience and validation else []),
        ],
    )
    trainer.config = config
    if checkpoint:
        logger.info("Going on from %s", checkpoint)
    if not checkpoint or not _take_finished(trainer, checkpoint, steps):
        run(trainer, checkpoint)
    if rounding:
        rounding.end(on_grid=rounded_share > 0)
    network.cpu()  # whatever it was trained on: it is exported from here
    network.eval()
    some = Collate(base.pad_id)([train_set[number] for number in range(min(len(train_set), 4))])
    with torch.inference_mode():
        if not network(some["input_ids"], some["attention_mask"]).isfinite().all():
            raise ConfigError("the training diverged: the network answers no numbers. Lower learning_rate and start anew.")
    _move_multi_bias(network, taxonomy, -np.log(positive_weight))
    losses = [float(entry["loss"]) for entry in trainer.state.log_history if "loss" in entry]
    scores = [entry for entry in trainer.state.log_history if f"eval_{SCORE}" in entry]
    history = {
        "steps": int(trainer.state.global_step),
        "planned_steps": steps,
        "epochs": round(float(trainer.state.epoch or 0.0), 3),
        "train_rows": len(train),
        "not_learnt": unlearnable,
        "validation_rows": len(validation),
        "train_loss": round(float(np.mean(losses)), 5),
        "best_validation_score": max((round(float(entry[f"eval_{SCORE}"]), 5) for entry in scores), default=None),
        "validation_scores": [
            {
                "step": entry["step"],
                **{key.removeprefix("eval_"): round(float(value), 5) for key, value in entry.items() if "f1" in key},
            }
            for entry in scores
        ],
    }
    return network, history


def total_steps(rows: int, config: TrainingConfig) -> int:
    """Optimizer steps of a run; under torchrun every process takes a batch in each."""
    at_once = config.batch_size * int(os.environ.get("WORLD_SIZE", "1"))
    steps = math.ceil(math.ceil(rows / at_once) * config.epochs)
    return min(steps, config.max_steps) if config.max_steps else steps


def _take_finished(trainer: _MultiTaskTrainer, checkpoint: Path, steps: int) -> bool:
    """Take over the best weights of a run that had all its steps before it was killed; False if steps are left."""
    state = finished_state(checkpoint, steps)
    if state is None:
        return False
    best = checkpoint.with_name(Path(state.best_model_checkpoint or checkpoint).name)
    model: Any = trainer.model
    model.load_state_dict(load_file(best / "model.safetensors"))
    trainer.state = state
    return True


class _Progress(Progress):
    """Besides, every evaluation's mean."""

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, logs: dict[str, Any] | None = None, **_: Any
    ) -> None:
        if logs and f"eval_{SCORE}" in logs:
            if state.is_world_process_zero:
                logger.info("Step %d: mean macro-F1 over language and task %.1f", state.global_step, 100 * logs[f"eval_{SCORE}"])
        else:
            super().on_log(args, state, control, logs)


class _RoundAtTheEnd(TrainerCallback):
    """Switches the rounding on for the last steps, also of a run that is resumed among them."""

    def __init__(self, rounding: Rounding, first_step: int) -> None:
        self.rounding = rounding
        self.first_step = first_step

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.rounding.switch.on = state.global_step >= self.first_step


class _WithLoss(nn.Module):
    """The network and its loss, as the Trainer calls them."""

    def __init__(self, network: Network, loss: MultiTaskLoss) -> None:
        super().__init__()
        self.network = network
        self.loss = loss

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, positive: Tensor, considered: Tensor, weight: Tensor
    ) -> dict[str, Tensor]:
        with fast_attention(input_ids, self.training):
            logits = self.network(input_ids, attention_mask)
        return {"loss": self.loss(logits, positive, considered, weight), "logits": logits.float()}


class _MultiTaskTrainer(Trainer):
    """Learning rates by depth: the head's own, then each layer a share of the one above it."""

    config: TrainingConfig

    def _get_eval_sampler(self, eval_dataset: Any) -> SequentialSampler:
        # Grouping by length would shuffle the validation rows too, away from their languages.
        return SequentialSampler(eval_dataset)

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        if self.optimizer is None:
            self.optimizer = torch.optim.AdamW(parameter_groups(self.model, self.config), betas=(0.9, 0.999), eps=1e-8, fused=True)
        optimizer: torch.optim.Optimizer = self.optimizer
        return optimizer


def parameter_groups(model: Any, config: TrainingConfig) -> list[dict[str, Any]]:
    """Parameters by learning rate and weight decay. The top layer has `learning_rate`, the embeddings the lowest."""
    layers = model.network.encoder.config.num_hidden_layers
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        if ".encoder." not in f".{name}":
            rate = config.head_learning_rate
        else:
            number = next((int(part) for part in name.split(".") if part.isdigit()), -1)
            depth_from_top = layers - 1 - number if number >= 0 else layers if "embed" in name else 0
            rate = config.learning_rate * float(config.layer_decay**depth_from_top)
        decay = config.weight_decay if parameter.ndim > 1 else 0.0
        groups.setdefault((rate, decay), []).append(parameter)
    return [{"params": members, "lr": rate, "weight_decay": decay} for (rate, decay), members in groups.items()]


def _arguments(config: TrainingConfig, steps: int, has_validation: bool) -> TrainingArguments:
    every = max(1, math.ceil(steps / config.evaluations))
    bfloat16 = config.precision == "bfloat16" or (config.precision == "auto" and bfloat16_is_fast())
    evaluates: dict[str, Any] = (
        {"eval_strategy": "steps", "eval_steps": every, "load_best_model_at_end": True, "metric_for_best_model": SCORE}
        if has_validation
        else {"eval_strategy": "no"}
    )
    return trainer_arguments(
        config.checkpoints,
        steps=steps,
        every=every,
        batch_size=config.batch_size,
        warmup_steps=math.ceil(steps * config.warmup_fraction),
        seed=config.seed,
        bfloat16=bfloat16,
        num_train_epochs=config.epochs,
        per_device_eval_batch_size=max(config.batch_size, 64),
        max_grad_norm=1.0,
        label_names=["positive", "considered", "weight"],
        report_to=list(config.report_to) or "none",
        run_name=Path(config.output).name,
        **evaluates,
    )


def _move_multi_bias(network: Network, taxonomy: Taxonomy, by: npt.NDArray[np.float32]) -> None:
    """Add to the head's bias, (labels,), where the label is of a multi task."""
    with torch.no_grad():
        for task in taxonomy:
            if not task.single:
                columns = taxonomy.columns(task.name)
                network.head.bias[columns] += torch.from_numpy(by[columns])
