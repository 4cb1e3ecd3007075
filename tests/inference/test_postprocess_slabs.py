import numpy as np
import pytest

from napari_surfseg.inference import postprocess_slabs as module
from napari_surfseg.inference.postprocess_slabs import postprocess_slabs
from napari_surfseg.surfaces.postprocess import PostProcess, apply_postprocess

SETTINGS = [
    PostProcess(threshold=0.4),
    PostProcess(threshold=0.5, smoothing=1.0),
    PostProcess(threshold=0.5, closing_radius=2, closing_floor=0.2, fill_holes=8),
]


def _slabs(probs, thicknesses):
    start = 0
    for thickness in thicknesses:
        yield (start, 0, 0), probs[start : start + thickness]
        start += thickness


@pytest.fixture
def probs():
    rng = np.random.default_rng(3)
    noise = rng.integers(0, 130, (90, 20, 24))
    noise[:, 9:12] += 110
    return noise.astype(np.uint8)


def _join(pieces, shape):
    joined = np.full(shape, 9, np.uint8)
    for (z, _, _), values in pieces:
        assert (joined[z : z + len(values)] == 9).all()
        joined[z : z + len(values)] = values
    return joined


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("thicknesses", [(90,), (30, 30, 30), (1,) * 90, (50, 7, 33)])
def test_slabs_give_what_the_whole_volume_gives(probs, settings, thicknesses, monkeypatch):
    monkeypatch.setattr(module, "WHOLE_VOXELS", 0)
    monkeypatch.setattr(module, "SLAB_PLANES", 16)
    found = _join(postprocess_slabs(_slabs(probs, thicknesses), probs.shape, settings), probs.shape)
    np.testing.assert_array_equal(found, apply_postprocess(probs, settings))


def test_a_volume_that_fits_is_processed_whole(probs):
    settings = PostProcess(threshold=0.6, low_threshold=0.3, min_voxels=50)
    pieces = list(postprocess_slabs(_slabs(probs, (45, 45)), probs.shape, settings))
    assert len(pieces) == 1
    np.testing.assert_array_equal(pieces[0][1], apply_postprocess(probs, settings))
