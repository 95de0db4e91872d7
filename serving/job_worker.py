"""Labels the files of jobs, one after the other, in a process of its own at the lowest priority (docs/jobs.md).

    python -m serving.job_worker        with the service's settings in the environment

A job is labelled by the same function as `feedback label`, so a worker that is killed loses at most a shard: the next one goes on.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import signal
import socket
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from data.errors import DataError, FeedbackError
from serving.archive import Progress, label, manifest_path, rejects_path
from serving.classifier import FeedbackClassifier
from serving.job_store import CANCELLED, DONE, FAILED, LEASE_S, Job, JobStore
from serving.logs import configure, where
from serving.settings import ServiceSettings
from serving.webhook import WebhookError, send

logger = logging.getLogger(__name__)

SHARD_ROWS = 2_000
"""Rows of a shard: what is done again after a worker was killed, with the two blocks that it had read ahead."""
LOOK_EVERY_S = 1.0
RENEW_EVERY_S = LEASE_S / 12
SWEEP_EVERY_S = 600.0
ORPHAN_S = 86_400.0
"""A folder that no row knows is removed when it is so old: an upload that never became a job."""
LOWEST_PRIORITY = 19
WEBHOOK_ATTEMPTS = 6
WEBHOOK_WAIT_S = 30.0
"""After the first failure; twice as long after each further one."""


class _Stopped(Exception):
    """The job is cancelled, is no longer ours, or this process is to end."""


class Worker:
    def __init__(self, store: JobStore, settings: ServiceSettings) -> None:
        assert settings.jobs_folder is not None
        self._store = store
        self._settings = settings
        self._folder = settings.jobs_folder
        self._name = f"{socket.gethostname()}-{os.getpid()}"
        self._swept = 0.0
        self.stop = threading.Event()
        """Set it to end: what is being labelled goes back to be taken up again."""

    def run(self) -> None:
        """Work until `stop`."""
        caller = threading.Thread(target=self._call_back, daemon=True, name="webhooks")
        caller.start()
        while not self.stop.is_set():
            try:
                self.sweep()
                busy = self.run_once()
            except Exception as error:  # the database may be away for a while
                logger.error("jobs: %s at %s", type(error).__name__, where(error.__traceback__))
                busy = False
            if not busy:
                self.stop.wait(LOOK_EVERY_S)

    def run_once(self) -> bool:
        """Take a job and work on it to its end. False if there is none."""
        job = self._store.take(self._name)
        if job is None:
            return False
        logger.info("job %s begins, attempt %d, %d bytes", job.id, job.attempts, job.bytes)
        try:
            ended = _Work(self._store, self._settings, self._folder, job, self._name, self.stop).run()
        except _Stopped:
            ended = self._after_stop(job)
        logger.info("job %s: %s", job.id, ended)
        return True

    def _after_stop(self, job: Job) -> str:
        now = self._store.find(job.id)
        if now is not None and now.cancel:
            self._store.end(job.id, self._name, CANCELLED)
            remove_files(self._folder, job.id)
            return CANCELLED
        self._store.give_back(job.id, self._name)
        return "given back"

    def sweep(self) -> None:
        """Remove what has expired, and what no row knows."""
        if time.monotonic() - self._swept < SWEEP_EVERY_S and self._swept:
            return
        self._swept = time.monotonic()
        for job in self._store.expired():
            remove_files(self._folder, job.id)
            self._store.remove(job.id)
        known = self._store.known()
        for path in self._folder.iterdir():
            if path.is_dir() and path.name not in known and time.time() - path.stat().st_mtime > ORPHAN_S:
                shutil.rmtree(path, ignore_errors=True)

    def _call_back(self) -> None:
        while not self.stop.wait(LOOK_EVERY_S):
            with suppress(Exception):  # the database may be away for a while
                while self.call_back_once():
                    pass

    def call_back_once(self) -> bool:
        """Tell one caller that its job has ended. False if nobody waits for it."""
        job = self._store.take_webhook(retry_after_s=WEBHOOK_WAIT_S)
        if job is None or job.webhook is None:
            return False
        now = self._store.clock()
        try:
            send(job.webhook, webhook_document(job), self._settings.webhook_secret, now, self._settings.webhook_hosts)
        except WebhookError as error:
            over = job.webhook_attempts >= WEBHOOK_ATTEMPTS
            wait = WEBHOOK_WAIT_S * 2 ** (job.webhook_attempts - 1)
            logger.warning("job %s: its webhook %s (attempt %d)", job.id, error, job.webhook_attempts)
            self._store.webhook(job.id, "failed" if over else "due", now + wait)
        else:
            self._store.webhook(job.id, "sent")
        return True


class _Work:
    """One job on its way."""

    def __init__(
        self, store: JobStore, settings: ServiceSettings, folder: Path, job: Job, worker: str, stop: threading.Event
    ) -> None:
        self._store, self._settings, self._folder, self._job, self._worker = store, settings, folder, job, worker
        self._stop = stop
        self._lost = threading.Event()
        self._ended = threading.Event()
        self._told = (job.rows, job.total, job.rejects)
        self._begun = False
        """Rows were labelled in this attempt."""

    def run(self) -> str:
        renewing = threading.Thread(target=self._renew, daemon=True, name="lease")
        renewing.start()
        try:
            return self._label()
        finally:
            self._ended.set()
            renewing.join()

    def _label(self) -> str:
        job, here = self._job, self._folder / self._job.id
        try:
            classifier = FeedbackClassifier.load(self._settings.model_folder, self._settings.job_threads or None)
            try:
                call = (here / input_name(job.name), here / job.output, classifier)
                options = {**job.settings, "shard_rows": SHARD_ROWS, "progress": self._progress}
                try:
                    report = label(*call, **options)
                except DataError:
                    if job.attempts == 1 or self._begun:
                        raise
                    # What an earlier attempt left does not fit (another model or program by now): from the beginning.
                    report = label(*call, **options, restart=True, overwrite=True)
            finally:
                classifier.close()
        except FeedbackError as error:
            return self._end(FAILED, error=str(error).replace(f"{here}{os.sep}", "").split("\n")[0])
        except _Stopped:
            raise
        except Exception as error:
            logger.error("job %s failed: %s at %s", job.id, type(error).__name__, where(error.__traceback__))
            return self._end(FAILED, error=f"The service failed to label the file; its log names job {job.id}.")
        rejected = sum(report.rejected.values())
        return self._end(DONE, rows=report.rows, total=report.rows, rejects=rejected, model=report.model)

    def _end(self, state: str, **values: Any) -> str:
        return state if self._store.end(self._job.id, self._worker, state, **values) else "no longer ours"

    def _progress(self, done: Progress) -> None:
        self._begun = True
        self._told = (done.rows, done.total, done.rejects)
        if self._lost.is_set() or self._stop.is_set():
            raise _Stopped

    def _renew(self) -> None:
        while not self._ended.wait(RENEW_EVERY_S):
            try:
                if not self._store.renew(self._job.id, self._worker, *self._told):
                    self._lost.set()
            except Exception as error:  # tried again until the lease is over
                logger.warning("job %s: lease not renewed: %s", self._job.id, type(error).__name__)


def input_name(name: str) -> str:
    """Name of the stored file: only the end of the caller's, which says its format."""
    match = re.search(r"(\.[a-z0-9]+)(\.(?:gz|zst))?$", name.lower())
    return f"input{match.group() if match else ''}"


