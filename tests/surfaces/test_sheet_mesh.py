"""The middle of sheets as one layer of triangles."""

import numpy as np
import pytest
from tests.surfaces.conftest import (
    CENTRE,
    area_of,
    assert_turned_alike,
    edge_uses,
    euler,
    radius,
    volume_of,
)

from napari_surfseg.surfaces.mesh import Mesh
from napari_surfseg.surfaces.sheet_mesh import build_sheet_mesh, estimate_thickness


@pytest.mark.parametrize("thickness", [1, 2, 4])
@pytest.mark.parametrize("block", [96, 13])
def test_a_shell_is_one_layer(thickness, block):
    mask = np.abs(radius() - 12) <= thickness / 2
    mesh = build_sheet_mesh(mask, block=block)
    assert euler(mesh) == 2
    assert set(edge_uses(mesh)[1]) == {2}
    assert_turned_alike(mesh)
    assert np.abs(np.linalg.norm(mesh.vertices - CENTRE, axis=1) - 12).max() < 0.75
    assert volume_of(mesh) == pytest.approx(4 / 3 * np.pi * 12**3, rel=0.08)  # outwards


@pytest.mark.parametrize("tilt", [(1, 0, 0), (1, 1, 0), (1, 2, 3), (1, 0.3, 0.2)])
def test_two_near_sheets_are_two_discs_in_any_orientation(tilt):
    normal = np.array(tilt) / np.linalg.norm(tilt)
    grid = np.stack(np.mgrid[:40, :40, :40], -1) - 19.5
    depth = grid @ normal
    mask = (np.abs(np.abs(depth) - 3.5) <= 1.5) & (np.abs(grid).max(axis=-1) < 15)
    mesh = build_sheet_mesh(mask)
    inner = np.abs(mesh.vertices - 19.5).max(axis=1) < 12  # away from the rims
    assert np.abs(np.abs((mesh.vertices[inner] - 19.5) @ normal) - 3.5).max() < 0.5
    middle = mesh.vertices[mesh.faces].mean(axis=1) - 19.5
    near = mesh.faces[np.abs(middle).max(axis=1) < 10]
    corners = mesh.vertices[near][..., ::-1].astype(float)
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])[:, ::-1]
    outside = np.sign(mesh.vertices[near].mean(axis=1) @ normal - 19.5 * normal.sum())
    ways = np.sign(across @ normal) * outside
    assert all(len(np.unique(ways[outside == side])) == 1 for side in (-1, 1))
    assert len(np.unique(near)) > 300
    # Both sheets, each a single layer: the area is that of two planes cut by a cube.
    points = np.random.default_rng(0).uniform(-10, 10, (200_000, 3))
    expected = np.mean(np.abs(np.abs(points @ normal) - 3.5) <= 0.5) * 20**3
    assert area_of(Mesh(mesh.vertices, near, mesh.normals)) == pytest.approx(expected, rel=0.1)


def test_anisotropic_voxels():
    spacing = (2.0, 1.0, 1.0)
    mask = np.abs(radius((20, 38, 36), spacing) - 12) <= 1.5
    mesh = build_sheet_mesh(mask, spacing=spacing)
    assert euler(mesh) == 2
    assert np.abs(np.linalg.norm(mesh.vertices - CENTRE, axis=1) - 12).max() < 0.75


@pytest.mark.parametrize("thickness", [2.0, 3.0, 5.0])
def test_thickness_is_estimated(thickness):
    mask = np.abs(radius() - 12) <= thickness / 2
    assert estimate_thickness(mask, 0.5, (1, 1, 1)) == pytest.approx(thickness, rel=0.1)
    assert estimate_thickness(mask, 0.5, (3, 3, 3)) == pytest.approx(3 * thickness, rel=0.1)
    assert estimate_thickness(mask & False, 0.5, (1, 1, 1)) == 0
