"""Fewer triangles: no further away than allowed, rims and closedness kept."""

import sys

import numpy as np
import pytest
from tests.surfaces.conftest import CENTRE, assert_turned_alike, ball, edge_uses, volume_of

from napari_surfseg.errors import SurfsegError
from napari_surfseg.surfaces.mesh import build_mesh
from napari_surfseg.surfaces.mesh_decimation import decimate_mesh, measure_deviation
from napari_surfseg.surfaces.mesh_shape import count_edge_uses, find_rims, smooth_mesh
from napari_surfseg.surfaces.sheet_mesh import build_sheet_mesh


def make_wave():
    y, x = np.mgrid[:48, :48]
    height = 10 + 4 * np.sin(y / 8) * np.cos(x / 9)
    mask = abs(np.arange(20)[:, None, None] - height) < 1.5
    return smooth_mesh(build_sheet_mesh(mask.astype(np.uint8)), 10)


def test_a_sheet_keeps_its_rim():
    mesh = make_wave()
    fewer = decimate_mesh(mesh, 0.2, 0.5)
    assert len(fewer.faces) < 0.3 * len(mesh.faces)
    assert measure_deviation(fewer, mesh) <= 0.5
    assert max(count_edge_uses(fewer.faces)) == 2
    assert find_rims(fewer)[0][0] == pytest.approx(find_rims(mesh)[0][0], rel=0.01)
    assert_turned_alike(fewer)
    along = (fewer.normals[:, 0] > 0).mean()
    assert along in (0, 1)  # turned as before, nowhere over


def test_a_closed_mesh_stays_closed():
    mesh = smooth_mesh(build_mesh(ball()), 10)
    fewer = decimate_mesh(mesh, 0.1, 0.5)
    assert len(fewer.faces) < 0.15 * len(mesh.faces)
    assert set(edge_uses(fewer)[1]) == {2}
    assert volume_of(fewer) == pytest.approx(volume_of(mesh), rel=0.02)
    assert abs(np.linalg.norm(fewer.vertices - CENTRE, axis=1) - 12).max() < 0.5


def test_the_error_counts_more_than_the_share():
    mesh = make_wave()
    fine = decimate_mesh(mesh, 0.05, 0.06)
    assert measure_deviation(fine, mesh) <= 0.06
    assert len(fine.faces) > 0.05 * len(mesh.faces)
    assert decimate_mesh(mesh, 1, 0.5) is mesh


def test_without_the_library_a_sentence_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "fast_simplification", None)
    with pytest.raises(SurfsegError, match=r"pip install .napari-surfseg\[mesh\]"):
        decimate_mesh(make_wave(), 0.5, 0.5)
