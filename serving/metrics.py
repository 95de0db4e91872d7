"""What Prometheus reads at /metrics. Every label has a bounded set of values; none holds anything that a caller wrote.

With several workers the counts of all are added up, through files in a folder that the supervisor makes (METRICS_FOLDER).
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

METRICS_FOLDER = "FEEDBACK_METRICS_FOLDER"
"""Set by the supervisor where there are several workers."""

# prometheus_client chooses by this variable, at import, whether counts live in files. BentoML always sets it, to a folder
# that every service on the machine empties at its start.
os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)
if os.environ.get(METRICS_FOLDER):
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = os.environ[METRICS_FOLDER]

from prometheus_client import (  # noqa: E402  # after the variable above
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
)

from data.language import SUPPORTED  # noqa: E402  # the same
from serving.prediction import Failure, Prediction  # noqa: E402  # the same

OTHER = "other"
"""Stands for every value that is not one of a short list."""
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
TEXTS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


class Metrics:
    """One process's counts. The label sets are small, so each set's counter is looked up once and kept."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self._requests = Counter(
            "feedback_requests", "Requests answered.", ["method", "route", "status"], registry=registry
        )  # status 499: the caller hung up
        self._duration = Histogram(
            "feedback_request_duration_seconds", "From the first byte to the answer.", ["route"], buckets=SECONDS, registry=registry
        )
        self._stage = Histogram(
            "feedback_stage_duration_seconds",
            "Of a request that was classified: waiting (queue), preparing its texts (tokenizing), the network (inference).",
            ["stage"],
            buckets=SECONDS,
            registry=registry,
        )
        self._stages = tuple(self._stage.labels(stage) for stage in ("queue", "tokenizing", "inference"))
        self._texts = Histogram("feedback_request_texts", "Texts a classified request.", buckets=TEXTS, registry=registry)
        self._rejects = Counter("feedback_rejects", "Requests refused, by the error's code.", ["reason"], registry=registry)
        self._predictions = Counter("feedback_predictions", "Labels given.", ["task", "label", "language"], registry=registry)
        self._abstentions = Counter("feedback_abstentions", "Answers left to a person.", ["task", "language"], registry=registry)
        self._failures = Counter("feedback_failures", "Texts that could not be classified.", ["code"], registry=registry)
        self._repairs = Counter("feedback_repairs", "Texts that were mended, by repair.", ["repair"], registry=registry)
        self._warnings = Counter("feedback_warnings", "Texts with a warning.", ["warning"], registry=registry)
        self._cached = Counter("feedback_cache_hits", "Texts answered from the cache.", registry=registry)
        self._classified = Counter("feedback_texts", "Texts answered, from the cache or not.", registry=registry)
        self._reloads = Counter("feedback_reloads", "Attempts to load another model.", ["outcome"], registry=registry)
        self._in_flight = Gauge(
            "feedback_requests_in_flight", "Requests being classified.", multiprocess_mode="livesum", registry=registry
        )
        self._queued = Gauge(
            "feedback_requests_queued", "Requests waiting their turn.", multiprocess_mode="livesum", registry=registry
        )
        self._model = Gauge(
            "feedback_model_info", "1 for the model that answers.", ["version"], multiprocess_mode="livemax", registry=registry
        )
        self._version: str | None = None
        self._found: dict[tuple[str, ...], Counter] = {}
        self._durations: dict[str, Histogram] = {}
        self.shared = "PROMETHEUS_MULTIPROC_DIR" in os.environ
        """Other processes answer for this one's counts, so that gauges must be kept up to date."""

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """route: one of the service's own, or OTHER."""
        known = method if method in METHODS else OTHER
        self._counter(self._requests, "requests", known, route, str(status)).inc()
        self._found_histogram(self._duration, route).observe(seconds)

    def rejected(self, reason: str) -> None:
        """reason: the code of an error of ours."""
        self._counter(self._rejects, "rejects", reason).inc()

    def classified(self, texts: int, queue_s: float, reading_s: float, network_s: float, cached: int) -> None:
        self._texts.observe(texts)
        self._stages[0].observe(queue_s)
        self._stages[1].observe(reading_s)
        self._stages[2].observe(network_s)
        self._classified.inc(texts)
        if cached:
            self._cached.inc(cached)

    def predicted(self, results: Iterable[Prediction | Failure]) -> None:
        """Count what was said of each text."""
        for result in results:
            if isinstance(result, Failure):
                self._counter(self._failures, "failures", result.code).inc()
                continue
            code = result.language.code
            language = code if code in SUPPORTED else OTHER
            for task, answer in result.answers.items():
                for choice in answer.choices:
                    self._counter(self._predictions, "predictions", task, choice.label, language).inc()
                if answer.abstained:
                    self._counter(self._abstentions, "abstentions", task, language).inc()
            for repair in result.repairs:
                self._counter(self._repairs, "repairs", repair).inc()
            for warning in result.warnings:
                self._counter(self._warnings, "warnings", warning).inc()

    def rooms(self, running: int, waiting: int) -> None:
        self._in_flight.set(running)
        self._queued.set(waiting)

    def model(self, version: str) -> None:
        """The model that answers from now on."""
        if self._version is not None:
            self._model.labels(self._version).set(0)
        self._model.labels(version).set(1)
        self._version = version

    def reloaded(self, outcome: str) -> None:
        self._counter(self._reloads, "reloads", outcome).inc()

    def text(self) -> bytes:
        """Everything in Prometheus' text format; with several workers, of all of them."""
        folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
        if not folder:
            return generate_latest(self._registry)
        for pid in {file.stem.rsplit("_", 1)[1] for file in Path(folder).glob("gauge_live*_*.db")}:
            if not _runs(int(pid)):
                multiprocess.mark_process_dead(pid)  # type: ignore[no-untyped-call]  # the library's
        together = CollectorRegistry()
        multiprocess.MultiProcessCollector(together)  # type: ignore[no-untyped-call]  # the library's
        return generate_latest(together)

    def _found_histogram(self, metric: Histogram, route: str) -> Histogram:
        found = self._durations.get(route)
        if found is None:
            found = self._durations[route] = metric.labels(route)
        return found

    def _counter(self, metric: Counter, *labels: str) -> Counter:
        found = self._found.get(labels)
        if found is None:
            found = self._found[labels] = metric.labels(*labels[1:])
        return found


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # it is somebody else's
    return True
