"""The service against other ways to serve the same checkpoint (make bench-serve).

    python -m benchmarks.rivals [FILE ...] [--model FOLDER] [--texts 300] [--rounds 3] [--infinity PROGRAM]

FILE: real texts of mixed length (CSV, JSON Lines, Parquet); the corpus if none is given. Everyone has all cores of the machine and
gets the same distinct texts, in turn, round after round; medians of the rounds' ratios count.

- transformers' pipeline, in this process and without a server around it, in batches of 1 and of 32, has all texts at once. The
  service gets them over HTTP, one a request, from callers enough to fill the cores; then from one caller in sequence, against the
  pipeline in batches of 1.
- infinity serves the checkpoint in torch, and gets the same requests from as many callers. It has an environment of its own.

The service's cache is off.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

from benchmarks.label import CORPUS, read
from benchmarks.load import closed_load, post, request_of, run_load
from benchmarks.server import Server, running, service
from benchmarks.usual import save_usual, transformers_pipeline
from serving.classifier import FeedbackClassifier, available_cores

CALLERS = 32
OURS, OURS_ALONE = f"service, {CALLERS} callers", "service, one caller"
PIPELINE, INFINITY, INFINITY_ALONE = "transformers pipeline, batch", f"infinity, {CALLERS} callers", "infinity, one caller"
BOUNDS = ((OURS, PIPELINE, 8.0), (OURS_ALONE, f"{PIPELINE} 1", 3.0), (OURS, INFINITY, 4.0), (OURS_ALONE, INFINITY_ALONE, None))
"""The first is so many times as fast as the best of those whose names begin as the second."""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--model", default="serving/model", type=Path)
    parser.add_argument("--text-column")
    parser.add_argument("--texts", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--infinity", help="infinity_emb of an environment of its own; without it infinity is left out")
    options = parser.parse_args()

    texts = list(dict.fromkeys(read(options.files or CORPUS, options.text_column)))
    random.Random(0).shuffle(texts)
    texts = texts[: options.texts]
    classifier = FeedbackClassifier.load(options.model, threads=1)
    threads = available_cores()
    pipeline = transformers_pipeline(classifier, threads)
    environment = {"MODEL_FOLDER": str(options.model.resolve()), "FEEDBACK_CACHE_TEXTS": "0", "FEEDBACK_NOTICE_SECONDS": "0"}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        ours = stack.enter_context(running(service("serving.service:FeedbackService"), environment, None, folder / "service"))
        ways: dict[str, Callable[[], None]] = {
            OURS: lambda: load(ours, [request_of([text], ours.port) for text in texts], CALLERS),
            OURS_ALONE: lambda: load(ours, [request_of([text], ours.port) for text in texts], 1),
            f"{PIPELINE} 1": lambda: pipeline(texts, 1),
            f"{PIPELINE} 32": lambda: pipeline(texts, 32),
        }
        if options.infinity:
            checkpoint = save_usual(classifier, folder / "usual")
            theirs = stack.enter_context(infinity(options.infinity, checkpoint, threads, folder / "infinity"))
            requests = [post("/classify", {"model": "usual", "input": [text]}, theirs.port) for text in texts]
            ways[INFINITY] = lambda: load(theirs, requests, CALLERS)
            ways[INFINITY_ALONE] = lambda: load(theirs, requests, 1)
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(options.rounds + 1):
            for name, run in ways.items():
                begun = time.perf_counter()
                run()
                if number:  # the first warms up
                    seconds[name].append(time.perf_counter() - begun)
    print(f"{len(texts):,} distinct texts, {sum(map(len, texts)) / len(texts):.0f} characters in the mean, {threads} cores")
    for name, rounds in seconds.items():
        print(f"  {name:36}{len(texts) / statistics.median(rounds):8.1f} texts a second")
    sys.exit(0 if all([judge(seconds, *bound) for bound in BOUNDS]) else 1)


def infinity(program: str, checkpoint: Path, threads: int, log: Path) -> AbstractContextManager[Server]:
    environment = {"OMP_NUM_THREADS": str(threads), "INFINITY_ANONYMOUS_USAGE_STATS": "0", "HF_HUB_OFFLINE": "1", "PYTHONPATH": ""}
    words = [program, "v2", "--model-id", str(checkpoint), "--served-model-name", "usual", "--engine", "torch", "--device", "cpu"]
    ready = ("/classify", b'{"model": "usual", "input": ["ready?"]}')
    python = str(Path(program).absolute().parent / "python")
    return running([*words, "--host", "127.0.0.1", "--port", "{port}"], environment, None, log, python, ready)


def load(server: Server, requests: Sequence[bytes], callers: int) -> None:
    outcome = run_load(closed_load(server.port, requests, callers, len(requests)))
    if outcome.statuses[200] != len(requests):
        raise SystemExit(f"not every request was answered: {dict(outcome.statuses)}, {outcome.broken} broken")


def judge(seconds: dict[str, list[float]], ours: str, theirs: str, bound: float | None) -> bool:
    rounds = [of for name, of in seconds.items() if name.startswith(theirs)]
    if not rounds:
        return True
    ratio = statistics.median(min(others) / own for own, others in zip(seconds[ours], zip(*rounds, strict=True), strict=True))
    asked = f" (at least {bound:g})" if bound else ""
    print(f"{ours} against {theirs}: {ratio:.1f} times as fast{asked}")
    return bound is None or ratio >= bound


if __name__ == "__main__":
    main()
