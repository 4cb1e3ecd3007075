"""Two processes learn what one does, and end together."""

import os
import socket
import subprocess
import sys

import numpy as np
import pytest
import torch
import zarr

from napari_surfseg import events
from napari_surfseg.config_files import apply_overrides, dump_experiment
from napari_surfseg.data.strokes.stroke_files import write_strokes
from napari_surfseg.errors import ConfigError, TrainingError
from napari_surfseg.model.checkpoint import load_checkpoint
from napari_surfseg.training import rank_processes
from napari_surfseg.training.ranks import RankLostError

pytestmark = pytest.mark.usefixtures("every_step_is_reported")

FOLLOWER = ("-m", "napari_surfseg.training.follower")
#: Follows as usual, but for what is done at the call of this number of the loss.
DISTURBED = """
import os, sys
from napari_surfseg.training import follower, gradients
compute, calls = gradients.GradientComputer.compute, []
def disturbed(self, *args):
    calls.append(1)
    if len(calls) == 3:
        {action}
    return compute(self, *args)
gradients.GradientComputer.compute = disturbed
sys.exit(follower.follow())
"""
REFUSING = """
import sys
from napari_surfseg.errors import DataError
from napari_surfseg.training import follower, part
def refuse(*_):
    raise DataError("There is no image.npy here.")
part.open_same_data = refuse
sys.exit(follower.follow())
"""


def find_port():
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return free.getsockname()[1]


def disturbed(action):
    return "-c", DISTURBED.format(action=action)


@pytest.fixture
def as_first_of_two(monkeypatch):
    """Make this process the first of two, and start the other."""
    started = []

    def start(command=FOLLOWER):
        common = {"WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": str(find_port())}
        environment = {**os.environ, **common, "RANK": "1", "LOCAL_RANK": "1"}
        started.append(subprocess.Popen([sys.executable, *command], env=environment))
        for name, value in {**common, "RANK": "0", "LOCAL_RANK": "0"}.items():
            monkeypatch.setenv(name, value)
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def tiny(experiment):
    """An experiment of four quick steps, two patches a batch."""
    return apply_overrides(
        experiment,
        ["data.patch_size=[16,16,16]", "training.train_batch_size=2", "training.max_epochs=1"],
    )


def weights_of(run):
    return run.parts.learner.network.state_dict()


def values_of(run):
    steps = run.of(events.StepFinished)
    return np.concatenate(
        [[step.total, step.head_total, step.gradient_norm, *step.losses.values()] for step in steps]
    )


def assert_same(run, other):
    np.testing.assert_allclose(values_of(run), values_of(other), rtol=1e-5)
    for name, tensor in weights_of(other).items():
        torch.testing.assert_close(weights_of(run)[name], tensor, rtol=1e-5, atol=1e-6)


def last_step(run):
    return load_checkpoint(run.folder / "checkpoints" / "last.pt").step


def test_two_processes_learn_what_one_does(
    tmp_path, training_run, tiny, as_first_of_two, monkeypatch
):
    """All terms, coarse heads, warping, places without labels, two batches a step; and half of it.

    The other half of the run is one process again, as where another machine resumes it.
    """
    experiment = apply_overrides(
        tiny,
        [
            "loss.skeleton_recall=0.2",
            "model.deep_supervision=true",
            "training.train_batch_size=4",
            "training.accumulate=2",
            "training.train_iterations_per_epoch=3",
            "loss.interval=2",
            "data.augmentation.affine=0.7",
            "data.augmentation.elastic=0.5",
        ],
    )
    share = [events.SetTraining(foreground_share=0.2)]
    alone = training_run(tmp_path / "alone", experiment, {1: share}).run()
    other = as_first_of_two()
    commands = {1: share, 2: [events.Stop()]}
    together = training_run(tmp_path / "together", experiment, commands).run()
    assert other.wait(20) == 0
    monkeypatch.delenv("RANK")
    resumed = training_run(tmp_path / "together", experiment, resume=True).run()
    resumed.events = together.events + resumed.events
    assert_same(resumed, alone)


@pytest.mark.slow
def test_a_process_that_is_killed_ends_all_with_a_sentence(
    tmp_path, training_run, tiny, as_first_of_two
):
    as_first_of_two(disturbed("os.kill(os.getpid(), 9)"))
    run = training_run(tmp_path / "run", tiny)
    with pytest.raises(RankLostError, match=r"Rank 1 \(process \d+ on .*\) ended.*last\.pt"):
        run.run()
    assert run.trainer.state.step == last_step(run) == 2


@pytest.mark.slow
def test_memory_that_runs_out_in_one_process_lets_all_take_less(
    tmp_path, training_run, tiny, as_first_of_two
):
    experiment = apply_overrides(tiny, ["training.train_batch_size=4"])
    other = as_first_of_two(disturbed("raise MemoryError"))
    run = training_run(tmp_path / "run", experiment).run()
    assert other.wait(20) == 0
    said = [event.message for event in run.of(events.MemoryExceeded)]
    assert len(said) == 1, said
    assert "the step is repeated" in said[0]
    assert run.trainer.state.step == 4


