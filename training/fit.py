"""Fine-tune the network on rows: the loop is the Trainer's, what is learnt is ours."""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.data import SequentialSampler
from transformers import (
    EarlyStoppingCallback,
    EvalPrediction,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
    set_seed,
)

from data.errors import ConfigError
from data.rows import Row
from data.taxonomy import Taxonomy
from serving.model_folder import ALL_LANGUAGES
from training.calibration import calibrated, fit_thresholds
from training.checkpoints import newest_checkpoint
from training.config import TrainingConfig
from training.encoding import (
    Collate,
    EncodedRows,
    Targets,
    encode_targets,
    label_frequencies,
    positive_weights,
    row_weights,
    without_unlearnable,
)
from training.head_start import fit_head
from training.metrics import judge, macro_f1
from training.model import Base, MultiTaskLoss, Network, set_dropout, start_head
from training.quantization import Rounding

logger = logging.getLogger(__name__)

SCORE = "mean_macro_f1"


def fit(
    base: Base, taxonomy: Taxonomy, train: Sequence[Row], validation: Sequence[Row], config: TrainingConfig, resume: bool = False
) -> tuple[Network, dict[str, Any]]:
    """Train a network on rows; returns it, at its best evaluation, and what happened (steps, losses, scores).

    resume: go on from the newest whole checkpoint of the same configuration, if there is one.
    """
    set_seed(config.seed)
    if config.threads:
        torch.set_num_threads(config.threads)
    set_dropout(base.encoder, config.encoder_dropout)
    network = Network(base.encoder, taxonomy, config.pooling, config.dropout)
    targets, unlearnable = without_unlearnable(encode_targets(train, taxonomy), taxonomy)
    for label, reason in unlearnable.items():
        logger.warning("Label %s cannot be learnt from these rows (%s) and will not be given", label, reason)
    taken = start_head(network, base, taxonomy, label_frequencies(targets))
    network.close([tuple(label.split(".", 1)) for label in unlearnable], taxonomy)
    if taken:
        logger.info("Took over %d labels' rows of the base's head", taken)
    _check_window(base, config)
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
        compute_metrics=_Scores(taxonomy, validation_targets, [row.primary_language for row in validation]) if validation else None,
        callbacks=[
            _Progress(),
            *([_RoundAtTheEnd(rounding, math.floor(steps * (1 - rounded_share)))] if rounding else []),
            *([EarlyStoppingCallback(config.patience)] if config.patience and validation else []),
        ],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.config = config
    if checkpoint:
        logger.info("Going on from %s", checkpoint)
    if not checkpoint or not _take_finished(trainer, checkpoint, steps):
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
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
    """Take over the best weights of a run that had all its steps before it was killed; False if steps are left.

    The Trainer would take one more step from there.
    """
    state = TrainerState.load_from_json(str(checkpoint / "trainer_state.json"))
    if state.global_step < steps:
        return False
    best = checkpoint.with_name(Path(state.best_model_checkpoint or checkpoint).name)
    model: Any = trainer.model
    model.load_state_dict(load_file(best / "model.safetensors"))
    trainer.state = state
    return True


def bfloat16_is_fast() -> bool:
    """Whether training in bfloat16 pays here: a GPU that has it, or a processor with AMX or AVX-512 bfloat16."""
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported())
    try:
        flags = Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        return False
    return "amx_bf16" in flags or "avx512_bf16" in flags


class _Progress(TrainerCallback):
    """A line now and then for whoever waits: steps, loss, time left, and every evaluation's mean."""

    def __init__(self) -> None:
        self.started = time.monotonic()
        self.first_step = 0

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.started, self.first_step = time.monotonic(), state.global_step

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, logs: dict[str, Any] | None = None, **_: Any
    ) -> None:
        if not state.is_world_process_zero or not logs:
            return
        if f"eval_{SCORE}" in logs:
            logger.info("Step %d: mean macro-F1 over language and task %.1f", state.global_step, 100 * logs[f"eval_{SCORE}"])
        elif "loss" in logs:
            done = max(state.global_step - self.first_step, 1)
            left = (time.monotonic() - self.started) / done * (state.max_steps - state.global_step)
            logger.info(
                "Step %d of %d, loss %.3f, about %.0f s left", state.global_step, state.max_steps, float(logs["loss"]), left
            )


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
        # On processors the fused attention's backward pass takes three times as long as the plain one's (torch 2.13).
        plain = sdpa_kernel(SDPBackend.MATH) if input_ids.device.type == "cpu" and self.training else nullcontext()
        with plain:
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


