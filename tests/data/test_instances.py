"""Boundaries between instances, made as they are read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from skimage.segmentation import find_boundaries

from napari_surfseg.config import Data, Labels
from napari_surfseg.data.census import take_census
from napari_surfseg.data.checks import check_volumes
from napari_surfseg.data.instances import (
    MADE_BOUNDARIES,
    BoundaryVolume,
    compute_boundaries,
    find_offsets,
)
from napari_surfseg.data.volume import ArrayVolume
from napari_surfseg.errors import LabelError

REAL = Path(__file__).parents[3] / "shared" / "data"


def make_cells(shape=(24, 30, 28), count=40, seed=3, dtype=np.uint16):
    """Give a Voronoi diagram of random points."""
    rng = np.random.default_rng(seed)
    seeds = rng.uniform(0, shape, size=(count, 3))
    grid = np.stack(np.indices(shape), axis=-1).reshape(-1, 1, 3)
    nearest = ((grid - seeds) ** 2).sum(axis=-1).argmin(axis=1).reshape(shape)
    return nearest.astype(dtype) * 7


def boundaries(**settings):
    return Labels(instances="boundaries", **settings)


@pytest.mark.parametrize("thickness", range(1, 9))
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_flat_boundary_is_as_thick_as_asked(axis, thickness):
    values = np.zeros((20, 20, 20), np.int32)
    values[(slice(None),) * axis + (slice(10, None),)] = 9
    made = compute_boundaries(values, boundaries(thickness=thickness))
    profile = made.sum(axis=tuple({0, 1, 2} - {axis})) // 400
    assert profile.sum() == thickness
    places = np.flatnonzero(profile)
    assert places[0] == 10 - (thickness - thickness // 2)
    assert places[-1] == 9 + thickness // 2


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "uint32", "int64"])
def test_two_voxels_are_what_others_call_thick_boundaries(dtype):
    values = make_cells(count=30, dtype=dtype)
    made = compute_boundaries(values, boundaries())
    expected = find_boundaries(values, connectivity=1, mode="thick")
    assert np.array_equal(made, expected.astype(np.uint8))


@pytest.mark.parametrize("spacing", [(1, 1, 1), (4, 1, 1), (2.35, 1.5, 1.5), (1, 1, 3)])
@pytest.mark.parametrize("thickness", [1, 2, 3, 5, 8])
def test_boxes_join_without_a_seam(thickness, spacing):
    values = make_cells()
    mapping = boundaries(thickness=thickness, ignore=[7], foreground=[14])
    whole = compute_boundaries(values, mapping, spacing)
    assert set(np.unique(whole)) == {0, 1, 2}
    volume = BoundaryVolume(ArrayVolume(values, spacing=spacing), mapping)
    assert np.array_equal(volume.read((0, 0, 0), values.shape), whole)
    rng = np.random.default_rng(thickness)
    for _ in range(20):
        low = rng.integers(0, values.shape)
        high = [int(rng.integers(a + 1, b + 1)) for a, b in zip(low, values.shape, strict=True)]
        box = tuple(slice(int(a), b) for a, b in zip(low, high, strict=True))
        found = volume.read(tuple(int(a) for a in low), tuple(high))
        assert np.array_equal(found, whole[box])
    assert volume.read((3, 3, 3), (3, 4, 4)).shape == (0, 1, 1)


def test_the_census_counts_what_is_read():
    values = make_cells((70, 66, 65), count=60)
    volume = BoundaryVolume(ArrayVolume(values), boundaries(thickness=3))
    whole = volume.read((0, 0, 0), values.shape)
    census = take_census(volume, MADE_BOUNDARIES)
    assert census.num_foreground == np.count_nonzero(whole == 1)
    assert census.num_background == np.count_nonzero(whole == 0)
    assert census.blocks.dense()[1, 0, 0, 0] == np.count_nonzero(whole[:64, :64, :64] == 1)


def test_one_and_two_are_instances_like_others():
    mapping = boundaries()
    assert (mapping.foreground, mapping.background, mapping.ignore) == ((), (), ())
    assert compute_boundaries(np.array([[[1, 1, 2, 2]]]), mapping).tolist() == [[[0, 1, 1, 0]]]
    again = Labels.model_validate(mapping.model_dump(mode="json"))
    assert again == mapping


def test_beside_what_is_not_annotated_nothing_is_known():
    values = np.array([[[5, 5, 5, 0, 0, 6, 6, 7, 7]]])
    made = compute_boundaries(values, boundaries(ignore=[0]))
    assert made.tolist() == [[[0, 0, 2, 2, 2, 2, 1, 1, 0]]]


def test_walls_that_are_labelled_are_surface_and_get_no_thicker():
    values = np.array([[[5, 5, 0, 0, 0, 6, 6, 7, 7]]])
    made = compute_boundaries(values, boundaries(foreground=[0]))
    assert made.tolist() == [[[0, 0, 1, 1, 1, 0, 1, 1, 0]]]


def test_a_coarse_axis_is_thinner_in_voxels_and_never_left_out():
    offsets = find_offsets(6, (5.0, 1.0, 1.0))
    assert np.abs(offsets).max(axis=0).tolist() == [1, 3, 3]
    # The ball is narrow where it reaches the next slice.
    assert [1, 0, 0] in offsets.tolist()
    assert [1, 1, 1] not in offsets.tolist()


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"instances": "edges"}, "boundaries"),
        ({"instances": "boundaries", "thickness": 0}, "greater than or equal to 1"),
        ({"instances": "boundaries", "thickness": 17}, "less than or equal to 16"),
        ({"foreground": []}, "must list at least one value"),
        ({"instances": "boundaries", "foreground": [0], "ignore": [0]}, "one meaning"),
    ],
)
def test_settings_out_of_range_are_refused(values, sentence):
    with pytest.raises(ValueError, match=sentence):
        Labels.model_validate(values)


def test_labels_that_are_no_whole_numbers_are_refused():
    with pytest.raises(LabelError, match="whole numbers"):
        BoundaryVolume(ArrayVolume(np.zeros((2, 2, 2), np.float32)), boundaries())


def check(values, image=None, **labels):
    image = ArrayVolume(np.ones(values.shape, np.uint8) if image is None else image)
    labelled = ArrayVolume(values, name="cells.tif")
    return check_volumes(image, labelled, Data(labels=labels), role="train")


def test_a_pair_learns_the_boundaries():
    values = make_cells()
    pair = check(values, instances="boundaries", thickness=2)
    expected = find_boundaries(values, connectivity=1, mode="thick")
    assert pair.census.num_foreground == expected.sum()
    assert np.array_equal(pair.open_targets().read((0, 0, 0), values.shape), expected)
    assert pair.labels.source == "cells.tif"


def test_labels_without_a_boundary_are_refused():
    with pytest.raises(LabelError, match="no surface voxels"):
        check(np.full((8, 8, 8), 5, np.int32), instances="boundaries")


def test_many_values_are_taken_for_instances():
    with pytest.raises(LabelError, match=r"set data\.labels\.instances to boundaries") as caught:
        check(make_cells())
    assert str(caught.value).startswith("cells.tif holds the values")


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ([0, 0, 0, 255], r"{foreground: \[255\], background: \[0\], ignore: \[\]}"),
        ([1, 1, 1, 2], r"{foreground: \[2\], background: \[1\], ignore: \[\]}"),
        ([1, 2, 2, 2], r"{foreground: \[1\], background: \[2\], ignore: \[\]}"),
    ],
)
def test_masks_of_two_values_get_a_mapping(values, sentence):
    with pytest.raises(LabelError, match=sentence):
        check(np.array(values, np.uint8).reshape(1, 2, 2))


@pytest.mark.skipif(not REAL.is_dir(), reason="the shared volumes are not there")
@pytest.mark.parametrize("name", ["fibsem_gala/train{}", "fibsem_gala/test{}", "confocal_ovule/{}"])
def test_real_instances_give_the_membranes_made_of_them(name):
    import tifffile

    instances, membrane = (
        tifffile.imread(REAL / (name.format(part).replace("/_", "/") + ".tif"))
        for part in ("_instances", "_membrane")
    )
    made = compute_boundaries(instances, boundaries())
    assert np.array_equal(made, membrane)
