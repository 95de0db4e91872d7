"""A model folder of a few kilobytes, made without torch: the same files, inputs and outputs as a trained one.

The network is an embedding with one column a label, the mean over the pieces, and a linear layer. A handful of cue words in
three languages carry a label; every other piece is a little noise of a fixed seed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from data.taxonomy import Taxonomy
from data.text import NORMALISER_VERSION
from serving import model_folder
from serving.model_folder import ModelFolder, decisions_of

CUES = {
    "很好": ("sentiment", "positive"), "great": ("sentiment", "positive"), "عالی": ("sentiment", "positive"),
    "太差": ("sentiment", "negative"), "terrible": ("sentiment", "negative"), "افتضاح": ("sentiment", "negative"),
    "马上": ("tone", "anxious"), "urgent": ("tone", "anxious"), "فوری": ("tone", "anxious"),
    "退款": ("category", "payment"), "refund": ("category", "payment"), "بازپرداخت": ("category", "payment"),
    "快递": ("category", "delivery"), "parcel": ("category", "delivery"), "بسته": ("category", "delivery"),
    "一般": ("category", "general"), "whatever": ("category", "general"), "هرچی": ("category", "general"),
}  # fmt: skip
"""Word: the task and label that it speaks for, where the taxonomy has them."""

SENTENCES = (
    "快递太差了，我要退款，请马上处理。",
    "手机很好用，一般般的包装我不在意。",
    "The parcel arrived late and I want a refund, this is urgent.",
    "Great phone, terrible manual, whatever.",
    "بسته دیر رسید و بازپرداخت می‌خواهم، خیلی فوری است.",
    "کیفیت عالی بود ولی پشتیبانی افتضاح، هرچی.",
    "abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ 0123456789 ?!.,;:()-'",
    "اآبپتثجچحخدذرزژسشصضطظعغفقکگلمنوهی ۰۱۲۳۴۵۶۷۸۹ ؟،",
)
SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")
CUE_STRENGTH = 40.0
"""Logit of a message that is nothing but one cue; divided by the pieces of a longer one."""


def make_tiny_model(
    path: Path,
    taxonomy: Taxonomy | None = None,
    *,
    window: Mapping[str, int] | None = None,
    max_characters: int = 2000,
    thresholds: Mapping[str, Mapping[str, float]] | None = None,
) -> ModelFolder:
    """Write a tiny model folder at `path` and return it."""
    taxonomy = taxonomy or Taxonomy.read()

    def fill(aside: Path) -> Mapping[str, Any]:
        tokenizer = _tokenizer()
        tokenizer.save(str(aside / model_folder.TOKENIZER))
        weights = _weights(taxonomy, tokenizer)
        _save_network(aside / model_folder.ONNX, weights)
        save_file(weights, str(aside / model_folder.WEIGHTS))
        (aside / model_folder.CONFIG).write_text(json.dumps({"model_type": "tiny", "hidden_size": taxonomy.size}), "utf-8")
        (aside / model_folder.METRICS).write_text(json.dumps({"note": "not trained"}), "utf-8")
        (aside / model_folder.CARD).write_text("# A tiny model for tests\n", "utf-8")
        return {
            "taxonomy": taxonomy.to_dict(),
            "normaliser_version": NORMALISER_VERSION,
            "temperatures": {task.name: {model_folder.ALL_LANGUAGES: 1.0} for task in taxonomy},
            "window": dict(window or {"length": 16, "stride": 4}),
            "limits": {"max_characters": max_characters},
            "base": {"name": "none"},
            "sources": [],
            "training": {"rows": {"train": 0}},
            "decisions": decisions_of(taxonomy, thresholds or {}),
        }

    return ModelFolder.create(path, fill)


def _tokenizer() -> Tokenizer:
    characters = sorted(set("".join(SENTENCES)) - {" "})
    vocabulary = [(piece, 0.0) for piece in SPECIAL]
    vocabulary += [("▁", -6.0), *((character, -8.0) for character in characters)]
    vocabulary += [(form, -4.0) for cue in CUES for form in (cue, "▁" + cue)]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=SPECIAL.index("<unk>"), byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase(), normalizers.Replace(Regex(" {2,}"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.add_special_tokens(list(SPECIAL))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[(name, SPECIAL.index(name)) for name in ("<s>", "</s>")]
    )
    return tokenizer


def _weights(taxonomy: Taxonomy, tokenizer: Tokenizer) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    embedding = random.normal(0.0, 0.5, (tokenizer.get_vocab_size(), taxonomy.size)).astype(np.float32)
    for cue, (task, label) in CUES.items():
        if task in taxonomy.task_names and label in taxonomy[task].names:
            for form in (cue, "▁" + cue):
                row = tokenizer.token_to_id(form)
                embedding[row] = 0.0
                embedding[row, taxonomy.columns(task).start + taxonomy[task].index(label)] = CUE_STRENGTH
    bias = random.normal(0.0, 0.1, taxonomy.size).astype(np.float32)
    for task in taxonomy:
        if not task.single:
            bias[taxonomy.columns(task.name)] -= 1.0
    return {"embedding": embedding, "head": np.eye(taxonomy.size, dtype=np.float32), "bias": bias}


def _save_network(path: Path, weights: Mapping[str, np.ndarray]) -> None:
    """Gather, mean over the pieces that the mask keeps, MatMul, Add; the weights in a file beside the graph."""
    nodes = [
        helper.make_node("Gather", ["embedding", "input_ids"], ["pieces"]),  # (batch, length, labels)
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "length_axis"], ["row"]),  # (batch, 1, length)
        helper.make_node("MatMul", ["row", "pieces"], ["sums"]),  # (batch, 1, labels)
        helper.make_node("Squeeze", ["sums", "length_axis"], ["sum"]),
        helper.make_node("ReduceSum", ["mask", "length_axis"], ["count"], keepdims=1),
        helper.make_node("Div", ["sum", "count"], ["mean"]),
        helper.make_node("MatMul", ["mean", "head"], ["scores"]),
        helper.make_node("Add", ["scores", "bias"], ["logits"]),
    ]
    constants = {**weights, "length_axis": np.array([1], dtype=np.int64)}
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "length"]) for name in ("input_ids", "attention_mask")],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", len(weights["bias"])])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    network = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(network)
    onnx.save_model(
        network,
        str(path),
        save_as_external_data=True,
        all_tensors_to_one_file=True,
        location=path.name + ".data",
        size_threshold=1024,
    )
