"""Training on the export's integer grid."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from tiny_base import make_tiny_base
from torch import nn

from data.taxonomy import Taxonomy
from training.export import export_onnx
from training.model import Network, load_base
from training.quantization import Rounding


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    path = make_tiny_base(tmp_path_factory.mktemp("base") / "bert", texts=["a message", "一条消息", "یک پیام"])
    torch.manual_seed(3)
    return Network(load_base(str(path)).encoder, Taxonomy.read(), dropout=0.0).eval()


def logits(network):
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(3, network.encoder.config.vocab_size, (64, 12), generator=generator)
    return ids, network(ids, torch.ones_like(ids))


def graph_logits(folder, ids):
    import onnxruntime

    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
    return session.run(None, {"input_ids": ids.numpy(), "attention_mask": np.ones(ids.shape, np.int64)})[0]


def test_weights_stay_on_the_grid_that_the_export_uses_and_hooks_and_parametrisations_are_gone(network, tmp_path):
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    rounding = Rounding(network)
    assert set(network.state_dict()) != set(before)
    rounding.end()
    assert set(network.state_dict()) == set(before)
    linears = [module for module in network.modules() if isinstance(module, nn.Linear)]
    assert len(linears) == 13
    for module in linears:
        steps = module.weight / (module.weight.abs().amax(1, keepdim=True) / 127)
        assert (steps - steps.round()).abs().max() < 1e-3
        assert not module._forward_pre_hooks
    export_onnx(network, tmp_path, "int8")
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load(str(tmp_path / "model.onnx")).graph.initializer}
    scales = {name: values for name, values in stored.items() if name.endswith("_column_scale")}
    restored = [stored[name.replace("_column_scale", "_weight")] * scale for name, scale in scales.items()]
    for module in linears:
        matrix = module.weight.detach().numpy().T
        assert any(values.shape == matrix.shape and np.allclose(values, matrix, atol=1e-6) for values in restored)


def test_rounding_computes_what_the_exported_graph_computes(network, tmp_path):
    ids, plain = logits(network)
    rounding = Rounding(network)
    with torch.inference_mode():
        _, rounded = logits(network)
    rounding.end()
    export_onnx(network, tmp_path, "int8")
    exported = graph_logits(tmp_path, ids)
    apart = np.abs(exported - rounded.numpy()).mean()
    assert apart < 0.2 * np.abs(exported - plain.detach().numpy()).mean()


def test_gradients_pass_through_the_rounding(network):
    rounding = Rounding(network)
    _, answers = logits(network)
    torch.autograd.backward(answers.square().sum())
    for module in network.modules():
        if isinstance(module, nn.Linear):
            assert module.parametrizations.weight.original.grad.abs().sum() > 0
    network.zero_grad()
    rounding.end()


def test_switched_off_nothing_is_rounded_and_the_parameters_stay_the_same_objects(network):
    _, before = logits(network)
    weight = network.head.weight
    rounding = Rounding(network, on=False)
    assert network.head.parametrizations.weight.original is weight
    _, after = logits(network)
    assert torch.equal(before, after)
    rounding.switch.on = True
    assert not torch.equal(before, logits(network)[1])
    rounding.end()


def test_the_weights_can_be_left_as_they_are(network):
    weight = network.head.weight.detach().clone()
    Rounding(network).end(on_grid=False)
    assert torch.equal(network.head.weight, weight)
