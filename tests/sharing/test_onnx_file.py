"""ONNX and TorchScript, each run with its own runtime."""

import io
import json

import numpy as np
import pytest
import torch

from napari_surfseg.sharing.export import export_network
from napari_surfseg.sharing.traced_network import PlainNetwork, run_onnx, trace_torchscript

#: Sizes that differ from the one that was traced, in whole multiples of what the network takes.
SIZES = [(1, 4, 2, 3), (1, 2, 2, 2), (3, 2, 2, 5), (1, 3, 7, 2)]


@pytest.fixture
def network(tiny_checkpoint):
    return PlainNetwork.of(tiny_checkpoint)


def draw(network, size):
    batch, *counts = size
    edges = network.choose_edges(counts)
    return np.random.default_rng(3).normal(size=(batch, 1, *edges)).astype(np.float32)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize("size", SIZES)
def test_torchscript_takes_any_size(network, size):
    traced = trace_torchscript(network)
    if traced is None:
        pytest.skip("this torch writes no TorchScript")
    values = draw(network, size)
    with torch.inference_mode():
        found = torch.jit.load(io.BytesIO(traced))(torch.from_numpy(values)).numpy()
    assert np.abs(found - network.compute(values)).max() < 1e-3


@pytest.mark.slow
def test_onnx_runtime_gives_the_same_at_any_size(tmp_path, checkpoint_path, network):
    onnx = pytest.importorskip("onnx", reason="pip install napari-surfseg[share]")
    pytest.importorskip("onnxscript", reason="pip install napari-surfseg[share]")
    pytest.importorskip("onnxruntime", reason="pip install napari-surfseg[share]")
    path = export_network(checkpoint_path, tmp_path / "walls.onnx")
    for size in SIZES:
        values = draw(network, size)
        assert np.abs(run_onnx(path, values) - network.compute(values)).max() < 1e-3
    model = onnx.load(str(path))
    texts = {item.key: item.value for item in model.metadata_props}
    assert texts["licence"] == "CC-BY-4.0"
    assert json.loads(texts["napari_surfseg"])["intensity"]["mean"] == 0.4
    assert sorted(item.name for item in tmp_path.iterdir()) == [
        "best.json", "best.pt", "walls.onnx",
    ]  # fmt: skip
