import dataclasses
import sys
import types

import pytest
import torch

from napari_surfseg.config import MONAI_NETWORKS, Model
from napari_surfseg.model.network import build_unet
from napari_surfseg.model.networks import build_network as build_any
from napari_surfseg.sharing.plain_network import build_network
from napari_surfseg.sharing.plain_source import write_network_source, write_plain_source

#: With coarser outputs, with strides, and with a fixed size; the others are as slow again.
QUICK = ("SegResNetDS", "DynUNet", "UNETR")


@pytest.fixture
def run_alone(monkeypatch):
    """Run a source where this package cannot be imported."""

    def run(source):
        for name in [name for name in sys.modules if name.startswith("napari_surfseg")]:
            monkeypatch.setitem(sys.modules, name, None)
        module = types.ModuleType("alone")
        monkeypatch.setitem(sys.modules, "alone", module)
        exec(source, module.__dict__)
        return module

    return run


@pytest.mark.parametrize("preset", ["tiny", "small", "base", "exp001"])
def test_every_network_is_built_and_computes_the_same_alone(run_alone, preset):
    network = build_unet(Model(preset=preset, base_channels=8), device="cpu").eval()
    source = write_plain_source("A network.", build_network)
    numbers = dataclasses.asdict(network.architecture)
    alone = run_alone(source).build_network(**{**numbers, "channels": list(numbers["channels"])})
    alone.load_state_dict(network.state_dict())
    image = torch.randn(1, 1, *[2 * network.architecture.divisor] * 3)
    with torch.inference_mode():
        assert torch.allclose(alone.eval()(image), network(image), atol=1e-3)


@pytest.mark.parametrize(
    "name",
    [
        name if name in QUICK else pytest.param(name, marks=pytest.mark.slow)
        for name in MONAI_NETWORKS
    ],
)
def test_every_network_of_monai_is_built_alone(run_alone, tiny_monai, name):
    model = Model(preset="monai", network=name, arguments=tiny_monai[name])
    network = build_any(model, (32, 32, 64)).eval()
    source = write_network_source(network)
    alone = run_alone(source).build_network(**dataclasses.asdict(network.architecture))
    alone.load_state_dict(network.state_dict())
    image = torch.randn(1, 1, 32, 32, 64)
    with torch.inference_mode():
        assert torch.allclose(alone.eval()(image), network(image), atol=1e-3)


def test_a_source_names_neither_this_package_nor_what_it_lacks(tmp_path):
    source = write_plain_source("A network.", build_network)
    assert "import napari_surfseg" not in source
    assert "from napari_surfseg" not in source
    assert source.startswith('"""A network.')
    compile(source, "network.py", "exec")


def test_a_function_that_imports_of_us_by_itself_is_refused():
    with pytest.raises(ValueError, match="imported within a function"):
        write_plain_source("No.", write_with_import)


def write_with_import():
    from napari_surfseg.geometry import to_index

    return to_index((1, 2, 3))
