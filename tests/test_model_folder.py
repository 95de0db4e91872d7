"""A model folder is whole, unaltered and of this program's format, or it is refused by name."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_model import make_tiny_model

from data.errors import ModelFolderError
from data.taxonomy import Taxonomy
from serving import model_folder as files
from serving.model_folder import ModelFolder, decisions_of


@pytest.fixture
def copy(model_path: Path, tmp_path: Path) -> Path:
    return shutil.copytree(model_path, tmp_path / "copy")


def rewrite_manifest(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the manifest and give it the fingerprint that belongs to it, as another version of the program would."""
    manifest = json.loads((folder / files.MANIFEST).read_text("utf-8"))
    change(manifest)
    manifest["model_version"] = "2026.1.0+" + files._fingerprint(manifest)
    (folder / files.MANIFEST).write_text(json.dumps(manifest), "utf-8")


def test_a_folder_opens_and_says_what_it_is(model_folder: ModelFolder) -> None:
    opened = ModelFolder.open(model_folder.path)
    assert opened.version == model_folder.version
    assert opened.taxonomy == Taxonomy.read()
    assert opened.manifest["label_order"]["sentiment"] == list(Taxonomy.read()["sentiment"].names)
    assert set(opened.manifest["files"]) == set(files.NEEDED)


def test_a_folder_that_is_absent_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFolderError, match=r"nowhere: no such model folder\. .*MODEL_FOLDER"):
        ModelFolder.open(tmp_path / "nowhere")


def test_a_folder_without_a_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFolderError, match=r"lacks manifest.json: not a model folder"):
        ModelFolder.open(tmp_path)


@pytest.mark.parametrize("name", files.NEEDED)
def test_a_missing_file_is_named(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(ModelFolderError, match=rf"lacks {name}\. Copy the folder again"):
        ModelFolder.open(copy)


def test_all_missing_files_are_named_at_once(copy: Path) -> None:
    (copy / files.ONNX).unlink()
    (copy / files.TOKENIZER).unlink()
    with pytest.raises(ModelFolderError, match=r"lacks model\.onnx, tokenizer\.json"):
        ModelFolder.open(copy)


@pytest.mark.parametrize("name", files.NEEDED)
def test_a_file_cut_short_is_named(copy: Path, name: str) -> None:
    content = (copy / name).read_bytes()
    (copy / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelFolderError, match=rf"{name} differ from the SHA-256 .* cut short or altered"):
        ModelFolder.open(copy)


def test_one_altered_byte_of_the_weights_is_found(copy: Path) -> None:
    content = bytearray((copy / files.ONNX_DATA).read_bytes())
    content[1000] ^= 1
    (copy / files.ONNX_DATA).write_bytes(content)
    with pytest.raises(ModelFolderError, match=r"model\.onnx\.data differ from the SHA-256"):
        ModelFolder.open(copy)


def test_a_manifest_that_was_cut_is_refused(copy: Path) -> None:
    content = (copy / files.MANIFEST).read_bytes()
    (copy / files.MANIFEST).write_bytes(content[:500])
    with pytest.raises(ModelFolderError, match=r"manifest.json is not JSON in UTF-8"):
        ModelFolder.open(copy)


def test_a_manifest_altered_by_hand_is_refused_and_decide_named(copy: Path) -> None:
    text = (copy / files.MANIFEST).read_text("utf-8")
    assert '"delivery": 0.5' in text
    (copy / files.MANIFEST).write_text(text.replace('"delivery": 0.5', '"delivery": 0.1'), "utf-8")
    with pytest.raises(ModelFolderError, match=r"was altered after it was written.*feedback decide"):
        ModelFolder.open(copy)


def test_a_manifest_of_a_future_format_asks_for_a_newer_program(copy: Path) -> None:
    rewrite_manifest(copy, lambda manifest: manifest.update(format=files.FORMAT_VERSION + 1))
    with pytest.raises(ModelFolderError, match=r"has format 2, this program reads format 1\. Update the program"):
        ModelFolder.open(copy)


@pytest.mark.parametrize("content", ['["a list"]', '{"format": "one"}', "{}"])
def test_a_file_that_is_no_manifest_is_refused(copy: Path, content: str) -> None:
    (copy / files.MANIFEST).write_text(content, "utf-8")
    with pytest.raises(ModelFolderError, match="has no format number"):
        ModelFolder.open(copy)


def test_a_manifest_that_lacks_a_section_names_it(copy: Path) -> None:
    rewrite_manifest(copy, lambda manifest: manifest.pop("temperatures"))
    with pytest.raises(ModelFolderError, match="lacks temperatures"):
        ModelFolder.open(copy)


def test_another_text_normaliser_is_refused(copy: Path) -> None:
    rewrite_manifest(copy, lambda manifest: manifest.update(normaliser_version="another"))
    with pytest.raises(ModelFolderError, match="trained with text normaliser another"):
        ModelFolder.open(copy)


def test_labels_in_another_order_than_the_taxonomy_are_refused(copy: Path) -> None:
    rewrite_manifest(copy, lambda manifest: manifest["label_order"]["tone"].reverse())
    with pytest.raises(ModelFolderError, match="label_order is not the order of the taxonomy"):
        ModelFolder.open(copy)


def test_a_listed_file_outside_the_folder_is_refused(copy: Path) -> None:
    rewrite_manifest(copy, lambda manifest: manifest["files"].update({"../secret": "0" * 64}))
    with pytest.raises(ModelFolderError, match=r"\.\./secret differ from the SHA-256"):
        ModelFolder.open(copy)


def test_a_link_in_place_of_a_file_is_refused(copy: Path, tmp_path: Path) -> None:
    shutil.move(copy / files.CARD, tmp_path / "elsewhere.md")
    try:
        (copy / files.CARD).symlink_to(tmp_path / "elsewhere.md")
    except OSError:
        pytest.skip("this system does not let ordinary users make symbolic links")
    with pytest.raises(ModelFolderError, match=r"README\.md differ from the SHA-256"):
        ModelFolder.open(copy)


def test_an_existing_folder_is_never_overwritten(copy: Path) -> None:
    before = (copy / files.MANIFEST).read_bytes()
    with pytest.raises(ModelFolderError, match=r"exists already. Name another output folder"):
        make_tiny_model(copy)
    assert (copy / files.MANIFEST).read_bytes() == before


def test_a_failure_while_writing_leaves_nothing_behind(tmp_path: Path) -> None:
    def fill(aside: Path) -> dict[str, Any]:
        (aside / files.ONNX).write_bytes(b"half")
        raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space left"):
        ModelFolder.create(tmp_path / "model", fill)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_would_not_open_is_not_written(tmp_path: Path, model_folder: ModelFolder) -> None:
    def fill(aside: Path) -> dict[str, Any]:
        (aside / files.ONNX).write_bytes(b"alone")
        return dict(model_folder.manifest)

    with pytest.raises(ModelFolderError, match=r"lacks model.onnx.data, tokenizer.json"):
        ModelFolder.create(tmp_path / "model", fill)
    assert list(tmp_path.iterdir()) == []


def test_decisions_hold_a_threshold_for_every_label_of_a_multi_task() -> None:
    taxonomy = Taxonomy.read()
    thresholds = decisions_of(taxonomy, {"category": {"delivery": 0.3}})["thresholds"]
    assert list(thresholds) == ["category"]
    assert list(thresholds["category"]) == list(taxonomy["category"].names)
    assert thresholds["category"]["delivery"] == 0.3
    assert thresholds["category"]["price"] == files.DEFAULT_THRESHOLD
