"""From rows to numbers: mended text to pieces, labels to the targets of the joint head."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from data.rows import Row
from data.taxonomy import Taxonomy
from data.text import normalise
from data.variants import as_read

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer

FloatArray = npt.NDArray[np.float32]
MAX_POSITIVE_WEIGHT = 10.0


@dataclass(frozen=True)
class Targets:
    """What the rows know, aligned with the joint head. Unknown is never "no"."""

    positive: FloatArray
    """(rows, labels): 1 where the label could be the answer."""
    considered: FloatArray
    """(rows, labels): 1 where the row knows whether the label holds; the loss, the metrics and the weights skip the rest."""

    def known(self, taxonomy: Taxonomy, task: str) -> npt.NDArray[np.bool_]:
        """(rows,): whether the row knows anything of the task."""
        columns = taxonomy.columns(task)
        if taxonomy[task].single:
            # A row for which every considered label is possible says nothing.
            positive, considered = self.positive[:, columns], self.considered[:, columns]
            known = (positive.sum(1) > 0) & (positive.sum(1) < considered.sum(1))
        else:
            known = self.considered[:, columns].any(axis=1)
        return np.asarray(known, dtype=np.bool_)


def encode_targets(rows: Sequence[Row], taxonomy: Taxonomy) -> Targets:
    """Targets of the joint head, each (rows, labels of all tasks).

    Single tasks: the loss compares the sum of the `positive` labels with that of the `considered` ones, so that a row that knows
    only what a message is not (`<task>_not`) still teaches. Multi tasks: `positive` is 1 or 0 where `considered` is 1.
    """
    positive = np.zeros((len(rows), taxonomy.size), dtype=np.float32)
    considered = np.zeros_like(positive)
    for number, row in enumerate(rows):
        for task in taxonomy:
            start = taxonomy.columns(task.name).start
            given = row.labels.get(task.name)
            excluded = row.excluded.get(task.name, ())
            known = row.known.get(task.name, task.names)
            if given is None and not excluded:
                continue
            if task.single:
                # With a label: it against all that the row could have been given. Without: what is left against all.
                candidates = given if given else tuple(name for name in known if name not in excluded)
                for name in {*known, *(given or ()), *excluded}:
                    considered[number, start + task.index(name)] = 1.0
                for name in candidates:
                    positive[number, start + task.index(name)] = 1.0
            else:
                for name in {*(known if given is not None else ()), *(given or ()), *excluded}:
                    considered[number, start + task.index(name)] = 1.0
                for name in given or ():
                    positive[number, start + task.index(name)] = 1.0
    return Targets(positive, considered)


def without_unlearnable(targets: Targets, taxonomy: Taxonomy) -> tuple[Targets, dict[str, str]]:
    """Leave out the labels of multi tasks that the rows cannot teach: all that know them have them, or none has.

    A source of questions alone knows `question` and gives it to every row; taken at its word, every message would become one.
    Returns the targets, in which nothing is considered for such labels, and by `task.label` why it is left out.
    """
    reasons: dict[str, str] = {}
    for task in taxonomy:
        if task.single:
            continue
        start = taxonomy.columns(task.name).start
        for offset, name in enumerate(task.names):
            open_ = targets.considered[:, start + offset] > 0
            having = int((targets.positive[open_, start + offset] > 0).sum())
            if having in (0, int(open_.sum())):
                reasons[f"{task.name}.{name}"] = f"all {having:,} rows that know it have it" if having else "no row has it"
    return leave_out(targets, taxonomy, reasons), reasons


def leave_out(targets: Targets, taxonomy: Taxonomy, labels: Collection[str]) -> Targets:
    """The targets with nothing considered for `labels`, named `task.label`."""
    positive, considered = targets.positive.copy(), targets.considered.copy()
    for name in labels:
        task, _, label = name.partition(".")
        column = taxonomy.columns(task).start + taxonomy[task].index(label)
        positive[:, column] = considered[:, column] = 0.0
    return Targets(positive, considered)


def label_frequencies(targets: Targets) -> FloatArray:
    """(labels,): share of the considered rows in which each label holds, kept inside 0.001 to 0.999."""
    shares: FloatArray = (targets.positive * targets.considered).sum(0) / np.maximum(targets.considered.sum(0), 1.0)
    return np.clip(shares, 1e-3, 1 - 1e-3).astype(np.float32)


def row_weights(
    rows: Sequence[Row], targets: Targets, taxonomy: Taxonomy, class_balance: float, source_balance: float
) -> FloatArray:
    """(rows, tasks): how much each row counts in each task; mean 1 over the rows that know the task, 0 for the others."""
    sources = Counter(row.source for row in rows)
    by_source = np.array([sources[row.source] ** -source_balance for row in rows], dtype=np.float64)
    weights = np.zeros((len(rows), len(taxonomy.tasks)), dtype=np.float64)
    for column, task in enumerate(taxonomy):
        known = targets.known(taxonomy, task.name)
        weight = np.where(known, by_source, 0.0)
        if task.single and known.any():
            positive = targets.positive[:, taxonomy.columns(task.name)]
            # A row that leaves several labels open counts a part for each of them.
            shares = positive / np.maximum(positive.sum(1, keepdims=True), 1.0)
            counts = np.maximum(shares[known].sum(0), 1.0)
            weight = weight * (shares @ counts**-class_balance)
        if weight.sum() > 0:
            weight *= known.sum() / weight.sum()
        weights[:, column] = weight
    return weights.astype(np.float32)


def positive_weights(targets: Targets, power: float) -> FloatArray:
    """(labels,): weight of a multi label's positive rows: (negatives / positives) ** power, 1 to MAX_POSITIVE_WEIGHT."""
    share = label_frequencies(targets)
    weights: FloatArray = np.clip(((1 - share) / share) ** power, 1.0, MAX_POSITIVE_WEIGHT).astype(np.float32)
    return weights


class EncodedRows:
    """Rows as a dataset for the Trainer: pieces, targets and weights, one row an item."""

    def __init__(self, rows: Sequence[Row], tokenizer: Tokenizer, targets: Targets, weights: FloatArray) -> None:
        # The tokenizer truncates to one window; a long text is read whole when it is calibrated, evaluated and served.
        encodings = tokenizer.encode_batch_fast([as_read(normalise(row.text)) for row in rows])
        self.input_ids = [encoding.ids for encoding in encodings]
        self.lengths = [len(ids) for ids in self.input_ids]
        self._targets = targets
        self._weights = weights

    def __len__(self) -> int:
        return len(self.input_ids)

    def __getitem__(self, number: int) -> dict[str, Any]:
        return {
            "input_ids": self.input_ids[number],
            "positive": self._targets.positive[number],
            "considered": self._targets.considered[number],
            "weight": self._weights[number],
        }


@dataclass(frozen=True)
class Collate:
    """Make a batch, padded to its longest row."""

    pad_id: int

    def __call__(self, items: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        import torch

        from training.padding import padded

        input_ids, attention_mask = padded([item["input_ids"] for item in items], self.pad_id)  # (batch, length)
        batch = {"input_ids": input_ids, "attention_mask": attention_mask}
        for name in ("positive", "considered", "weight"):
            batch[name] = torch.from_numpy(np.stack([item[name] for item in items]))
        return batch
