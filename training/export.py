"""Torch network to an ONNX graph: float32, or int8 with one scale a row, which keeps answers independent of their neighbours."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from serving.model_folder import ONNX, ONNX_DATA
from training.model import Network

logger = logging.getLogger(__name__)

OPSET = 23
"""The first with a node for attention; one for GELU too: a third less time for short texts than 18. Needs ONNX Runtime 1.24."""
MIN_EMBEDDING_ROWS = 64
"""A Gather from a constant table with at least this many rows is an embedding and is stored in int8."""
MAX_QUANTIZED = 127
"""Weights use -127 to 127, so that zero is in the middle."""


def export_onnx(network: Network, folder: Path, number_format: str) -> None:
    """Write model.onnx and model.onnx.data: input_ids, attention_mask (batch, length) int64 to logits (batch, labels) float32.

    number_format: `float32`, or `int8`: every product with a constant matrix in int8, activations quantised at run time with one
    scale a piece (a row of the batch never shares a scale with another), and the embeddings stored in int8 with one scale a row.
    """
    model = _float32_graph(network)
    if number_format == "int8":
        model = _with_int8(model)
    onnx.save_model(
        model,
        str(folder / ONNX),
        save_as_external_data=True,
        all_tensors_to_one_file=True,
        location=ONNX_DATA,
        size_threshold=1024,
        convert_attribute=False,
    )
    if not (folder / ONNX_DATA).exists():  # a model so small that nothing went outside
        (folder / ONNX_DATA).touch()


def _float32_graph(network: Network) -> onnx.ModelProto:
    network = network.eval()
    example = torch.randint(3, 50, (2, 9)), torch.ones(2, 9, dtype=torch.long)
    for name in ("torch.onnx", "onnxscript", "onnx_ir"):  # they tell of packages that we do not use and of steps that went well
        logging.getLogger(name).setLevel(logging.ERROR)
    dimensions = {0: torch.export.Dim.AUTO, 1: torch.export.Dim.AUTO}
    # The exporter prints its progress and warns of things that do not concern the user.
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        program: Any = torch.onnx.export(
            network,
            example,
            dynamo=True,
            opset_version=OPSET,
            input_names=["input_ids", "attention_mask"],
            output_names=["logits"],
            dynamic_shapes=(dimensions, dimensions),
            verbose=False,
        )
    model: onnx.ModelProto = program.model_proto
    for node in model.graph.node:  # source lines of whoever exported it: of no use, and nobody's business
        del node.metadata_props[:]
        node.doc_string = ""
    del model.graph.value_info[:], model.graph.metadata_props[:], model.metadata_props[:]
    return model


def _with_int8(model: onnx.ModelProto) -> onnx.ModelProto:
    graph = model.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    nodes: list[onnx.NodeProto] = []
    made: list[onnx.TensorProto] = []
    quantized_inputs: dict[str, str] = {}  # activation -> prefix of its int8 form, which q, k and v share
    for number, node in enumerate(graph.node):
        prefix = f"int8_{number}"
        weight = _matrix(node, constants)
        if weight is not None:
            nodes += _matmul_int8(node, weight, prefix, made, quantized_inputs)
        elif _is_embedding(node, constants):
            nodes += _gather_int8(node, numpy_helper.to_array(constants[node.input[0]]), prefix, made)
        else:
            nodes.append(node)
    used = {name for node in nodes for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.node[:], graph.initializer[:], graph.value_info[:]
    graph.node.extend(nodes)
    graph.initializer.extend(kept)
    graph.initializer.extend(made)
    onnx.checker.check_model(model)
    return model


def _matrix(node: onnx.NodeProto, constants: dict[str, onnx.TensorProto]) -> npt.NDArray[np.float32] | None:
    """The constant right-hand matrix, (in, out), of a product; None for anything else."""
    if node.op_type not in ("MatMul", "Gemm") or node.input[1] not in constants:
        return None
    weight = numpy_helper.to_array(constants[node.input[1]])
    if weight.ndim != 2 or weight.dtype != np.float32:
        return None
    if node.op_type == "Gemm":
        settings = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
        if settings.get("alpha", 1.0) != 1.0 or settings.get("beta", 1.0) != 1.0 or settings.get("transA", 0):
            return None
        if settings.get("transB", 0):
            weight = weight.T
    return np.ascontiguousarray(weight)


def _matmul_int8(
    node: onnx.NodeProto,
    weight: npt.NDArray[np.float32],
    prefix: str,
    made: list[onnx.TensorProto],
    quantized_inputs: dict[str, str],
) -> list[onnx.NodeProto]:
    """activation (…, in) times weight (in, out) in int8, with a scale and a least value a row of the activation.

    x = scale * q + least, with q from 0 to 255, so that x W = scale * (q W) + least * (sum of W over its rows): a row's whole range
    is used however lopsided it is, as behind GELU and on outlying channels. The weight has a scale a column.
    """
    scale = np.maximum(np.abs(weight).max(axis=0) / MAX_QUANTIZED, 1e-12).astype(np.float32)  # (out,)
    integers = np.clip(np.round(weight / scale), -MAX_QUANTIZED, MAX_QUANTIZED).astype(np.int8)
    made.append(numpy_helper.from_array(integers, f"{prefix}_weight"))
    made.append(numpy_helper.from_array(scale, f"{prefix}_column_scale"))
    made.append(numpy_helper.from_array((integers * scale).sum(axis=0).astype(np.float32), f"{prefix}_column_sum"))
    made.append(numpy_helper.from_array(np.array(0, dtype=np.int8), f"{prefix}_weight_zero"))
    nodes = []
    activation = node.input[0]
    if activation not in quantized_inputs:
        for name, value in (
            ("axes", np.array([-1], dtype=np.int64)),
            ("highest", np.array(255.0, dtype=np.float32)),
            ("smallest", np.array(1e-12, dtype=np.float32)),
            ("one", np.array(1.0, dtype=np.float32)),
            ("zero", np.array(0, dtype=np.uint8)),
        ):
            made.append(numpy_helper.from_array(value, f"{prefix}_{name}"))
        nodes += [
            helper.make_node("ReduceMin", [activation, f"{prefix}_axes"], [f"{prefix}_least"], keepdims=1),  # (…, 1)
            helper.make_node("Sub", [activation, f"{prefix}_least"], [f"{prefix}_shifted"]),
            helper.make_node("ReduceMax", [f"{prefix}_shifted", f"{prefix}_axes"], [f"{prefix}_range"], keepdims=1),
            helper.make_node("Max", [f"{prefix}_range", f"{prefix}_smallest"], [f"{prefix}_bounded"]),
            helper.make_node("Div", [f"{prefix}_bounded", f"{prefix}_highest"], [f"{prefix}_row_scale"]),
            helper.make_node("Div", [f"{prefix}_shifted", f"{prefix}_row_scale"], [f"{prefix}_scaled"]),
            helper.make_node("QuantizeLinear", [f"{prefix}_scaled", f"{prefix}_one", f"{prefix}_zero"], [f"{prefix}_integers"]),
        ]
        quantized_inputs[activation] = prefix
    shared = quantized_inputs[activation]
    biased = node.op_type == "Gemm" and len(node.input) > 2
    product = f"{prefix}_product" if biased else node.output[0]
    nodes += [
        helper.make_node(
            "MatMulInteger",
            [f"{shared}_integers", f"{prefix}_weight", f"{shared}_zero", f"{prefix}_weight_zero"],
            [f"{prefix}_sum"],
        ),
        helper.make_node("Cast", [f"{prefix}_sum"], [f"{prefix}_float"], to=TensorProto.FLOAT),
        helper.make_node("Mul", [f"{prefix}_float", f"{shared}_row_scale"], [f"{prefix}_rows"]),
        helper.make_node("Mul", [f"{prefix}_rows", f"{prefix}_column_scale"], [f"{prefix}_main"]),
        helper.make_node("Mul", [f"{shared}_least", f"{prefix}_column_sum"], [f"{prefix}_shift"]),
        helper.make_node("Add", [f"{prefix}_main", f"{prefix}_shift"], [product]),
    ]
    if biased:
        nodes.append(helper.make_node("Add", [product, node.input[2]], [node.output[0]]))
    return nodes


def _is_embedding(node: onnx.NodeProto, constants: dict[str, onnx.TensorProto]) -> bool:
    if node.op_type != "Gather" or node.input[0] not in constants:
        return False
    table = constants[node.input[0]]
    axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 0)
    return axis == 0 and len(table.dims) == 2 and table.data_type == TensorProto.FLOAT and table.dims[0] >= MIN_EMBEDDING_ROWS


def _gather_int8(
    node: onnx.NodeProto, table: npt.NDArray[np.float32], prefix: str, made: list[onnx.TensorProto]
) -> list[onnx.NodeProto]:
    """Rows of an int8 table (rows, hidden), each times its own scale."""
    scale = np.maximum(np.abs(table).max(axis=1, keepdims=True) / MAX_QUANTIZED, 1e-12).astype(np.float32)  # (rows, 1)
    integers = np.clip(np.round(table / scale), -MAX_QUANTIZED, MAX_QUANTIZED).astype(np.int8)
    made.append(numpy_helper.from_array(integers, f"{prefix}_table"))
    made.append(numpy_helper.from_array(scale, f"{prefix}_scale"))
    return [
        helper.make_node("Gather", [f"{prefix}_table", node.input[1]], [f"{prefix}_integers"], axis=0),
        helper.make_node("Cast", [f"{prefix}_integers"], [f"{prefix}_float"], to=TensorProto.FLOAT),
        helper.make_node("Gather", [f"{prefix}_scale", node.input[1]], [f"{prefix}_row_scale"], axis=0),
        helper.make_node("Mul", [f"{prefix}_float", f"{prefix}_row_scale"], [node.output[0]]),
    ]
