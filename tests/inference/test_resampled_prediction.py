"""A network that sees a volume in other voxels: what it sees, and results on the own grid."""

from dataclasses import replace

import numpy as np
import pytest
import tifffile
from scipy import ndimage
from tests.inference.conftest import PLAIN, identity, read_all

from napari_surfseg.config_files import apply_overrides
from napari_surfseg.data.open import open_volume
from napari_surfseg.data.resampling import ResampledVolume, Resampling
from napari_surfseg.data.volume import ArrayVolume
from napari_surfseg.errors import CancelledError
from napari_surfseg.inference.predict_region import predict_region
from napari_surfseg.inference.predict_volume import plan_resampling, predict_to_file, predict_volume
from napari_surfseg.inference.prediction_process import PredictionJob, run_prediction_job
from napari_surfseg.inference.settings import OutputSettings, PredictionSettings
from napari_surfseg.model.checkpoint import save_checkpoint
from napari_surfseg.surfaces.postprocess import PostProcess

SHAPE = (24, 60, 70)
#: The network's grid coarser, finer along a coarse axis, and both.
SCALES = [(0.5, 0.5, 0.5), (3.0, 1.0, 1.0), (2.0, 0.61, 0.61)]


def smooth(shape=SHAPE, seed=0):
    values = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), 3)
    values = (values - values.min()) / np.ptp(values)
    return (40 + 180 * values).astype(np.uint8)


def settings_for(scale, **changes):
    given = {"window": (16, 32, 32), "resampling": Resampling(scale)} | changes
    return PredictionSettings(intensity=PLAIN, **given)


def both_ways(image, scale):
    """What a network that gives back its grey values finds, the long way round."""
    seen = ResampledVolume(ArrayVolume(image), Resampling(scale).shape(image.shape))
    there = ArrayVolume(seen.read((0, 0, 0), seen.shape))
    return ResampledVolume(there, image.shape).read((0, 0, 0), image.shape)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", ["out.zarr", "out.tif"])
@pytest.mark.parametrize("max_block_voxels", [20_000, None])
def test_the_file_is_on_the_volumes_grid(folder, scale, name, max_block_voxels):
    image = smooth((24, 140, 150))  # more than one column of 128
    volume = ArrayVolume(image, name="scan", spacing=(9, 3, 3), units="nanometer",
                         translate=(5, 6, 7))  # fmt: skip
    summary = predict_to_file(
        identity,
        volume,
        folder / name,
        settings_for(scale),
        output_settings=OutputSettings(probabilities=True),
        max_block_voxels=max_block_voxels,
    )
    written = open_volume(folder / name)
    assert (written.shape, written.spacing) == (image.shape, (9, 3, 3))
    assert written.units == "nanometer"
    difference = np.abs(read_all(folder / name).astype(int) - both_ways(image, scale))
    assert difference.max() <= 1
    assert summary.shape == image.shape
    assert summary.num_windows > 0


@pytest.mark.parametrize("scale", SCALES)
def test_a_region_is_its_part_of_the_whole(scale):
    image = smooth()
    wanted = both_ways(image, scale).astype(int)
    for box in (((0, 0, 0), SHAPE), ((3, 10, 20), (17, 43, 50)), ((23, 59, 0), (24, 60, 70))):
        found = predict_region(
            identity,
            lambda a, b: image[tuple(map(slice, a, b))],
            box,
            settings_for(scale),
            bounds=((0, 0, 0), SHAPE),
        )
        inside = tuple(map(slice, *box))
        assert np.abs(found - wanted[inside]).max() <= 1
    floats = predict_region(
        identity, lambda a, b: image[tuple(map(slice, a, b))], ((0, 0, 0), SHAPE),
        settings_for(scale), dtype=np.float32,
    )  # fmt: skip
    assert floats.dtype == np.float32
    assert np.abs(floats * 255 - wanted).max() <= 1


def test_bounds_that_do_not_begin_at_zero():
    image, scale = smooth(), (0.5, 0.5, 0.5)
    start = (4, 6, 8)
    found = predict_region(
        identity,
        lambda a, b: image[tuple(slice(i, j) for i, j in zip(a, b, strict=True))],
        ((10, 20, 30), (20, 40, 50)),
        settings_for(scale),
        bounds=(start, SHAPE),
    )
    wanted = both_ways(image[4:, 6:, 8:], scale)[6:16, 14:34, 22:42]
    assert np.abs(found.astype(int) - wanted).max() <= 1


