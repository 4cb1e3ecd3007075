"""A loss of which other processes have a part of the batch is that of the whole batch."""

import threading

import pytest
import torch

from napari_surfseg.losses.combined import (
    FUNCTIONS,
    LossSettings,
    LossTargets,
    compute_combined_loss,
    compute_loss_targets,
)
from napari_surfseg.losses.whole_batch import MOST_SUMS, batch_divided


@pytest.fixture(scope="module")
def batch():
    """Logits and labels of four patches; the first is all annotated, the last has no surface."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.zeros(4, 1, 12, 12, 12, dtype=torch.uint8)
    labels[:3, :, 4:6] = 1
    labels[1:, :, :, :2] = 2
    logits = torch.randn(labels.shape, generator=generator) + (labels == 1)
    return logits, labels


def compute(logits, labels, term):
    logits = logits.clone().requires_grad_()
    targets = compute_loss_targets(labels, LossSettings(euler_window=6))
    result = compute_combined_loss([logits], targets, {term: 1.0})
    result.total.backward()
    return result.total.item(), logits.grad


@pytest.mark.parametrize("term", FUNCTIONS)
def test_parts_have_the_loss_and_the_gradients_of_the_whole(batch, term, monkeypatch):
    # Threads stand in for processes; of two that make a cached property, Python 3.11 lets one wait.
    euler = LossTargets.euler.func
    monkeypatch.setattr(LossTargets, "euler", property(euler))
    logits, labels = batch
    expected, gradient = compute(logits, labels, term)
    meeting, given, found = threading.Barrier(2, timeout=20), {}, {}

    def add(values):
        assert len(values) <= MOST_SUMS
        given[threading.current_thread().name] = values
        meeting.wait()
        total = sum(given.values())
        meeting.wait()
        return total

    def compute_part(name, part):
        found[name] = compute(logits[part], labels[part], term)

    parts = {"first": slice(0, 1), "second": slice(1, 4)}  # of different sizes
    with batch_divided(add):
        threads = [
            threading.Thread(target=compute_part, args=(name, part), name=name)
            for name, part in parts.items()
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for name, part in parts.items():
        assert found[name][0] == pytest.approx(expected, rel=1e-5)
        torch.testing.assert_close(found[name][1], gradient[part], rtol=1e-4, atol=1e-8)
