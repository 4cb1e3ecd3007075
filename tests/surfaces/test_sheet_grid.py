"""Sheets laid flat: neighbours a step apart, points on the sheet, in any orientation."""

import numpy as np
import pytest

from napari_surfseg.errors import SurfsegError
from napari_surfseg.surfaces.mesh_shape import smooth_mesh
from napari_surfseg.surfaces.sheet_grid import join_points, sample_grid
from napari_surfseg.surfaces.sheet_mesh import build_sheet_mesh

SPACINGS = [(1.0, 1.0, 1.0), (2.0, 1.0, 1.0)]


def make_places(shape, spacing):
    shape = [round(n / s) for n, s in zip(shape, spacing, strict=True)]
    middle = (np.asarray(shape) - 1) / 2
    return (np.moveaxis(np.indices(shape), 0, -1) - middle) * spacing


def spiral_distance(places, pitch, turns):
    """From an Archimedean spiral around Z, from one turn to ``turns``."""
    angle = np.arctan2(places[..., 1], places[..., 2]) % (2 * np.pi)
    radius = np.hypot(places[..., 1], places[..., 2])
    turn = np.round(radius / pitch - angle / (2 * np.pi))
    off = radius - pitch * (turn + angle / (2 * np.pi))
    return np.where((turn >= 1) & (turn < turns), abs(off), np.inf)


def make_sheet(name, spacing):
    """The distance of voxels from a surface, its area, and a function of the same of points."""
    if name == "spiral":
        shape = (24, 80, 80)
        distance = lambda p: spiral_distance(p, 12.0, 3)  # noqa: E731
        t = np.linspace(2 * np.pi, 6 * np.pi, 4001)
        length = np.trapezoid(np.hypot(12 * t / (2 * np.pi), 12 / (2 * np.pi)), t)
        return shape, distance, 24 * length
    shape = (40, 44, 48)
    if name == "plane":
        return shape, lambda p: abs(p[..., 1]), 40 * 48
    if name == "across the axis":
        return shape, lambda p: abs(p[..., 0]), 44 * 48
    if name == "tilted plane":
        normal = np.array([2, 1, 2]) / 3
        return (
            shape,
            lambda p: np.where(np.linalg.norm(p, axis=-1) < 18, abs(p @ normal), 99),
            (np.pi * 18**2),
        )
    # A quarter of a cylinder around X, which is no one's axis by default.
    return (
        shape,
        lambda p: abs(np.hypot(p[..., 0] + 20, p[..., 1] + 22) - 28),
        28 * np.pi / 2 * 48,
    )


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("name", ["plane", "across the axis", "tilted plane", "quarter", "spiral"])
def test_neighbours_are_a_step_apart_and_on_the_sheet(name, spacing):
    shape, distance, area = make_sheet(name, spacing)
    places = make_places(shape, spacing)
    mask = distance(places) < 1.6
    mesh = smooth_mesh(build_sheet_mesh(mask.astype(np.uint8), spacing=spacing), 10)
    grid = sample_grid(mesh, 3.0)
    points = grid.points
    for axis in (0, 1):
        gaps = np.linalg.norm(np.diff(points, axis=axis), axis=-1)
        gaps = gaps[np.isfinite(gaps)]
        assert np.median(gaps) == pytest.approx(3, rel=0.02)
        assert np.percentile(abs(gaps - 3), 90) < 0.2
    middle = (np.asarray(mask.shape) - 1) / 2 * spacing
    off = distance(points[grid.valid].astype(float) - middle)
    assert np.percentile(off[off < 5], 95) < max(spacing) / 2
    assert (off < 5).mean() > 0.85  # beside the ends of what was drawn
    assert grid.valid.sum() * 9 == pytest.approx(area, rel=0.2)
    # Rows and columns in order: row times column is the normal.
    down, right = np.diff(points, axis=0)[:, :-1], np.diff(points, axis=1)[:-1]
    across = np.cross(down[..., ::-1], right[..., ::-1])[..., ::-1]
    ways = (across * grid.normals[:-1, :-1]).sum(axis=-1)
    assert (ways[np.isfinite(ways)] > 0).mean() > 0.99
    assert np.allclose(np.linalg.norm(grid.normals[grid.valid], axis=1), 1, atol=1e-4)


def test_rows_run_along_the_axis_of_a_roll():
    shape, distance, _ = make_sheet("spiral", (1, 1, 1))
    mask = distance(make_places(shape, (1, 1, 1))) < 1.6
    grid = sample_grid(build_sheet_mesh(mask.astype(np.uint8)), 4.0)
    rows, columns = grid.valid.shape
    assert rows == pytest.approx(24 / 4, abs=1.1)
    assert columns > 30
    heights = np.nanmean(grid.points[..., 0], axis=1)
    assert np.allclose(np.diff(heights), 4, atol=0.1)


def test_a_hole_is_invalid_and_smaller_pieces_are_left_out():
    mask = np.zeros((30, 60, 60), np.uint8)
    mask[8:11] = 1
    mask[:, 25:35, 25:35] = 0
    mask[20:23, :20, :20] = 1
    grid = sample_grid(build_sheet_mesh(mask), 2.0)
    assert abs(grid.points[grid.valid][:, 0] - 9).max() < 0.6
    row, column = (n // 2 for n in grid.valid.shape)
    assert not grid.valid[row, column]
    assert grid.valid.mean() > 0.9
    vertices, faces = join_points(grid.points)
    assert len(vertices) == grid.valid.sum()
    corners = vertices[faces][..., ::-1]
    area = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert np.linalg.norm(area, axis=1).sum() / 2 == pytest.approx(60**2 - 12**2, rel=0.1)
    assert (np.sign(area[:, 2]) == np.sign(grid.normals[0, 0, 0])).all()


def test_a_closed_tube_is_refused():
    places = make_places((24, 50, 50), (1, 1, 1))
    mask = abs(np.hypot(places[..., 1], places[..., 2]) - 15) < 1.5
    with pytest.raises(SurfsegError, match="closes on itself"):
        sample_grid(build_sheet_mesh(mask.astype(np.uint8)), 3.0)
