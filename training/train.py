"""From rows to a model folder: the table of contents of this package."""

from __future__ import annotations

import glob
import json
import logging
import math
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from data.errors import MessageError, ModelFolderError
from data.language import identify
from data.rows import Row
from data.taxonomy import DEFAULT_TAXONOMY, Taxonomy
from data.text import NORMALISER_VERSION, normalise
from data.variants import as_read
from serving.classifier import FeedbackClassifier, available_cores
from serving.model_folder import ALL_LANGUAGES, CARD, METRICS, TOKENIZER, ModelFolder, decisions_of, refuse_existing
from training.checkpoints import claim_checkpoints
from training.config import TrainingConfig
from training.parts import knows, read_parts, source_licence

logger = logging.getLogger(__name__)
FloatArray = npt.NDArray[np.float32]

AGREEMENT_TEXTS = 400
REPORT = "report.html"


def train(config: TrainingConfig, resume: bool = False) -> ModelFolder | None:
    """Fine-tune, calibrate, export, evaluate; write a model folder and return it.

    resume: go on from the newest checkpoint of the same configuration. Under torchrun only the first process returns a folder.
    Raises DataError, ConfigError or ModelFolderError before anything is written; a kill leaves checkpoints and no folder.
    """
    from training.augmentation import with_copies
    from training.fit import fit
    from training.model import averaged, load_base

    output = Path(config.output)
    refuse_existing(output)
    taxonomy = Taxonomy.read(config.taxonomy or DEFAULT_TAXONOMY)
    parts = read_parts(config, taxonomy)
    base = averaged([load_base(name, config.layers) for name in (config.base, *config.average)])
    first = int(os.environ.get("RANK", "0")) == 0
    if first:
        claim_checkpoints(config, resume)
    try:
        rows = with_copies(parts["train"], config.augmentation, config.seed)
        network, history = fit(base, taxonomy, rows, parts["validation"], config, resume)
    except BaseException:
        if first and not any(config.checkpoints.glob("checkpoint-*")):
            shutil.rmtree(config.checkpoints, ignore_errors=True)  # there is nothing to go on from
        raise
    if not first:
        return None
    base.tokenizer.no_truncation()
    for leftover in output.parent.glob(f".{glob.escape(output.name)}.part-*"):  # of a run that was killed while it exported
        shutil.rmtree(leftover, ignore_errors=True)

    with tempfile.TemporaryDirectory(prefix=f".{output.name}.part-", dir=output.parent) as aside:
        draft = _export(Path(aside) / "draft", network, base.tokenizer, base.origin, taxonomy, parts, history, config)
        calibrated_folder = _calibrate(Path(aside) / "calibrated", draft, network, taxonomy, parts["validation"], config)
        folder = _evaluate(output, calibrated_folder, taxonomy, parts, config)
    shutil.rmtree(config.checkpoints, ignore_errors=True)
    return folder


def measure_agreement(network: Any, classifier: FeedbackClassifier, texts: Sequence[str]) -> dict[str, float]:
    """By task, the share of answers in which exported graph and torch agree: of texts (single) or label decisions (multi)."""
    import torch

    tokenizer = classifier.tokenizer
    same: dict[str, list[float]] = {task.name: [] for task in classifier.taxonomy}
    for text in texts:
        ids = tokenizer.encode(as_read(text)).ids
        exported = classifier.window_logits(ids)
        with torch.inference_mode():
            original = network(torch.tensor([ids]), torch.ones(1, len(ids), dtype=torch.long))[0].numpy()
        for task in classifier.taxonomy:
            columns = classifier.taxonomy.columns(task.name)
            if task.single:
                same[task.name].append(float(exported[columns].argmax() == original[columns].argmax()))
            else:
                same[task.name].append(float(((exported[columns] > 0) == (original[columns] > 0)).mean()))
    return {task: round(float(np.mean(shares)), 4) for task, shares in same.items() if shares}


def _export(
    path: Path,
    network: Any,
    tokenizer: Any,
    origin: dict[str, Any],
    taxonomy: Taxonomy,
    parts: Mapping[str, Sequence[Row]],
    history: dict[str, Any],
    config: TrainingConfig,
) -> ModelFolder:
    """Write the network as a draft model folder, not yet calibrated."""
    from training.export import export_onnx
    from training.model import save_weights

    def fill(folder: Path) -> Mapping[str, Any]:
        export_onnx(network, folder, config.onnx_format)
        save_weights(network, folder)
        tokenizer.save(str(folder / TOKENIZER))
        (folder / METRICS).write_text("{}", "utf-8")
        (folder / CARD).write_text("", "utf-8")
        sources = Counter(row.source or "rows without a source" for row in parts["train"])
        return {
            "taxonomy": taxonomy.to_dict(),
            "normaliser_version": NORMALISER_VERSION,
            "label_order": {task.name: list(task.names) for task in taxonomy},
            "temperatures": {task.name: {ALL_LANGUAGES: 1.0} for task in taxonomy},
            "window": {"length": config.window_length, "stride": config.window_stride},
            "limits": {"max_characters": config.max_characters},
            "base": origin,
            "sources": [{"name": name, "rows": count, "licence": source_licence(name)} for name, count in sorted(sources.items())],
            "training": {
                "config": _portable(config),
                "history": history,
                "rows": {name: len(part) for name, part in parts.items()},
                "parameters": sum(parameter.numel() for parameter in network.parameters()),
                "demonstration": config.demonstration,
            },
            "decisions": decisions_of(
                taxonomy, {task.name: dict.fromkeys(task.names, 0.5) for task in taxonomy if not task.single}
            ),
        }

    return ModelFolder.create(path, fill)


