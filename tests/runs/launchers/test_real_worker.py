"""The command line, a launcher and a real training, under another path."""

import sys

import numpy as np
import pytest
import yaml
from tests.runs.launchers.stand_ins import wait_until

from napari_surfseg.cli.main import main
from napari_surfseg.events import DataChecked, read_events
from napari_surfseg.runs.folder import RunFolder, RunState
from napari_surfseg.runs.follow import RunFollower
from napari_surfseg.runs.launch_record import read_launch

EXPERIMENT = {
    "data": {
        "train": [{"image": "a.npy", "labels": "b.npy"}],
        "patch_size": [16, 16, 16],
    },
    "model": {"preset": "tiny", "base_channels": 4, "multipliers": [1, 2]},
    "training": {"max_epochs": 1, "train_iterations_per_epoch": 2, "workers": 0},
}


@pytest.mark.slow
def test_a_run_is_trained_as_a_job_under_another_path(disk, make_launcher, cluster, capsys):
    cluster.set_mode("run")
    image = np.full((24, 32, 48), 90, np.uint8)
    image[..., ::12] = 150
    np.save(disk / "a.npy", image)
    np.save(disk / "b.npy", (image > 100).astype(np.uint8))
    (disk / "my.yaml").write_text(yaml.safe_dump(EXPERIMENT))
    make_launcher(program=[sys.executable, "-m", "napari_surfseg"])
    run = RunFolder(disk / "the run's")
    arguments = [str(disk / "my.yaml"), "--run-dir", str(run.path), "--device", "cpu"]
    assert main(["train", *arguments, "--launcher", "slurm"]) == 0
    assert "queued at slurm since" in capsys.readouterr().out
    follower = RunFollower(run.path)
    seen = wait_until(
        lambda: (found := follower.poll()).state in {RunState.COMPLETED, RunState.FAILED} and found,
        seconds=240,
    )
    assert seen.state is RunState.COMPLETED, seen.message
    assert seen.launch.job == read_launch(run.path).job == "4711"
    (checked,) = [one for one in read_events(run.events_path) if isinstance(one, DataChecked)]
    assert run.best_checkpoint.exists()
    assert checked.volumes[0]["image"].endswith("a.npy")
    assert "there's" in run.config_path.read_text()
    assert main(["runs", str(run.path)]) == 0
    assert "completed" in capsys.readouterr().out
