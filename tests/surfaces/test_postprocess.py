"""Post-processing by hand, its limits, and blocks with a halo against the whole."""

import numpy as np
import pytest
from scipy import ndimage

from napari_surfseg.errors import ConfigError
from napari_surfseg.surfaces.postprocess import PostProcess, apply_postprocess


def smooth_probabilities(shape, seed=0):
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal(shape), 1.2)
    return np.clip(noise / noise.std() * 70 + 80, 0, 255).astype(np.uint8)


def test_the_default_is_a_plain_threshold():
    probs = np.arange(256, dtype=np.uint8).reshape(4, 8, 8)
    np.testing.assert_array_equal(apply_postprocess(probs, PostProcess()), probs > 127)
    np.testing.assert_array_equal(
        apply_postprocess(probs, PostProcess(threshold=0.2)), probs > 0.2 * 255
    )


def test_hysteresis_keeps_what_hangs_on_a_sure_voxel():
    probs = np.zeros((1, 1, 9), np.uint8)
    probs[0, 0] = [0, 120, 120, 240, 120, 0, 120, 120, 0]
    got = apply_postprocess(probs, PostProcess(threshold=0.8, low_threshold=0.4))
    assert got[0, 0].tolist() == [0, 1, 1, 1, 1, 0, 0, 0, 0]


def test_closing_plugs_a_hole_only_where_the_network_half_believes_it():
    probs = np.full((9, 15, 15), 5, np.uint8)
    probs[4] = 250
    probs[4, 7, 7] = 60
    probs[4, 3, 3] = 5
    got = apply_postprocess(probs, PostProcess(closing_radius=1, closing_floor=0.1))
    assert got[4, 7, 7] == 1
    assert got[4, 3, 3] == 0
    assert got.sum() == 15 * 15 - 1
    assert apply_postprocess(probs, PostProcess(closing_radius=1))[4].all()


def test_cavities_and_specks():
    probs = np.zeros((12, 12, 12), np.uint8)
    probs[2:7, 2:7, 2:7] = 200
    probs[4, 4, 4] = 0
    probs[10, 10, 10] = 255
    got = apply_postprocess(probs, PostProcess(fill_holes=1, min_voxels=2))
    assert got.sum() == 125


def test_crumbs_that_touch_over_an_edge_are_dropped_with_six_neighbours():
    probs = np.zeros((5, 5, 5), np.uint8)
    probs[2] = 255
    probs[1, 0, 0] = 255
    probs[0, 1, 0] = 255  # touches the voxel above over an edge
    assert apply_postprocess(probs, PostProcess(min_voxels=5)).sum() == 27
    assert apply_postprocess(probs, PostProcess(min_voxels=5, connectivity=6)).sum() == 26


@pytest.mark.parametrize(
    "settings",
    [
        PostProcess(min_voxels=9),
        PostProcess(closing_radius=1, closing_floor=0.2),
        PostProcess(threshold=0.3, fill_holes=6),
        PostProcess(threshold=0.4, closing_radius=1, fill_holes=4, min_voxels=7),
        PostProcess(smoothing=0.8, min_voxels=12, connectivity=6),
    ],
)
def test_a_halo_makes_blocks_equal_the_whole(settings):
    probs = smooth_probabilities((20, 22, 70))
    whole = apply_postprocess(probs, settings)
    assert whole.any()
    assert settings.halo is not None
    for start in (0, 30, 45):
        low, high = max(0, start - settings.halo), min(70, start + 15 + settings.halo)
        block = apply_postprocess(probs[..., low:high], settings)
        inner = block[..., start - low : start - low + 15]
        np.testing.assert_array_equal(inner, whole[..., start : start + 15])


def test_hysteresis_needs_the_whole_volume():
    assert PostProcess(low_threshold=0.3).halo is None
    assert PostProcess(low_threshold=0.5).halo == 0
    assert PostProcess().halo == 0


def test_settings_survive_the_checkpoint():
    settings = PostProcess(0.6, 0.3, 2, 0.1, 8, 100, 6, 1.5)
    assert PostProcess.from_dict(settings.as_dict()) == settings


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"threshold": 1.5}, "threshold"),
        ({"threshold": float("nan")}, "threshold"),
        ({"low_threshold": 0.7}, "must not be above threshold"),
        ({"closing_radius": -1}, "closing_radius"),
        ({"closing_radius": 99}, "between 0 and 16"),
        ({"min_voxels": 2.5}, "min_voxels"),
        ({"min_voxels": True}, "min_voxels"),
        ({"connectivity": 18}, "connectivity"),
        ({"smoothing": -1}, "smoothing"),
        ({"smoothing": "much"}, "smoothing"),
        ({"sharpening": 1}, "unknown"),
    ],
)
def test_bad_settings_are_refused_in_a_sentence(values, words):
    with pytest.raises(ConfigError) as caught:
        PostProcess.from_dict(values)
    assert words in str(caught.value)
    assert str(caught.value).endswith(".")
