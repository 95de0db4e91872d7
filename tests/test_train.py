"""Training for real, on tiny freshly made encoders: rows in, model folder out."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from tiny_base import ARCHITECTURES, make_tiny_base

from data.errors import ConfigError, DataError, MessageError, ModelFolderError
from data.language import identify
from data.taxonomy import Taxonomy
from serving.classifier import FeedbackClassifier
from serving.model_folder import ModelFolder
from training.checkpoints import CHECKPOINT_FILES, claim_checkpoints, newest_checkpoint
from training.config import TrainingConfig
from training.model import averaged, load_base
from training.parts import sample_evenly
from training.train import measure_agreement, train

GOOD = ["great", "lovely", "perfect", "很好", "满意", "太棒了", "عالی", "ممنون", "خوب بود"]
BAD = ["terrible", "broken", "useless", "太差", "坏了", "失望", "افتضاح", "خراب", "بد بود"]
THINGS = ["the courier", "the app", "the price", "快递", "客服", "价格", "پیک", "برنامه", "قیمت"]
TOPICS = {"the courier": "delivery", "快递": "delivery", "پیک": "delivery", "the app": "usability", "برنامه": "usability"}
FILLER = [
    first + second for first in ("bo", "ka", "di", "lu", "me", "zo", "ti") for second in ("rin", "pat", "sol", "gum", "nex", "wif")
]
FAST = {
    "window_length": 32,
    "window_stride": 8,
    "threads": 1,
    "precision": "float32",
    "evaluations": 2,
    "min_agreement": 0.5,
    "behaviour": False,
}


def rows_of(tasks=("sentiment", "tone", "category")):
    """162 rows in three languages in which the words decide the labels."""
    made, filler = [], random.Random(5)
    for index, (thing, word) in enumerate((thing, word) for thing in THINGS for word in GOOD + BAD):
        language = index // 18 // 3
        if index % 9 // 3 != language:
            continue
        good = word in GOOD
        labels = {
            "sentiment": "positive" if good else "negative",
            "tone": "satisfied" if good else "frustrated",
            "category": [TOPICS.get(thing, "general")],
        }
        for split in ("train", "train", "train", "validation", "test"):
            # Filler of its own, so that no row is a near duplicate of another and moves to its side.
            text = f"{thing} {word} {' '.join(filler.choices(FILLER, k=6))}"
            kept = {task: labels[task] for task in tasks}
            made.append({"text": text, **kept, "language": ("en", "zh", "fa")[language], "split": split, "source": "made"})
    return made


def write_rows_file(path, rows):
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return path


@pytest.fixture(scope="module")
def rows_file(tmp_path_factory):
    return write_rows_file(tmp_path_factory.mktemp("rows") / "rows.jsonl", rows_of())


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return make_tiny_base(tmp_path_factory.mktemp("base") / "bert", texts=[row["text"] for row in rows_of()])


def config_for(rows_file, base, output, **changes):
    return TrainingConfig.from_dict({"rows": [str(rows_file)], "base": str(base), "output": str(output), **FAST, **changes})


@pytest.fixture(scope="module")
def trained(rows_file, base, tmp_path_factory):
    """A tiny model that has really learnt the made rows."""
    output = tmp_path_factory.mktemp("trained") / "model"
    config = config_for(
        rows_file, base, output, epochs=12, batch_size=16, learning_rate=3e-3, head_learning_rate=1e-2, behaviour=True
    )
    return train(config)


def test_a_fine_tuned_model_has_learnt_its_rows_in_three_languages(trained):
    metrics = json.loads((trained.path / "metrics.json").read_text("utf-8"))
    cells = metrics["test"]["tasks"]
    assert cells["sentiment"]["all"]["accuracy"] > 0.95
    assert cells["category"]["all"]["macro_f1"] > 0.6
    assert {"en", "fa", "zh"} <= set(cells["tone"])
    assert "baseline" in cells["sentiment"]["all"]
    assert set(metrics["behaviour"]["invariance_by_language"]) == {"en", "fa", "zh"}
    assert "## How it behaves" in (trained.path / "README.md").read_text("utf-8")
    assert "<h2>Behaviour</h2>" in (trained.path / "report.html").read_text("utf-8")


def test_the_folder_answers_like_a_prediction_should(trained):
    classifier = FeedbackClassifier.load(trained)
    unseen = next(row for row in rows_of() if row["split"] == "test" and row["text"].startswith("快递 太差"))
    answer = classifier.predict([unseen["text"]])[0].to_dict()
    classifier.close()
    assert answer["answers"]["sentiment"]["label"] == "negative"
    assert answer["answers"]["category"]["labels"][0]["label"] == "delivery"
    assert answer["departments"] == ["logistics"]
    assert answer["model"] == trained.version


def test_checkpoints_are_gone_and_nothing_is_left_beside_the_folder(trained):
    assert [path.name for path in trained.path.parent.iterdir()] == [trained.path.name]


def test_the_exported_graph_agrees_with_torch_alone_and_in_a_batch(trained):
    import onnxruntime
    import torch

    from training.model import load_network

    network = load_network(trained)
    session = onnxruntime.InferenceSession(str(trained.path / "model.onnx"))
    generator = np.random.default_rng(0)
    for batch in (1, 7):
        ids = generator.integers(4, 60, (batch, 12))
        mask = np.ones_like(ids)
        mask[0, 8:] = 0 if batch > 1 else 1
        exported = session.run(None, {"input_ids": ids, "attention_mask": mask})[0]
        with torch.inference_mode():
            original = network(torch.tensor(ids), torch.tensor(mask)).numpy()
        assert np.abs(exported - original).max() < 0.05 * max(1.0, np.abs(original).max())
        alone = session.run(None, {"input_ids": ids[:1, :8], "attention_mask": mask[:1, :8]})[0]
        if batch > 1:
            assert np.abs(alone - exported[:1]).max() < 1e-4
    classifier = FeedbackClassifier.load(trained)
    agreement = measure_agreement(network, classifier, ["the app broken", "客服 很好", "پیک عالی"])
    classifier.close()
    assert agreement == {"sentiment": 1.0, "tone": 1.0, "category": 1.0}


def test_training_goes_on_from_a_model_folder_and_keeps_its_head(trained, rows_file, tmp_path):
    again = train(config_for(rows_file, trained.path, tmp_path / "again", max_steps=1, learning_rate=1e-8, head_learning_rate=1e-8))
    metrics = json.loads((again.path / "metrics.json").read_text("utf-8"))
    assert metrics["test"]["tasks"]["sentiment"]["all"]["accuracy"] > 0.95
    assert again.manifest["base"]["name"] == trained.version
    assert f"| before that, as {trained.version}, on | rows | licence |" in (again.path / "README.md").read_text("utf-8")
    heads = [load_file(folder.path / "model.safetensors") for folder in (trained, again)]
    for name in ("head.weight", "head.bias"):  # the weights of rare labels are taken out of the bias once, not twice
        assert np.abs(heads[0][name] - heads[1][name]).max() < 1e-3


def test_a_soup_starts_from_the_mean_of_its_models_weights(trained, rows_file, base, tmp_path):
    other = train(config_for(rows_file, base, tmp_path / "other", epochs=4, learning_rate=3e-3, seed=3, baseline=False))
    start = averaged([load_base(str(folder.path)) for folder in (trained, other)])
    for name, tensor in start.encoder.state_dict().items():
        if name in (stored := load_file(trained.path / "model.safetensors")):
            mean = (stored[name].astype(np.float32) + load_file(other.path / "model.safetensors")[name].astype(np.float32)) / 2
            assert np.allclose(tensor.numpy(), mean, atol=1e-6), name
    still = {"max_steps": 1, "learning_rate": 1e-9, "quantization_aware": 0.0}
    soup = train(config_for(rows_file, trained.path, tmp_path / "soup", average=[str(other.path)], **still))
    assert soup.manifest["base"]["averaged_with"] == [other.version]
    assert soup.manifest["training"]["config"]["average"] == ["other"]
    row = load_file(soup.path / "model.safetensors")["head.weight"]
    pair = [load_file(folder.path / "model.safetensors")["head.weight"] for folder in (trained, other)]
    assert np.allclose(row, sum(pair) / 2, atol=1e-3)
    assert not np.allclose(*pair, atol=1e-3)


def test_a_soup_of_models_of_other_shapes_is_refused(trained, rows_file, tmp_path):
    small = make_tiny_base(tmp_path / "small", texts=["a few words", "几个字", "چند کلمه"])
    with pytest.raises(ConfigError, match=r"small cannot be averaged with .* shapes, tokenizer or labels differ"):
        train(config_for(rows_file, trained.path, tmp_path / "m", average=[str(small)]))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_any_encoder_goes_through_the_same_code(architecture, rows_file, tmp_path):
    base = make_tiny_base(tmp_path / "base", architecture, texts=[row["text"] for row in rows_of()])
    folder = train(config_for(rows_file, base, tmp_path / "model", max_steps=2, layers=1, layer_decay=0.8, augmentation=0.5))
    assert json.loads((folder.path / "config.json").read_text("utf-8"))["num_hidden_layers"] == 1
    training = folder.manifest["training"]
    assert training["history"]["train_rows"] > 1.3 * training["rows"]["train"]  # the changed copies are learnt from too
    classifier = FeedbackClassifier.load(folder)
    for prediction in classifier.predict(["the app great", "客服 坏了", "قیمت خوب بود"]):
        assert set(prediction.answers) == {"sentiment", "tone", "category"}
    classifier.close()


def test_another_taxonomy_needs_no_other_code(base, tmp_path):
    taxonomy_file = tmp_path / "shop.toml"
    taxonomy_file.write_text(
        """
