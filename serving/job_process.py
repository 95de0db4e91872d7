"""Keeps one worker of jobs running beside the service: one on a machine, whatever number of processes answer requests."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from data.errors import ConfigError
from serving.job_store import JobStore
from serving.settings import VARIABLES, ServiceSettings

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0
RESTART_AFTER_S = 5.0


def prepare_jobs(settings: ServiceSettings) -> None:
    """Make the folder and the database's table where they are missing, if jobs are on. ConfigError if they cannot be used."""
    if settings.jobs_folder is None:
        return
    try:
        settings.jobs_folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=settings.jobs_folder):
            pass
    except OSError as error:
        raise ConfigError(f"{VARIABLES['jobs_folder']} {settings.jobs_folder}: cannot be written in: {error.strerror}.") from error
    JobStore(settings.jobs_url).close()


def keep_worker(settings: ServiceSettings) -> threading.Thread | None:
    """Start a thread that keeps a worker running as long as this process lives; None where jobs are off.

    Each process of the service tries; the one that holds the lock has the worker. When it dies, the worker ends (its standard input
    is closed), and another process takes its place.
    """
    if settings.jobs_folder is None:
        return None
    lock = settings.jobs_folder / f".worker-{socket.gethostname()}.lock"
    thread = threading.Thread(target=_keep, args=(lock,), daemon=True, name="job worker")
    thread.start()
    return thread


def _keep(lock: Path) -> None:
    from filelock import FileLock, Timeout

    waiting = threading.Event()
    while True:
        try:
            with FileLock(lock, timeout=0):
                process = start_worker()
                logger.info("worker of jobs is process %d", process.pid)
                status = process.wait()
                logger.warning("worker of jobs ended with %d", status)
                waiting.wait(RESTART_AFTER_S)
        except Timeout:
            waiting.wait(LOOK_EVERY_S)
        except OSError as error:
            logger.error("worker of jobs does not start: %s", type(error).__name__)
            waiting.wait(RESTART_AFTER_S)


def start_worker() -> subprocess.Popen[bytes]:
    """A worker with this process's environment; it ends when its standard input is closed."""
    root = str(Path(__file__).resolve().parent.parent)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))}
    flags = getattr(subprocess, "IDLE_PRIORITY_CLASS", 0)  # Windows; elsewhere the worker lowers its own
    return subprocess.Popen(
        [sys.executable, "-m", "serving.job_worker"], stdin=subprocess.PIPE, env=environment, creationflags=flags
    )
