"""Counting labels in one pass."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_surfseg.config import Labels
from napari_surfseg.data import census as census_module
from napari_surfseg.data.census import BLOCK, restrict_census, take_census, tile_box
from napari_surfseg.data.volume import ArrayVolume
from napari_surfseg.errors import DataError


def make_labels(shape=(70, 130, 66), seed=0):
    return np.random.default_rng(seed).choice(3, shape, p=(0.8, 0.05, 0.15)).astype(np.uint8)


def count_blocks(labels, box, meaning):
    """The same with NumPy alone."""
    first = [a // BLOCK for a in box[0]]
    shape = [-(-b // BLOCK) - f for b, f in zip(box[1], first, strict=True)]
    counts = np.zeros(shape, np.int64)
    inside = np.zeros(labels.shape, bool)
    inside[tuple(map(slice, *box))] = True
    places = np.argwhere((labels == meaning) & inside) // BLOCK - first
    np.add.at(counts, tuple(places.T), 1)
    return counts


@pytest.mark.parametrize("dtype", ["uint8", "int32"])
@pytest.mark.parametrize("box", [None, ((3, 70, 5), (69, 130, 65))])
def test_counts_by_block_and_plane(dtype, box, monkeypatch):
    monkeypatch.setattr(census_module, "UNIT_VOXELS", 64 * 64)  # many units, several threads
    labels = make_labels()
    volume = ArrayVolume(labels.astype(dtype))
    volume.chunks = (16, 128, 32)
    census = take_census(volume, Labels(), box=box)
    box = box or volume.box
    inside = labels[tuple(map(slice, *box))]
    for meaning in (0, 1):
        np.testing.assert_array_equal(
            census.blocks.dense()[meaning], count_blocks(labels, box, meaning)
        )
        for axis in range(3):
            others = tuple(a for a in range(3) if a != axis)
            np.testing.assert_array_equal(
                census.planes[axis][meaning], (inside == meaning).sum(axis=others)
            )
    assert census.num_foreground == np.count_nonzero(inside == 1)
    assert census.num_background == np.count_nonzero(inside == 0)
    assert census.num_ignored == np.count_nonzero(inside == 2)
    assert census.num_visited == inside.size
    assert census.is_complete


def test_finds_values_without_meaning():
    labels = make_labels((10, 10, 10))
    labels[0, 0, :3] = (9, 9, 77)
    for dtype in ("uint8", "int64"):
        census = take_census(ArrayVolume(labels.astype(dtype)), Labels())
        assert census.unknown == {9: 2, 77: 1}


def test_finds_numbers_that_are_none():
    image = np.ones((10, 10, 10), np.float32)
    image[4, 5, 6] = np.nan
    image[7, 5, 6] = np.inf
    census = take_census(ArrayVolume(make_labels(image.shape)), Labels(), image=ArrayVolume(image))
    assert census.num_nonfinite == 2
    assert census.nonfinite_voxel == (4, 5, 6)


def test_void_voxels_are_not_counted():
    labels = np.ones((4, 4, 4), np.uint8)
    image = np.ones((4, 4, 4), np.uint8)
    image[0] = 0
    census = take_census(ArrayVolume(labels), Labels(), image=ArrayVolume(image), void_value=0)
    assert census.num_foreground == 48
    assert census.num_void == census.num_ignored == 16
    nan = np.where(image == 0, np.nan, 1.0).astype(np.float32)
    census = take_census(
        ArrayVolume(labels), Labels(), image=ArrayVolume(nan), void_value=float("nan")
    )
    assert census.num_void == 16
    assert census.num_nonfinite == 0


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("span", [(0, 40), (20, 60), (64, 66), (10, 66), (0, 64)])
def test_a_part_counts_as_if_counted_alone(axis, span):
    labels = ArrayVolume(make_labels((70, 130, 66)))
    whole = take_census(labels, Labels())
    start, stop = [0, 0, 0], [70, 130, 66]
    start[axis], stop[axis] = span
    box = tuple(start), tuple(stop)
    part = restrict_census(whole, box, labels, Labels())
    alone = take_census(labels, Labels(), box=box)
    np.testing.assert_array_equal(part.blocks.dense(), alone.blocks.dense())
    np.testing.assert_array_equal(part.planes[axis], alone.planes[axis])
    assert part.num_visited == alone.num_visited
    assert part.num_ignored == alone.num_ignored


def test_a_part_of_one_axis_only():
    labels = ArrayVolume(make_labels((10, 10, 10)))
    whole = take_census(labels, Labels())
    assert restrict_census(whole, whole.box, labels, Labels()) is whole
    with pytest.raises(ValueError, match="one axis at a time"):
        restrict_census(whole, ((0, 1, 1), (10, 10, 10)), labels, Labels())


def test_only_the_divided_blocks_are_read_again():
    reads = []

    class Watched(ArrayVolume):
        def _read_box(self, start, stop):
            reads.append((start, stop))
            return super()._read_box(start, stop)

    labels = Watched(make_labels((200, 66, 66)))
    whole = take_census(labels, Labels())
    reads.clear()
    restrict_census(whole, ((0, 0, 0), (150, 66, 66)), labels, Labels())
    assert min(start[0] for start, _ in reads) == 128
    assert max(stop[0] for _, stop in reads) == 150


def test_blocks_know_their_place():
    census = take_census(ArrayVolume(make_labels()), Labels(), box=((3, 70, 5), (69, 130, 65)))
    assert census.block_box((0, 0, 0)) == ((3, 70, 5), (64, 128, 64))
    assert census.block_box((1, 1, 1)) == ((64, 128, 64), (69, 130, 65))


def test_huge_volumes_are_sampled(monkeypatch):
    monkeypatch.setattr(census_module, "UNIT_VOXELS", 16**3)
    labels = ArrayVolume(make_labels((64, 64, 64)))
    labels.chunks = (16, 16, 16)
    census = take_census(labels, Labels(), max_voxels=16 * 16**3)
    assert census.num_visited == 16 * 16**3
    assert not census.is_complete
    assert census.num_foreground / census.num_visited == pytest.approx(0.05, abs=0.005)
    np.testing.assert_array_equal(
        census.blocks.dense(),
        take_census(labels, Labels(), max_voxels=16 * 16**3).blocks.dense(),
    )


@given(
    start=st.tuples(*[st.integers(0, 50)] * 3),
    extent=st.tuples(*[st.integers(1, 60)] * 3),
    chunks=st.tuples(*[st.integers(1, 40)] * 3),
)
@settings(max_examples=40, deadline=None)
def test_tiles_cover_a_box_once(start, extent, chunks):
    stop = tuple(a + n for a, n in zip(start, extent, strict=True))
    seen = np.zeros((110,) * 3, np.int8)
    for low, high in tile_box((start, stop), chunks, 5000):
        seen[tuple(map(slice, low, high))] += 1
    assert np.all(seen[tuple(map(slice, start, stop))] == 1)
    assert seen.sum() == np.prod(extent)


def test_a_damaged_file_ends_the_pass():
    class Damaged(ArrayVolume):
        def _read_box(self, start, stop):
            raise OSError("bad block")

    with pytest.raises(DataError, match=r"damaged or incomplete \(bad block\)\.$"):
        take_census(Damaged(make_labels((9, 9, 9)), name="a.tif"), Labels())
