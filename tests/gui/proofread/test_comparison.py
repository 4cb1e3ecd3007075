"""A comparison in its real process."""

import numpy as np
import pytest
import tifffile
from napari.layers import Image, Labels

from napari_surfseg.errors import CancelledError, DataError, SurfsegError
from napari_surfseg.gui.background.processes import JobProcess
from napari_surfseg.gui.layers.layer_volume import take_layer
from napari_surfseg.gui.proofread.comparison import run_comparison

MEANINGS = {0: "background", 1: "foreground"}


def make_process(**options):
    return JobProcess("napari_surfseg.inference.evaluation_process", "comparison", **options)


def take(array):
    return take_layer(Labels(array, name="a layer"))


def test_files_are_compared_where_they_lie(tmp_path, volumes, errors):
    pred, label = volumes
    tifffile.imwrite(tmp_path / "probs.tif", (pred * 200).astype(np.uint8))
    tifffile.imwrite(tmp_path / "labels.tif", label)
    stages = []
    found = run_comparison(
        {"prediction": str(tmp_path / "probs.tif"), "labels": str(tmp_path / "labels.tif")},
        MEANINGS,
        0.5,
        make_process(report=lambda stage, _share: stages.append(stage)),
    )
    assert found.errors == errors
    assert "finding topology errors" in stages
    assert not any(stage.startswith("copying") for stage in stages)


def test_a_cancelled_comparison_is_an_error_of_its_own(volumes):
    process = make_process()
    process.cancel()
    taken = dict(zip(("prediction", "labels"), map(take, volumes), strict=True))
    with pytest.raises(CancelledError, match=r"comparison was cancelled\.$"):
        run_comparison(taken, MEANINGS, None, process)


def test_an_error_names_the_layer():
    values = np.zeros((8, 8, 8), np.float32)
    values[0] = np.nan
    taken = {
        "prediction": take_layer(Image(values, name="my scan")),
        "labels": take(np.zeros((8, 8, 8), np.uint8)),
    }
    with pytest.raises(SurfsegError, match=r"^The layer 'my scan' holds 64 NaN voxels"):
        run_comparison(taken, MEANINGS, 0.5, make_process())


def test_an_error_knows_its_side(volumes, tmp_path):
    small = take(np.ones((3, 4, 5), np.uint8))
    with pytest.raises(DataError, match=r"has 3 × 4 × 5 voxels, .* 48 × 64 × 64") as caught:
        run_comparison(
            {"prediction": small, "labels": take(volumes[1])}, MEANINGS, None, make_process()
        )
    assert caught.value.field == "prediction"
    gone = str(tmp_path / "gone.tif")
    with pytest.raises(SurfsegError, match=r"gone\.tif") as caught:
        run_comparison({"prediction": small, "labels": gone}, MEANINGS, None, make_process())
    assert caught.value.field == "labels"
