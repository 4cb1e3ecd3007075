"""The prediction that a window launches: what its surface is made of."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_surfseg.config import Experiment
from napari_surfseg.config_files import apply_overrides
from napari_surfseg.data.open import open_volume
from napari_surfseg.inference.prediction_process import PredictionJob, run_prediction_job
from napari_surfseg.inference.process_protocol import read_job, write_job
from napari_surfseg.model.checkpoint import Checkpoint, save_checkpoint
from napari_surfseg.model.intensity import Intensity
from napari_surfseg.model.network import build_unet
from napari_surfseg.surfaces.postprocess import PostProcess
from napari_surfseg.surfaces.postprocess_blocks import apply_postprocess


@pytest.fixture
def checkpoint(tmp_path):
    torch.manual_seed(0)
    experiment = apply_overrides(
        Experiment(), ["model={preset: tiny, base_channels: 4, multipliers: [1, 2]}"]
    )
    made = Checkpoint(
        experiment=experiment,
        weights=build_unet(experiment.model, device="cpu").state_dict(),
        intensity=Intensity(0.0, 255.0, 0.5, 0.3),
        patch_size=(16, 16, 16),
        spacing=(1.0, 1.0, 1.0),
    )
    save_checkpoint(tmp_path / "best.pt", made)
    return made


@pytest.mark.parametrize("own_min_voxels", [None, 0, 80])
@pytest.mark.parametrize("own_threshold", [None, 0.5])
def test_the_surface_is_post_processed_unless_a_person_says_otherwise(
    tmp_path, checkpoint, own_threshold, own_min_voxels
):
    image = np.random.default_rng(0).integers(0, 256, (20, 24, 28), np.uint8)
    np.save(tmp_path / "image.npy", image)
    path = tmp_path / "best.pt"
    job = PredictionJob(
        str(tmp_path / "image.npy"),
        str(path),
        threshold=own_threshold,
        min_voxels=own_min_voxels,
        device="cpu",
        sheets=False,
        skeleton=False,
        mesh=False,
    )
    run_prediction_job(job, tmp_path, lambda *_: None)
    probabilities = open_volume(str(tmp_path / "probabilities.zarr"))
    probs = probabilities.read((0, 0, 0), probabilities.shape)
    level = float(np.median(probs) / 255)  # whatever the weights: half of it is surface
    settings = PostProcess(threshold=level, min_voxels=40, smoothing=0.7)
    tuned = Checkpoint(**{**vars(checkpoint), "postprocess": settings.as_dict()})
    save_checkpoint(path, tuned)
    result = run_prediction_job(job, tmp_path, lambda *_: None)
    used = settings if own_threshold is None else PostProcess(own_threshold)
    if own_min_voxels is not None:
        used = replace(used, min_voxels=own_min_voxels)
    assert result["threshold"] == used.threshold
    np.testing.assert_array_equal(np.load(tmp_path / "surface.npy"), apply_postprocess(probs, used))


def test_a_box_is_predicted_alone_and_as_the_whole_would_be(tmp_path, checkpoint):
    image = np.random.default_rng(0).integers(0, 256, (32, 40, 48)).astype(np.uint8)
    np.save(tmp_path / "image.npy", image)
    whole = PredictionJob(
        str(tmp_path / "image.npy"), str(tmp_path / "best.pt"), device="cpu", flips=False
    )
    run_prediction_job(whole, tmp_path, lambda *_: None)
    expected = open_volume(tmp_path / "probabilities.zarr").read((8, 4, 16), (28, 36, 40))
    job = read_job(
        write_job(tmp_path, replace(whole, box=((8, 4, 16), (28, 36, 40)))),
        PredictionJob.from_values,
    )
    assert job.box == ((8, 4, 16), (28, 36, 40))
    reported = []
    result = run_prediction_job(job, tmp_path, lambda stage, share: reported.append((stage, share)))
    found = np.load(tmp_path / result["probabilities"])
    assert found.shape == np.load(tmp_path / result["surface"]).shape == (20, 32, 24)
    # Windows are normalised each by itself and lie elsewhere: alike, not the same.
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.9
    assert ("predicting", 1.0) in reported


def test_finished_blocks_are_gone_on_with_unless_the_image_changed(
    tmp_path, checkpoint, monkeypatch
):
    monkeypatch.setattr("napari_surfseg.inference.prediction_run.BLOCK_WINDOWS", {"cpu": 1})
    monkeypatch.setattr("napari_surfseg.inference.window_size.MAX_WINDOW_VOXELS", 16**3)
    job = PredictionJob(
        str(tmp_path / "image.npy"),
        str(tmp_path / "best.pt"),
        device="cpu",
        sheets=False,
        skeleton=False,
        mesh=False,
        blocks=str(tmp_path / "blocks"),
        first=((10, 20, 20), (12, 22, 22)),
    )

    class EndedError(Exception):
        pass

    def end(stage, share):
        if stage == "predicting" and share > 0.4:
            raise EndedError

    for seed in (0, 1):
        np.save(
            tmp_path / "image.npy",
            np.random.default_rng(seed).integers(0, 256, (20, 24, 28), np.uint8),
        )
        with pytest.raises(EndedError):
            run_prediction_job(job, tmp_path, end)
    result = run_prediction_job(job, tmp_path, lambda *_: None)
    assert "blocks are finished." in result["warnings"][0]
    assert not (tmp_path / "blocks").exists()
    found = open_volume(str(tmp_path / "probabilities.zarr"))
    kept = found.read(*found.box)
    run_prediction_job(replace(job, blocks=None), tmp_path, lambda *_: None)
    again = open_volume(str(tmp_path / "probabilities.zarr"))
    np.testing.assert_array_equal(again.read(*again.box), kept)
