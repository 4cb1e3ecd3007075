"""Meshes: closed, oriented, the same whatever the blocks, and true to the shape."""

import errno
import os

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_surfseg.errors import CancelledError, OutputError, SurfsegError
from napari_surfseg.surfaces.mesh import Mesh, build_mesh, find_level, write_mesh
from napari_surfseg.surfaces.mesh_shape import (
    keep_large_pieces,
    orient_faces,
    smooth_mesh,
    thin_out_mesh,
)
from napari_surfseg.surfaces.sheet_mesh import build_sheet_mesh, estimate_thickness

CENTRE = np.array([20.0, 19.0, 18.0])


def radius(shape=(40, 38, 36), spacing=(1, 1, 1)):
    z, y, x = (np.arange(n) * s for n, s in zip(shape, spacing, strict=True))
    return np.sqrt(
        (z[:, None, None] - CENTRE[0]) ** 2 + (y[:, None] - CENTRE[1]) ** 2 + (x - CENTRE[2]) ** 2
    )


def ball(size=12.0):
    return np.clip(0.5 + (size - radius()) / 4, 0, 1).astype(np.float32)


def volume_of(mesh):
    """Enclosed volume: positive where faces are counter-clockwise from outside, in XYZ."""
    corners = mesh.vertices[:, ::-1].astype(float)[mesh.faces]
    return float((corners[:, 0] * np.cross(corners[:, 1], corners[:, 2])).sum() / 6)


def area_of(mesh):
    corners = mesh.vertices.astype(float)[mesh.faces]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    return float(np.linalg.norm(across, axis=1).sum() / 2)


def edge_uses(mesh):
    sides = np.sort(mesh.faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    return np.unique(sides, axis=0, return_counts=True)


def euler(mesh):
    return len(mesh.vertices) - len(edge_uses(mesh)[0]) + len(mesh.faces)


def assert_turned_alike(mesh):
    """Every edge of two triangles is run along once each way."""
    sides = mesh.faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2)
    _, counts = np.unique(sides, axis=0, return_counts=True)
    assert counts.max() == 1


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


A_TRIANGLE = Mesh(
    np.array([[1, 2, 3], [4, 5, 6], [7, 8, 10]], np.float32),
    np.array([[0, 1, 2]], np.int32),
    np.array([[0, 0, 1]] * 3, np.float32),
)


def test_ply_by_hand(tmp_path):
    data = write_mesh(tmp_path / "m.ply", A_TRIANGLE).read_bytes()
    header, _, body = data.partition(b"end_header\n")
    assert header.startswith(b"ply\nformat binary_little_endian 1.0\n")
    assert b"element vertex 3\n" in header
    assert b"element face 1\n" in header
    vertices = np.frombuffer(body[: 3 * 24], "<f4").reshape(3, 6)
    np.testing.assert_array_equal(vertices[0], [3, 2, 1, 1, 0, 0])  # x, y, z and normal
    assert body[72:] == b"\x03" + np.array([0, 1, 2], "<i4").tobytes()


def test_obj_by_hand(tmp_path):
    lines = write_mesh(tmp_path / "m.obj", A_TRIANGLE).read_text().splitlines()
    assert lines[1:] == [
        "v 3 2 1",
        "v 6 5 4",
        "v 10 8 7",
        *["vn 1.0000 0.0000 0.0000"] * 3,
        "f 1//1 2//2 3//3",
    ]


def test_stl_by_hand(tmp_path):
    data = write_mesh(tmp_path / "m.stl", A_TRIANGLE).read_bytes()
    assert len(data) == 84 + 50
    assert np.frombuffer(data[80:84], "<u4")[0] == 1
    numbers = np.frombuffer(data[84:132], "<f4").reshape(4, 3)
    np.testing.assert_array_equal(numbers[1:], A_TRIANGLE.vertices[:, ::-1])
    expected = np.cross([3, 3, 3], [7, 6, 6])
    np.testing.assert_allclose(numbers[0], expected / np.linalg.norm(expected), atol=1e-6)


@pytest.mark.parametrize("suffix", ["ply", "obj", "stl"])
def test_large_meshes_are_written_in_parts(tmp_path, suffix, monkeypatch):
    mesh = build_mesh(ball())
    whole = write_mesh(tmp_path / f"a.{suffix}", mesh).read_bytes()
    monkeypatch.setattr("napari_surfseg.surfaces.mesh_files.ROWS", 100)
    assert write_mesh(tmp_path / f"b.{suffix}", mesh).read_bytes() == whole


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("m.png", r"ends in '\.png'; it must end in \.ply, \.obj or \.stl\.$"),
        ("m", "ends in 'nothing'"),
        ("no/m.ply", r"The folder .*no of the mesh m\.ply does not exist\.$"),
        ("old.ply", r"old\.ply exists already; it is replaced only with overwrite\.$"),
    ],
)
def test_meshes_that_cannot_be_written(tmp_path, name, sentence):
    (tmp_path / "old.ply").write_text("old")
    with pytest.raises(OutputError, match=sentence):
        write_mesh(tmp_path / name, A_TRIANGLE, overwrite=False)
    assert [p.name for p in tmp_path.iterdir()] == ["old.ply"]
    assert (tmp_path / "old.ply").read_text() == "old"


def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
    def full(file, mesh, comment):
        file.write(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("napari_surfseg.surfaces.mesh_files._write_ply", full)
    with pytest.raises(OutputError, match=r"^The disk is full: "):
        write_mesh(tmp_path / "m.ply", A_TRIANGLE)
    assert list(tmp_path.iterdir()) == []