def result_files(folder: Path, job: Job) -> dict[str, Path]:
    """What there is to download of a job that is done."""
    output = folder / job.id / job.output
    found = {"result": output, "manifest": manifest_path(output), "rejects": rejects_path(output)}
    return {name: path for name, path in found.items() if path.is_file()}


def remove_files(folder: Path, id: str) -> None:
    shutil.rmtree(folder / id, ignore_errors=True)


def webhook_document(job: Job) -> dict[str, Any]:
    """What a webhook tells: no text of a message, no path."""
    return {"id": job.id, "state": job.state, "rows": job.rows, "rejects": job.rejects, "model": job.model, "error": job.error}


def main() -> None:
    settings = ServiceSettings.from_environment()
    configure(settings.log_format)
    with suppress(OSError, AttributeError):  # where the system has no priorities
        os.nice(LOWEST_PRIORITY - os.nice(0))
    worker = Worker(JobStore(settings.jobs_url), settings)
    signal.signal(signal.SIGTERM, lambda *_: worker.stop.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the service too, which then closes our input

    def watch_parent() -> None:
        while sys.stdin.buffer.read(1):
            pass
        worker.stop.set()  # the service has ended, however it ended

    if not sys.stdin.isatty():
        threading.Thread(target=watch_parent, daemon=True, name="parent").start()
    worker.run()


if __name__ == "__main__":
    main()
