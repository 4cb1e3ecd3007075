"""Other voxel sizes: grey values, labels that stay thin, and the way back to the own grid."""

import itertools

import numpy as np
import pytest
from scipy import ndimage

from napari_surfseg.data.resampling import (
    KnownVoxels,
    ResampledVolume,
    Resampling,
    choose_resampling,
    resample_box,
    resample_labels,
    source_box,
)
from napari_surfseg.data.volume import ArrayVolume

SHAPES = [
    ((20, 24, 30), (10, 12, 15)),  # halved
    ((20, 24, 30), (13, 17, 29)),  # broken ratios
    ((20, 24, 30), (40, 48, 60)),  # doubled
    ((5, 24, 30), (35, 24, 30)),  # a coarse axis
    ((20, 24, 30), (31, 12, 30)),  # each axis otherwise
]


def volume_of(shape, seed=0, **facts):
    values = np.random.default_rng(seed).integers(0, 200, shape).astype(np.uint8)
    return ArrayVolume(values, **facts), values


@pytest.mark.parametrize(("shape", "new"), SHAPES)
def test_any_box_is_the_part_of_the_whole(shape, new):
    volume, _ = volume_of(shape)
    seen = ResampledVolume(volume, new)
    whole = seen.read((0, 0, 0), new)
    assert whole.dtype == np.uint8
    rng = np.random.default_rng(1)
    for _ in range(20):
        corners = np.sort(rng.integers(0, np.array(new) + 1, (2, 3)), axis=0)
        start, stop = (tuple(map(int, corner)) for corner in corners)
        box = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
        np.testing.assert_array_equal(seen.read(start, stop), whole[box])


def test_coarser_voxels_are_means():
    volume, values = volume_of((20, 24, 30))
    found = resample_box(volume.read, volume.shape, (10, 8, 15), ((0, 0, 0), (10, 8, 15)))
    means = values.reshape(10, 2, 8, 3, 15, 2).mean(axis=(1, 3, 5))
    np.testing.assert_allclose(found, means, rtol=1e-5)


def test_broken_ratios_keep_the_mean():
    volume, values = volume_of((20, 24, 30))
    found = resample_box(volume.read, volume.shape, (13, 17, 19), ((0, 0, 0), (13, 17, 19)))
    assert found.mean() == pytest.approx(values.mean(), rel=1e-4)


@pytest.mark.parametrize("new", [(31, 47, 60), (11, 20, 26), (40, 13, 30)])
def test_a_ramp_stays_in_its_place(new):
    """Nothing is shifted: the middle of a voxel has the value of that place."""
    shape = (16, 24, 30)
    for axis in range(3):
        ramp = np.broadcast_to(
            (np.arange(shape[axis]) + 0.5).reshape([-1 if i == axis else 1 for i in range(3)]),
            shape,
        ).astype(np.float32)
        found = ResampledVolume(ArrayVolume(ramp), new).read((0, 0, 0), new)
        wanted = (np.arange(new[axis]) + 0.5) * shape[axis] / new[axis]
        line = found.mean(axis=tuple(i for i in range(3) if i != axis))
        np.testing.assert_allclose(line[2:-2], wanted[2:-2], atol=0.07)


@pytest.mark.parametrize(("shape", "new"), SHAPES)
def test_there_and_back_keeps_the_grid(shape, new):
    smooth = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=shape), 4).astype("f4")
    there = ResampledVolume(ArrayVolume(smooth), new)
    back = ResampledVolume(there, shape).read((0, 0, 0), shape)
    assert back.shape == shape
    inside = (slice(2, -2),) * 3
    assert np.abs(back - smooth)[inside].max() < 0.3 * smooth.std()


def test_only_what_a_box_needs_is_read():
    box = source_box((1000, 1000, 1000), (500, 2000, 1000), ((100, 100, 100), (110, 110, 110)))
    assert box == ((200, 49, 100), (221, 56, 110))
    asked = []

    def read(start, stop):
        asked.append((start, stop))
        return np.zeros(np.subtract(stop, start), np.uint8)

    resample_box(read, (1000,) * 3, (500, 2000, 1000), ((100, 100, 100), (110, 110, 110)))
    assert asked == [box]


@pytest.mark.parametrize("thickness", [1, 2, 3])
@pytest.mark.parametrize("factor", [1.3, 1.6, 2, 3, 4.5])
def test_a_thin_sheet_stays_one_sheet(thickness, factor):
    """Wherever and however it lies, no hole opens in it."""
    rng = np.random.default_rng(0)
    shape = (40, 41, 42)
    new = tuple(round(size / factor) for size in shape)
    grid = np.mgrid[: shape[0], : shape[1], : shape[2]]
    for _ in range(12):
        normal = rng.normal(size=3)
        normal /= np.abs(normal).max()  # 26-connected sheets of the asked thickness
        distance = np.tensordot(normal, grid - 20.3 - rng.random(), 1)
        sheet = np.abs(distance) <= thickness / 2
        found = resample_labels(sheet.astype(np.uint8), new)
        # What is on both sides of the sheet stays apart.
        sides, _ = ndimage.label(found == 0)
        first = sides[tuple(0 if n > 0 else -1 for n in normal)]
        last = sides[tuple(-1 if n > 0 else 0 for n in normal)]
        assert first != last or not first
        _, count = ndimage.label(found == 1, np.ones((3, 3, 3)))
        assert count == 1


