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
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from serving.answer import RequestState

OURS = ("serving", "data")
MAX_FOREIGN_CHARACTERS = 200


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


class RequestLine:
    """The line of one request, as an object so that it is written out once, in the form that is wanted.

    Everything in it is ours or was matched with letters, digits and ._- before, so it needs no escapes.
    """

    def __init__(self, method: str, state: RequestState, seconds: float) -> None:
        """method: one that is known."""
        self._method = method
        self._state = state
        self._seconds = seconds

    def __str__(self) -> str:
        state = self._state
        line = f"{self._method} {state.route} {state.status} texts={state.texts} ms={self._seconds * 1000:.1f} request={state.id}"
        if state.key is not None:
            line += f" key={state.key.name}"
        return line if state.code is None else f"{line} code={state.code}"

    def json(self) -> str:
        """The members of a JSON object, without its braces."""
        state, watch = self._state, self._state.watch
        line = (
            f'"method":"{self._method}","route":"{state.route}","status":{state.status},"texts":{state.texts},'
            f'"ms":{self._seconds * 1000:.1f},"request_id":"{state.id}"'
        )
        if state.texts:
            line += (
                f',"queue_ms":{watch.waited_s * 1000:.1f},"tokenizing_ms":{watch.reading_s * 1000:.1f},'
                f'"inference_ms":{watch.network_s * 1000:.1f}'
            )
        if state.key is not None:
            line += f',"key":"{state.key.name}"'
        return line if state.code is None else f'{line},"code":"{state.code}"'


class JSONFormatter(logging.Formatter):
    def __init__(self) -> None:
        super().__init__()
        self._second: tuple[int, str] = (0, "")

    def format(self, record: logging.LogRecord) -> str:
        second = int(record.created)
        if second != self._second[0]:
            self._second = (second, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second)))
        head = (
            f'{{"time":"{self._second[1]}.{int(record.msecs):03d}Z","level":"{record.levelname.lower()}","logger":"{record.name}",'
        )
        if isinstance(record.msg, RequestLine):
            return f"{head}{record.msg.json()}}}"
        return f'{head}"message":{json.dumps(message_of(record), ensure_ascii=False)}}}'


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
