"""Thickness and gap at each vertex, on shapes of known values."""

import numpy as np
import pytest

from napari_surfseg.surfaces.mesh_normals import average_over_neighbours, look_along_normals
from napari_surfseg.surfaces.mesh_shape import find_neighbours
from napari_surfseg.surfaces.sheet_mesh import build_sheet_mesh


def make_places(shape, spacing):
    middle = (np.asarray(shape) - 1) / 2
    return (np.moveaxis(np.indices(shape), 0, -1) - middle) * spacing


def look(mask, spacing, **options):
    mesh = build_sheet_mesh(mask.astype(np.uint8), spacing=spacing)
    found = look_along_normals(mesh, mask, spacing, **options)
    places = mesh.vertices / spacing
    inner = ((places > 5) & (places < np.array(mask.shape) - 6)).all(axis=1)
    smooth = average_over_neighbours(found.thickness, find_neighbours(mesh), 5)
    return smooth[inner], found.gap[inner]


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (2.0, 1.0, 1.0), (0.5, 0.25, 0.25)])
@pytest.mark.parametrize("normal", [(1, 0, 0), (0, 1, 0), (3, 1, 1)])
def test_two_slabs(spacing, normal):
    """Their thickness, and from face to face the space between them."""
    unit = min(spacing)
    shape = [round(40 * unit / step) for step in spacing]
    depth = make_places(shape, spacing) @ (np.asarray(normal) / np.linalg.norm(normal))
    # Faces lie between voxels, so that the slabs have the thickness they are drawn with.
    mask = (abs(depth) > 3.9 * unit) & (abs(depth) < 8.1 * unit)
    thickness, gap = look(mask, spacing, reach=20)
    assert np.mean(thickness) == pytest.approx(4.2 * unit, rel=0.08)
    assert np.isfinite(gap).all()
    assert np.mean(gap) == pytest.approx(7.8 * unit, rel=0.08)
    assert np.mean(gap) + np.mean(thickness) == pytest.approx(12 * unit, rel=0.03)


def test_a_shell_and_no_other():
    places = make_places((48, 48, 48), (1, 1, 1))
    mask = abs(np.linalg.norm(places, axis=-1) - 15) < 2.5
    thickness, gap = look(mask, (1.0, 1.0, 1.0), reach=12)
    assert np.mean(thickness) == pytest.approx(5, rel=0.02)
    assert np.percentile(abs(thickness - 5), 95) < 0.35
    # Through its middle the other side is 25 voxels away: not within reach.
    assert np.isinf(gap).all()
    assert np.isfinite(look(mask, (1.0, 1.0, 1.0), reach=40)[1]).all()


def test_another_sheet_that_touches_is_no_gap_away():
    mask = np.zeros((24, 20, 20), bool)
    mask[8:12] = True
    others = np.zeros_like(mask)
    others[12:15, :10] = True
    _, gap = look(mask, (1.0, 1.0, 1.0), others=others, reach=20)
    mesh = build_sheet_mesh(mask.astype(np.uint8))
    places = mesh.vertices
    inner = ((places > 5) & (places < np.array(mask.shape) - 6)).all(axis=1)
    y = places[inner, 1]
    assert (gap[y < 8] == 0).all()
    assert np.isinf(gap[y > 11]).all()
