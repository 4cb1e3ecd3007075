"""Trainings killed with -9 at any moment: each goes on as if nothing had happened.

Each has come to its end once and is made longer then; half of its kills come after that.
"""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from napari_surfseg import events
from napari_surfseg.config import Experiment
from napari_surfseg.config_files import apply_overrides

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


@needs_fork
@pytest.mark.slow
def test_a_run_killed_at_any_step_repeats_the_unbroken_one(tmp_path):
    kill_trainings(tmp_path, seed=1, kills=3)


@needs_fork
@pytest.mark.slow
def test_a_hundred_kills_change_no_loss_and_leave_no_unreadable_file(tmp_path):
    kill_trainings(tmp_path, seed=2, kills=100)


@needs_fork
def test_a_run_killed_after_it_was_made_longer_repeats_the_unbroken_one(tmp_path):
    kill_trainings(tmp_path, seed=3, kills=2, once_longer=True)


def kill_trainings(folder, *, seed, kills, once_longer=False):
    """Run this module: a process that has trained nothing yet may be forked."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, __file__, *map(str, (folder, seed, kills, int(once_longer)))]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert f"{kills} kills" in done.stdout
    if once_longer:
        assert f", {kills} of them" in done.stdout


#: The bound that a run begins with, and the one that it is made longer to.
EPOCHS = (3, 5)


def build_experiments(folder):
    """Return what a run is started with, and what it is made longer by."""
    rng = np.random.default_rng(0)
    labels = np.zeros((32, 32, 96), np.uint8)
    labels[14:16] = 1
    labels[:, :4] = 2
    image = np.where(labels == 1, 140, 90) + rng.normal(0, 12, labels.shape)
    np.save(folder / "image.npy", image.clip(0, 255).astype(np.uint8))
    np.save(folder / "labels.npy", labels)
    experiment = apply_overrides(
        Experiment(),
        [
            f"data.train=[{{image: {folder}/image.npy, labels: {folder}/labels.npy}}]",
            "data.patch_size=[16,16,16]",
            "data.validation.fraction=0.3",
            "model={preset: tiny, base_channels: 4, multipliers: [1, 2], dropout: 0.1}",
            "training.train_iterations_per_epoch=10",
            "training.accumulate=2",
            "training.workers=1",
            "training.validation_share=1",
            "training.tuning_share=0",
            "training.save_minutes=0.001",
            "preview.seconds=0.01",
            "preview.size=[16,16,16]",
        ],
    )
    return [apply_overrides(experiment, [f"training.max_epochs={epochs}"]) for epochs in EPOCHS]


def train(folder, experiment):
    """Train to the end and note every loss; resumed, if something was saved."""
    import torch

    from napari_surfseg.training import reporting
    from napari_surfseg.training.trainer import Trainer

    torch.set_num_threads(1)
    reporting.REPORT_SECONDS = 0
    places = {name: folder / name for name in ("checkpoints", "previews", "samples")}
    with (folder / "notes.txt").open("a", encoding="utf-8") as notes:

        def note(event):
            if isinstance(event, events.StepFinished):
                values = event.losses, event.total, event.gradient_norm, event.learning_rate
                print("step", event.step, values, file=notes, flush=True)
            elif isinstance(event, events.EpochFinished):
                patches = {**event.patches, "wait_seconds": 0}
                print("epoch", event.epoch, event.losses, patches, file=notes, flush=True)
            elif isinstance(event, events.RunCompleted):
                print("end", event.step, event.epoch, file=notes, flush=True)

        resume = (folder / "checkpoints" / "last.pt").exists()
        arguments = {"emit": note, "poll_commands": list, "device": "cpu", "resume": resume}
        Trainer(experiment, **arguments, **places).run()


def fork_training(folder, experiment):
    folder.mkdir(exist_ok=True)
    child = os.fork()
    if child:
        return child
    try:
        train(folder, experiment)
        os._exit(0)
    except BaseException:  # noqa: BLE001 - a fork must not go on as its parent
        import traceback

        traceback.print_exc()
        os._exit(1)


def read_notes(folder):
    """Return what was noted, complete lines only."""
    try:
        text = (folder / "notes.txt").read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    return [line for line in text.splitlines(keepends=True) if line.endswith("\n")]


def kill_somewhere(child, folder, rng):
    """Kill after some more steps, in the midst of whatever; return whether it was in time."""
    num_lines = len(read_notes(folder)) + rng.randint(0, 6)
    until = time.monotonic() + rng.uniform(20, 40)
    while len(read_notes(folder)) < num_lines and time.monotonic() < until:
        time.sleep(0.002)
        if os.waitpid(child, os.WNOHANG)[0]:
            return False
    time.sleep(rng.uniform(0, 0.1))
    os.kill(child, signal.SIGKILL)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def check_files(folder):
    from napari_surfseg.model.checkpoint import load_checkpoint

    for path in folder.glob("checkpoints/*.pt"):
        load_checkpoint(path)
    for path in folder.glob("previews/[0-9]*.npy"):
        np.load(path)


def count_ends(folder):
    return sum(line.startswith("end") for line in set(read_notes(folder)))


def finish(folder, experiments):
    """Bring a run to its end, and to a later one."""
    while (ends := count_ends(folder)) < len(experiments):
        _, status = os.waitpid(fork_training(folder, experiments[ends]), 0)
        assert status == 0


def main(folder, seed, kills, once_longer):
    import napari_surfseg.training.trainer  # noqa: F401 - once, before the forks

    experiments = build_experiments(folder)
    finish(folder / "whole", experiments)
    expected = {tuple(line.split()[:2]): line for line in read_notes(folder / "whole")}
    assert len(expected) == 50 + 5 + 2
    rng = random.Random(seed)
    done = number = longer = 0
    while done < kills:
        broken = folder / f"broken_{number}"
        if once_longer:
            finish(broken, experiments[:1])
        ends = count_ends(broken)
        child = fork_training(broken, experiments[ends])
        if kill_somewhere(child, broken, rng):
            done += 1
            longer += ends
            check_files(broken)
        if count_ends(broken) == len(experiments) or done == kills:
            finish(broken, experiments)
            found = read_notes(broken)
            assert {tuple(line.split()[:2]) for line in found} == set(expected)
            for line in found:
                assert line == expected[tuple(line.split()[:2])]
            number += 1
    sys.stdout.write(f"{done} kills in {number} runs, {longer} of them after they were longer\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
