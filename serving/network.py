"""The network and the tokenizer of a model folder, made ready to run on a device."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from data.errors import ModelFolderError
from serving.model_folder import ONNX, TOKENIZER, ModelFolder

if TYPE_CHECKING:
    import onnxruntime  # type: ignore[import-untyped]  # ships no types
    from tokenizers import Tokenizer

CPU = "cpu"
PROVIDERS = {CPU: "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
"""ONNX Runtime's name of each device."""


def load_network(folder: ModelFolder, device: str) -> tuple[onnxruntime.InferenceSession, Tokenizer]:
    """Load what reads a text and what answers to it; a run takes one thread.

    device: a key of PROVIDERS. Raises ModelFolderError if it is not there, a file does not load or the network does not fit.
    """
    import onnxruntime
    from tokenizers import Tokenizer

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Planning which buffers to use again takes seven eighths of the time to load (0.7 s); without it runs take as much memory.
    options.enable_mem_reuse = False
    if not _has_vnni():
        # Without VNNI int8 products are added in 16 bits, which overflow; this keeps answers right, at 1.6 times the time.
        options.add_session_config_entry("session.x64quantprecision", "1")
    providers = _providers(device)
    try:
        session = onnxruntime.InferenceSession(str(folder.path / ONNX), options, providers=providers)
        tokenizer = Tokenizer.from_file(str(folder.path / TOKENIZER))
        tokenizer.no_padding()
        tokenizer.enable_truncation(folder.window.length, stride=folder.window.stride)
    except Exception as error:  # both libraries raise their own, undocumented types
        raise ModelFolderError(f"{folder.path}: {error}. The folder does not load; copy it again or train anew.") from error
    _check_network(folder, session)
    return session, tokenizer


def _providers(device: str) -> list[str]:
    """What ONNX Runtime runs the network on. ModelFolderError if it does not have it."""
    import onnxruntime

    wanted = PROVIDERS.get(device)
    there = onnxruntime.get_available_providers()
    if wanted is None or wanted not in there:
        known = ", ".join(name for name, provider in PROVIDERS.items() if provider in there)
        raise ModelFolderError(
            f"device '{device}' is not there: ONNX Runtime has {known}. For cuda, install onnxruntime-gpu in place of onnxruntime."
        )
    return list(dict.fromkeys([wanted, PROVIDERS[CPU]]))


def _check_network(folder: ModelFolder, session: onnxruntime.InferenceSession) -> None:
    """Raise ModelFolderError if the network does not take what the tokenizer gives or give what the taxonomy needs."""
    inputs = {node.name for node in session.get_inputs()}
    if not {"input_ids"} <= inputs <= {"input_ids", "attention_mask"}:
        raise ModelFolderError(f"{folder.path}/{ONNX} takes {', '.join(sorted(inputs))}; must take input_ids and attention_mask.")
    labels = session.get_outputs()[0].shape[-1]
    if labels != folder.taxonomy.size:
        raise ModelFolderError(
            f"{folder.path}/{ONNX} gives {labels} logits, the taxonomy has {folder.taxonomy.size} labels. Train anew."
        )


def _has_vnni() -> bool:
    """Whether the processor says that it multiplies int8 without overflow; False where it does not say."""
    try:
        flags = Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        return False
    return "avx512_vnni" in flags or "avx_vnni" in flags