class _Scores:
    """Validation scores: macro-F1 by task and language, and their mean, which chooses the best checkpoint."""

    def __init__(self, taxonomy: Taxonomy, targets: Targets, languages: Sequence[str]) -> None:
        self.taxonomy = taxonomy
        self.targets = targets
        self.languages = np.array(languages)

    def __call__(self, evaluated: EvalPrediction) -> dict[str, float]:
        logits: npt.NDArray[np.float32] = np.asarray(evaluated.predictions, dtype=np.float32)
        scores = calibrated(
            self.taxonomy, logits, {task.name: {ALL_LANGUAGES: 1.0} for task in self.taxonomy}, list(self.languages)
        )
        thresholds = fit_thresholds(self.taxonomy, scores, self.targets)
        result = {}
        for task in self.taxonomy:
            columns = self.taxonomy.columns(task.name)
            limits = np.array([thresholds.get(task.name, {}).get(name, 0.5) for name in task.names])
            chosen = scores[:, columns] >= limits
            judged, rows = judge(
                task, chosen, scores[:, columns], self.targets.positive[:, columns], self.targets.considered[:, columns]
            )
            for code in sorted(set(self.languages[rows])):
                score = macro_f1(judged.take(self.languages[rows] == code))
                if math.isfinite(score):
                    result[f"f1_{task.name}_{code or 'unknown'}"] = score
        result[SCORE] = float(np.mean(list(result.values()))) if result else 0.0
        return result


def _arguments(config: TrainingConfig, steps: int, has_validation: bool) -> TrainingArguments:
    every = max(1, math.ceil(steps / config.evaluations))
    bfloat16 = config.precision == "bfloat16" or (config.precision == "auto" and bfloat16_is_fast())
    evaluates: dict[str, Any] = (
        {"eval_strategy": "steps", "eval_steps": every, "load_best_model_at_end": True, "metric_for_best_model": SCORE}
        if has_validation
        else {"eval_strategy": "no"}
    )
    return TrainingArguments(
        output_dir=str(config.checkpoints),
        use_cpu=not torch.cuda.is_available(),
        bf16=bfloat16,
        num_train_epochs=config.epochs,
        max_steps=steps,
        per_device_train_batch_size=config.batch_size,
        per_device_eval_batch_size=max(config.batch_size, 64),
        train_sampling_strategy="group_by_length",
        lr_scheduler_type="linear",
        warmup_steps=math.ceil(steps * config.warmup_fraction),
        max_grad_norm=1.0,
        seed=config.seed,
        data_seed=config.seed,
        save_strategy="steps",
        save_steps=every,
        save_total_limit=2,
        logging_steps=max(1, min(100, every)),
        disable_tqdm=True,
        label_names=["positive", "considered", "weight"],
        remove_unused_columns=False,
        report_to=list(config.report_to) or "none",
        run_name=Path(config.output).name,
        dataloader_num_workers=0,
        dataloader_pin_memory=False,
        **evaluates,
    )


def _check_window(base: Base, config: TrainingConfig) -> None:
    encoder: Any = base.encoder
    positions = getattr(encoder.config, "max_position_embeddings", None)
    # RoBERTa-like encoders number positions from the padding id + 1.
    usable = positions - (base.pad_id + 1 if "roberta" in encoder.config.model_type else 0) if positions else None
    if usable and config.window_length > usable:
        raise ConfigError(f"window_length is {config.window_length}, the base reads at most {usable} pieces")


def _move_multi_bias(network: Network, taxonomy: Taxonomy, by: npt.NDArray[np.float32]) -> None:
    """Add to the head's bias, (labels,), where the label is of a multi task."""
    with torch.no_grad():
        for task in taxonomy:
            if not task.single:
                columns = taxonomy.columns(task.name)
                network.head.bias[columns] += torch.from_numpy(by[columns])
