"""Post-processing by hand, and in blocks of any size against all at once."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from napari_surfseg.errors import CancelledError
from napari_surfseg.surfaces import postprocess_blocks as postprocess_module
from napari_surfseg.surfaces.cleaning import close_gaps, fill_small_holes, remove_small_components
from napari_surfseg.surfaces.local_topology import fill_tears
from napari_surfseg.surfaces.postprocess import PostProcess
from napari_surfseg.surfaces.postprocess_blocks import apply_postprocess, postprocess_blocks
from napari_surfseg.surfaces.sheet_area import remove_small_sheets
from napari_surfseg.surfaces.sheet_smoothing import smooth_along_sheets

FULL = np.ones((3, 3, 3), bool)

#: Every step alone, and every two, three, ... of them.
STEPS = {
    "smoothing": {"smoothing": 0.7},
    "hysteresis": {"low_threshold": 0.4},
    "closing": {"closing_radius": 1, "closing_floor": 0.25},
    "filling": {"fill_holes": 9},
    "small": {"min_voxels": 12},
    "faces": {"min_voxels": 12, "connectivity": 6},
    "along": {"sheet_smoothing": 0.8},
    "tears": {"tear_layers": 1, "tear_floor": 0.25},
    "area": {"min_area": 9.3},
}
CHOICES = [
    choice
    for count in range(len(STEPS) + 1)
    for choice in itertools.combinations(STEPS, count)
    if not {"small", "faces"} <= set(choice)
    # All pairs of what is new, and everything: each alone would be tried a hundred times.
    and (count <= 2 or count >= len(STEPS) - 1 or not set(choice) & {"along", "tears", "area"})
]


def smooth_probabilities(shape, seed=0):
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal(shape), 1.2)
    return np.clip(noise * 600 + 110, 0, 255).astype(np.uint8)


def make(choice, threshold=0.55):
    values = {"threshold": threshold}
    for name in choice:
        values |= STEPS[name]
    return PostProcess(**values)


def all_at_once(probs, chosen):
    """The definition, one plain array function after the other."""
    values = probs
    if chosen.smoothing:
        values = ndimage.gaussian_filter(
            probs, chosen.smoothing, output=np.float32, mode="nearest", truncate=3.0
        )
    if chosen.sheet_smoothing:
        values = smooth_along_sheets(values, chosen.sheet_smoothing)
    mask = values > chosen.threshold * 255
    if chosen.low_threshold is not None:
        labels, number = ndimage.label(values > chosen.low_threshold * 255, FULL)
        keep = np.zeros(number + 1, bool)
        keep[labels[mask]] = True
        keep[0] = False
        mask = keep[labels]
    if chosen.closing_radius:
        plugged = close_gaps(mask, chosen.closing_radius)
        mask = mask | (plugged & (values > chosen.closing_floor * 255))
    mask = fill_tears(mask, values > chosen.tear_floor * 255, chosen.tear_layers)
    mask = fill_small_holes(mask, chosen.fill_holes)
    mask = remove_small_components(mask, chosen.min_voxels, chosen.connectivity)
    return remove_small_sheets(mask, chosen.min_area, chosen.connectivity).astype(np.uint8)


def by_blocks(probs, chosen, block, **options):
    found = np.full(probs.shape, 9, np.uint8)

    def write(start, mask):
        where = tuple(slice(a, a + n) for a, n in zip(start, mask.shape, strict=True))
        assert (found[where] == 9).all()
        found[where] = mask

    result = postprocess_blocks(probs, chosen, write, block_shape=block, **options)
    assert result.num_surface == np.count_nonzero(found)
    return found


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


@pytest.mark.parametrize("choice", CHOICES, ids="-".join)
def test_every_choice_of_steps_gives_in_blocks_what_it_gives_at_once(choice):
    probs, chosen = smooth_probabilities((17, 19, 23)), make(choice)
    wanted = all_at_once(probs, chosen)
    assert 0 < wanted.mean() < 1
    np.testing.assert_array_equal(apply_postprocess(probs, chosen), wanted)
    for num_threads in (1, 3):
        found = by_blocks(probs, chosen, (5, 7, 9), num_threads=num_threads)
        np.testing.assert_array_equal(found, wanted)


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(st.integers(1, 14), st.integers(1, 14), st.integers(1, 14)),
    st.tuples(st.integers(1, 15), st.integers(1, 15), st.integers(1, 15)),
    st.sampled_from(CHOICES),
    st.floats(0.3, 0.9),
    st.integers(1, 4),
    st.integers(0, 2**32 - 1),
)
def test_blocks_of_any_size_agree_with_the_whole(shape, block, choice, threshold, radius, seed):
    rng = np.random.default_rng(seed)
    probs = rng.integers(0, 256, shape).astype(np.uint8)
    if seed % 2:
        probs = smooth_probabilities(shape, seed)
    values = make(choice, max(threshold, 0.4)).as_dict()
    if values["closing_radius"]:
        values["closing_radius"] = radius
    if values["smoothing"]:
        values["smoothing"] = radius * 0.9
    chosen = PostProcess(**values)
    wanted = all_at_once(probs, chosen)
    np.testing.assert_array_equal(by_blocks(probs, chosen, block, num_threads=1), wanted)


@pytest.mark.parametrize("name", ["tears", "along", "area"])
def test_what_looks_far_agrees_in_blocks_that_it_looks_beyond(name, monkeypatch):
    monkeypatch.setattr(postprocess_module, "SMOOTHED_VOXELS", 9)
    monkeypatch.setattr(postprocess_module, "SMOOTHED_SHAPE", (4, 5, 16))
    probs, chosen = smooth_probabilities((7, 9, 160), 4), make((name,))
    wanted = all_at_once(probs, chosen)
    assert (wanted != all_at_once(probs, make(()))).sum() > 15
    np.testing.assert_array_equal(by_blocks(probs, chosen, (5, 9, 13)), wanted)


def test_a_weak_voxel_is_kept_for_a_strong_one_ten_blocks_away():
    probs = np.zeros((3, 3, 60), np.uint8)
    probs[1, 1] = 120
    probs[1, 1, 58] = 250
    probs[1, 1, 10] = 0
    found = by_blocks(probs, PostProcess(threshold=0.8, low_threshold=0.4), (3, 3, 5))
    assert found[1, 1].tolist() == [0] * 11 + [1] * 49


@pytest.mark.parametrize(("fill", "is_filled"), [(38, True), (37, False)])
def test_a_cavity_through_many_blocks_is_filled_by_its_whole_size(fill, is_filled):
    probs = np.full((3, 3, 40), 255, np.uint8)
    probs[1, 1, 1:39] = 0
    assert by_blocks(probs, PostProcess(fill_holes=fill), (2, 2, 3)).all() == is_filled
    probs[1, 1, 39] = 0  # open at the volume's border
    assert not by_blocks(probs, PostProcess(fill_holes=99), (2, 2, 3)).all()


def test_what_was_kept_between_passes_lies_in_the_folder_and_goes(tmp_path):
    probs, chosen = smooth_probabilities((20, 33, 27)), make(("hysteresis", "closing", "small"))
    scratch, seen = tmp_path / "scratch", []

    def look(done, total):
        seen.append((done, total, len(list(scratch.glob("*.zarr")))))

    found = by_blocks(probs, chosen, (8, 16, 16), scratch=scratch, progress=look)
    np.testing.assert_array_equal(found, all_at_once(probs, chosen))
    assert not scratch.exists()
    assert [done for done, _, _ in seen] == list(range(1, seen[0][1] + 1))
    assert max(number for _, _, number in seen) == 2


def test_a_stop_in_any_pass_leaves_nothing_and_again_gives_the_same(tmp_path):
    probs, chosen = smooth_probabilities((9, 18, 14)), make(("hysteresis", "closing", "filling"))
    wanted = all_at_once(probs, chosen)
    scratch = tmp_path / "scratch"
    for count in (0, 5, 11, 17):
        asked = iter([False] * count + [True])
        with pytest.raises(CancelledError, match="cancelled"):
            by_blocks(probs, chosen, (5, 9, 9), scratch=scratch, should_stop=lambda: next(asked))  # noqa: B023
        assert not scratch.exists()
    np.testing.assert_array_equal(by_blocks(probs, chosen, (5, 9, 9), scratch=scratch), wanted)


def test_a_large_array_in_memory_is_processed_in_blocks(monkeypatch):
    monkeypatch.setattr(postprocess_module, "BLOCK_SHAPE", (6, 8, 10))
    probs, chosen = smooth_probabilities((20, 17, 23)), make(("hysteresis", "closing", "small"))
    np.testing.assert_array_equal(apply_postprocess(probs, chosen), all_at_once(probs, chosen))


def test_nothing_gives_nothing():
    assert apply_postprocess(np.zeros((0, 4, 4), np.uint8), make(("small",))).shape == (0, 4, 4)
