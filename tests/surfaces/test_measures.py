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
    length = 64.0  # to the outer faces of the last voxels
    reach = 64 * 1.25 * 64
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
    # As far as the voxels have the thickness it was drawn with.
    assert found.thickness == pytest.approx(found.volume / (area * unit**2), rel=0.02)
    assert found.thickness == pytest.approx(THICKNESS * unit, rel=0.08)
    assert found.thickness_spread < 0.15 * THICKNESS * unit
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
    assert found.area == pytest.approx(length * 64, rel=0.02)
    assert found.thickness == pytest.approx(3, rel=0.02)
    assert found.hole_rim_length == 0


def make_disc(radius, thickness, normal, spacing, *, square=False):
    """A plate that ends within the volume, of lengths in the finest voxel."""
    finest = min(spacing)
    half = radius * (1.5 if square else 1) + thickness + 4
    shape = [int(np.ceil(2 * half * finest / step)) for step in spacing]
    grid = np.stack(np.meshgrid(*(np.arange(n) - (n - 1) / 2 + 0.13 for n in shape), indexing="ij"))
    places = (np.moveaxis(grid, 0, -1) * spacing) / finest
    normal = np.asarray(normal) / np.linalg.norm(normal)
    depth = places @ normal
    along = np.cross(normal, [0.3, 0.9, -0.2] if abs(normal[0]) < 0.99 else [0, 1, 0])
    along /= np.linalg.norm(along)
    u, v = places @ along, places @ np.cross(normal, along)
    inside = np.maximum(abs(u), abs(v)) < radius if square else np.hypot(u, v) < radius
    return (abs(depth) < thickness / 2) & inside


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (2.0, 1.0, 1.0)])
@pytest.mark.parametrize("normal", [(1, 0, 0), (1, 1, 0), (1, 2, 3)])
@pytest.mark.parametrize(("radius", "thickness"), [(10, 2.01), (10, 3), (10, 5), (20, 9)])
def test_a_disc_is_as_large_as_it_is(spacing, normal, radius, thickness):
    if spacing[0] == 2 and normal == (1, 0, 0):
        thickness = 4  # of whole voxels: else its own volume is wrong by a third
    mask = make_disc(radius, thickness, normal, spacing)
    (found,) = measure_sheets(mask.astype(np.int32), spacing)
    assert found.area == pytest.approx(np.pi * radius**2, rel=0.02)
    # As far as the voxels have the thickness the disc was drawn with.
    drawn = found.volume / (np.pi * radius**2)
    assert found.thickness == pytest.approx(drawn, rel=0.02)
    assert found.hole_rim_length == 0


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("square", [False, True])
def test_a_plane_of_one_voxel_and_its_rim(spacing, square):
    mask = make_disc(12, 1.0 * spacing[0] / min(spacing), (1, 0, 0), spacing, square=square)
    assert mask.any(axis=(1, 2)).sum() == 1
    (found,) = measure_sheets(mask.astype(np.int32), spacing)
    unit = min(spacing)
    area, rim = (24**2, 4 * 24) if square else (np.pi * 12**2, 2 * np.pi * 12)
    assert found.area == pytest.approx(area * unit**2, rel=0.02)
    assert found.rim_length == pytest.approx(rim * unit, rel=0.05)


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("normal", [(1, 0, 0), (1, 1, 0), (1, 2, 3)])
def test_sheets_that_touch(spacing, normal):
    """Of two discs that lie against each other, which touch and by how much."""
    both = make_disc(12, 12, normal, spacing)
    depth = np.moveaxis(np.indices(both.shape), 0, -1) - (np.array(both.shape) - 1) / 2 + 0.13
    depth = (depth * spacing / min(spacing)) @ (np.asarray(normal) / np.linalg.norm(normal))
    labels = np.where(both, np.where(depth < 0, 2, 5), 0)
    labels[0, 0, 0] = 9
    found = list(measure_sheets(labels, spacing))
    assert [(row.label, row.contacts) for row in found] == [(2, (5,)), (5, (2,)), (9, ())]
    area = np.pi * 12**2 * min(spacing) ** 2
    # Around a contact up to a quarter of a voxel is lost: a fifteenth of one this small.
    assert found[0].contact_area == pytest.approx(area, rel=0.07)
    assert found[1].contact_area == pytest.approx(found[0].contact_area, rel=1e-3)
    assert found[0].to_row([7, 7, 4, 4, 30, 1, 1, 1, 1])["contacts"] == "30"


def test_the_gap_to_the_next_sheet_and_a_hole():
    labels = np.zeros((40, 40, 40), np.int32)
    labels[5:8] = 3
    labels[17:20] = 7
    labels[:, 10:16, 10:16][labels[:, 10:16, 10:16] == 7] = 0
    first, second = measure_sheets(labels, (2.0, 1.0, 1.0))
    assert (first.label, second.label) == (3, 7)
    assert first.gap == pytest.approx(22, abs=2)
    assert (first.holes, second.holes) == (0, 1)
    assert first.hole_rim_length == 0
    assert second.hole_rim_length == pytest.approx(24, rel=0.2)
    assert second.rim_length == pytest.approx(first.rim_length + second.hole_rim_length, rel=0.02)


def test_what_is_too_small_to_mesh_has_no_area():
    labels = np.zeros((8, 8, 8), np.int32)
    labels[4, 4, 4] = 1
    (found,) = measure_sheets(labels)
    assert found.voxels == 1
    assert np.isnan(found.area)
    assert list(measure_sheets(np.zeros((4, 4, 4), np.int32))) == []
