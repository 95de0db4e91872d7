"""A PostgreSQL of its own for tests, from the system's packages; None where they are not installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def programs() -> Path | None:
    """The folder of PostgreSQL's programs."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    onpath = shutil.which("initdb")
    return found[-1].parent if found else Path(onpath).parent if onpath else None


@contextmanager
def running(programs: Path) -> Iterator[str]:
    """The URL of a server that lives in a temporary folder and listens on a socket there."""
    folder = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))  # short: a socket's path has at most 107 characters
    root = os.geteuid() == 0
    options = {"user": "postgres"} if root else {}  # PostgreSQL refuses to be run by root
    if root:
        shutil.chown(folder, "postgres")
    data = folder / "data"
    quiet = {"check": True, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder, **options}
    control = [str(programs / "pg_ctl"), "-D", str(data), "-w"]
    try:
        subprocess.run(
            [str(programs / "initdb"), "-D", str(data), "-U", "feedback", "--auth=trust", "--no-sync", "-E", "UTF8"], **quiet
        )
        settings = f"-c listen_addresses='' -c unix_socket_directories='{folder}' -c fsync=off"
        subprocess.run([*control, "-l", str(folder / "log"), "-o", settings, "start"], **quiet)
        try:
            yield f"postgresql+psycopg://feedback@/postgres?host={folder}"
        finally:
            subprocess.run([*control, "-m", "immediate", "stop"], **quiet)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
