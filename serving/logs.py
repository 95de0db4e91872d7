"""The log: one JSON object a line (or text), with request ids and never a word of any message.

What other libraries log is cut to its first line, and exceptions to their type and place: what follows may hold text.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any

OURS = ("serving", "data")
MAX_FOREIGN_CHARACTERS = 200
FIELDS = "fields"
"""`extra={FIELDS: {...}}` adds these to the JSON of a record of ours."""


def configure(log_format: str) -> None:
    """Let every logger of this process write to standard output in one format. log_format: `json` or `text`."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        JSONFormatter() if log_format == "json" else TextFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    for name in ("bentoml", "circus", "uvicorn", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    for name in OURS:
        logging.getLogger(name).setLevel(logging.INFO)


def where(trace: TracebackType | None) -> str:
    """The place where an exception arose, as `file.py:12`."""
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else "?"


class TextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        # A copy: other handlers may want the record as it was.
        bare = logging.makeLogRecord({**record.__dict__, "msg": message_of(record), "args": (), "exc_info": None, "exc_text": None})
        bare.stack_info = None
        return super().format(bare)


class JSONFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
        }
        fields = getattr(record, FIELDS, None)
        if fields is None:
            line["message"] = message_of(record)
        else:
            line.update(fields)
        return json.dumps(line, ensure_ascii=False, separators=(",", ":"))


def message_of(record: logging.LogRecord) -> str:
    """What a record says, without what may hold a caller's text."""
    try:
        message = record.getMessage()
    except Exception:  # a foreign record with the wrong arguments; logging would print them
        message = "a record that cannot be formatted"
    if record.name.split(".")[0] not in OURS:
        message = message.partition("\n")[0][:MAX_FOREIGN_CHARACTERS]
    if isinstance(record.exc_info, tuple) and record.exc_info[0] is not None:
        message += f" [{record.exc_info[0].__name__} at {where(record.exc_info[2])}]"
    return message
