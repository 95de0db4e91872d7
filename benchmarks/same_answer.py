"""Whether a text gets the same answer whatever it is sent with, and whether the check would see it if not.

    python -m benchmarks.same_answer [FILE ...] [--texts 100000] [--model FOLDER] [--control 5000]      (make bench-same)

FILE: texts (CSV, JSON Lines, Parquet; the column is found or named); the corpus if none is given. Every distinct text is labelled
twice: by the service over HTTP, in requests of mixed size, shuffled, several on their way at a time; and by `feedback label`. No
label may change, no probability by more than MOST_DIFFERENCE. The control is the same network in ONNX Runtime's own dynamic int8
(needs torch), each text alone and in batches of 32: labels must change there, or the check could not fail.
"""

from __future__ import annotations

import argparse
import hashlib
import http.client
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.label import CORPUS, read
from benchmarks.server import ROOT, running, service
from data.taxonomy import Taxonomy
from serving.classifier import FeedbackClassifier, available_cores
from serving.labels import FloatArray, decide_task, probabilities
from serving.model_folder import ALL_LANGUAGES, ModelFolder

MOST_DIFFERENCE = 1e-4
BATCH = 32
BLOCK = 4096
"""Texts that are shuffled among each other; so many, and no more, are in memory."""
SIZES = (1, 1, 2, 5, 17, 64, 256)
"""Texts a request, chosen by chance."""


@dataclass
class Answers:
    """What one way says of every text: the probability of each label, whether it was chosen, and why there is no answer."""

    scores: FloatArray
    chosen: np.ndarray[Any, np.dtype[np.bool_]]
    failed: dict[int, str]

    @classmethod
    def of(cls, texts: int, taxonomy: Taxonomy) -> Answers:
        return cls(np.full((texts, taxonomy.size), np.nan, np.float32), np.zeros((texts, taxonomy.size), bool), {})


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--text-column")
    parser.add_argument("--texts", type=int, default=100_000, help="at most so many distinct ones (default 100,000)")
    parser.add_argument("--model", type=Path, default=Path("serving/model"))
    parser.add_argument("--control", type=int, default=5000, help="texts of the control; 0: none (default 5,000)")
    options = parser.parse_args()
    folder = ModelFolder.open(options.model.resolve())
    faults = []
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        path = Path(name) / "texts.jsonl"
        count = write_distinct(read(options.files or CORPUS, options.text_column), path, options.texts)
        print(f"{count:,} distinct texts, model {folder.version}, {available_cores()} cores", flush=True)
        ways = {"service": by_service(path, count, folder), "feedback label": by_command(path, count, folder)}
        one, other = ways.values()
        changed, difference = compare(one, other, folder.taxonomy)
        print(f"labels changed   {shown(changed)}; not answered {len(one.failed)}: {dict(Counter(one.failed.values()))}")
        print(f"probabilities    differ by {difference:.1e} at most (at most {MOST_DIFFERENCE:g})", flush=True)
        faults += ["labels"] if changed.total() else []
        faults += ["probabilities"] if difference > MOST_DIFFERENCE + 1e-7 else []
        if options.control:
            sample = [text for _, text in islice(numbered(path), options.control)]
            one, other = control(sample, folder, Path(name))
            changed, difference = compare(one, other, folder.taxonomy)
            share = ", ".join(f"{task} {changed[task] / len(sample):.2%}" for task in folder.taxonomy.task_names)
            print(f"control          stock dynamic int8 alone and in batches of {BATCH}, {len(sample):,} texts: {shown(changed)}")
            print(f"                 ({share}), probabilities by up to {difference:.2f}")
            faults += [] if changed.total() else ["control: nothing changed, so the check shows nothing"]
    if faults:
        sys.exit("missed: " + ", ".join(faults))


def write_distinct(texts: Iterable[str], path: Path, most: int) -> int:
    """Write each text once, with its number; how many there are."""
    met: set[bytes] = set()
    with path.open("w", encoding="utf-8") as file:
        for text in texts:
            key = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
            if key not in met and len(met) < most:
                file.write(json.dumps({"id": len(met), "text": text}) + "\n")
                met.add(key)
    return len(met)


def numbered(path: Path) -> Iterator[tuple[int, str]]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            yield row["id"], row["text"]


# The two ways ---------------------------------------------------------------------------------------------------------------


def by_service(path: Path, count: int, folder: ModelFolder) -> Answers:
    """Shuffled by the block, in requests of mixed size, from as many callers as keep every core busy."""
    answers, begun = Answers.of(count, folder.taxonomy), time.perf_counter()
    callers = 2 * available_cores() + 1
    environment = {"MODEL_FOLDER": str(folder.path), "FEEDBACK_CACHE_TEXTS": "0", "FEEDBACK_NOTICE_SECONDS": "0"}
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as name,
        running(service("serving.service:FeedbackService"), environment, None, Path(name) / "log") as server,
        ThreadPoolExecutor(callers) as pool,
    ):
        own = threading.local()

        def ask(texts: Sequence[tuple[int, str]]) -> None:
            if not hasattr(own, "connection"):
                own.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=300)
            items = [{"id": str(number), "text": text} for number, text in texts]
            own.connection.request(
                "POST", "/v1/classify", json.dumps({"items": items, "scores": True}), {"Content-Type": "application/json"}
            )
            reply = own.connection.getresponse()
            document = json.load(reply)
            if reply.status != 200:
                raise SystemExit(f"the service refused: {document}")
            for result in document["results"]:
                number = int(result["id"])
                if "error" in result:
                    answers.failed[number] = result["error"]["code"]
                    continue
                for task in folder.taxonomy:
                    answer = result["answers"][task.name]
                    labels = [answer["label"]] if task.single else [chosen["label"] for chosen in answer["labels"]]
                    note(answers, number, folder.taxonomy, task.name, labels, answer["scores"])

        for requests in mixed(path):
            list(pool.map(ask, requests))
    print(f"service          {count / (time.perf_counter() - begun):.1f} texts a second", flush=True)
    return answers


