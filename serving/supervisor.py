"""What the process that starts the workers does for them: BentoML's supervisor, with the delays and signals that we need.

Measured with BentoML 1.4.39: it looks for dead workers every 10 seconds, so a killed one was back only after as much and its
start; inside a container it does not replace them at all; SIGHUP stops the workers instead of reaching them; and it takes orders,
starting any program among them, from whoever reaches two ports on 127.0.0.1. None of it is a setting, so its class is changed here,
before it is used.
"""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import signal
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from data.errors import FeedbackError
from serving.metrics import METRICS_FOLDER
from serving.served import ServedModel
from serving.settings import ServiceSettings

logger = logging.getLogger(__name__)

SUPERVISOR = "FEEDBACK_SUPERVISOR"
"""Process id of the supervisor, for its workers."""
LOOK_EVERY_S = 0.5
KILL_AFTER_S = 5
"""Seconds beyond a worker's own time to drain after which it is killed."""


def prepare(settings: ServiceSettings) -> None:
    """In the supervisor, before it starts workers."""
    os.environ[SUPERVISOR] = str(os.getpid())
    own = Path(tempfile.mkdtemp(prefix="feedback-"))  # nobody else may look into it
    atexit.register(shutil.rmtree, own, ignore_errors=True)
    if settings.workers > 1:
        counts = own / "metrics"
        counts.mkdir()
        os.environ[METRICS_FOLDER] = str(counts)
    from bentoml._internal.utils import circus

    class Supervisor(circus.Arbiter):
        def __init__(self, watchers: list[Any], *arguments: Any, **options: Any) -> None:
            for watcher in watchers:
                watcher.graceful_timeout = float(settings.notice_seconds + settings.drain_seconds + KILL_AFTER_S)
                watcher.send_hup = True
                if watcher.name == "service" and "--timeout-keep-alive" not in watcher.args:  # not given at the command line
                    watcher.args = [*watcher.args, "--timeout-keep-alive", str(settings.keep_alive_seconds)]
                watcher.respawn = watcher.respawn or settings.workers > 1
            options["check_delay"] = LOOK_EVERY_S
            if os.name == "posix":
                options |= {"endpoint": f"ipc://{own}/orders", "pubsub_endpoint": f"ipc://{own}/events"}
            super().__init__(watchers, *arguments, **options)

    circus.Arbiter = Supervisor  # type: ignore[misc]  # on purpose, see above


def reload_on_hangup(served: ServedModel) -> None:
    """In a worker: load the model folder again on SIGHUP, which the supervisor passes on to every worker."""
    if not hasattr(signal, "SIGHUP") or threading.current_thread() is not threading.main_thread():
        return

    def reload() -> None:
        try:
            served.reload()
        except FeedbackError as error:
            logger.error("The model stays as it was: %s", error)

    def handle(*_: object) -> None:
        threading.Thread(target=reload, name="reload", daemon=True).start()

    signal.signal(signal.SIGHUP, handle)


def end_with_supervisor() -> None:
    """In a worker: drain and end when the supervisor has died without telling it (SIGKILL, no memory).

    It would go on answering otherwise, keep the port and never be replaced.
    """
    supervisor = os.environ.get(SUPERVISOR, "")
    if os.name != "posix" or supervisor != str(os.getppid()):
        return

    def watch() -> None:
        while str(os.getppid()) == supervisor:
            time.sleep(LOOK_EVERY_S)
        logger.error("The supervisor, process %s, has died: this worker answers what it has and ends", supervisor)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="supervisor", daemon=True).start()


def reload_siblings(settings: ServiceSettings) -> None:
    """In a worker that has another model now: let the supervisor tell all workers."""
    supervisor = os.environ.get(SUPERVISOR, "")
    if settings.workers > 1 and hasattr(signal, "SIGHUP") and supervisor == str(os.getppid()):
        os.kill(os.getppid(), signal.SIGHUP)
