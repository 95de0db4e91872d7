"""Labelling on many machines, by Ray Data: every worker holds a model and writes whole shards into the run's folder.

The folder, the input and the model must be where every worker can read them (a shared file system), under the same paths. Shards
are those of a run on one machine, so the labels and the output are the same, and either engine goes on with what the other began.
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from data.errors import DataError
from serving.classifier import FeedbackClassifier
from serving.inputs import Archive
from serving.journal import Journal, Shard
from serving.labelling import REMEMBERED
from serving.network import CPU
from serving.work import Work

MAX_TASKS = 10_000
"""Ray plans that many at most; more shards than these are shared out among them."""


class ShardLabeller:
    """A worker: loads the model once, then labels the shards whose numbers it is given."""

    def __init__(self, work: Work, output: Path, model: Path, threads: int, device: str) -> None:
        self._work, self._journal = work, Journal(output)
        self._classifier = FeedbackClassifier.load(model, threads=threads, cache_texts=REMEMBERED, device=device)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        for number in map(int, batch["number"]):
            if self._journal.shard(number) is None:  # a worker that died may have written it before
                for _ in self._work.label(range(number, number + 1), self._classifier, self._journal, lambda *_: None):
                    pass
        return batch


def label_on_ray(
    work: Work,
    journal: Journal,
    model: Path,
    numbers: Iterable[int],
    *,
    address: str | None,
    workers: int | None,
    threads: int,
    device: str = CPU,
) -> Generator[Shard]:
    """Have shards labelled and give their counts as they come, in no order.

    A worker that dies is started anew, and its shard done again.
    address: of a cluster that runs; one on this machine is started if None. workers: as many as there are processors for, if None.
    DataError with the cause if a worker cannot do a shard.
    """
    import ray
    import ray.data

    todo = list(numbers)
    tables = tuple(replace(table, path=table.path.absolute()) for table in work.archive.tables)
    work = replace(work, archive=Archive(tables))
    logging.getLogger("ray").setLevel(logging.WARNING)
    own = not ray.is_initialized()
    if own:
        ray.init(address=address, log_to_driver=False, include_dashboard=False, configure_logging=False)
    try:
        ray.data.DataContext.get_current().enable_progress_bars = False
        free = int(ray.cluster_resources().get("CPU", 1)) // threads
        wanted = min(workers or max(1, free), len(todo))
        done = ray.data.from_items(
            [{"number": number} for number in todo], override_num_blocks=min(len(todo), MAX_TASKS)
        ).map_batches(
            ShardLabeller,
            fn_constructor_args=(work, journal.output.absolute(), model.absolute(), threads, device),
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(size=wanted),
            num_cpus=threads,
            num_gpus=None if device == CPU else 1,
        )
        for row in done.iter_rows():
            shard = journal.shard(int(row["number"]))
            assert shard is not None
            yield shard
    except ray.exceptions.RayError as error:
        cause = error.as_instanceof_cause() if isinstance(error, ray.exceptions.RayTaskError) else error
        raise DataError(f"a worker of the cluster failed: {str(cause).splitlines()[-1]}") from error
    finally:
        if own:
            ray.shutdown()