def test_thresholds_and_post_processing_act_on_the_own_grid(folder):
    image = smooth()
    scale = (0.5, 0.5, 0.5)
    settings = PostProcess(threshold=0.55, min_voxels=20, smoothing=0.7)
    predict_to_file(
        identity, ArrayVolume(image), folder / "out.tif", settings_for(scale),
        output_settings=OutputSettings(postprocess=settings),
    )  # fmt: skip
    from napari_surfseg.surfaces.postprocess_blocks import apply_postprocess

    wanted = apply_postprocess(both_ways(image, scale), settings)
    assert (read_all(folder / "out.tif") != wanted).mean() < 0.005


@pytest.mark.parametrize("name", ["out.zarr", "out.tif"])
@pytest.mark.parametrize("at", [1, 2])
def test_cancelled_leaves_nothing(folder, name, at):
    """While the network works, and while its result is brought back."""
    asked = []

    def should_stop():
        asked.append(1)
        return len(asked) >= at

    with pytest.raises(CancelledError, match=r"^The prediction of array was cancelled; nothing"):
        predict_to_file(
            identity, ArrayVolume(smooth()), folder / name, settings_for((0.5, 0.5, 0.5)),
            should_stop=should_stop,
        )  # fmt: skip
    assert list(folder.iterdir()) == []


# -- which voxels a network sees ---------------------------------------------------------


def with_resample(checkpoint, mode):
    experiment = apply_overrides(checkpoint.experiment, [f"data.resample={mode}"])
    return replace(checkpoint, experiment=experiment)


@pytest.mark.parametrize(
    ("trained_with", "wanted", "scale"),
    [
        ("auto", None, (1, 2, 2)),  # 8 x 8 x 8 nm seen as 8 x 4 x 4
        ("none", None, None),
        ("auto", "none", None),
        ("none", "auto", (1, 2, 2)),
        ("auto", (16.0, 16.0, 16.0), (0.5, 0.5, 0.5)),
        ("[3, 3, 3]", None, (1, 2, 2)),  # in the size it has learned in
    ],
)
def test_a_network_sees_the_voxels_it_knows(tiny_checkpoint, trained_with, wanted, scale):
    volume = ArrayVolume(smooth(), name="scan", spacing=(8, 8, 8), units="nanometer")
    checkpoint = with_resample(tiny_checkpoint, trained_with)
    found, note = plan_resampling(volume, checkpoint, wanted)
    assert (None if found is None else found.scale) == scale
    assert bool(note) == (scale is not None)


def test_one_trained_in_a_size_always_sees_it(tiny_checkpoint):
    """Where the difference is small, too: it was asked for."""
    volume = ArrayVolume(smooth(), name="scan", spacing=(8, 5, 5), units="nanometer")
    assert plan_resampling(volume, tiny_checkpoint)[0] is None
    found, _ = plan_resampling(volume, with_resample(tiny_checkpoint, "[8, 4, 4]"))
    assert found.scale == pytest.approx((1, 1.25, 1.25))


def test_a_volume_in_other_voxels_is_predicted_and_said(folder, tiny_checkpoint):
    image = smooth()
    volume = ArrayVolume(image, name="scan", spacing=(8, 8, 8), units="nanometer")
    given = replace(PredictionSettings.from_checkpoint(tiny_checkpoint), overlap=0.25)
    summary = predict_volume(volume, tiny_checkpoint, folder / "out.tif", given)
    assert any("sees it in voxels of 8 x 4 x 4 nm" in note for note in summary.notes)
    assert not any("trained on 8 x 4 x 4" in warning for warning in summary.warnings)
    assert read_all(folder / "out.tif").shape == SHAPE
    plain = predict_volume(
        volume, tiny_checkpoint, folder / "plain.tif", replace(given, resample="none")
    )
    assert plain.notes == ()
    assert any("surfaces may be missed" in warning for warning in plain.warnings)


def test_a_window_sees_a_box_as_the_whole(tmp_path, tiny_checkpoint):
    tifffile.imwrite(
        tmp_path / "scan.tif", smooth(), imagej=True, resolution=(1 / 8, 1 / 8),
        metadata={"axes": "ZYX", "spacing": 8, "unit": "nm"},
    )  # fmt: skip
    save_checkpoint(tmp_path / "best.pt", tiny_checkpoint)
    job = PredictionJob(
        str(tmp_path / "scan.tif"), str(tmp_path / "best.pt"), device="cpu", skeleton=False,
        mesh=False, box=((4, 10, 10), (20, 50, 60)),
    )  # fmt: skip
    result = run_prediction_job(job, tmp_path, lambda *_: None)
    assert any("sees it in voxels of 8 x 4 x 4 nm" in said for said in result["warnings"])
    assert np.load(tmp_path / "probabilities.npy").shape == (16, 40, 50)
    left = run_prediction_job(replace(job, resample="none"), tmp_path, lambda *_: None)
    assert any("surfaces may be missed" in said for said in left["warnings"])
