"""Questions between the layers of a network: they change nothing of what it computes."""

import copy

import pytest
import torch

from napari_surfseg.cancelling import listening
from napari_surfseg.config import Model
from napari_surfseg.errors import CancelledError
from napari_surfseg.model.network import build_unet
from napari_surfseg.model.stop_checks import check_between_layers


@pytest.fixture
def networks():
    torch.manual_seed(0)
    plain = build_unet(Model(preset="tiny", base_channels=4, multipliers=[1, 2]))
    return plain, check_between_layers(copy.deepcopy(plain))


def test_values_and_gradients_stay_bit_for_bit(networks):
    image = torch.randn(1, 1, 8, 16, 16)
    found = []
    with listening(lambda: False):
        for network in networks:
            heads = network(image)
            sum(head.square().mean() for head in heads).backward()
            found.append([*heads, *(weight.grad for weight in network.parameters())])
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


@pytest.mark.parametrize("is_trained", [True, False])
def test_a_pass_ends_in_its_middle(networks, is_trained):
    asked = []

    def is_stopped():
        asked.append(1)
        return len(asked) == 5

    network = networks[1].train(is_trained)
    with (
        listening(is_stopped),
        torch.set_grad_enabled(is_trained),
        pytest.raises(CancelledError),
    ):
        network(torch.zeros(1, 1, 8, 16, 16))
    assert len(asked) == 5


def test_a_backward_pass_ends_in_its_middle(networks):
    total = sum(head.sum() for head in networks[1](torch.zeros(1, 1, 8, 16, 16)))
    asked = []

    def is_stopped():
        asked.append(1)
        return len(asked) == 5

    with listening(is_stopped), pytest.raises(CancelledError):
        total.backward()
    assert len(asked) == 5


def test_where_nobody_listens_nothing_ends(networks):
    sum(head.sum() for head in networks[1](torch.zeros(1, 1, 8, 16, 16))).backward()
