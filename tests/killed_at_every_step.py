"""Labelling, killed before one of its steps (a file opened, renamed or removed, a folder made or removed), and made again.

    python killed_at_every_step.py ARCHIVE NAME MODEL FOLDER EVERY [SETTING=VALUE ...]

Run N writes FOLDER/N/NAME, is killed before its Nth step there and then made again, undisturbed; every EVERY-th step is tried. A
line for each: N and the exit code of the second run. With settings, a run with those has broken off before and is forgotten with
--restart. A process of its own, because it forks, which must be done before there are threads.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

STEPS = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir")
"""Audit events, raised before the step is done; a write falls between two of them. os.replace raises os.rename."""
SHARD_ROWS = 20


def main() -> None:
    archive, name, model, folder, every, *settings = sys.argv[1:]
    before = dict(setting.split("=") for setting in settings)
    step, killed = 1, True
    while killed:
        work = Path(folder) / str(step)
        work.mkdir()
        output = f"{work}/{name}"
        if before:
            forked(broken_off, archive, output, model, before)
        restart = ["--restart"] if before else []
        killed = forked(labelled, archive, output, model, restart, step, f"{work}/") < 0
        forgotten = not before or not any(
            value in run.read_text("utf-8") for run in work.glob("*/run.json") for value in before.values()
        )
        code = forked(labelled, archive, output, model, [] if forgotten else restart)
        sys.stdout.write(f"{step} {code}\n")
        sys.stdout.flush()
        step += int(every)


def forked(work: Callable[..., None], *arguments: Any) -> int:
    """Do it in a process of its own; the exit code, below 0 if it was killed."""
    child = os.fork()
    if child == 0:
        try:
            work(*arguments)
        except SystemExit as end:
            os._exit(int(end.code or 0))
        except BaseException as error:
            sys.stderr.write(f"{type(error).__name__}: {error}\n")
            os._exit(99)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def broken_off(archive: str, output: str, model: str, settings: dict[str, Any]) -> None:
    import serving.archive
    import serving.label_run

    def stop(progress: serving.archive.Progress) -> None:
        if progress.rows > 2 * SHARD_ROWS:
            os.kill(os.getpid(), signal.SIGKILL)

    serving.label_run.PROGRESS_SECONDS = 0.0
    serving.archive.label(archive, output, model, shard_rows=SHARD_ROWS, progress=stop, **settings)


def labelled(archive: str, output: str, model: str, more: list[str], dies_at: int = 0, watched: str = "") -> None:
    import feedback

    steps = 0

    def count(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal steps
        if event in STEPS and isinstance(arguments[0], str | os.PathLike) and str(arguments[0]).startswith(watched):
            steps += 1
            if steps == dies_at:
                os.kill(os.getpid(), signal.SIGKILL)

    if dies_at:
        sys.addaudithook(count)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    feedback.main(["label", archive, "-o", output, "--model", model, "--shard-rows", str(SHARD_ROWS), *more])


if __name__ == "__main__":
    main()
