"""What a tool makes of a file that says nothing of itself, whatever its size."""

import numpy as np
import pytest

from napari_surfseg.data.volume import ArrayVolume
from napari_surfseg.errors import DataError
from napari_surfseg.surface_tools import volume_input
from napari_surfseg.surface_tools.volume_input import open_input

SHAPE = (6, 7, 8)


def take(values, kind, threshold=0.5, content=None):
    volume = ArrayVolume(values.reshape(SHAPE), name="a")
    return open_input(volume, kind, threshold, lambda _stage, _share: None, content)


@pytest.fixture(params=["kept", "read"], autouse=True)
def size(request, monkeypatch):
    if request.param == "read":
        monkeypatch.setattr(volume_input, "KEPT_BYTES", 0)
        monkeypatch.setattr(volume_input, "BLOCK", (4, 4, 4))


RAMP = np.linspace(0, 1, 6 * 7 * 8)


@pytest.mark.parametrize(
    ("values", "kind", "dtype", "count"),
    [
        (RAMP, "mask", bool, 168),
        ((RAMP * 255).astype(np.uint8), "mask", bool, 167),
        ((RAMP > 0.9).astype(np.uint8), "mask", np.uint8, 34),
        ((RAMP * 9).astype(np.int32), "mask", np.int32, 298),
        ((RAMP * 9).astype(np.int32), "labels", np.int32, 298),
        (RAMP, "grey", np.float64, 335),
        ((RAMP > 0.9).astype(np.uint8) * 7, "grey", bool, 34),
        ((RAMP > 0.9).astype(float) * 255, "grey", bool, 34),
        (RAMP * 1.005, "grey", np.float64, 335),
    ],
)
def test_what_goes_in(values, kind, dtype, count):
    found, _ = take(values, kind)
    assert found.dtype == dtype
    assert np.count_nonzero(found[...]) == count


@pytest.mark.parametrize(
    ("values", "kind", "sentence"),
    [
        (RAMP * 30, "mask", "real numbers of 0 to 30. A surface is probabilities"),
        (RAMP * 30 - 3, "grey", "real numbers of -3 to 27. Membranes are"),
        ((RAMP * 3000).astype(np.uint16), "grey", "whole numbers of 0 to"),
        (RAMP, "labels", "labels are needed"),
        (np.where(RAMP > 0.99, np.inf, RAMP), "grey", "4 voxels that are NaN or infinite"),
    ],
)
def test_what_is_refused(values, kind, sentence):
    with pytest.raises(DataError, match=sentence):
        take(values, kind)


def test_what_a_layer_is_counts_more_than_what_it_looks_like():
    values = (RAMP * 255).astype(np.uint8)
    assert take(values, "mask", content="labels")[0].dtype == np.uint8
    assert take(values, "grey", content="labels")[0].dtype == bool
    with pytest.raises(DataError, match="intensities, it seems"):
        take((RAMP * 3000).astype(np.uint16), "mask", content="image")
