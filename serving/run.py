"""Start the service as `bentoml serve` does, after checking what it will need."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from data.errors import ConfigError
from serving.job_process import prepare_jobs
from serving.keys import KeyRing
from serving.model_folder import ModelFolder
from serving.settings import VARIABLES, ServiceSettings

IMPORT_PATH = "serving.service:FeedbackService"
NO_TRACKING = {"BENTOML_DO_NOT_TRACK": "True"}


def serve(
    model_folder: str | Path | None = None,
    host: str = "127.0.0.1",
    port: int = 3000,
    workers: int = 1,
    jobs: str | Path | None = None,
) -> int:
    """Serve a model folder until interrupted; returns BentoML's exit code (on Linux and macOS this process becomes BentoML's).

    model_folder: MODEL_FOLDER or the shipped model if None. jobs: FEEDBACK_JOBS_FOLDER if
    None. The other settings come from the environment.
    Raises ModelFolderError or ConfigError before anything is started.
    """
    environment = {**os.environ, **NO_TRACKING, VARIABLES["workers"]: str(workers)}
    if model_folder is not None:
        environment[VARIABLES["model_folder"]] = str(model_folder)
    if jobs is not None:
        environment[VARIABLES["jobs_folder"]] = str(jobs)
    settings = ServiceSettings.from_environment(environment)
    if not 0 < port < 65_536:
        raise ConfigError(f"port is {port}; write a number from 1 to 65535")
    KeyRing(settings)
    prepare_jobs(settings)
    folder = ModelFolder.open(settings.model_folder)
    # The server starts in another folder. Links stay as they are: a link that is moved to another model can be loaded again.
    environment[VARIABLES["model_folder"]] = str(folder.path.absolute())
    if settings.keys_file is not None:
        environment[VARIABLES["keys_file"]] = str(settings.keys_file.absolute())
    if settings.jobs_folder is not None:
        environment[VARIABLES["jobs_folder"]] = str(settings.jobs_folder.absolute())
    root = str(Path(__file__).resolve().parent.parent)
    command = [sys.executable, "-m", "bentoml", "serve", IMPORT_PATH, "--host", host, "--port", str(port), "--working-dir", root]
    if os.name == "posix":
        sys.stdout.flush()
        os.execve(command[0], command, environment)  # this process becomes the server: signals reach it
    process = subprocess.Popen(command, env=environment)
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue  # the server got it too and finishes what is in flight
