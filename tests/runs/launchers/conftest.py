"""A pretended cluster, and launchers that use it."""

import sys

import pytest
import yaml
from tests.runs.launchers.stand_ins import Cluster

from napari_surfseg.config import Data, Experiment, ExperimentInfo, Pair, Training
from napari_surfseg.runs.folder import RunFolder
from napari_surfseg.runs.launchers import library
from napari_surfseg.runs.launchers.library import EXAMPLES, find_launcher


@pytest.fixture(autouse=True)
def own_folders(tmp_path, monkeypatch):
    """Keep a test away from the launchers of the person who runs it."""
    monkeypatch.delenv(library.VARIABLE, raising=False)
    for name in ("user_config_path", "user_state_path"):
        monkeypatch.setattr(
            library.platformdirs, name, lambda *_a, name=name, **_k: tmp_path / "home" / name
        )
    return library.find_user_folder()


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    cluster = Cluster(tmp_path / "cluster")
    monkeypatch.setenv("PATH", str(cluster.bin), prepend=":")
    yield cluster
    cluster.end()


@pytest.fixture
def disk(tmp_path):
    """Return a folder as it is called here; there it is called ``there's "lab"``."""
    here = tmp_path / "here"
    here.mkdir()
    (tmp_path / 'there\'s "lab"').symlink_to(here)
    return here


@pytest.fixture
def make_launcher(own_folders, cluster, disk):
    """Return a function that adapts an example as a person would."""

    def make(example="slurm", **changes):
        values = yaml.safe_load((EXAMPLES / f"{example}.yaml").read_text())
        there = disk.with_name('there\'s "lab"')
        values |= {
            "program": [sys.executable, str(cluster.worker)],
            "paths": [{"here": str(disk), "there": str(there)}],
            "patience": 10,
            "every": 1,
        }
        values |= changes
        own_folders.mkdir(parents=True, exist_ok=True)
        (own_folders / f"{example}.yaml").write_text(yaml.safe_dump(values))
        return find_launcher(example)

    return make


@pytest.fixture
def run(disk):
    """Return a configured run on the shared disk, with an odd name."""
    experiment = Experiment(
        experiment=ExperimentInfo(name="try"),
        data=Data(train=(Pair(image=str(disk / "a.tif"), labels=str(disk / "b.tif")),)),
        training=Training(max_epochs=2),
    )
    return RunFolder(disk / 'my run\'s "first" $HOME').create(experiment)
