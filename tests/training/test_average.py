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


def test_statistics_of_batches_are_averaged_and_what_counts_or_points_is_copied():
    network = nn.Sequential(nn.Conv3d(1, 2, 1), nn.BatchNorm3d(2), nn.InstanceNorm3d(2))
    network.register_buffer("index", torch.zeros(3, dtype=torch.int64))
    average = WeightAverage(network, decay=0.5)
    network(torch.full((1, 1, 2, 2, 2), 8.0))
    network.index += 5
    average.update(network)
    followed = dict(average.network.named_buffers())
    for name, tensor in network.named_buffers():
        if tensor.is_floating_point():
            started = torch.zeros_like(tensor) if "mean" in name else torch.ones_like(tensor)
            torch.testing.assert_close(followed[name], started + 0.9 * (tensor - started))
        else:
            assert torch.equal(followed[name], tensor)
    assert int(followed["1.num_batches_tracked"]) == 1
    average.network(torch.zeros(1, 1, 2, 2, 2))
