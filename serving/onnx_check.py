"""What a network's file may say, read before ONNX Runtime opens it: plain operators, weights beside it and nowhere else.

The SHA-256 in the manifest shows that a folder is what was written; it does not show that its writer meant well. ONNX files can
name other files for their weights (`../../etc/...`), and an operator that loads a compiled context from a path.

Only the few fields that matter are described here, by their numbers in onnx.proto, so that serving does not need the onnx package.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data.errors import ModelFolderError

DOMAINS = frozenset({"", "ai.onnx", "com.microsoft"})
"""Of operators that ONNX Runtime itself brings. Others need a library of somebody's."""
REFUSED_OPERATORS = frozenset({"EPContext"})
"""Loads a compiled network from a path of its own."""
_FIELDS: dict[str, tuple[tuple[str, int, str, bool], ...]] = {
    # message: (field, number, type, repeated)
    "Entry": (("key", 1, "string", False), ("value", 2, "string", False)),
    "Tensor": (("external_data", 13, "Entry", True),),
    "SparseTensor": (("values", 1, "Tensor", False), ("indices", 2, "Tensor", False)),
    "Attribute": (
        ("t", 5, "Tensor", False), ("g", 6, "Graph", False), ("tensors", 10, "Tensor", True), ("graphs", 11, "Graph", True),
        ("sparse_tensor", 22, "SparseTensor", False), ("sparse_tensors", 23, "SparseTensor", True),
    ),
    "Node": (("op_type", 4, "string", False), ("attribute", 5, "Attribute", True), ("domain", 7, "string", False)),
    "Graph": (("node", 1, "Node", True), ("initializer", 5, "Tensor", True), ("sparse_initializer", 15, "SparseTensor", True)),
    "Function": (("node", 7, "Node", True),),
    "Model": (("graph", 7, "Graph", False), ("functions", 25, "Function", True)),
}  # fmt: skip


def check_network(file: Path, data_name: str) -> None:
    """ModelFolderError if the network names another file than `data_name` beside it, or an operator that is not plain."""
    from google.protobuf.message import DecodeError

    try:
        model = _model_class()()
        model.ParseFromString(file.read_bytes())
    except DecodeError as error:
        raise ModelFolderError(f"{file} is not an ONNX file. Copy the folder again, or train anew.") from error
    for node in _nodes(model):
        if node.domain not in DOMAINS or node.op_type in REFUSED_OPERATORS:
            name = f"{node.domain or 'ai.onnx'}.{node.op_type}"
            raise ModelFolderError(f"{file} uses the operator {name!r}, which could run code of others. Do not use this folder.")
    for tensor in _tensors(model):
        for entry in tensor.external_data:
            if entry.key == "location" and entry.value != data_name:
                raise ModelFolderError(
                    f"{file} keeps weights in {entry.value!r}; only {data_name} beside it is opened. Do not use this folder."
                )


def _model_class() -> Any:
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="feedback/onnx_subset.proto", package="feedback.onnx", syntax="proto2")
    for name, known in _FIELDS.items():
        message = file.message_type.add(name=name)
        for field, number, kind, repeated in known:
            added = message.field.add(name=field, number=number)
            added.label = kinds.LABEL_REPEATED if repeated else kinds.LABEL_OPTIONAL
            if kind == "string":
                added.type = kinds.TYPE_STRING
            else:
                added.type, added.type_name = kinds.TYPE_MESSAGE, f".feedback.onnx.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("feedback.onnx.Model"))


def _graphs(graph: Any) -> Iterator[Any]:
    """A graph and those inside its nodes (branches of If, bodies of Loop)."""
    yield graph
    yield from _inner(graph.node)


def _inner(nodes: Any) -> Iterator[Any]:
    for node in nodes:
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                if inner.ByteSize():
                    yield from _graphs(inner)


def _nodes(model: Any) -> Iterator[Any]:
    for graph in _graphs(model.graph):
        yield from graph.node
    for function in model.functions:
        yield from function.node
        for graph in _inner(function.node):
            yield from graph.node


def _tensors(model: Any) -> Iterator[Any]:
    graphs = [*_graphs(model.graph)]
    for function in model.functions:
        graphs += _inner(function.node)
    for graph in graphs:
        yield from graph.initializer
        for sparse in graph.sparse_initializer:
            yield from (sparse.values, sparse.indices)
    for node in _nodes(model):
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)
            for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                yield from (sparse.values, sparse.indices)