def _calibrate(
    path: Path, draft: ModelFolder, network: Any, taxonomy: Taxonomy, validation: Sequence[Row], config: TrainingConfig
) -> ModelFolder:
    """Fit temperatures and thresholds on the validation rows, after pooling, and measure the agreement with torch."""
    from training.calibration import calibrated, fit_temperatures, fit_thresholds
    from training.encoding import encode_targets, leave_out

    classifier = FeedbackClassifier.load(draft)
    readable = [row for row in validation if len(row.text) <= config.max_characters and normalise(row.text).strip()]
    texts = [normalise(row.text) for row in readable]
    # Evenly over the rows, which stand file by file: one language after the other.
    spread = texts[:: max(1, math.ceil(len(texts) / AGREEMENT_TEXTS))]
    agreement = measure_agreement(network, classifier, spread or [task.labels[0].about or "?" for task in taxonomy])
    logger.info("Agreement of the exported graph with torch: %s", agreement)
    if worst := [f"{task} {share:.4f}" for task, share in agreement.items() if share < config.min_agreement]:
        raise ModelFolderError(
            f"the exported graph ({config.onnx_format}) disagrees with torch: {', '.join(worst)}; at least {config.min_agreement} "
            'is needed. Export with onnx_format = "float32", or lower min_agreement if you accept it.'
        )
    temperatures = {task.name: {ALL_LANGUAGES: 1.0} for task in taxonomy}
    thresholds = {task.name: dict.fromkeys(task.names, 0.5) for task in taxonomy if not task.single}
    if readable:
        with ThreadPoolExecutor(available_cores()) as pool:
            found = list(pool.map(lambda text: _logits(classifier, text), texts))
        readable = [row for row, row_logits in zip(readable, found, strict=True) if row_logits is not None]
        texts = [text for text, row_logits in zip(texts, found, strict=True) if row_logits is not None]
    if readable:
        logits = np.stack([row_logits for row_logits in found if row_logits is not None])  # (messages, labels)
        languages = [identify(text).code for text in texts]
        # A label that was not learnt must not bend the temperature of the others.
        targets = leave_out(encode_targets(readable, taxonomy), taxonomy, draft.manifest["training"]["history"]["not_learnt"])
        temperatures = fit_temperatures(taxonomy, logits, targets, languages)
        thresholds = fit_thresholds(taxonomy, calibrated(taxonomy, logits, temperatures, languages), targets)
    classifier.close()
    sections = _sections(draft)
    sections["temperatures"] = temperatures
    sections["decisions"] = {**sections["decisions"], "thresholds": thresholds}
    sections["training"] = {**sections["training"], "agreement": agreement}
    return ModelFolder.create(path, lambda aside: _copied(draft, aside, sections))


def _logits(classifier: FeedbackClassifier, text: str) -> FloatArray | None:
    """None for a text that the classifier would refuse: its tokenizer knows no part of it."""
    try:
        return classifier.logits(text)
    except MessageError:
        return None


def _evaluate(
    path: Path, calibrated_folder: ModelFolder, taxonomy: Taxonomy, parts: Mapping[str, Sequence[Row]], config: TrainingConfig
) -> ModelFolder:
    """Evaluate what was exported, beside the baseline on the same rows, and write the final folder with card and report."""
    from training.answers import answer
    from training.baseline import Baseline
    from training.behaviour import measure_behaviour
    from training.evaluation import evaluate

    classifier = FeedbackClassifier.load(calibrated_folder)
    metrics: dict[str, Any] = {"demonstration": config.demonstration, "training": calibrated_folder.manifest["training"]}
    if any(knows(row, task.name) for row in parts["test"] for task in taxonomy):
        beside = None
        if config.baseline:
            beside = Baseline(taxonomy, config.seed).fit(parts["train"], parts["validation"]).answer(parts["test"])
        metrics["test"] = evaluate(taxonomy, parts["test"], answer(classifier, parts["test"]), beside, config.seed)
    if config.behaviour:
        metrics["behaviour"] = measure_behaviour(classifier, config.seed)
    classifier.close()

    return with_metrics(calibrated_folder, path, metrics)


def with_metrics(folder: ModelFolder, path: Path, metrics: Mapping[str, Any]) -> ModelFolder:
    """Write the same model to a new folder, with these figures in its metrics, card and report."""
    from training.card import write_card
    from training.report import write_report

    def fill(aside: Path) -> Mapping[str, Any]:
        sections = _copied(folder, aside, _sections(folder))
        (aside / METRICS).write_text(json.dumps(metrics, ensure_ascii=False, indent=1) + "\n", "utf-8")
        write_card(aside / CARD, sections, metrics)
        write_report(aside / REPORT, sections, metrics)
        return sections

    return ModelFolder.create(path, fill)


def _sections(folder: ModelFolder) -> dict[str, Any]:
    own = ("format", "model_version", "created", "files")
    return {key: value for key, value in folder.manifest.items() if key not in own}


def _copied(folder: ModelFolder, aside: Path, sections: dict[str, Any]) -> dict[str, Any]:
    for name in folder.manifest["files"]:
        shutil.copyfile(folder.path / name, aside / name)
    return sections


def _portable(config: TrainingConfig) -> dict[str, Any]:
    """The configuration without the folders of the machine that it ran on."""
    document = config.to_dict()
    document["rows"] = [Path(name).name for name in config.rows]
    document["output"] = Path(config.output).name
    document["average"] = [Path(name).name for name in config.average]
    for key in ("base", "taxonomy"):
        document[key] = Path(document[key]).name if Path(document[key]).is_absolute() else document[key]
    return document
