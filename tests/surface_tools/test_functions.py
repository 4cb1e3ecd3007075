"""Each tool on a case whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from napari_surfseg.errors import ConfigError, LabelError
from napari_surfseg.surface_tools import functions, mesh_functions
from napari_surfseg.surface_tools.registry import TOOLS, find_tool


def make_sheet(thickness=3):
    mask = np.zeros((20, 24, 24), np.uint8)
    mask[8 : 8 + thickness] = 1
    return mask


def test_the_middle_of_a_sheet():
    middle = functions.medial_surface(make_sheet())
    assert middle.dtype == np.uint8
    assert middle[9].all()
    assert middle.sum() == 24 * 24


def test_small_pieces_leave_and_values_stay():
    labels = make_sheet().astype(np.int32) * 7
    labels[0, 0, 0] = 9
    clean = functions.remove_small_pieces(labels, min_voxels=2)
    assert clean.dtype == labels.dtype
    assert np.unique(clean).tolist() == [0, 7]
    assert labels[0, 0, 0] == 9


def test_small_pieces_by_area_in_the_units_of_the_voxels():
    mask = make_sheet()  # 24 by 24 on one side
    mask[12:16, 2:8, 2:8] = 0
    mask[0:4, :6, :6] = 1  # a block of 144 voxels, whose area is that of 6 by 6
    clean = functions.remove_small_pieces(mask, min_voxels=1, min_area=200.0)
    np.testing.assert_array_equal(clean, make_sheet())
    fine = (0.5, 0.5, 0.5)
    assert not functions.remove_small_pieces(mask, spacing=fine, min_area=200.0).any()


def test_the_ball_joins_sheets_where_the_patches_join_nothing():
    mask = np.zeros((9, 12, 12), np.uint8)
    mask[3] = mask[5] = 1
    mask[3, 5:7, 5:7] = 0
    patched = functions.fill_holes(mask, radius=1, max_voxels=0)
    assert patched[3].all()
    assert patched.sum() <= 2 * 144 + 2
    assert functions.fill_holes(mask, method="ball", radius=1, max_voxels=0)[4].all()


def test_holes_and_cavities_are_closed():
    mask = make_sheet(5)
    mask[:, 5, 5] = 0
    mask[10, 15, 15] = 0
    filled = functions.fill_holes(mask, method="ball", radius=1, max_voxels=1)
    assert filled.sum() == 5 * 24 * 24
    assert functions.fill_holes(mask, radius=1, max_voxels=1)[:, 5, 5].any()
    only_cavity = functions.fill_holes(mask, radius=0, max_voxels=1)
    assert only_cavity[10, 15, 15] == 1
    assert only_cavity[10, 5, 5] == 0


def test_pieces_are_numbered_by_size():
    mask = make_sheet()
    mask[0, :2, :2] = 1
    labels = functions.label_pieces(mask)
    assert labels[8, 0, 0] == 1
    assert labels[0, 0, 0] == 2
    assert functions.label_pieces(mask, min_voxels=5).max() == 1


@pytest.mark.parametrize(("kind", "area"), [("sheet", 24 * 24), ("closed", 24 * 24 * 2 + 24 * 24)])
def test_a_mesh_in_the_units_of_the_voxels(kind, area):
    mesh = mesh_functions.surface_mesh(
        make_sheet(), spacing=(2.0, 1.0, 1.0), kind=kind, smoothing=0
    )
    corners = mesh.vertices[mesh.faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    # A closed one has two sides and a rim; its corners are cut, and a sheet ends half a voxel in.
    assert np.linalg.norm(normals, axis=1).sum() / 2 == pytest.approx(area, rel=0.1)
    assert mesh.vertices[:, 0].mean() == pytest.approx(18, abs=0.6)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[[0.0, 0.5, 1.0]]]), [0, 128, 255]),
        (np.array([[[0, 1]]], np.uint8), [0, 255]),
        (np.array([[[0, 255]]], np.uint8), [0, 255]),
        (np.array([[[0, 7, 200]]], np.uint8), [0, 7, 200]),
        (np.array([[[0, 3000]]], np.int32), [0, 255]),
        (np.array([[[False, True]]]), [0, 255]),
    ],
)
def test_membranes_of_every_kind_are_probabilities(values, expected):
    assert functions.to_probabilities(values).ravel().tolist() == expected


def test_cells_with_and_without_their_walls():
    walls = make_sheet(2)
    cells = functions.cells_from_membranes(walls)
    assert np.unique(cells).tolist() == [1, 2]
    parted = functions.cells_from_membranes(walls, keep_walls=True)
    assert ((parted == 0) == (walls > 0)).all()


def test_cells_are_scored_by_hand_computed_cases():
    truth = np.array([[[1, 1, 1, 1, 0]]])
    scores = {
        row["score"]: row["value"]
        for row in functions.score_cells(np.array([[[1, 1, 2, 2, 9]]]), truth)
    }
    # Two halves of one cell: one bit to split, nothing merged; of 6 true pairs 2 are found.
    assert scores["voi_split"] == 1
    assert scores["voi_merge"] == 0
    assert functions.score_cells(truth, truth)[0]["value"] == 0
    with pytest.raises(LabelError, match="nothing to score"):
        functions.score_cells(truth, np.zeros_like(truth))


def test_a_surface_is_scored():
    mask = make_sheet()
    scores = {row["score"]: row["value"] for row in functions.score_against_labels(mask, mask)}
    assert scores["surface_dice"] == 1
    assert scores["score"] == pytest.approx(1)
    large = functions.score_against_labels(mask, mask.astype(np.int32) * 256)
    assert large[0]["value"] == 1


@pytest.mark.parametrize("tool", TOOLS.values(), ids=list(TOOLS))
def test_every_tool_says_what_it_is(tool):
    assert find_tool(tool.name) is tool
    assert tool.summary.endswith(".")
    assert all(p.setting.meaning[0].isupper() for p in tool.parameters)
    for parameter in tool.parameters:
        assert parameter.check(parameter.default) == parameter.default


def test_an_unknown_tool_names_those_there_are():
    with pytest.raises(ConfigError, match="There is no tool 'iron'; there are medial-surface"):
        find_tool("iron")


def test_sheets_are_measured_by_value_or_by_piece():
    mask = np.zeros((20, 24, 24), np.uint8)
    mask[4:6] = mask[14:16] = 1
    mask[0, 0, 0] = 1
    assert len(functions.measure_sheets(mask)) == 1
    rows = functions.measure_sheets(mask, separate=True)
    assert [row["voxels"] for row in rows] == [2 * 24 * 24] * 2
    assert rows[0]["gap"] == 9.5
    far = functions.measure_sheets(mask.astype(np.uint32) * 4_000_000_000)
    assert [row["label"] for row in far] == [4_000_000_000]
    with pytest.raises(LabelError, match="below 0"):
        functions.measure_sheets(mask.astype(np.int32) - 1)
