"""Everything that a training run can be told, typed and checked before anything starts."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from data.errors import ConfigError
from data.toml_files import read_toml, written_value

POOLINGS = ("mean", "first")
PRECISIONS = ("auto", "bfloat16", "float32")
ONNX_FORMATS = ("int8", "float32")
LICENCES = ("ok", "silent", "nc")
TRACKERS = ("mlflow", "tensorboard")
BOUNDS: dict[str, tuple[float, float]] = {
    "dropout": (0, 1),
    "encoder_dropout": (0, 0.9),
    "quantization_aware": (0, 1),
    "warmup_fraction": (0, 1),
    "label_smoothing": (0, 0.9),
    "class_balance": (0, 2),
    "source_balance": (0, 2),
    "positive_weight": (0, 2),
    "multi_weight": (0, 100),
    "min_agreement": (0, 1),
    "weight_decay": (0, 1),
    "layers": (0, 1000),
    "max_steps": (0, 10**9),
    "patience": (0, 1000),
    "threads": (0, 4096),
    "rows_per_source": (0, 10**9),
    "augmentation": (0, 1),
    "head_start_rows": (0, 10**9),
    "validation_rows": (0, 10**9),
    "test_rows": (0, 10**9),
    "window_length": (8, 8192),
    "batch_size": (1, 65536),
    "evaluations": (1, 1000),
    "max_characters": (1, 10**7),
    "seed": (0, 2**32 - 1),
}
"""Lowest and highest value of each number that has bounds."""


@dataclass(frozen=True)
class TrainingConfig:
    """One training run. Unknown keys and impossible combinations are refused when it is built."""

    rows: tuple[str, ...]
    """Files of labelled rows (CSV, JSON Lines, Parquet). Rows without a `split` get one from the hash of their text."""
    output: str
    """The model folder to write; must not exist. Checkpoints go to `<output>.checkpoints` beside it."""
    base: str = ""
    """A Hugging Face checkpoint folder, a model folder of ours, or a hub id; the shipped model if empty."""
    average: tuple[str, ...] = ()
    """Model folders trained from the same start as `base`, for the same labels: training starts from the mean of all their weights.
    Source: Wortsman et al. 2022, Model soups."""
    taxonomy: str = ""
    """A taxonomy file; the one in the package if empty."""

    window_length: int = 128
    """Pieces in a window, special tokens included, for training and serving alike."""
    window_stride: int = 32
    """Pieces that two neighbouring windows of a long text share."""
    pooling: str = "mean"
    """How a text's vector is made from its pieces': `mean` of all, or the `first` one."""
    layers: int = 0
    """Encoder layers to keep, evenly spread over the base's; 0 keeps all."""
    dropout: float = 0.0
    """Share of the pooled vector that is dropped in training, 0 to 1. Dropping parts of a mean that all texts share moves every
    logit."""
    encoder_dropout: float = 0.0
    """Share of the values inside the encoder that is dropped in training, 0 to 1. A pass or two over many rows does not need it,
    and drawing the numbers takes a fifth of a step's time on a processor."""

    epochs: float = 3.0
    """Passes over the training rows."""
    max_steps: int = 0
    """Optimizer steps at most; 0 leaves it to `epochs`."""
    batch_size: int = 32
    """Rows in one optimizer step and device."""
    learning_rate: float = 1e-4
    """Of AdamW, at the top layer, after warm-up."""
    head_learning_rate: float = 1e-3
    """Of the freshly made head, which starts from nothing."""
    head_start_rows: int = 4000
    """Training rows on which a fresh head is fitted before the encoder moves; 0 starts from the labels' frequencies."""
    layer_decay: float = 1.0
    """Each layer's learning rate as a share of the one above it, above 0 to 1."""
    weight_decay: float = 0.01
    """Of AdamW; biases and norms are spared."""
    warmup_fraction: float = 0.06
    """Share of all optimizer steps, 0 to 1."""
    label_smoothing: float = 0.0
    """Single tasks: share of the probability that is spread over the other labels, 0 to below 1."""
    multi_weight: float = 0.3
    """Multi tasks: weight of one label's binary loss beside a single task's loss."""
    positive_weight: float = 0.5
    """Multi tasks: how strongly rare labels are weighted up; the weight is (negatives / positives) to this power, at most 10."""
    class_balance: float = 0.3
    """Single tasks: a label's weight is its count to minus this power. 0: rows count alike; 1: labels count alike."""
    source_balance: float = 0.3
    """A source's weight is its count to minus this power. 0: rows count alike; 1: sources count alike."""
    rows_per_source: int = 0
    """Training rows taken from each source at most, chosen by the hash of their text; 0 takes all."""
    augmentation: float = 0.0
    """Share of the training rows that get a changed copy, 0 to 1: Persian in Latin letters, Traditional or Simplified, typos,
    half-spaces, casing and the like (training/augmentation.py). The labels stay."""
    source_rows: Mapping[str, int] = field(default_factory=dict)
    """The same for single sources, by name or pattern, before `rows_per_source`: {cped = 3000, "annotated_*" = 9999}. The first
    that fits counts; 0 leaves a source out of the training rows."""
    licences: tuple[str, ...] = ()
    """Classes of licence whose sources may train: `ok`, `silent` (none is stated), `nc` (see docs/sources.md). Empty: all. Rows of
    sources that `data/sources.toml` does not know are your own and always train; test rows are not filtered."""

    languages: tuple[str, ...] = ()
    """Languages whose rows train, calibrate and set thresholds, by code: ["zh", "en"]. Empty: all. Test rows are not filtered:
    the figures show what a language gets that taught nothing."""

    quantization_aware: float = 0.25
    """Share of the steps, 0 to 1, at the end, in which weights and activations are rounded as the int8 graph rounds them, so that
    it answers as torch does; such a step takes 1.7 times as long. Nothing where `onnx_format` is float32."""

    seed: int = 0
    """Of the head, the order of rows and dropout."""
    precision: str = "auto"
    """`bfloat16` trains about twice as fast where the processor has it; `auto` uses it there."""
    threads: int = 0
    """Processor threads for training; 0 uses every core."""
    evaluations: int = 4
    """How often the validation rows are scored and a checkpoint is saved, evenly over the run."""
    patience: int = 0
    """Stop after this many evaluations without a better mean over language and task; 0 never stops early."""
    report_to: tuple[str, ...] = ()
    """Trackers of transformers: `mlflow`, `tensorboard` (extra `tracking`)."""

    onnx_format: str = "int8"
    """Numbers of the exported graph: `int8` (one scale a row, embedding included) or `float32`."""
    min_agreement: float = 0.95
    """Share of answers, 0 to 1, in which the exported graph and torch must agree; below it the export is refused."""
    max_characters: int = 20_000
    """Texts longer than this are refused by the classifier."""
    validation_rows: int = 6000
    """Validation rows used for early stopping, calibration and thresholds at most, chosen by hash; 0 uses all."""
    validation_sources: tuple[str, ...] = ()
    """Sources whose rows validate, `*` stands for anything: ["corpus", "annotated_*"]. Empty: all. Rows that know only a part
    of the labels bend thresholds and temperatures."""
    test_rows: int = 0
    """Test rows evaluated at most, chosen by hash; 0 uses all."""
    baseline: bool = True
    """Fit the linear baseline on the same rows and put its figures beside the model's. Takes minutes from some 100,000 rows on."""
    behaviour: bool = True
    """Measure how the model behaves too (`training/behaviour.py`): some 5,700 short texts, half a minute on two cores."""
    demonstration: bool = False
    """Mark every result of this model as a demonstration only (too few rows to depend on)."""

    settings_file: str = field(default="", compare=False)
    """The file that these settings were read from; for messages."""

    def __post_init__(self) -> None:
        faults = _type_faults(self)
        if not faults:
            faults = self._value_faults()
        if faults:
            where = self.settings_file or "training configuration"
            raise ConfigError(f"{where}:\n  " + "\n  ".join(faults))

    @classmethod
    def read(cls, path: str | Path, changes: Sequence[str] = (), **overrides: Any) -> TrainingConfig:
        """Read a TOML file; `changes` are `key=value` from the command line, `overrides` win over both.

        A key `like` in the file names another one, beside it, whose settings it takes where it has none of its own.
        """
        path = Path(path)
        document = _read_document(path, ())
        for change in changes:
            key, equals, written = change.partition("=")
            if not equals:
                raise ConfigError(f"--set {change}: write key=value, for example learning_rate=5e-5")
            document[key.strip()] = written_value(written.strip())
        document.update({key: value for key, value in overrides.items() if value is not None})
        return cls.from_dict(document, where=str(path))

    @classmethod
    def from_dict(cls, document: Mapping[str, Any], where: str = "training configuration") -> TrainingConfig:
        known = {item.name: item for item in fields(cls)}
        faults = []
        for key in document:
            if key not in known or key == "settings_file":
                near = get_close_matches(key, known, n=1)
                hint = f"nearest: '{near[0]}'" if near else f"known: {', '.join(known)}"
                faults.append(f"unknown key '{key}' ({hint})")
        faults += [f"'{key}' is needed" for key in ("rows", "output") if key not in document]
        if faults:
            raise ConfigError(f"{where}:\n  " + "\n  ".join(faults))
        hints = get_type_hints(cls)
        values = {}
        for key, value in document.items():
            if get_origin(hints[key]) is tuple:
                value = (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list | tuple) else value
            elif hints[key] is float and isinstance(value, int) and not isinstance(value, bool):
                value = float(value)
            elif hints[key] is str and isinstance(value, Path):
                value = str(value)
            values[key] = value
        return cls(**values, settings_file=where)

    def to_dict(self) -> dict[str, Any]:
        document = asdict(self)
        del document["settings_file"]
        return {key: list(value) if isinstance(value, tuple) else value for key, value in document.items()}

    @property
    def checkpoints(self) -> Path:
        output = Path(self.output)
        return output.with_name(output.name + ".checkpoints")

    def _value_faults(self) -> list[str]:
        faults = []
        for key, (low, high) in BOUNDS.items():
            value = getattr(self, key)
            if not low <= value <= high:
                faults.append(f"{key} is {value}; from {low} to {high}")
        for key in ("epochs", "learning_rate", "head_learning_rate", "layer_decay"):
            if not 0 < getattr(self, key) < float("inf"):  # false for NaN too
                faults.append(f"{key} is {getattr(self, key)}; above 0, and finite")
        for tracker in self.report_to:
            if tracker not in TRACKERS:
                faults.append(f"report_to has '{tracker}'; known: {', '.join(TRACKERS)}")
            elif importlib.util.find_spec(tracker) is None:
                faults.append(
                    f"report_to has '{tracker}', which is not installed; in the repository's folder: pip install -e '.[tracking]'"
                )
        if self.layer_decay > 1:
            faults.append(f"layer_decay is {self.layer_decay}; at most 1")
        for key, allowed in (("pooling", POOLINGS), ("precision", PRECISIONS), ("onnx_format", ONNX_FORMATS)):
            if getattr(self, key) not in allowed:
                faults.append(f"{key} is '{getattr(self, key)}'; one of {', '.join(allowed)}")
        faults += [f"licences has '{name}'; known: {', '.join(LICENCES)}" for name in self.licences if name not in LICENCES]
        if not self.rows:
            faults.append("rows is empty; name at least one file")
        if not self.output:
            faults.append("output is empty; name the model folder to write")
        if self.window_stride < 0 or self.window_stride > self.window_length // 2:
            faults.append(f"window_stride is {self.window_stride}; from 0 to half of window_length ({self.window_length // 2})")
        if self.patience and self.patience >= self.evaluations:
            faults.append(f"patience {self.patience} can never be used up in {self.evaluations} evaluations")
        return faults


