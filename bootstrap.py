"""Make the virtual environment .venv and install the project with its locked versions. Standard library only; any system.

    python3 bootstrap.py            everything: training, tests, notebooks
    python3 bootstrap.py --serving  only what serving and labelling need (no torch)

A second call does nothing unless pyproject.toml or requirements.lock has changed.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent
ENVIRONMENT = ROOT / ".venv"
BINARIES = ENVIRONMENT / ("Scripts" if os.name == "nt" else "bin")
STAMP = ENVIRONMENT / "installed.txt"
LOCK = "requirements.lock"
OLDEST, NEWEST = (3, 11), (3, 13)
NEEDED_GB = {"train,base,notebooks,dev": 6, "": 1}
"""Free disk that an installation takes, by extras (the stock Linux torch brings CUDA and takes the most)."""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--serving", action="store_true", help="only what serving and labelling need (no torch)")
    extras = "" if parser.parse_args().serving else "train,base,notebooks,dev"
    check_python()
    wanted = fingerprint(extras)
    if STAMP.is_file() and STAMP.read_text("utf-8") == wanted:
        return
    check_disk(NEEDED_GB[extras])
    print(f"Making {ENVIRONMENT.name} and installing (some minutes the first time)", flush=True)
    python = BINARIES / ("python.exe" if os.name == "nt" else "python")
    if not python.exists():
        try:
            venv.EnvBuilder(with_pip=True, symlinks=os.name != "nt").create(ENVIRONMENT)
        except subprocess.CalledProcessError:
            fail(
                "the virtual environment could not be made: Python's venv or ensurepip is missing.",
                "Debian, Ubuntu: apt install python3-venv",
            )
    what = f".[{extras}]" if extras else "."
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-c", LOCK, "-e", what]
    if subprocess.run(command, cwd=ROOT).returncode != 0:
        fail(
            "the installation failed; what pip said stands above.",
            "No package registry? Set PIP_INDEX_URL to your mirror, or PIP_FIND_LINKS to a folder of wheels, and run it again.",
        )
    STAMP.write_text(wanted, "utf-8")


def check_python() -> None:
    version = sys.version_info[:2]
    if not OLDEST <= version <= NEWEST:
        found = ".".join(map(str, version))
        fail(
            f"Python {found} is {'too old' if version < OLDEST else 'too new'}: 3.11 to 3.13 is needed.",
            "Name another one: make quickstart PYTHON=python3.11, or python3.11 bootstrap.py",
        )


def check_disk(gigabytes: int) -> None:
    free = shutil.disk_usage(ROOT).free / 1e9
    if free < gigabytes:
        fail(
            f"only {free:.1f} GB are free under {ROOT}; the installation needs {gigabytes} GB.",
            "Free some, or clone to another disk.",
        )


def fingerprint(extras: str) -> str:
    """What the environment was made from; another one means that it must be brought up to date."""
    digest = hashlib.sha256(extras.encode())
    for name in ("pyproject.toml", LOCK):
        digest.update((ROOT / name).read_bytes())
    return f"{sys.version_info[:2]} {extras} {digest.hexdigest()}"


def fail(what: str, remedy: str) -> None:
    sys.exit(f"error: {what}\n{remedy}")


if __name__ == "__main__":
    main()
