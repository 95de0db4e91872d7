"""OpenTelemetry traces as an option: one span a request, no text in it. Off, nothing is imported and nothing is done."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from data.errors import ConfigError
from serving.settings import VARIABLES, ServiceSettings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Tracer

NAME = "feedback"
Value = str | int | float


class Tracing:
    """Writes a span when a request has been answered, under the caller's span if it sent a `traceparent`."""

    def __init__(self, tracer: Tracer) -> None:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._tracer = tracer
        self._propagator = TraceContextTextMapPropagator()

    def request(self, name: str, traceparent: str, seconds: float, attributes: Mapping[str, Value], failed: bool) -> None:
        """name: the route. seconds: how long it took until now."""
        from opentelemetry.trace import SpanKind, StatusCode

        end = time.time_ns()
        context = self._propagator.extract({"traceparent": traceparent}) if traceparent else None
        span = self._tracer.start_span(name, context, SpanKind.SERVER, dict(attributes), start_time=end - int(seconds * 1e9))
        if failed:
            span.set_status(StatusCode.ERROR)
        span.end(end)


def make_tracing(settings: ServiceSettings) -> Tracing | None:
    """None where traces are off. ConfigError where the exporter is not installed."""
    if settings.traces == "off":
        return None
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=Resource.create({"service.name": NAME}))
    provider.add_span_processor(BatchSpanProcessor(_exporter(settings.traces)))
    return Tracing(provider.get_tracer(NAME))


def _exporter(kind: str) -> SpanExporter:
    if kind == "console":
        from opentelemetry.sdk.trace.export import ConsoleSpanExporter

        return ConsoleSpanExporter()
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ModuleNotFoundError:
        raise ConfigError(
            f"{VARIABLES['traces']} is otlp, but its exporter is not installed; in the repository's folder: "
            "pip install -e '.[traces]'"
        ) from None
    exporter: SpanExporter = OTLPSpanExporter()
    return exporter
