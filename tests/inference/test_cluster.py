"""Blocks on a cluster of processes, one of which is killed; and what names no cluster."""

import sys

import numpy as np
import psutil
import pytest
import zarr
from tests.inference.conftest import noise, read_all

from napari_surfseg.data.open import open_volume
from napari_surfseg.data.volume import ArrayVolume
from napari_surfseg.errors import OutputError
from napari_surfseg.geometry import to_index
from napari_surfseg.inference import cluster
from napari_surfseg.inference.predict_volume import predict_volume
from napari_surfseg.inference.prediction_folder import PredictionFolder
from napari_surfseg.inference.settings import OutputSettings, PredictionSettings, WorkSettings
from napari_surfseg.model.checkpoint import save_checkpoint

SHAPE = (20, 50, 70)


@pytest.fixture
def trained(folder, tiny_checkpoint):
    save_checkpoint(folder / "best.pt", tiny_checkpoint)
    array = zarr.create_array(
        str(folder / "scan.zarr"), shape=SHAPE, chunks=(20, 32, 32), dtype="u1"
    )
    array[:] = noise(SHAPE)
    return tiny_checkpoint


def predict(folder, trained, name, progress=None, **work):
    return predict_volume(
        open_volume(folder / "scan.zarr"),
        trained,
        folder / name,
        PredictionSettings(trained.intensity, trained.patch_size, multiple=(16, 16, 16)),
        output_settings=OutputSettings(probabilities=True),
        work=WorkSettings(
            folder=folder / f"{name}.blocks", network=str(folder / "best.pt"), **work
        ),
        progress=progress,
    )


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch):
    monkeypatch.setattr("napari_surfseg.inference.prediction_run.BLOCK_WINDOWS", {"cpu": 1})
    monkeypatch.setattr("napari_surfseg.inference.window_size.MAX_WINDOW_VOXELS", 16**3)


def test_a_worker_opens_what_the_plan_names(folder, trained):
    predict(folder, trained, "a.zarr")
    predict(folder, trained, "b.zarr", part=(1, 2))
    with pytest.raises(OutputError, match="are missing"):
        predict(folder, trained, "b.zarr", finish=True)
    place = PredictionFolder(folder / "b.zarr.blocks")
    left = ~place.read_finished(place.read_plan())
    for index in np.argwhere(left).tolist():
        cluster.predict_block(str(place.path), to_index(index), "cpu", None)
    predict(folder, trained, "b.zarr", finish=True)
    np.testing.assert_array_equal(read_all(folder / "a.zarr"), read_all(folder / "b.zarr"))
    with pytest.raises(RuntimeError, match="does this worker see that disk"):
        cluster.predict_block(str(place.path), (0, 0, 0), "cpu", None)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_killed_worker_costs_its_block(folder, trained):
    predict(folder, trained, "a.zarr")
    killed = []

    def kill_one(done, total):
        if not killed and 0 < done < total:
            workers = [
                child
                for child in psutil.Process().children(recursive=True)
                if "spawn_main" in " ".join(child.cmdline())
            ]
            killed.append(workers[0].pid)
            workers[0].kill()

    predict(folder, trained, "b.zarr", kill_one, cluster="local:2")
    assert killed
    np.testing.assert_array_equal(read_all(folder / "a.zarr"), read_all(folder / "b.zarr"))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("local:", r"--cluster is 'local:'; give local:N"),
        ("local:0", r"--cluster is 'local:0'"),
        ("nowhere.yaml", r"--cluster is .*nowhere\.yaml'; give local:N, the address"),
        ("a: [", "is no YAML"),
        ("[]", "has the type None; it must be one of slurm, lsf"),
        ("type: pigeon", "has the type 'pigeon'"),
        ("type: slurm", "has workers: None"),
        ("type: slurm\nworkers: 0", "has workers: 0"),
    ],
)
def test_what_is_no_cluster_is_refused(folder, text, sentence):
    if ":" in text.replace("local:", "") or text == "[]":
        (folder / "cluster.yaml").write_text(text)
        text = str(folder / "cluster.yaml")
    with pytest.raises(OutputError, match=sentence):
        cluster.check_cluster(text)


def test_without_dask_it_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(OutputError, match=r"pip install 'napari-surfseg\[cluster\]'"):
        cluster.check_cluster("local:2")


def test_what_lies_in_memory_is_no_clusters(folder, trained):
    volume = ArrayVolume(noise(SHAPE), name="layer")
    with pytest.raises(OutputError, match="layer lies in the memory of this process"):
        predict_volume(
            volume,
            trained,
            folder / "out.zarr",
            work=WorkSettings(folder=folder / "blocks", network="a", cluster="local:2"),
        )
