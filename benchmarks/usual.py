"""The usual way to run a classifier: a model folder's encoder under one head, as transformers keeps and runs it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from serving.classifier import FeedbackClassifier
from serving.model_folder import CONFIG, TOKENIZER, WEIGHTS


def usual_model(classifier: FeedbackClassifier) -> tuple[Any, Any]:
    """The same encoder in torch (float32), under a head of as many labels, and its tokenizer. Needs torch."""
    from safetensors.torch import load_file
    from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedTokenizerFast

    folder = classifier.folder.path
    labels = {number: f"label_{number}" for number in range(classifier.taxonomy.size)}
    config = AutoConfig.for_model(**json.loads((folder / CONFIG).read_text("utf-8")), id2label=labels)
    config.label2id = {name: number for number, name in labels.items()}
    model = AutoModelForSequenceClassification.from_config(config).eval()
    weights = {name: value.float() for name, value in load_file(str(folder / WEIGHTS)).items()}
    missing = model.base_model.load_state_dict(weights, strict=False).missing_keys
    assert all("pooler" in name or "position_ids" in name for name in missing), missing[:5]
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(folder / TOKENIZER),
        pad_token="<pad>",
        model_max_length=classifier.folder.window.length,
        truncation_side="right",
    )
    return model, tokenizer


def transformers_pipeline(classifier: FeedbackClassifier, threads: int) -> Any:
    """A function of texts and a batch size that gives every label's probability, as transformers' pipeline does it."""
    import torch
    from transformers import pipeline

    torch.set_num_threads(threads)
    model, tokenizer = usual_model(classifier)
    made = pipeline("text-classification", model=model, tokenizer=tokenizer, top_k=None, function_to_apply="sigmoid")
    window = classifier.folder.window.length
    return lambda texts, batch_size: made(texts, batch_size=batch_size, truncation=True, max_length=window)


def save_usual(classifier: FeedbackClassifier, folder: Path) -> Path:
    """The same as a checkpoint for other servers."""
    model, tokenizer = usual_model(classifier)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    settings = folder / "tokenizer_config.json"  # transformers 4 knows its class under another name than 5
    settings.write_text(
        json.dumps(json.loads(settings.read_text("utf-8")) | {"tokenizer_class": "PreTrainedTokenizerFast"}), "utf-8"
    )
    return folder
