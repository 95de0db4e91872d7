"""Traces as an option: a span a request under the caller's, without a word of its text; nothing where they are off."""

from __future__ import annotations

import sys

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from starlette.testclient import TestClient

from data.errors import ConfigError
from serving.app import make_app
from serving.classifier import FeedbackClassifier
from serving.reception import Reception
from serving.settings import ServiceSettings
from serving.tracing import Tracing, make_tracing

MARKER = "MARKER_2b9d"
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_a_request_is_a_span_under_the_callers_without_its_text(classifier: FeedbackClassifier) -> None:
    spans = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    reception = Reception(ServiceSettings())
    reception.tracing = Tracing(provider.get_tracer("test"))
    with TestClient(make_app(classifier, reception)) as client:
        client.post("/v1/classify", json={"texts": [MARKER]}, headers={"traceparent": PARENT})
        client.get(f"/{MARKER}?{MARKER}", headers={"traceparent": MARKER})
    first, second = spans.get_finished_spans()
    assert first.name == "/v1/classify"
    assert first.parent is not None
    assert first.context is not None
    assert f"{first.context.trace_id:032x}" == PARENT.split("-")[1]
    assert first.attributes is not None
    assert first.attributes["http.response.status_code"] == 200
    assert first.attributes["feedback.texts"] == 1
    assert first.end_time is not None
    assert first.start_time is not None
    assert first.end_time > first.start_time
    assert second.name == "other"
    assert second.parent is None
    assert MARKER not in first.to_json() + second.to_json()


def test_off_there_is_nothing() -> None:
    assert make_tracing(ServiceSettings()) is None


def test_an_exporter_that_is_not_installed_is_told_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(ConfigError, match=r"pip install -e '\.\[traces\]'"):
        make_tracing(ServiceSettings(traces="otlp"))
