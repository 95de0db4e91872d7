"""Pretraining for real on tiny encoders: texts in, a base out."""

import csv
import json
import math
import random

import pytest
import torch
from test_train import config_for, rows_of, write_rows_file
from tiny_base import ARCHITECTURES, make_tiny_base
from tokenizers import Tokenizer

import feedback
from data.errors import ConfigError, DataError
from training.config import TrainingConfig
from training.masking import IGNORED, MaskingCollate, Windows, mask_id, special_ids
from training.model import load_base
from training.pretrain import PretrainSettings, pretrain, read_texts
from training.train import train

PHRASES = {
    "zh": ("快递太慢了", "客服不理人", "质量很好", "下次还来", "包装破了", "价格太贵"),
    "en": ("the parcel came late", "nobody answered", "works very well", "will buy again", "the box was broken", "far too dear"),
    "fa": ("بسته دیر رسید", "پشتیبانی جواب نداد", "کیفیت خوب بود", "باز هم می‌خرم", "جعبه پاره بود", "خیلی گران است"),
}


def archive_of(path, count=300):
    """Messages without labels whose words go together, so that a hidden one can be guessed."""
    rng = random.Random(0)
    with path.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["number", "text"])
        for number in range(count):
            phrases = PHRASES[("zh", "en", "fa")[number % 3]]
            first = rng.randrange(len(phrases))
            writer.writerow([number, f"{phrases[first]} {phrases[(first + 1) % len(phrases)]} {rng.choice(phrases)} {number}"])
    return path


def windows_of(base, archive):
    texts, _ = read_texts(settings_for(base, archive, "x"))
    return len(Windows(texts, Tokenizer.from_file(str(base / "tokenizer.json")), 32))


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return archive_of(tmp_path_factory.mktemp("archive") / "archive.csv")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return make_tiny_base(tmp_path_factory.mktemp("base") / "bert", texts=[phrase for part in PHRASES.values() for phrase in part])


def settings_for(base, archive, output, **changes):
    return PretrainSettings(
        **{"base": str(base), "texts": (str(archive),), "output": str(output), "window_length": 32, "threads": 1, **changes}
    )


def test_the_loss_falls_on_held_out_texts_and_the_folder_is_a_base_that_train_takes(base, archive, tmp_path):
    report = pretrain(settings_for(base, archive, tmp_path / "adapted", max_steps=50, learning_rate=5e-3))
    assert report.loss_after < report.loss_before - 0.1
    assert f"{report.loss_before:.3f} with the base as it was" in report.to_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["adapted"]
    assert "after" in (tmp_path / "adapted" / "README.md").read_text("utf-8")
    before, after = load_base(str(base)), load_base(str(tmp_path / "adapted"))
    assert before.tokenizer.encode("客服不理人 nobody").ids == after.tokenizer.encode("客服不理人 nobody").ids
    assert before.pad_id == after.pad_id
    weights = [next(iter(part.encoder.parameters())) for part in (before, after)]
    assert not torch.equal(*weights)
    rows = write_rows_file(tmp_path / "rows.jsonl", rows_of())
    folder = train(config_for(rows, tmp_path / "adapted", tmp_path / "model", max_steps=2))
    assert folder.manifest["base"]["name"] == "adapted"


def test_the_texts_held_out_come_in_the_same_order_in_every_process(base, tmp_path):
    archive = tmp_path / "archive.csv"
    archive.write_text("text\n" + "\n".join(f"快递 parcel بسته {number}" for number in range(1000, 1600)), "utf-8")
    _, held_out = read_texts(settings_for(base, archive, tmp_path / "x"))
    assert len(held_out) == 12
    assert held_out == sorted(held_out)  # all of one length: a set's order would differ by the seed of its hashes


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_any_encoder_can_be_adapted(architecture, archive, tmp_path):
    base = make_tiny_base(tmp_path / "base", architecture, texts=[phrase for part in PHRASES.values() for phrase in part])
    report = pretrain(settings_for(base, archive, tmp_path / "adapted", max_steps=8))
    assert report.steps == 8
    assert load_base(str(tmp_path / "adapted")).encoder.config.model_type == architecture