def _read_document(path: Path, readers: Sequence[Path]) -> dict[str, Any]:
    """The settings of a file and of those that it is like; readers: the files that led here."""
    if path in readers:
        raise ConfigError(f"{path}: is like itself, by way of {', '.join(map(str, readers))}. Take one `like` out.")
    wanted = f", named by `like` in {readers[-1]}." if readers else ". See training/quickstart.toml for an example."
    document = read_toml(path, ConfigError, wanted)
    like = document.pop("like", None)
    if like is None:
        return document
    if not isinstance(like, str):
        raise ConfigError(f"{path}: like is {like!r}; write the name of one file")
    return _read_document(path.parent / like, (*readers, path)) | document


def _type_faults(config: TrainingConfig) -> list[str]:
    faults = []
    for key, hint in get_type_hints(TrainingConfig).items():
        value = getattr(config, key)
        if get_origin(hint) is tuple:
            if not isinstance(value, tuple) or not all(isinstance(part, get_args(hint)[0]) for part in value):
                faults.append(f"{key} is {value!r}; write a list of texts")
        elif get_origin(hint) is Mapping:
            if not isinstance(value, Mapping) or not all(
                isinstance(count, int) and not isinstance(count, bool) and count >= 0 for count in value.values()
            ):
                faults.append(f"{key} is {value!r}; write a table of names and whole numbers")
        elif not isinstance(value, hint) or (hint is not bool and isinstance(value, bool)):
            faults.append(f"{key} is {value!r}; write a value of type {hint.__name__}")
    return faults
