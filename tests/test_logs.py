"""The log is one JSON object a line, and holds nothing that a caller wrote, whoever logs it."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from typing import Any

import pytest

from serving.answer import RequestState
from serving.keys import Key
from serving.logs import JSONFormatter, RequestLine, TextFormatter

MARKER = "MARKER_c07e"
FORMATTERS = [JSONFormatter(), TextFormatter("%(levelname)s %(name)s: %(message)s")]


def record(name: str, message: Any, *arguments: Any, crash: bool = False) -> logging.LogRecord:
    raised: Any = None
    if crash:
        try:
            raise RuntimeError(f"cannot read {MARKER}")
        except RuntimeError:
            raised = sys.exc_info()
    return logging.LogRecord(name, logging.ERROR, __file__, 1, message, arguments, raised)


def test_a_request_has_its_members_in_json_and_its_line_in_text() -> None:
    state = RequestState("order-1", route="/v1/classify", texts=2, status=200, key=Key("shop", b"", False))
    state.watch.waited_s, state.watch.reading_s, state.watch.network_s = 0.001, 0.002, 0.0304
    line = RequestLine("POST", state, 0.05)
    written = json.loads(JSONFormatter().format(record("serving.door", line)))
    assert written.pop("time").endswith("Z")
    assert written == {
        "level": "error", "logger": "serving.door", "method": "POST", "route": "/v1/classify", "status": 200, "texts": 2,
        "ms": 50.0, "request_id": "order-1", "queue_ms": 1.0, "tokenizing_ms": 2.0, "inference_ms": 30.4, "key": "shop",
    }  # fmt: skip
    assert (
        FORMATTERS[1]
        .format(record("serving.door", line))
        .endswith("POST /v1/classify 200 texts=2 ms=50.0 request=order-1 key=shop")
    )


@pytest.mark.parametrize("formatter", FORMATTERS, ids=["json", "text"])
def test_an_exception_is_its_type_and_place(formatter: logging.Formatter) -> None:
    written = formatter.format(record("bentoml.serve", "Exception on /classify", crash=True))
    assert "Exception on /classify [RuntimeError at test_logs.py:" in written
    assert MARKER not in written


@pytest.mark.parametrize("formatter", FORMATTERS, ids=["json", "text"])
def test_what_libraries_log_is_cut_to_its_first_line(formatter: logging.Formatter) -> None:
    loop = asyncio.new_event_loop()
    caught: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = caught.append  # type: ignore[method-assign]  # the record as the library made it
    logging.getLogger("asyncio").addHandler(handler)
    loop.call_exception_handler(
        {"message": "Task exception was never retrieved", "future": MARKER, "exception": ValueError(MARKER)}
    )
    logging.getLogger("asyncio").removeHandler(handler)
    loop.close()
    assert MARKER in caught[0].getMessage()
    written = formatter.format(caught[0])
    assert "Task exception was never retrieved" in written
    assert MARKER not in written
    assert MARKER not in formatter.format(record("library", "%s and %s", MARKER))  # the wrong number of arguments


def test_a_line_with_quotes_and_line_ends_stays_one_json_object() -> None:
    written = JSONFormatter().format(record("serving.run", 'a "b"\nc %s', "快递"))
    assert "\n" not in written
    assert json.loads(written)["message"] == 'a "b"\nc 快递'
