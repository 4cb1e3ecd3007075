import pytest
import torch
from torch import nn

from napari_surfseg.training.average import WeightAverage


def test_it_follows_the_network_smoothly_and_never_learns_itself():
    network = nn.Linear(2, 1)
    average = WeightAverage(network, decay=0.5)
    start = average.network.weight.clone()
    with torch.no_grad():
        network.weight += 1.0
    average.update(network)  # young averages forget quickly: 1 - 1/10 is the share of the new
    torch.testing.assert_close(average.network.weight, start + 0.9)
    average.update(network)
    assert average.num_updates == 2
    assert (average.network.weight - start).max().item() == pytest.approx(1.0, abs=0.02)
    assert not any(parameter.requires_grad for parameter in average.network.parameters())
    assert not average.network.training


def test_tables_of_whole_numbers_are_left_alone() -> None:
    network = nn.Linear(2, 2)
    network.register_buffer("table", torch.arange(3))
    average = WeightAverage(network, 0.5)
    average.update(network)
    assert torch.equal(average.network.table, torch.arange(3))