def test_a_run_that_is_stopped_leaves_no_folder_and_is_resumed_with_the_same_steps(base, archive, tmp_path, monkeypatch, capsys):
    output, checkpoints = tmp_path / "adapted", tmp_path / "adapted.checkpoints"
    settings = settings_for(base, archive, output, batch_size=16)
    steps = math.ceil(windows_of(base, archive) / 16)

    def stop(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("training.pretrain._Progress.on_save", stop)
        with pytest.raises(KeyboardInterrupt):
            pretrain(settings)
    assert not output.exists()
    assert [path.name for path in checkpoints.glob("checkpoint-*")] == [f"checkpoint-{math.ceil(steps / 4)}"]
    started = json.loads((checkpoints / "started.json").read_text("utf-8"))["loss_before"]
    with pytest.raises(ConfigError, match=r"holds checkpoints of an earlier run\. Go on with --resume"):
        pretrain(settings)
    call = ["pretrain", "--base", str(base), "--texts", str(archive), "-o", str(output), "--window-length", "32", "--threads", "1"]
    with pytest.raises(SystemExit) as ended:
        feedback.main([*call, "--batch-size", "16", "--resume"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert f"290 different texts, 10 more held out; {steps} steps in" in said
    assert f"{started:.3f} with the base as it was" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["adapted"]


def test_texts_are_mended_taken_once_and_held_out_by_their_hash(base, archive, tmp_path):
    twice = tmp_path / "more.csv"
    twice.write_text(archive.read_text("utf-8") + "601,كيفيت خوب\n602,کیفیت خوب\n603, \n", "utf-8")
    train_texts, held_out = read_texts(settings_for(base, twice, tmp_path / "x"))
    assert len(train_texts) + len(held_out) == len(set(train_texts) | set(held_out)) == 301
    assert "کیفیت خوب" in {*train_texts, *held_out}
    assert set(held_out) & set(read_texts(settings_for(base, archive, tmp_path / "x"))[1])


def test_what_cannot_work_is_refused_before_anything_is_written(base, archive, tmp_path):
    few = tmp_path / "few.csv"
    few.write_text("text\nlate\nbroken\n", "utf-8")
    with pytest.raises(DataError, match=r"few\.csv: 2 different texts; at least 50 are needed"):
        pretrain(settings_for(base, few, tmp_path / "adapted"))
    with pytest.raises(DataError, match=r"no column 'message'. It has 'number', 'text'. Name one with --text-column"):
        pretrain(settings_for(base, archive, tmp_path / "adapted", text_column="message"))
    with pytest.raises(ConfigError, match="window_length is 500, the base reads at most 140"):
        pretrain(settings_for(base, archive, tmp_path / "adapted", window_length=500))
    with pytest.raises(ConfigError, match="no such folder"):
        pretrain(settings_for(tmp_path / "nowhere", archive, tmp_path / "adapted"))
    with pytest.raises(ConfigError, match=r"pretrain:\n  learning_rate is 7; from 1e-09 to 1\n  masked is 0; from 0.01 to 0.9"):
        settings_for(base, archive, tmp_path / "adapted", learning_rate=7, masked=0)
    assert [path.name for path in tmp_path.iterdir()] == ["few.csv"]


def test_a_folder_that_is_there_is_not_written_over(base, archive):
    with pytest.raises(ConfigError, match="exists already and is not overwritten"):
        pretrain(settings_for(base, archive, base))


def test_a_resume_on_other_texts_or_settings_is_refused(base, archive, tmp_path):
    settings = settings_for(base, archive, tmp_path / "adapted")
    settings.checkpoints.mkdir()
    document = {**TrainingConfig(rows=("a",), output="b").to_dict(), "base": str(base)}
    (settings.checkpoints / "config.json").write_text(json.dumps(document), "utf-8")
    with pytest.raises(ConfigError, match="belongs to a run with other settings"):
        pretrain(settings, resume=True)


@pytest.mark.parametrize("text", [" ".join(part) for part in PHRASES.values()], ids=PHRASES)
def test_a_share_of_the_pieces_is_hidden_and_only_those_are_to_be_guessed(base, text):
    tokenizer = Tokenizer.from_file(str(base / "tokenizer.json"))
    windows = Windows([text] * 200, tokenizer, 128)
    special = tuple(special_ids(tokenizer))
    collate = MaskingCollate(0, mask_id(tokenizer), special, tokenizer.get_vocab_size(), 0.15, torch.Generator().manual_seed(0))
    batch = collate([windows[number] for number in range(len(windows))])
    hidden = batch["targets"] != IGNORED
    plain = torch.tensor(windows.input_ids)
    usable = ~torch.isin(plain, torch.tensor(special))
    assert not (hidden & ~usable).any()
    assert 0.12 < float(hidden.sum() / usable.sum()) < 0.18
    assert torch.equal(batch["targets"][hidden], plain[hidden])
    assert torch.equal(batch["input_ids"][~hidden], plain[~hidden])
    masked = batch["input_ids"][hidden] == mask_id(tokenizer)
    assert 0.7 < float(masked.float().mean()) < 0.9


def test_a_long_text_gives_several_windows(base):
    tokenizer = Tokenizer.from_file(str(base / "tokenizer.json"))
    windows = Windows(["the parcel came late " * 40, "late"], tokenizer, 16)
    assert max(windows.lengths) == 16
    assert len(windows) > 10
