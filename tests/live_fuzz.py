"""schemathesis against the service as it is really started, with keys and jobs on: `make fuzz` (docs/serving.md).

    python tests/live_fuzz.py --schemathesis .venv-fuzz/bin/schemathesis --cases 10000

It makes a tiny model, starts the service on a free port, and fails where any answer is a 5xx or is not in the OpenAPI document,
where the document allows what is refused or refuses what is allowed, or where fewer cases were sent than asked for.
"""

from __future__ import annotations

import argparse
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tiny_model import make_tiny_model

from serving.keys import new_key

START_SECONDS = 60
SHARE = 25
"""Examples of an operation, and scenarios of several, are this part of the cases asked for; that makes more than those."""
EXCLUDED = "use_after_free"
"""DELETE of a job that has not ended cancels it, and the job can be asked for until it is deleted again (docs/jobs.md)."""


@contextmanager
def service(folder: Path) -> Iterator[tuple[str, str]]:
    """A running service with small limits; gives its address and an admin's key."""
    model = make_tiny_model(folder / "model")
    key, line = new_key("fuzz", admin=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {
        "FEEDBACK_KEYS": line, "FEEDBACK_MAX_TEXTS": "8", "BENTOML_HOME": str(folder / "bentoml"), "NO_PROXY": "*",
        "FEEDBACK_JOBS_FOLDER": str(folder / "jobs"), "FEEDBACK_MAX_JOBS": "1000000", "FEEDBACK_MAX_JOB_BYTES": "65536",
        "FEEDBACK_JOB_THREADS": "1",
    }  # fmt: skip
    program = f"from serving.run import serve; raise SystemExit(serve({str(model.path)!r}, port={port}))"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-c", program], env={**os.environ, **settings}, stdout=log, stderr=log)
        url = f"http://127.0.0.1:{port}"
        try:
            deadline = time.monotonic() + START_SECONDS
            while not _ready(url):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit(f"the service did not start:\n{(folder / 'log').read_text('utf-8')}")
                time.sleep(0.2)
            yield url, key
        finally:
            process.terminate()
            process.wait(60)


def _ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--schemathesis", default="schemathesis", help="the command, where it is not on the PATH")
    parser.add_argument("--cases", type=int, default=10_000, help="at least so many")
    parser.add_argument("--seconds", type=int, default=3600, help="at most so long; fewer cases by then is a failure")
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, service(Path(folder)) as (url, key):
        command = [
            options.schemathesis,
            "run",
            f"{url}/openapi.json",
            "--checks",
            "all",
            "--exclude-checks",
            EXCLUDED,
            "--no-color",
            "--workers",
            "1",
        ]
        command += ["--max-examples", str(options.cases // SHARE + 1), "--header", f"Authorization: Bearer {key}"]
        command += ["--max-time", str(options.seconds)]
        if options.seed is not None:
            command += ["--seed", str(options.seed)]
        done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8")
    sys.stdout.write(done.stdout)
    found = re.search(r"([\d,]+) generated", done.stdout)
    cases = int(found.group(1).replace(",", "")) if found else 0
    if done.returncode or cases < options.cases:
        raise SystemExit(f"FAILED: schemathesis ended with {done.returncode} after {cases:,} of {options.cases:,} cases")
    sys.stdout.write(f"{cases:,} cases, no failure\n")


if __name__ == "__main__":
    main()
