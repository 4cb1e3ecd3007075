"""The mesh tools: closed or one layer, in place, coloured, a file for each sheet."""

import numpy as np
import pytest
import tifffile
from tests.surfaces.conftest import area_of

from napari_surfseg.data.open import open_volume
from napari_surfseg.errors import SurfsegError
from napari_surfseg.inference.label_writer import write_array
from napari_surfseg.inference.output_metadata import VolumeMetadata
from napari_surfseg.surface_tools.files import ToolRun, run_tool
from napari_surfseg.surface_tools.mesh_functions import sheet_grids, sheet_meshes, surface_mesh
from napari_surfseg.surface_tools.volume_input import VolumeInput
from napari_surfseg.surfaces.mesh_reading import read_mesh_file
from napari_surfseg.surfaces.mesh_shape import count_edge_uses
from napari_surfseg.surfaces.tifxyz import read_tifxyz

PLACED = VolumeMetadata((3.0, 2.0, 2.0), "nanometer", (30.0, 0.0, 4.0), "labels")


def make_labels():
    labels = np.zeros((24, 24, 24), np.uint8)
    labels[4:7] = 3
    labels[14:18, 2:22, 2:22] = 7
    labels[22, 0, 0] = 9
    return labels


@pytest.mark.parametrize("leaves", ["nowhere", "a face", "an edge", "a corner", "everywhere"])
def test_closed_meshes_are_watertight_where_a_sheet_leaves_the_volume(leaves):
    mask = np.zeros((16, 18, 20), np.uint8)
    place = {
        "nowhere": (slice(5, 9), slice(3, 12), slice(3, 12)),
        "a face": (slice(0, 4), slice(3, 12), slice(3, 12)),
        "an edge": (slice(0, 4), slice(9, None), slice(3, 12)),
        "a corner": (slice(12, None), slice(9, None), slice(11, None)),
        "everywhere": (slice(6, 9), slice(None), slice(None)),
    }[leaves]
    mask[place] = 1
    mesh = surface_mesh(mask, kind="closed", triangles=0.5)
    assert set(count_edge_uses(mesh.faces)) == {2}
    one_sided = surface_mesh(mask, kind="sheet", smoothing=0)
    assert count_edge_uses(one_sided.faces)[1] > 0


@pytest.mark.parametrize("kind", ["sheet", "closed"])
@pytest.mark.parametrize("colour", ["thickness", "curvature", "gap"])
def test_what_is_measured_is_a_property_of_the_vertices(kind, colour, tmp_path):
    labels = make_labels()
    write_array(tmp_path / "l.zarr", (labels > 0).astype(np.uint8), PLACED, name="l.zarr")
    out = tmp_path / "m.ply"
    settings = {"kind": kind, "colour": colour}
    run_tool(ToolRun("surface-mesh", {"surface": str(tmp_path / "l.zarr")}, str(out), settings))
    vertices, _, units, values = read_mesh_file(out)
    assert units == "nanometer"
    assert list(values) == [colour]
    places = (vertices - (30, 0, 4)) / (3, 2, 2)
    inner = (abs(places[:, 1:] - 11.5) < 5).all(axis=1)
    if kind == "closed":  # the skin faces the other sheet on one of its sides
        inner &= (places[:, 0] > 6) & (places[:, 0] < 14)
    first = inner & (places[:, 0] < 10)
    expected = {"thickness": 9, "curvature": 0, "gap": 21}[colour]
    found = values[colour][first]
    assert len(found)
    assert np.median(found) == pytest.approx(expected, rel=0.05, abs=0.02)


@pytest.mark.parametrize("values", [1, 5, 255])
@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int32, np.float32])
def test_masks_and_labels_of_any_kind(values, dtype):
    mask = np.zeros((16, 20, 20), bool)
    mask[6:9] = True
    surface = (mask * (1 if dtype in (bool, np.float32) else values)).astype(dtype)
    mesh = surface_mesh(surface)
    assert abs(mesh.vertices[:, 0] - 7).max() < 0.1


def test_a_volume_that_is_read_by_blocks_gives_the_same_rim(tmp_path):
    mask = np.zeros((20, 40, 40), np.uint8)
    mask[8:11, 6:34, 6:34] = 1
    write_array(tmp_path / "l.zarr", mask, PLACED, name="l.zarr")
    lazy = surface_mesh(VolumeInput(open_volume(tmp_path / "l.zarr")), colour="thickness")
    assert area_of(lazy) == pytest.approx(28**2, rel=0.03)
    assert np.median(lazy.values["thickness"]) == pytest.approx(3)


