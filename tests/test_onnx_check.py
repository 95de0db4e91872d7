"""A network that names other files, or operators of others, is not opened."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from data.errors import ModelFolderError
from serving import model_folder
from serving.model_folder import ModelFolder
from serving.onnx_check import check_network

DATA = "model.onnx.data"


def outside(location: str) -> onnx.TensorProto:
    tensor = helper.make_tensor("w", TensorProto.FLOAT, [1], [0.0])
    tensor.ClearField("float_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    return tensor


def save(path: Path, nodes: list[onnx.NodeProto], weights: list[onnx.TensorProto] | None = None) -> Path:
    graph = helper.make_graph(nodes, "g", [], [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])], weights or [])
    path.write_bytes(helper.make_model(graph).SerializeToString())
    return path


IDENTITY = helper.make_node("Identity", ["w"], ["y"])


def test_plain_operators_with_weights_beside_are_fine(tmp_path: Path) -> None:
    check_network(
        save(tmp_path / "a", [IDENTITY, helper.make_node("Gelu", ["w"], ["z"], domain="com.microsoft")], [outside(DATA)]), DATA
    )


@pytest.mark.parametrize("location", ["../../etc/passwd", "/etc/passwd", "sub/model.onnx.data", "other.data", ""])
def test_weights_anywhere_else_are_refused(tmp_path: Path, location: str) -> None:
    with pytest.raises(ModelFolderError, match=r"keeps weights in .*; only model\.onnx\.data beside it is opened"):
        check_network(save(tmp_path / "a", [IDENTITY], [outside(location)]), DATA)


def test_they_are_found_inside_nodes_and_branches_too(tmp_path: Path) -> None:
    constant = helper.make_node("Constant", [], ["y"], value=outside("/etc/passwd"))
    branch = helper.make_graph([constant], "b", [], [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])])
    chosen = helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)
    for nodes in ([constant], [chosen]):
        with pytest.raises(ModelFolderError, match="keeps weights in '/etc/passwd'"):
            check_network(save(tmp_path / "a", nodes), DATA)


@pytest.mark.parametrize(("operator", "domain"), [("PyOp", "ai.onnx.contrib"), ("EPContext", "com.microsoft"), ("Mine", "acme")])
def test_operators_of_others_are_refused(tmp_path: Path, operator: str, domain: str) -> None:
    with pytest.raises(ModelFolderError, match=f"uses the operator '{domain}.{operator}'"):
        check_network(save(tmp_path / "a", [helper.make_node(operator, ["w"], ["y"], domain=domain)]), DATA)


def test_what_is_no_network_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"\xff" * 100)
    with pytest.raises(ModelFolderError, match="is not an ONNX file"):
        check_network(file, DATA)


def test_a_folder_with_such_a_network_does_not_open_though_its_hashes_are_right(tmp_path: Path, model_path: Path) -> None:
    """Its writer can compute hashes, too."""
    folder = tmp_path / "model"
    shutil.copytree(model_path, folder)
    save(folder / model_folder.ONNX, [IDENTITY], [outside("../secret")])
    manifest = json.loads((folder / model_folder.MANIFEST).read_text("utf-8"))
    manifest["files"][model_folder.ONNX] = model_folder._sha256(folder / model_folder.ONNX)
    manifest["model_version"] = "2026.1.0+" + model_folder._fingerprint(manifest)
    (folder / model_folder.MANIFEST).write_text(json.dumps(manifest), "utf-8")
    with pytest.raises(ModelFolderError, match=r"keeps weights in '\.\./secret'"):
        ModelFolder.open(folder)


def test_a_link_in_the_place_of_a_file_does_not_open(tmp_path: Path, model_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(model_path, folder)
    (folder / model_folder.ONNX_DATA).rename(tmp_path / "elsewhere")
    (folder / model_folder.ONNX_DATA).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ModelFolderError, match=r"model\.onnx\.data differ from the SHA-256"):
        ModelFolder.open(folder)
