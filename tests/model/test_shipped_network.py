"""A trained network by its name or its file."""

import pytest
import torch

from napari_surfseg.config import Model
from napari_surfseg.errors import CheckpointError
from napari_surfseg.model.network import build_unet
from napari_surfseg.model.open_network import open_network
from napari_surfseg.model.shipped_network import load_shipped


def test_a_name_gives_the_network_with_its_facts(registry):
    registry.add(anisotropy=3, threshold=0.35)
    found = open_network("sheets-tiny")
    assert found.experiment.experiment.name == "sheets-tiny"
    assert (found.threshold, found.anisotropy, found.patch_size) == (0.35, 3, (16, 32, 32))
    assert found.intensity is None
    assert found.build_model()(torch.zeros(1, 1, 16, 32, 32)).shape == (1, 1, 16, 32, 32)
    assert found.summary()["grey_values"] is None


def test_without_a_name_it_is_the_first(registry):
    registry.add("first")
    assert load_shipped().experiment.experiment.name == "first"


def test_anything_else_is_a_checkpoints_file(registry, tmp_path):
    with pytest.raises(CheckpointError, match=r"There is no checkpoint .*best\.pt"):
        open_network(tmp_path / "best.pt")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda weights: weights.popitem(), "its weights lack"),
        (lambda weights: weights.update(stray=torch.ones(2)), "a stray stray"),
        (lambda weights: weights["refine.bias"].fill_(float("nan")), "holds NaN"),
        (lambda weights: weights.update({"refine.bias": torch.ones(3)}), r"has shape \(3,\)"),
    ],
)  # fmt: skip
def test_weights_of_another_network_are_refused(registry, change, said):
    weights = build_unet(Model(preset="tiny")).state_dict()
    change(weights)
    registry.add(weights=weights)
    with pytest.raises(CheckpointError, match=rf"sheets-tiny\.safetensors .*{said}"):
        open_network("sheets-tiny")