@pytest.mark.slow
def test_what_fails_in_one_process_is_said_by_the_first(
    tmp_path, training_run, tiny, as_first_of_two
):
    other = as_first_of_two(disturbed("raise ValueError('a broken chunk')"))
    run = training_run(tmp_path / "run", tiny)
    with pytest.raises(TrainingError, match=r"Rank 1 failed: ValueError: a broken chunk"):
        run.run()
    assert other.wait(20) == 0
    assert run.trainer.state.step == last_step(run) == 2


@pytest.mark.slow
def test_a_stop_in_the_middle_of_a_step_drops_it_everywhere(
    tmp_path, training_run, tiny, as_first_of_two, monkeypatch
):
    from napari_surfseg.training import gradients

    other = as_first_of_two()
    run = training_run(tmp_path / "run", tiny)
    compute = gradients.compute_loss_targets

    def stop(*args, **kwargs):
        if run.trainer.state.step == 2:
            run.commands[2] = [events.Stop()]
        return compute(*args, **kwargs)

    monkeypatch.setattr(gradients, "compute_loss_targets", stop)
    monkeypatch.setattr("napari_surfseg.training.stop_listener.LISTEN_SECONDS", 0)
    run.run()
    assert other.wait(20) == 0
    assert isinstance(run.events[-1], events.RunStopped)
    assert run.trainer.state.step == last_step(run) == 2


@pytest.mark.slow
def test_a_run_starts_its_own_processes(tmp_path, training_run, tiny, monkeypatch):
    alone = training_run(tmp_path / "alone", tiny).run()
    monkeypatch.setattr(rank_processes, "choose_num_processes", lambda *_: 2)
    together = training_run(tmp_path / "together", tiny).run()
    assert_same(together, alone)


@pytest.mark.slow
def test_strokes_are_learned_by_all_at_the_same_step(tmp_path, training_run, tiny, as_first_of_two):
    """They are written by one while no other reads, and where labels are strokes, filled in."""
    image, labels = np.load(tmp_path / "image.npy"), np.load(tmp_path / "labels.npy")
    painted = np.ones((4, 32, 20), np.uint8)

    def train(name):
        folder = tmp_path / name / "inputs"
        for stem, values in (("image_0", image), ("labels_0", labels)):
            store = zarr.open_group(str(folder / f"{stem}.zarr"), mode="w", zarr_format=2)
            store.create_array("0", shape=values.shape, chunks=(32, 32, 32), dtype="uint8")[:] = (
                values
            )
        write_strokes(folder / "strokes" / "a.npz", [((24, 0, 10), painted)])
        command = events.UpdateLabels(
            labels=str(folder / "labels_0.zarr"), strokes=str(folder / "strokes" / "a.npz")
        )
        pair = f"{{image: {folder}/image_0.zarr, labels: {folder}/labels_0.zarr}}"
        experiment = apply_overrides(tiny, [f"data.train=[{pair}]", "data.pseudo_labels=true"])
        run = training_run(tmp_path / name, experiment, {2: [command]}).run()
        assert run.of(events.LabelsUpdated), run.events
        return run

    alone = train("alone")
    other = as_first_of_two()
    together = train("together")
    assert other.wait(20) == 0
    assert_same(together, alone)


@pytest.mark.slow
def test_volumes_that_another_process_cannot_open_are_named(
    tmp_path, training_run, tiny, as_first_of_two
):
    other = as_first_of_two(("-c", REFUSING))
    run = training_run(tmp_path / "run", tiny)
    with pytest.raises(TrainingError, match=r"Rank 1 cannot take part.*no image\.npy here\.$"):
        run.run()
    assert other.wait(20) == 0


@pytest.mark.slow
def test_torchrun_starts_a_run_as_it_is_started_alone(tmp_path, tiny):
    """One run folder, one end, and no word from the processes that follow."""
    config, folder = tmp_path / "config.yaml", tmp_path / "run"
    config.write_text(dump_experiment(tiny), encoding="utf-8")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    train = ["-m", "napari_surfseg", "train", str(config), "--run-dir", str(folder)]
    done = subprocess.run(
        [*torchrun, *train, "--device", "cpu"], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    happened = events.read_events(folder / "events.jsonl")
    (started,) = (event for event in happened if isinstance(event, events.RunStarted))
    assert started.device == "cpu, the first of 2 processes"
    assert isinstance(happened[-1], events.RunCompleted)
    assert "Traceback" not in done.stderr


def test_a_batch_that_cannot_be_shared_is_refused(tmp_path, training_run, tiny, monkeypatch):
    monkeypatch.setattr(rank_processes, "choose_num_processes", lambda *_: 3)
    with pytest.raises(ConfigError, match=r"train_batch_size is 2, but 3 processes"):
        training_run(tmp_path / "run", tiny)
