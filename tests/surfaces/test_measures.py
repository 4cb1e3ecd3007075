"""Measures of shapes whose values are known, also where voxels are longer than wide."""

import numpy as np
import pytest

from napari_surfseg.surfaces.measures import measure_sheets

SPACINGS = [(1.0, 1.0, 1.0), (2.0, 1.0, 1.0), (0.5, 0.25, 0.25)]
THICKNESS = 3.0


def make_grid(spacing):
    """Z, Y, X of 64 units along each axis, around the middle, scaled to the finest voxel."""
    finest = min(spacing)
    shape = [round(64 * finest / step) for step in spacing]
    axes = [(np.arange(n) - n // 2) * step / finest for n, step in zip(shape, spacing, strict=True)]
    return np.meshgrid(*axes, indexing="ij")


def make_shapes(spacing):
    """Name, mask, area, holes, cavities and mean absolute mean curvature."""
    z, y, x = make_grid(spacing)
    radius = np.sqrt(z**2 + y**2 + x**2)
    axis = np.hypot(y, x)
    tube = np.hypot(axis - 18, z)
    length = (z.shape[0] - 1) * spacing[0] / min(spacing)
    reach = np.ptp(z[:, 0, 0]) * 1.25 * np.ptp(x[0, 0])
    return {
        "sphere": (np.abs(radius - 24) < THICKNESS / 2, 4 * np.pi * 24**2, 0, 1, 1 / 24),
        "torus": (np.abs(tube - 10) < THICKNESS / 2, 4 * np.pi**2 * 180, 2, 1, 1 / 20),
        "tube": (np.abs(axis - 20) < THICKNESS / 2, 2 * np.pi * 20 * length, 1, 0, 1 / 40),
        "slab": (np.abs(0.6 * z + 0.8 * y) < THICKNESS / 2, reach, 0, 0, 0),
    }


@pytest.mark.parametrize("name", ["sphere", "torus", "tube", "slab"])
@pytest.mark.parametrize("spacing", SPACINGS)
def test_shapes_of_known_values(spacing, name):
    mask, area, holes, cavities, curvature = make_shapes(spacing)[name]
    unit = min(spacing)
    (found,) = measure_sheets(mask.astype(np.int32), spacing)
    assert found.area == pytest.approx(area * unit**2, rel=0.02)
    assert found.thickness == pytest.approx(THICKNESS * unit, rel=0.05)
    assert found.volume == mask.sum() * np.prod(spacing)
    assert (found.holes, found.cavities) == (holes, cavities)
    assert found.mean_curvature == pytest.approx(curvature / unit, rel=0.03, abs=0.008 / unit)
    assert found.gap == np.inf
    if name in {"sphere", "torus"}:
        assert found.rim_length == 0


def test_a_spiral_is_as_long_as_it_is_unrolled():
    _, y, x = make_grid((1.0, 1.0, 1.0))
    angle = np.arctan2(y, x) % (2 * np.pi)
    pitch, radius = 9.0, np.hypot(y, x)
    # Archimedean: r = pitch angle / 2 pi, from one turn to a bit less than three.
    turns = np.round(radius / pitch - angle / (2 * np.pi))
    off = radius - pitch * (turns + angle / (2 * np.pi))
    mask = (np.abs(off) < 1.5) & (turns >= 1) & (turns < 3)
    (found,) = measure_sheets(mask.astype(np.int32))
    t = np.linspace(2 * np.pi, 6 * np.pi, 10001)
    r = pitch * t / (2 * np.pi)
    length = np.trapezoid(np.hypot(r, pitch / (2 * np.pi)), t)
    assert found.area == pytest.approx(length * 63, rel=0.02)


def test_the_gap_to_the_next_sheet_and_a_hole():
    labels = np.zeros((40, 40, 40), np.int32)
    labels[5:8] = 3
    labels[17:20] = 7
    labels[:, 10:16, 10:16][labels[:, 10:16, 10:16] == 7] = 0
    first, second = measure_sheets(labels, (2.0, 1.0, 1.0))
    assert (first.label, second.label) == (3, 7)
    assert first.gap == pytest.approx(22, abs=2)
    assert (first.holes, second.holes) == (0, 1)
    assert second.rim_length > first.rim_length


def test_what_is_too_small_to_mesh_has_no_area():
    labels = np.zeros((8, 8, 8), np.int32)
    labels[4, 4, 4] = 1
    (found,) = measure_sheets(labels)
    assert found.voxels == 1
    assert np.isnan(found.area)
    assert list(measure_sheets(np.zeros((4, 4, 4), np.int32))) == []