version = "7"
[tasks.stimmung]
kind = "single"
labels = [{ name = "gut" }, { name = "schlecht" }]
[tasks.urgency]
kind = "single"
abstain_below = 0.3
labels = [{ name = "now" }, { name = "later" }, { name = "never" }]
[tasks.area]
kind = "multi"
at_least_one = true
labels = [{ name = "van", departments = ["yard"] }, { name = "till" }, { name = "rest", exclusive = true }]
[tasks.wishes]
kind = "multi"
labels = [{ name = "call" }, { name = "money" }]
[priority]
zero = { stimmung = ["gut"] }
rules = [{ task = "urgency", labels = ["now"] }]
""",
        "utf-8",
    )
    rows = [
        {
            "text": row["text"],
            "stimmung": "gut" if row["sentiment"] == "positive" else "schlecht",
            "urgency": ("now", "later", "never")[number % 3],
            "area": ["van"] if row["category"] == ["delivery"] else ["rest"],
            "wishes": ["money"] if number % 2 else [],
            "split": row["split"],
        }
        for number, row in enumerate(rows_of())
    ]
    rows_file = write_rows_file(tmp_path / "rows.jsonl", rows)
    config = config_for(rows_file, base, tmp_path / "model", taxonomy=str(taxonomy_file), max_steps=4)
    folder = train(config)
    classifier = FeedbackClassifier.load(folder)
    answers = classifier.predict(["پیک افتضاح"])[0].to_dict()["answers"]
    classifier.close()
    assert list(answers) == ["stimmung", "urgency", "area", "wishes"]
    assert answers["urgency"]["label"] in ("now", "later", "never")
    assert set(folder.manifest["decisions"]["thresholds"]) == {"area", "wishes"}
    assert Taxonomy.read(taxonomy_file) == folder.taxonomy
    from serving.archive import label

    archive = tmp_path / "archive.csv"
    archive.write_text("text\nthe courier late\n", "utf-8")
    label(str(archive), str(tmp_path / "labelled.csv"), str(folder.path))
    header = (tmp_path / "labelled.csv").read_text("utf-8").splitlines()[0]
    assert "stimmung" in header
    assert "wishes" in header


def test_an_exported_graph_that_disagrees_with_torch_is_refused(rows_file, base, tmp_path, monkeypatch):
    monkeypatch.setattr("training.train.measure_agreement", lambda *_: {"tone": 0.42})
    with pytest.raises(ModelFolderError, match=r"disagrees with torch: tone 0\.4200; at least 0\.5 is needed"):
        train(config_for(rows_file, base, tmp_path / "model", max_steps=1))
    assert not (tmp_path / "model").exists()


def test_a_kill_halfway_and_a_resume_end_with_the_same_steps(rows_file, base, tmp_path):
    config = tmp_path / "run.toml"
    settings = {**FAST, "evaluations": 8, "epochs": 4.0, "batch_size": 8, "seed": 3}
    lines = [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
    config.write_text(f'rows = ["{rows_file}"]\nbase = "{base}"\noutput = "{tmp_path / "model"}"\n' + "\n".join(lines), "utf-8")
    command = [sys.executable, "-m", "feedback", "train", str(config)]
    checkpoints = tmp_path / "model.checkpoints"
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=Path.cwd())
    deadline = time.monotonic() + 120
    while not list(checkpoints.glob("checkpoint-*/trainer_state.json")):
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "model").exists()
    refused = subprocess.run(command, capture_output=True, text=True)
    assert refused.returncode == 1
    assert "holds checkpoints of an earlier run. Go on with --resume" in refused.stderr
    done = subprocess.run([*command, "--resume"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    history = ModelFolder.open(tmp_path / "model").manifest["training"]["history"]
    assert history["steps"] == history["planned_steps"]
    assert "Going on from" in done.stderr


def test_a_run_that_was_refused_at_the_export_is_resumed_without_a_further_step(rows_file, base, tmp_path, monkeypatch):
    config = config_for(rows_file, base, tmp_path / "model", epochs=2, max_steps=7)  # in the middle of an epoch
    with monkeypatch.context() as patched:
        patched.setattr("training.train.measure_agreement", lambda *_: {"tone": 0.42})
        with pytest.raises(ModelFolderError, match='onnx_format = "float32"'):
            train(config)
    later = config_for(rows_file, base, tmp_path / "model", epochs=2, max_steps=7, onnx_format="float32")
    history = train(later, resume=True).manifest["training"]["history"]
    assert history["steps"] == history["planned_steps"] == 7
    assert [entry["step"] for entry in history["validation_scores"]] == [4, 7]
    assert history["train_loss"] > 0


def test_a_resume_on_rows_that_have_changed_is_refused(base, tmp_path):
    path = write_rows_file(tmp_path / "rows.jsonl", rows_of())
    config = config_for(path, base, tmp_path / "model")
    claim_checkpoints(config, resume=False)
    claim_checkpoints(config, resume=True)
    write_rows_file(path, rows_of()[1:])
    with pytest.raises(ConfigError, match=r"its files \(rows, texts or taxonomy\) have changed since that run"):
        train(config, resume=True)


def test_a_checkpoint_that_was_cut_short_is_passed_over(tmp_path):
    for step in (5, 10, 15):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        for name in CHECKPOINT_FILES:
            (folder / name).write_text("{}", "utf-8")
    (tmp_path / "checkpoint-15" / "optimizer.pt").unlink()
    (tmp_path / "checkpoint-10" / "trainer_state.json").write_text('{"global_step": 1', "utf-8")
    assert newest_checkpoint(tmp_path) == tmp_path / "checkpoint-5"


def test_a_training_that_diverges_is_refused_and_leaves_no_folder(rows_file, base, tmp_path):
    with pytest.raises(ConfigError, match="the training diverged"):
        train(config_for(rows_file, base, tmp_path / "model", learning_rate=1e30, head_learning_rate=1e30, max_steps=4))
    assert not (tmp_path / "model").exists()


def test_an_output_that_cannot_be_written_is_told(rows_file, base):
    with pytest.raises(ConfigError, match="cannot be written there"):
        train(config_for(rows_file, base, Path(rows_file) / "model"))


def test_rows_without_a_label_of_the_taxonomy_are_refused(base, tmp_path):
    path = write_rows_file(tmp_path / "rows.jsonl", rows_of(tasks=()))
    with pytest.raises(DataError, match="no training row has a label of sentiment, tone, category"):
        train(config_for(path, base, tmp_path / "model"))


def test_the_agreement_is_measured_on_every_language_and_unreadable_rows_are_passed_over(rows_file, base, tmp_path, monkeypatch):
    measured = []
    read_windows = FeedbackClassifier.read_windows

    def refuse(classifier, text):
        if "rinpat" in text or text.startswith("the app"):
            raise MessageError("empty", "nothing to read")
        return read_windows(classifier, text)

    monkeypatch.setattr("training.train.AGREEMENT_TEXTS", 6)
    monkeypatch.setattr("training.train.measure_agreement", lambda _, __, texts: measured.extend(texts) or {"tone": 1.0})
    monkeypatch.setattr(FeedbackClassifier, "read_windows", refuse)
    folder = train(config_for(rows_file, base, tmp_path / "model", max_steps=1))
    assert len(measured) == 6
    assert {identify(text.rsplit(" ", 6)[0]).code for text in measured} >= {"zh", "fa"}
    assert json.loads((folder.path / "metrics.json").read_text("utf-8"))["test"]["refused"] > 0


def test_a_resume_with_other_settings_names_the_difference(rows_file, base, tmp_path):
    config = config_for(rows_file, base, tmp_path / "model", epochs=2)
    config.checkpoints.mkdir()
    (config.checkpoints / "config.json").write_text(json.dumps({**config.to_dict(), "epochs": 3.0}), "utf-8")
    with pytest.raises(ConfigError, match=r"other settings: epochs was 3\.0, is 2\.0"):
        train(config, resume=True)


def test_a_setting_that_the_earlier_release_did_not_have_does_not_stop_a_resume(rows_file, base, tmp_path):
    config = config_for(rows_file, base, tmp_path / "model")
    config.checkpoints.mkdir()
    document = config.to_dict()
    del document["augmentation"]
    (config.checkpoints / "config.json").write_text(json.dumps(document), "utf-8")
    claim_checkpoints(config, resume=True)
    assert json.loads((config.checkpoints / "config.json").read_text("utf-8"))["augmentation"] == 0.0


@pytest.mark.parametrize("name", ["/nowhere/base", "./nowhere"])
def test_a_base_that_does_not_exist_is_told_and_nothing_is_written(name, rows_file, tmp_path):
    with pytest.raises(ConfigError, match=r"base .*nowhere.*: no such folder"):
        train(config_for(rows_file, name, tmp_path / "model"))
    assert not (tmp_path / "model").exists()
    assert not (tmp_path / "model.checkpoints").exists()


def test_an_existing_output_is_never_overwritten(trained, rows_file, base):
    with pytest.raises(ModelFolderError, match="exists already"):
        train(config_for(rows_file, base, trained.path))


def test_rows_without_any_training_row_are_refused(base, tmp_path):
    path = write_rows_file(tmp_path / "rows.jsonl", [{"text": "good", "sentiment": "positive", "split": "test"}])
    with pytest.raises(DataError, match="no row to train on"):
        train(config_for(path, base, tmp_path / "model"))


def test_more_layers_than_the_base_has_are_refused(rows_file, base, tmp_path):
    with pytest.raises(ConfigError, match="layers is 5, the base has only 2"):
        train(config_for(rows_file, base, tmp_path / "model", layers=5))


def test_a_window_longer_than_the_base_reads_is_refused(rows_file, base, tmp_path):
    with pytest.raises(ConfigError, match="window_length is 512, the base reads at most 140"):
        train(config_for(rows_file, base, tmp_path / "model", window_length=512))
    assert not list(tmp_path.iterdir())  # nor checkpoints that would stand in the way of the next try


def test_sampling_takes_from_every_source_alike():
    from data.rows import Row

    rows = [Row(f"a{n}", source="big") for n in range(90)] + [Row(f"b{n}", source="small") for n in range(10)]
    taken = sample_evenly(rows, 20)
    assert sum(row.source == "small" for row in taken) == 10
    assert taken == sample_evenly(list(reversed(rows)), 20)
    assert len(sample_evenly(rows, 0)) == 100


def test_two_processes_train_one_model(rows_file, base, tmp_path):
    """torchrun, as it would be on two devices; here two processes share the processor."""
    config = tmp_path / "run.toml"
    settings = {
        **FAST,
        "rows": [str(rows_file)],
        "base": str(base),
        "output": str(tmp_path / "model"),
        "epochs": 1.0,
        "batch_size": 8,
    }
    config.write_text("\n".join(f"{key} = {json.dumps(value)}" for key, value in settings.items()), "utf-8")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "feedback", "train"]
    done = subprocess.run([*command, str(config)], capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr[-2000:]
    history = ModelFolder.open(tmp_path / "model").manifest["training"]["history"]
    assert history["steps"] == history["planned_steps"] == 11  # 162 rows, 8 in each of two processes
