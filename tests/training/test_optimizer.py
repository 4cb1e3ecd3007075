"""The optimizer against torch's own class."""

from __future__ import annotations

import pytest
import torch

from napari_surfseg.training.optimizer import AdamW


def _parameters() -> list[torch.nn.Parameter]:
    generator = torch.Generator().manual_seed(3)
    shapes = [(4, 3), (7,), (2, 2, 2)]
    return [torch.nn.Parameter(torch.randn(shape, generator=generator)) for shape in shapes]


def _set_gradients(parameters: list[torch.nn.Parameter], step: int) -> None:
    generator = torch.Generator().manual_seed(100 + step)
    for index, parameter in enumerate(parameters):
        gradient = torch.randn(parameter.shape, generator=generator)
        # One parameter has no gradient now and then, as a head that is not scored.
        parameter.grad = None if index == 1 and step % 3 == 1 else gradient


def test_takes_the_steps_of_torch() -> None:
    mine, theirs = _parameters(), _parameters()
    ours = AdamW(mine, weight_decay=0.05)
    reference = torch.optim.AdamW(theirs, lr=1.0, weight_decay=0.05)
    for step in range(7):
        rate = 1e-2 / (step + 1)
        _set_gradients(mine, step)
        _set_gradients(theirs, step)
        reference.param_groups[0]["lr"] = rate
        ours.step(rate)
        reference.step()
    for a, b in zip(mine, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-7)


def test_goes_on_from_a_state_as_if_never_stopped() -> None:
    whole, first = _parameters(), _parameters()
    unbroken, begun = AdamW(whole, weight_decay=0.01), AdamW(first, weight_decay=0.01)
    for step in range(3):
        for optimizer, parameters in ((unbroken, whole), (begun, first)):
            _set_gradients(parameters, step)
            optimizer.step(1e-2)
    resumed = AdamW(first, weight_decay=0.01)
    resumed.load_state_dict(begun.state_dict())
    for step in range(3, 6):
        for optimizer, parameters in ((unbroken, whole), (resumed, first)):
            _set_gradients(parameters, step)
            optimizer.step(1e-2)
    assert all(torch.equal(a, b) for a, b in zip(whole, first, strict=True))


def test_refuses_the_state_of_another_network() -> None:
    state = AdamW(_parameters()[:2], weight_decay=0.0).state_dict()
    with pytest.raises(ValueError, match="another network"):
        AdamW(_parameters(), weight_decay=0.0).load_state_dict(state)


def test_forgets_gradients() -> None:
    parameters = _parameters()
    _set_gradients(parameters, 0)
    AdamW(parameters, weight_decay=0.0).forget_gradients()
    assert all(parameter.grad is None for parameter in parameters)
