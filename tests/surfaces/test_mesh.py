"""Meshes of the skin: closed, oriented, the same whatever the blocks, true to the shape."""

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.surfaces.conftest import (
    CENTRE,
    area_of,
    assert_turned_alike,
    ball,
    edge_uses,
    euler,
    radius,
    volume_of,
)

from napari_surfseg.errors import CancelledError, SurfsegError
from napari_surfseg.surfaces.mesh import build_mesh, find_level
from napari_surfseg.surfaces.sheet_mesh import build_sheet_mesh


@pytest.mark.parametrize("block", [128, 16, 7])
def test_a_ball_is_a_sphere(block):
    mesh = build_mesh(ball(), block=block)
    assert mesh.vertices.dtype == np.float32
    assert mesh.faces.dtype == np.int32
    assert set(edge_uses(mesh)[1]) == {2}
    assert euler(mesh) == 2
    assert_turned_alike(mesh)
    distance = np.linalg.norm(mesh.vertices - CENTRE, axis=1)
    assert np.abs(distance - 12).max() < 0.05
    assert volume_of(mesh) == pytest.approx(4 / 3 * np.pi * 12**3, rel=0.01)
    outwards = (mesh.vertices - CENTRE) / distance[:, None]
    assert (outwards * mesh.normals).sum(axis=1).min() > 0.99


def test_blocks_do_not_change_the_mesh():
    one, many = (build_mesh(ball(), block=block) for block in (128, 9))
    order = [np.lexsort(mesh.vertices.T) for mesh in (one, many)]
    np.testing.assert_allclose(one.vertices[order[0]], many.vertices[order[1]], atol=1e-5)
    assert area_of(one) == pytest.approx(area_of(many), rel=1e-6)


@settings(max_examples=25, deadline=None)
@given(
    st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9)),
    st.floats(0.1, 0.9),
    st.integers(2, 5),
    st.integers(0, 2**32 - 1),
)
def test_any_mask_is_closed_whatever_the_blocks(shape, density, block, seed):
    mask = np.random.default_rng(seed).random(shape) < density
    mask[0, 0, 0] = True
    whole, parts = build_mesh(mask), build_mesh(mask, block=block)
    for mesh in (whole, parts):
        assert (edge_uses(mesh)[1] % 2 == 0).all()
        assert volume_of(mesh) > 0
    assert len(whole.vertices) == len(parts.vertices)
    assert len(whole.faces) == len(parts.faces)
    assert volume_of(whole) == pytest.approx(volume_of(parts), rel=1e-5)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([np.uint8, np.float32]))
def test_any_probabilities_are_closed(seed, dtype):
    values = np.random.default_rng(seed).random((7, 8, 9))
    values = np.round(values * 8) / 8  # many exactly on the level
    values = (values * 255).astype(np.uint8) if dtype == np.uint8 else values.astype(dtype)
    mesh = build_mesh(values, level=0.5 if dtype == np.float32 else 127.0, block=4)
    assert (edge_uses(mesh)[1] % 2 == 0).all()


def test_spacing_and_origin_place_the_mesh():
    mask = np.zeros((5, 6, 7), np.uint8)
    mask[1:4, 2:4, 3] = 1
    mesh = build_mesh(mask, spacing=(2.0, 1.0, 0.5), origin=(100, 0, -10))
    np.testing.assert_allclose(mesh.vertices.min(axis=0), [100 + 1, 1.5, -10 + 1.25])
    np.testing.assert_allclose(mesh.vertices.max(axis=0), [100 + 7, 3.5, -10 + 1.75])


def test_a_sheet_that_leaves_the_volume_is_closed_or_open():
    mask = np.zeros((9, 8, 8), bool)
    mask[3:6] = True
    closed = build_mesh(mask)
    assert set(edge_uses(closed)[1]) == {2}
    assert euler(closed) == 2
    opened = build_mesh(mask, closed=False)
    assert 1 in edge_uses(opened)[1]
    assert area_of(opened) == pytest.approx(2 * 7 * 7)


def test_levels_by_kind_of_volume():
    assert find_level(np.zeros((2, 2, 2), bool)) == 0.5
    assert find_level(np.ones((2, 2, 2), np.uint8)) == 0.5
    assert find_level(np.full((2, 2, 2), 200, np.uint8)) == 127.5
    assert find_level(np.zeros((2, 2, 2), np.float32)) == 0.5
    probabilities = (ball() * 255).astype(np.uint8)
    assert volume_of(build_mesh(probabilities)) == pytest.approx(7238, rel=0.02)


@pytest.mark.parametrize("build", [build_mesh, build_sheet_mesh])
def test_nothing_to_mesh_is_one_sentence(build):
    empty = np.zeros((6, 6, 6), np.uint8)
    with pytest.raises(SurfsegError, match=r"^There is no surface to mesh in scan: .*\.$"):
        build(empty, name="scan")


def test_a_full_volume_has_no_open_surface():
    full = np.ones((4, 4, 4), bool)
    assert volume_of(build_mesh(full)) == pytest.approx(64, rel=0.1)
    with pytest.raises(SurfsegError, match="no surface"):
        build_mesh(full, closed=False)


@pytest.mark.parametrize("build", [build_mesh, build_sheet_mesh])
def test_a_zarr_array_is_read_block_by_block(tmp_path, build):
    mask = (np.abs(radius() - 12) <= 1.5).astype(np.uint8)
    array = zarr.create_array(
        str(tmp_path / "m.zarr"), shape=mask.shape, chunks=(16,) * 3, dtype="u1"
    )
    array[:] = mask
    ours, whole = build(array, block=16), build(mask)
    assert len(ours.faces) == len(whole.faces)
    assert area_of(ours) == pytest.approx(area_of(whole), rel=1e-5)


@pytest.mark.parametrize("build", [build_mesh, build_sheet_mesh])
def test_stopping(build):
    def stop():
        raise CancelledError("Enough.")

    with pytest.raises(CancelledError):
        build(np.ones((4, 4, 4), bool), should_stop=stop)
