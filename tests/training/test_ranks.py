"""Two processes learn what one does, and end together."""

import os
import socket
import subprocess
import sys

import numpy as np
import pytest
import torch

from napari_surfseg import events
from napari_surfseg.config_files import apply_overrides

SIX_TERMS = ["loss.skeleton_recall=0.2", "model.deep_supervision=true", "training.max_epochs=1"]


def find_port():
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return free.getsockname()[1]


@pytest.fixture
def as_first_of(monkeypatch):
    """Make this process the first of some, and start the others."""
    started = []

    def start(count, command=("-m", "napari_surfseg.training.follower")):
        common = {"WORLD_SIZE": str(count), "MASTER_ADDR": "localhost"}
        common["MASTER_PORT"] = str(find_port())
        for rank in range(1, count):
            environment = {**os.environ, **common, "RANK": str(rank), "LOCAL_RANK": str(rank)}
            started.append(subprocess.Popen([sys.executable, *command], env=environment))
        for name, value in {**common, "RANK": "0", "LOCAL_RANK": "0"}.items():
            monkeypatch.setenv(name, value)
        return started

    yield start
    for process in started:
        process.kill()
        process.wait()


def weights_of(run):
    return run.parts.learner.network.state_dict()


def values_of(run):
    steps = run.of(events.StepFinished)
    return np.concatenate(
        [[step.total, step.head_total, step.gradient_norm, *step.losses.values()] for step in steps]
    )


@pytest.mark.usefixtures("every_step_is_reported")
def test_two_processes_learn_what_one_does(tmp_path, training_run, experiment, as_first_of):
    """All terms, coarse heads, warping, unannotated voxels in some patches, two batches a step."""
    experiment = apply_overrides(
        experiment,
        [
            *SIX_TERMS,
            "data.patch_size=[16,16,16]",
            "training.train_batch_size=4",
            "training.accumulate=2",
            "loss.interval=2",
            "data.augmentation.affine=0.7",
            "data.augmentation.elastic=0.5",
        ],
    )
    alone = training_run(tmp_path / "alone", experiment).run()
    (other,) = as_first_of(2)
    together = training_run(tmp_path / "together", experiment).run()
    assert other.wait(20) == 0
    np.testing.assert_allclose(values_of(together), values_of(alone), rtol=1e-5)
    for name, tensor in weights_of(alone).items():
        torch.testing.assert_close(weights_of(together)[name], tensor, rtol=1e-5, atol=1e-6)
