"""One call's way through the shards that are not done, here or on a cluster: progress, rejects counted, and what is kept said."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from typing import Any

from data.errors import DataError, FeedbackError
from data.tables import BadRecord, Record, Table
from serving.classifier import FeedbackClassifier
from serving.journal import Journal, Shard, Totals
from serving.label_report import Progress
from serving.work import Work

PROGRESS_SECONDS = 0.5
"""At least so long between two reports of progress."""
REJECTS_SHOWN = 3


@dataclass(frozen=True)
class Cluster:
    """Ray workers that label in place of this process (serving/cluster.py)."""

    address: str | None = None
    """Of a cluster that runs; None: one is started on this machine."""
    workers: int | None = None
    """None: as many as there are processors for."""
    threads: int = 1
    """Texts that a worker reads side by side, and processors that it is given."""


class Run:
    """One call's way through the shards that are not done."""

    def __init__(
        self,
        journal: Journal,
        work: Work,
        classifier: FeedbackClassifier,
        max_rejects: int | None,
        progress: Callable[[Progress], None] | None,
        started: float,
        device: str,
    ) -> None:
        self.journal, self.work, self._device = journal, work, device
        self._classifier, self._max_rejects, self._progress = classifier, max_rejects, progress
        self._started = self._told = started
        self.totals = Totals()
        for number in range(work.shards):
            if (shard := journal.shard(number)) is not None:
                self.totals.add(shard)
        self.before = self.totals.rows
        self._open_rows = self._open_rejects = 0
        self._examples: list[str] = []

    def label(self, cluster: Cluster | None) -> None:
        self._stop_at_rejects()
        missing = list(self.journal.missing(self.work.shards))
        if cluster is not None and missing:
            from serving.cluster import label_on_ray

            shards = label_on_ray(
                self.work,
                self.journal,
                self._classifier.folder.path,
                chain.from_iterable(missing),
                address=cluster.address,
                workers=cluster.workers,
                threads=cluster.threads,
                device=self._device,
            )
        else:
            shards = self._label_here(missing)
        with closing(shards):
            for shard in shards:
                self.totals.add(shard)
                self._open_rows = self._open_rejects = 0
                self._stop_at_rejects()
                self._tell()

    def _label_here(self, missing: Iterable[range]) -> Generator[Shard]:
        for numbers in missing:
            with closing(self.work.label(numbers, self._classifier, self.journal, self._watch, self._tell)) as done:
                yield from done

    def progress(self) -> Progress:
        rejects = self.totals.rejected.total() + self._open_rejects
        rows = self.totals.rows + self._open_rows
        return Progress(rows, rejects, time.perf_counter() - self._started, self.work.total, self.before)

    def _watch(self, table: Table, record: Record | BadRecord, reject: dict[str, Any] | None) -> None:
        self._open_rows += 1
        if reject is not None:
            self._open_rejects += 1
            if len(self._examples) < REJECTS_SHOWN:
                self._examples.append(f"{table.path}:{record.line}: {reject['reason']}")
            self._stop_at_rejects()
        self._tell()

    def _tell(self) -> None:
        now = time.perf_counter()
        if self._progress is not None and now - self._told >= PROGRESS_SECONDS:
            self._told = now
            self._progress(self.progress())

    def _stop_at_rejects(self) -> None:
        rejects = self.totals.rejected.total() + self._open_rejects
        if self._max_rejects is not None and rejects > self._max_rejects:
            examples = f" For example: {'; '.join(self._examples)}." if self._examples else ""
            raise DataError(f"{rejects:,} rejects, and --max-rejects is {self._max_rejects:,}.{examples}")


@contextmanager
def kept(run: Run) -> Iterator[None]:
    """Say with every error what is kept, and how to go on."""
    try:
        yield
    except (FeedbackError, OSError) as error:
        said = str(error) if isinstance(error, FeedbackError) else f"{run.journal.output}: cannot be written: {error}"
        raise DataError(f"{said}\n{_how_to_go_on(run)}") from error
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt(f"stopped. {_how_to_go_on(run)}") from stop


def _how_to_go_on(run: Run) -> str:
    if not run.totals.rows and not run.journal.spooled:
        with suppress(OSError):
            run.journal.discard()
        return "No rows were done yet: make the same call again."
    kept = f"{run.totals.rows:,} of {run.work.total:,} rows are kept in {run.journal.folder}"
    return f"{kept}: make the same call again to go on from there."
