"""The rim of a mesh is cut where the sheet ends."""

import numpy as np
import pytest
from tests.surfaces.conftest import area_of
from tests.surfaces.test_measures import make_disc

from napari_surfseg.surfaces.mesh import make_mesh
from napari_surfseg.surfaces.mesh_shape import cut_mesh, find_rims
from napari_surfseg.surfaces.sheet_mesh import build_sheet_mesh, choose_smoothing
from napari_surfseg.surfaces.sheet_rim import trim_rim


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (2.0, 1.0, 1.0)])
@pytest.mark.parametrize(("normal", "thickness"), [((1, 0, 0), 4), ((0, 0, 1), 5), ((1, 2, 3), 5)])
def test_a_disc_ends_at_its_edge(spacing, normal, thickness):
    mask = make_disc(12, thickness, normal, spacing)
    sigma = choose_smoothing(mask, spacing)
    mesh = build_sheet_mesh(mask.astype(np.uint8), spacing=spacing, sigma=sigma)
    trimmed = trim_rim(mesh, mask, spacing)
    area = np.pi * 12**2
    assert area_of(mesh) > 1.08 * area
    assert area_of(trimmed) == pytest.approx(area, rel=0.05)
    assert find_rims(trimmed)[0][0] == pytest.approx(2 * np.pi * 12, rel=0.12)


def test_a_mesh_is_cut_through_its_triangles():
    square = make_mesh(
        np.array([[0, 0, 0], [0, 0, 1], [0, 1, 0], [0, 1, 1]], float),
        np.array([[0, 1, 2], [2, 1, 3]]),
    )
    for ends, area in (((1, 1, -1, -1), 0.5), ((1, 1, -3, -3), 0.25), ((1, 1, 1, -1), 0.875)):
        cut = cut_mesh(square, np.array(ends, float))
        assert area_of(cut) == pytest.approx(area)
        np.testing.assert_allclose(cut.normals[:, 0], square.normals[0, 0])
    assert len(cut_mesh(square, -np.ones(4)).faces) == 0
    assert area_of(cut_mesh(square, np.ones(4))) == 1