def mixed(path: Path) -> Iterator[list[list[tuple[int, str]]]]:
    """Requests, by the block."""
    chance = random.Random(0)
    texts = numbered(path)
    while block := list(islice(texts, BLOCK)):
        chance.shuffle(block)
        requests = []
        while block:
            size = chance.choice(SIZES)
            requests.append(block[:size])
            del block[:size]
        yield requests


def by_command(path: Path, count: int, folder: ModelFolder) -> Answers:
    answers, begun = Answers.of(count, folder.taxonomy), time.perf_counter()
    output = path.with_name("labelled.jsonl")
    command = [sys.executable, "-m", "feedback", "label", str(path), "-o", str(output), "--scores", "--model", str(folder.path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))}
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, encoding="utf-8")
    if done.returncode:
        raise SystemExit(done.stderr)
    with output.open(encoding="utf-8") as file:
        for row in map(json.loads, file):
            for task in folder.taxonomy:
                labels = [row[task.name]] if task.single else row[task.name]
                note(answers, int(row["id"]), folder.taxonomy, task.name, labels, row[f"{task.name}_scores"])
    rejects = Path(f"{output}.rejects.jsonl")
    if rejects.exists():
        with rejects.open(encoding="utf-8") as file:
            answers.failed.update({int(row["id"]): row["code"] for row in map(json.loads, file)})
    print(f"feedback label   {count / (time.perf_counter() - begun):.1f} texts a second", flush=True)
    return answers


def note(answers: Answers, number: int, taxonomy: Taxonomy, task: str, labels: Sequence[str], scores: Mapping[str, float]) -> None:
    columns, names = taxonomy.columns(task), taxonomy[task].names
    answers.scores[number, columns] = [scores[name] for name in names]
    answers.chosen[number, columns] = [name in labels for name in names]


def compare(one: Answers, other: Answers, taxonomy: Taxonomy) -> tuple[Counter[str], float]:
    """Texts whose labels differ, by task, and those that one way alone answers; the largest difference of a probability."""
    changed = Counter({
        task.name: int((one.chosen[:, taxonomy.columns(task.name)] != other.chosen[:, taxonomy.columns(task.name)]).any(1).sum())
        for task in taxonomy
    })  # fmt: skip
    changed["answered"] = sum(one.failed.get(number) != other.failed.get(number) for number in {*one.failed, *other.failed})
    changed["answered"] += int((np.isnan(one.scores) != np.isnan(other.scores)).any(1).sum())
    both = ~np.isnan(one.scores) & ~np.isnan(other.scores)
    return changed, float(np.abs(one.scores - other.scores)[both].max(initial=0.0))


def shown(changed: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in changed.items())


# The control ----------------------------------------------------------------------------------------------------------------


def control(texts: Sequence[str], folder: ModelFolder, aside: Path) -> tuple[Answers, Answers]:
    """Alone and in batches, in the order of arrival; only the first window of a text."""
    session = stock_int8(folder, aside)
    classifier = FeedbackClassifier.load(folder, threads=1)
    windows = list(chain.from_iterable(first_window(classifier, text) for text in texts))

    def answers(size: int) -> Answers:
        result = Answers.of(len(windows), folder.taxonomy)

        def run(start: int) -> None:
            batch = windows[start : start + size]
            ids = np.ones((len(batch), max(map(len, batch))), np.int64)
            mask = np.zeros_like(ids)
            for row, pieces in enumerate(batch):
                ids[row, : len(pieces)], mask[row, : len(pieces)] = pieces, 1
            logits = session.run(None, {"input_ids": ids, "attention_mask": mask})[0]
            for row, each in enumerate(logits, start):
                for task in folder.taxonomy:
                    columns = folder.taxonomy.columns(task.name)
                    scores = probabilities(task, each[columns], float(folder.temperatures[task.name][ALL_LANGUAGES]))
                    answer = decide_task(task, scores, folder.thresholds.get(task.name, {}))
                    note(result, row, folder.taxonomy, task.name, answer.labels, dict(zip(task.names, scores, strict=True)))

        with ThreadPoolExecutor(available_cores()) as pool:
            list(pool.map(run, range(0, len(windows), size)))
        return result

    return answers(1), answers(BATCH)


def first_window(classifier: FeedbackClassifier, text: str) -> list[list[int]]:
    from data.errors import MessageError
    from data.text import mend

    try:
        return [classifier.read_windows(mend(text).text)[0].ids]
    except MessageError:
        return []


def stock_int8(folder: ModelFolder, aside: Path) -> Any:
    """The model folder's network in float32, quantised as ONNX Runtime does it when nothing else is asked for."""
    import onnxruntime
    from onnxruntime.quantization import QuantType, quantize_dynamic

    from training.export import export_onnx
    from training.model import load_network

    plain, quantized = aside / "float", aside / "stock"
    plain.mkdir()
    quantized.mkdir()
    export_onnx(load_network(folder), plain, "float32")
    kinds = ["MatMul", "Gemm", "Gather"]  # it takes opset 23's Attention for another operator of that name
    quantize_dynamic(plain / "model.onnx", quantized / "model.onnx", weight_type=QuantType.QInt8, op_types_to_quantize=kinds)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(quantized / "model.onnx"), options, providers=["CPUExecutionProvider"])


if __name__ == "__main__":
    main()
