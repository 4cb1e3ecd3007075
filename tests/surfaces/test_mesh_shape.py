"""Smoothing, thinning out, turning and dropping pieces of meshes."""

import numpy as np
import pytest
from tests.surfaces.conftest import CENTRE, assert_turned_alike, ball, edge_uses, radius, volume_of

from napari_surfseg.surfaces.mesh import Mesh, build_mesh
from napari_surfseg.surfaces.mesh_shape import (
    keep_large_pieces,
    orient_faces,
    smooth_mesh,
    thin_out_mesh,
)


def test_smoothing_takes_the_steps_and_keeps_the_volume():
    stepped = build_mesh(radius() < 12)
    smooth = smooth_mesh(stepped, 10)
    deviation = [np.linalg.norm(m.vertices - CENTRE, axis=1).std() for m in (stepped, smooth)]
    assert deviation[1] < 0.6 * deviation[0]
    assert volume_of(smooth) == pytest.approx(volume_of(stepped), rel=0.02)
    assert smooth_mesh(stepped, 0) is stepped


def test_smoothing_leaves_the_rim():
    mask = np.zeros((9, 8, 8), bool)
    mask[3:6, ::2] = True
    mask[4] = True
    mesh = build_mesh(mask, closed=False)
    sides, uses = edge_uses(mesh)
    rim = np.unique(sides[uses == 1])
    smooth = smooth_mesh(mesh, 5)
    np.testing.assert_array_equal(smooth.vertices[rim], mesh.vertices[rim])
    assert np.abs(smooth.vertices - mesh.vertices).max() > 0.1


def test_thinning_out_leaves_fewer_triangles_and_closed_surfaces_closed():
    mesh = smooth_mesh(build_mesh(radius() < 12))
    thin = thin_out_mesh(mesh, 3.0)
    assert len(thin.faces) < len(mesh.faces) / 4
    assert (edge_uses(thin)[1] % 2 == 0).all()
    assert volume_of(thin) == pytest.approx(volume_of(mesh), rel=0.06)
    assert thin_out_mesh(mesh, 0) is mesh


def test_thinning_out_does_not_weld_the_sides_of_a_sheet():
    mask = np.zeros((12, 30, 30), bool)
    mask[5:7, 3:27, 3:27] = True
    thin = thin_out_mesh(build_mesh(mask), 4.0)
    inside = np.abs(thin.vertices[:, 1:] - 14.5).max(axis=1) < 10  # the rim is rounded off
    np.testing.assert_allclose(np.abs(thin.vertices[inside, 0] - 5.5), 1, atol=1e-5)
    assert volume_of(thin) > 0.8 * 2 * 24 * 24


def test_faces_turned_at_random_are_put_right():
    mesh = build_mesh(ball())
    random = np.random.default_rng(0).random((len(mesh.faces), 1)) < 0.5
    mixed = Mesh(mesh.vertices, np.where(random, mesh.faces, mesh.faces[:, ::-1]), mesh.normals)
    turned = orient_faces(mixed)
    assert_turned_alike(turned)
    assert volume_of(turned) == pytest.approx(volume_of(mesh))


def test_small_pieces_are_dropped():
    mask = radius() < 12
    mask[1, 1, 1] = True
    mesh = build_mesh(mask)
    kept = keep_large_pieces(mesh, 10)
    assert kept.vertices.min() > 5
    assert len(kept.vertices) == len(mesh.vertices) - 6
    assert keep_large_pieces(mesh, 0) is mesh