@pytest.mark.parametrize("file_format", ["ply", "obj", "stl"])
def test_a_file_for_each_sheet(tmp_path, file_format):
    write_array(tmp_path / "l.zarr", make_labels(), PLACED, name="l.zarr")
    job = ToolRun(
        "sheet-meshes",
        {"surface": str(tmp_path / "l.zarr")},
        str(tmp_path / "out"),
        {"file_format": file_format, "colour": "gap"},
    )
    answer = run_tool(job)
    names = [f"sheet_0003.{file_format}", f"sheet_0007.{file_format}"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names
    assert answer["opened"] == names
    assert answer["notes"] == ["Too small for a mesh: 9."]
    assert [row["label"] for row in answer["table"]] == [3, 7]
    assert answer["units"]["area"] == "nm²"
    assert answer["table"][1]["area"] == pytest.approx(40**2, rel=0.03)
    for name, height in zip(names, (30 + 3 * 5, 30 + 3 * 15.5), strict=True):
        vertices, faces, units, values = read_mesh_file(tmp_path / "out" / name)
        assert units == "nanometer"
        assert len(faces) > 100
        assert vertices[:, 0].mean() == pytest.approx(height, abs=0.2)
        assert abs(vertices[:, 1:].mean(axis=0) - (23, 27)).max() < 0.7
        if file_format == "ply":
            assert np.nanmedian(values["gap"]) == pytest.approx(7 * 3, abs=0.5)


def test_what_has_no_sheet_is_refused_in_a_sentence(tmp_path):
    for labels, said in (
        (np.zeros((4, 4, 4), np.int32), "0 everywhere"),
        (np.full((4, 4, 4), -1), "below 0"),
        (np.pad(np.ones((1, 1, 1), int), 2), "no sheet large enough"),
    ):
        with pytest.raises(SurfsegError, match=said):
            sheet_meshes(labels, tmp_path)
    assert not list(tmp_path.iterdir())
    with pytest.raises(SurfsegError, match="no surface to mesh"):
        surface_mesh(np.zeros((6, 6, 6), np.uint8))


def test_a_grid_for_each_sheet_lies_where_the_sheet_does(tmp_path):
    write_array(tmp_path / "l.zarr", make_labels(), PLACED, name="l.zarr")
    inputs = {"surface": str(tmp_path / "l.zarr")}
    answer = run_tool(ToolRun("sheet-grids", inputs, str(tmp_path / "out"), {"step": 2}))
    assert answer["opened"] == ["sheet_0003.tifxyz", "sheet_0007.tifxyz"]
    assert answer["notes"][0].startswith("Left out: sheet 9: There is no surface")
    first, second = answer["table"]
    assert (first["label"], first["points"]) == (3, first["rows"] * first["columns"])
    assert second["area"] == pytest.approx(40**2, rel=0.15)
    grid = read_tifxyz(tmp_path / "out" / "sheet_0007.tifxyz")
    points = grid.points[np.isfinite(grid.points[..., 0])]
    assert abs(points[:, 0] - 15.5).max() < 0.1
    assert points[:, 1].min() == pytest.approx(1.5, abs=0.3)
    steps = np.linalg.norm(np.diff(grid.points, axis=1) * PLACED.spacing, axis=-1)
    assert np.nanmedian(steps) == pytest.approx(2 * 2, rel=0.02)
    assert (grid.spacing, grid.origin, grid.units) == ((3, 2, 2), (30, 0, 4), "nanometer")
    with pytest.raises(SurfsegError, match="No sheet could be laid flat"):
        sheet_grids(make_labels() == 9, tmp_path)


@pytest.mark.parametrize("high", [1, 3, 255])
def test_bytes_mean_the_same_read_by_blocks_and_at_once(tmp_path, high):
    """A mask, labels of a few sheets, a mask of 255; nothing says which."""
    values = np.zeros((40, 24, 24), np.uint8)
    values[8:11], values[24:27] = 1 if high == 3 else high, high
    tifffile.imwrite(tmp_path / "v.tif", values)
    volume = open_volume(tmp_path / "v.tif")
    assert volume.content != "labels"
    assert area_of(surface_mesh(VolumeInput(volume))) == area_of(surface_mesh(values))
