"""Many tensors that change together, interrupted at any place."""

import pytest
import torch

from napari_surfseg.training import whole_change
from napari_surfseg.training.average import WeightAverage
from napari_surfseg.training.optimizer import AdamW
from napari_surfseg.training.whole_change import WholeChange


def build_tensors():
    generator = torch.Generator().manual_seed(1)
    some = [torch.rand(shape, generator=generator) for shape in ((4, 3), (7,), (2, 2, 2, 3, 3))]
    some[2] = some[2].to(memory_format=torch.channels_last_3d)
    return [*some, torch.tensor(3.0)]


@pytest.mark.parametrize("numbers", [1, 20, 10**6])
@pytest.mark.parametrize("failing", [0, 1, 2, 3])
def test_what_is_interrupted_goes_on_where_it_was(monkeypatch, numbers, failing):
    monkeypatch.setattr(whole_change, "GROUP_NUMBERS", numbers)
    tensors, wanted = build_tensors(), [tensor * 2 + 1 for tensor in build_tensors()]
    change = WholeChange([[tensor] for tensor in tensors])
    fails = [True]

    def double(begin, end):
        for index in range(begin, end):
            tensors[index].mul_(2)
            if index == failing and fails:
                fails.pop()
                raise MemoryError
            tensors[index].add_(1)

    with pytest.raises(MemoryError):
        change.apply(double)
    assert torch.equal(tensors[failing], build_tensors()[failing])
    change.apply(double)
    assert all(torch.equal(a, b) for a, b in zip(tensors, wanted, strict=True))
    change.apply(double)  # and the next time all of them again
    assert all(torch.equal(a, 2 * b + 1) for a, b in zip(tensors, wanted, strict=True))


def test_nothing_is_to_be_changed_where_there_is_nothing():
    WholeChange([]).apply(lambda begin, end: pytest.fail("called"))


def test_after_another_state_was_loaded_it_begins_at_the_beginning(monkeypatch):
    monkeypatch.setattr(whole_change, "GROUP_NUMBERS", 1)
    tensors, seen = build_tensors(), []
    change = WholeChange([[tensor] for tensor in tensors])

    def note(begin, end):
        seen.append(begin)
        if len(seen) == 2:
            raise MemoryError

    with pytest.raises(MemoryError):
        change.apply(note)
    change.forget()
    change.apply(note)
    assert seen == [0, 1, 0, 1, 2, 3]


@pytest.mark.parametrize("failing", range(3))
def test_the_optimizer_and_the_average_are_whole_after_an_interruption(monkeypatch, failing):
    monkeypatch.setattr(whole_change, "GROUP_NUMBERS", 1)
    adamw = "napari_surfseg.training.optimizer.adamw"
    real, calls = __import__("torch.optim.adamw", fromlist=["adamw"]).adamw, []

    def build():
        torch.manual_seed(2)
        network = torch.nn.Sequential(
            torch.nn.Conv3d(1, 2, 3), torch.nn.Conv3d(2, 1, 1, bias=False)
        )
        optimizer = AdamW(network.parameters(), weight_decay=0.1)
        for parameter in network.parameters():
            parameter.grad = torch.rand_like(parameter)
        return network, optimizer, WeightAverage(network, 0.5)

    plain, interrupted = build(), build()
    for network, optimizer, average in (plain, plain):
        optimizer.step(0.1)
        average.update(network)

    def failing_once(parameters, *args, **kwargs):
        real(parameters, *args, **kwargs)
        calls.append(1)
        if len(calls) == failing + 1:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    network, optimizer, average = interrupted
    for _ in range(2):
        calls.clear()
        with monkeypatch.context() as patch:
            patch.setattr(adamw, failing_once)
            with pytest.raises(RuntimeError):
                optimizer.step(0.1)
            optimizer.step(0.1)
        average.update(network)
    states = [
        [*each[0].state_dict().values(), *each[2].network.state_dict().values(), *each[1]._means]
        for each in (plain, interrupted)
    ]
    assert all(torch.equal(a, b) for a, b in zip(*states, strict=True))
