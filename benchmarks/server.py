"""Start a server to be measured, pinned to a core, and read what it uses."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 180


class Server:
    def __init__(self, process: psutil.Process, port: int) -> None:
        self.port = port
        self._process = process

    def all(self) -> list[psutil.Process]:
        return [self._process, *self._process.children(recursive=True)]

    def runs(self) -> bool:
        return self._process.is_running() and self._process.status() != psutil.STATUS_ZOMBIE

    def cpu_seconds(self) -> float:
        """Processor time of all its processes since they started."""
        return sum(sum(process.cpu_times()[:2]) for process in self.all())

    def resident_bytes(self) -> int:
        return sum(process.memory_info().rss for process in self.all())

    def files(self) -> int:
        return sum(process.num_fds() for process in self.all())

    def threads(self) -> int:
        return sum(process.num_threads() for process in self.all())


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def cores() -> tuple[int | None, int | None]:
    """A core for the server and another one for the generator; None where there is one only, or they cannot be chosen."""
    known = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    return (known[0], known[-1]) if len(known) > 1 else (None, None)


def pin(core: int | None) -> None:
    if core is not None:
        os.sched_setaffinity(0, {core})


@contextmanager
def running(
    command: Sequence[str],
    environment: Mapping[str, str],
    core: int | None,
    log: Path,
    python: str = sys.executable,
    ready: tuple[str, bytes] = ("/v1/classify", b'{"texts": ["ready?"]}'),
) -> Iterator[Server]:
    """A server process that answers `ready`, a path and a body; its output goes to `log`. `{port}` in the command is its port."""
    with launched(command, environment, core, log, python) as server:
        _wait(server, log, *ready)
        yield server


@contextmanager
def launched(
    command: Sequence[str], environment: Mapping[str, str], core: int | None, log: Path, python: str = sys.executable
) -> Iterator[Server]:
    """The same, from the moment in which its process exists."""
    port = free_port()
    whole = {**os.environ, "OMP_NUM_THREADS": "1", "BENTOML_DO_NOT_TRACK": "True", "PORT": str(port), **environment}
    whole["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    words = [word.replace("{port}", str(port)) for word in command]
    with log.open("wb") as written:
        process = subprocess.Popen(
            [python, *words], env=whole, cwd=ROOT, stdout=written, stderr=written, preexec_fn=lambda: pin(core)
        )
    try:
        yield Server(psutil.Process(process.pid), port)
    finally:
        process.terminate()
        process.wait(60)


def service(import_path: str) -> list[str]:
    """The command that serves a BentoML service of this repository."""
    return ["-m", "bentoml", "serve", import_path, "--port", "{port}", "--host", "127.0.0.1", "--working-dir", str(ROOT)]


def _wait(server: Server, log: Path, path: str, body: bytes) -> None:
    request = urllib.request.Request(f"http://127.0.0.1:{server.port}{path}", body, {"Content-Type": "application/json"})
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if not server.runs():
            break
        try:
            with urllib.request.urlopen(request, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise SystemExit(f"the server did not start:\n{log.read_text('utf-8')[-2000:]}")
