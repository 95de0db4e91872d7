"""What every training here shares around the Trainer of transformers: its settings, its lines of progress, and going on."""

from __future__ import annotations

import logging
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import (
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
    set_seed,
)

logger = logging.getLogger(__name__)

KEPT_CHECKPOINTS = 2
LOGGED_EVERY = 100
"""Steps between lines of progress at most."""


def prepare(seed: int, threads: int) -> None:
    """Seed every generator and set the processor threads; 0 threads leaves them as they are."""
    set_seed(seed)
    if threads:
        torch.set_num_threads(threads)


def bfloat16_is_fast() -> bool:
    """Whether training in bfloat16 pays here: a GPU that has it, or a processor with AMX or AVX-512 bfloat16."""
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported())
    try:
        flags = Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        return False
    return "amx_bf16" in flags or "avx512_bf16" in flags


def fast_attention(input_ids: Tensor, training: bool) -> AbstractContextManager[Any]:
    """A context with the attention that is fastest here.

    On processors the fused attention's backward pass takes three times as long as the plain one's (torch 2.13).
    """
    plain: AbstractContextManager[Any] = sdpa_kernel(SDPBackend.MATH)
    return plain if training and input_ids.device.type == "cpu" else nullcontext()


def trainer_arguments(
    checkpoints: Path, *, steps: int, every: int, batch_size: int, warmup_steps: int, seed: int, bfloat16: bool, **others: Any
) -> TrainingArguments:
    """Settings of the Trainer. every: steps between checkpoints. others: what one training alone needs, by the Trainer's names."""
    return TrainingArguments(
        output_dir=str(checkpoints),
        use_cpu=not torch.cuda.is_available(),
        bf16=bfloat16,
        max_steps=steps,
        per_device_train_batch_size=batch_size,
        train_sampling_strategy="group_by_length",
        lr_scheduler_type="linear",
        warmup_steps=warmup_steps,
        seed=seed,
        data_seed=seed,
        save_strategy="steps",
        save_steps=every,
        save_total_limit=KEPT_CHECKPOINTS,
        logging_steps=max(1, min(LOGGED_EVERY, every)),
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_num_workers=0,
        dataloader_pin_memory=False,
        **others,
    )


def run(trainer: Trainer, checkpoint: Path | None) -> None:
    """Train from the start, or go on from a checkpoint."""
    trainer.remove_callback(PrinterCallback)
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)


def finished_state(checkpoint: Path, steps: int) -> TrainerState | None:
    """The state of a run that had all its steps before it was killed; None if steps are left.

    The Trainer would take one more step from there.
    """
    state: TrainerState = TrainerState.load_from_json(str(checkpoint / "trainer_state.json"))
    return state if state.global_step >= steps else None


class Progress(TrainerCallback):
    """A line now and then for whoever waits: steps, loss, time left."""

    def __init__(self) -> None:
        self.started = time.monotonic()
        self.first_step = 0

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.started, self.first_step = time.monotonic(), state.global_step

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, logs: dict[str, Any] | None = None, **_: Any
    ) -> None:
        if state.is_world_process_zero and logs and "loss" in logs:
            done = max(state.global_step - self.first_step, 1)
            left = (time.monotonic() - self.started) / done * (state.max_steps - state.global_step)
            logger.info(
                "Step %d of %d, loss %.3f, about %.0f s left", state.global_step, state.max_steps, float(logs["loss"]), left
            )