def test_a_stroke_is_kept_and_wins_over_what_is_not_annotated():
    labels = np.full((12, 12, 12), 2, np.uint8)
    labels[5, 2, 1:11] = 0
    labels[5, 9, 1:11] = 1
    found = resample_labels(labels, (4, 4, 4))
    assert (found[1, 0] == 0).all()
    assert (found[1, 3] == 1).all()
    assert np.count_nonzero(found != 2) == 8


def test_finer_labels_are_the_nearest():
    labels = np.random.default_rng(0).integers(0, 3, (4, 5, 6)).astype(np.uint8)
    found = resample_labels(labels, (12, 5, 12))
    np.testing.assert_array_equal(found, labels.repeat(3, 0).repeat(2, 2))


# -- when it is done -------------------------------------------------------------------

NM = KnownVoxels((8.0, 8.0, 8.0), "nanometer")
SHIPPED = KnownVoxels((1.0, 1.0, 1.0), None, 2.0)
UNKNOWN = KnownVoxels((1.0, 1.0, 1.0))


@pytest.mark.parametrize(
    ("spacing", "units", "mode", "known", "scale"),
    [
        ((8, 8, 8), "nanometer", "auto", NM, None),
        ((11, 8, 6), "nanometer", "auto", NM, None),  # less than 1.5
        ((13, 8, 8), "nanometer", "auto", NM, (13 / 8, 1, 1)),
        ((4, 4, 4), "nanometer", "auto", NM, (0.5, 0.5, 0.5)),
        ((0.004, 0.004, 0.004), "micrometer", "auto", NM, (0.5, 0.5, 0.5)),
        ((16, 10, 8.5), "nanometer", "auto", NM, (2, 1.25, 1)),
        ((30, 4, 4), "nanometer", "auto", NM, (3.75, 0.5, 0.5)),
        ((13, 8, 8), "nanometer", "none", NM, None),
        (None, None, "auto", NM, None),
        ((13, 8, 8), "nanometer", "auto", None, None),
        ((13, 8, 8), "nanometer", "auto", UNKNOWN, None),
        ((20, 4, 4), "nanometer", "auto", SHIPPED, (5, 1, 1)),
        ((10, 4, 4), "nanometer", "auto", SHIPPED, (2.5, 1, 1)),
        ((5.9, 4, 4), "nanometer", "auto", SHIPPED, None),
        ((4, 20, 4.1), None, "auto", SHIPPED, (1, 5, 1)),
        ((4, 4, 4), "nanometer", (8.0, 8.0, 4.0), None, (0.5, 0.5, 1)),
        (None, None, (2.0, 1.0, 1.0), None, (0.5, 1, 1)),
        ((4, 4, 4), "nanometer", (4.1, 4.1, 4.1), NM, None),
    ],
)
def test_when_voxels_are_resampled(spacing, units, mode, known, scale):
    volume, _ = volume_of((32, 32, 32), spacing=spacing, units=units)
    found, note = choose_resampling(volume, mode, known)
    assert (found is None) == (scale is None) == (not note)
    if found is not None:
        assert found.scale == pytest.approx(scale)
        assert "on its own grid (data.resample)" in note


@pytest.mark.parametrize("spacing", [(8000, 8000, 8000), (0.008, 0.008, 0.008), (8, 8, 0.5)])
def test_a_header_that_cannot_be_right_is_said_and_not_followed(spacing):
    volume, _ = volume_of((32, 32, 32), spacing=spacing, units="nanometer")
    found, note = choose_resampling(volume, "auto", NM)
    assert found is None
    assert "too far apart to be resampled" in note
    assert note.endswith("check the voxel size.")


def test_shapes_and_sizes_of_both_grids():
    resampling = Resampling((2.0, 0.5, 1.0))
    assert resampling.shape((10, 21, 7)) == (20, 10, 7)
    assert resampling.own_shape((64, 64, 64)) == (32, 128, 64)
    assert resampling.spacing((8.0, 4.0, 4.0)) == (4.0, 8.0, 4.0)
    assert all(min(resampling.shape(size)) >= 1 for size in itertools.product((1, 2), repeat=3))


def test_a_resampled_volume_keeps_its_place_and_states_its_size():
    volume, _ = volume_of((20, 24, 30), spacing=(4, 2, 2), units="nanometer", translate=(1, 2, 3))
    seen = ResampledVolume(volume, (40, 24, 15))
    assert (seen.spacing, seen.units) == ((2.0, 2.0, 4.0), "nanometer")
    assert seen.translate == (1.0, 2.0, 3.0)
