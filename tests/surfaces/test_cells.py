"""Cells from membranes: hand-made boxes, holes in walls, blocks, small pieces."""

from __future__ import annotations

import numpy as np
import pytest

from napari_surfseg.cancelling import listening
from napari_surfseg.errors import CancelledError
from napari_surfseg.surface_tools.functions import score_cells
from napari_surfseg.surfaces.cells import (
    CellSettings,
    _link_by_mean,
    find_cells,
    find_cells_by_blocks,
)


def make_rooms(shape=(24, 40, 40), wall=(12, 20, 20), strength=255):
    """Eight rooms parted by three walls two voxels thick; and the truth, 0 in the walls."""
    probs = np.zeros(shape, np.uint8)
    truth = np.ones(shape, np.int32)
    for axis, at in enumerate(wall):
        place = [slice(None)] * 3
        place[axis] = slice(at - 1, at + 1)
        probs[tuple(place)] = strength
        beyond = [slice(None)] * 3
        beyond[axis] = slice(at, None)
        truth[tuple(beyond)] += 2**axis
    truth[probs > 0] = 0
    return probs, truth


def errors(cells, truth):
    return {row["score"]: row["value"] for row in score_cells(cells, truth)}


def test_rooms_are_found_whole():
    probs, truth = make_rooms()
    cells = find_cells(probs)
    assert sorted(np.unique(cells)) == list(range(1, 9))
    assert errors(cells, truth)["voi"] == 0
    # Numbered in the order of their first voxel.
    assert cells[0, 0, 0] == 1
    assert cells[0, 0, -1] == 2


def test_a_hole_in_a_wall_joins_nothing():
    probs, truth = make_rooms()
    probs[:, 4:9, 19:21] = 0
    from scipy import ndimage

    joined = ndimage.label(probs < 128)[0]
    assert errors(joined, truth)["voi_merge"] > 0.2
    assert errors(find_cells(probs), truth)["adapted_rand_error"] < 0.02


def test_a_weak_wall_parts_as_much_as_the_threshold_says():
    probs, truth = make_rooms(strength=100)
    settings = CellSettings(wall=0.3, threshold=0.3)
    assert errors(find_cells(probs, settings=settings), truth)["voi"] == 0
    assert find_cells(probs, settings=CellSettings(wall=0.3, threshold=0.5)).max() == 1


def test_long_voxels_are_no_reason_to_cut():
    probs, truth = make_rooms((12, 40, 40), (6, 20, 20))
    assert errors(find_cells(probs, (2.0, 1.0, 1.0)), truth)["voi"] == 0
    # Only the ratio of the sizes counts.
    assert (find_cells(probs, (2.0, 1.0, 1.0)) == find_cells(probs, (8.0, 4.0, 4.0))).all()


@pytest.mark.parametrize("block", [(24, 40, 40), (7, 13, 17), (12, 20, 20), (24, 11, 40)])
def test_blocks_are_joined_over_their_faces(block):
    probs, truth = make_rooms()
    cells = np.zeros(probs.shape, np.int32)
    number = find_cells_by_blocks(probs, cells, block=block)
    assert number == 8 == cells.max()
    assert errors(cells, truth)["voi"] == 0


def test_contacts_are_joined_as_scikit_image_joins_them():
    """The weakest mean first, means taken again after each: on a graph of random contacts."""
    from skimage.graph import RAG, merge_hierarchical

    rng = np.random.default_rng(3)
    pairs = np.unique(np.sort(rng.integers(1, 60, (300, 2)), axis=1), axis=0)
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    counts = rng.integers(1, 50, len(pairs)).astype(float)
    sums = counts * rng.random(len(pairs))
    graph = RAG()
    graph.add_nodes_from((node, {"labels": [node]}) for node in range(60))
    for (a, b), total, count in zip(pairs.tolist(), sums, counts, strict=True):
        graph.add_edge(a, b, weight=total / count, total=total, count=count)

    def weigh(graph, source, target, other):
        nothing = {"total": 0.0, "count": 0}
        both = [graph[other].get(node, nothing) for node in (source, target)]
        total, count = (sum(edge[key] for edge in both) for key in ("total", "count"))
        return {"weight": total / count, "total": total, "count": count}

    expected = merge_hierarchical(
        np.arange(60), graph, 0.45, rag_copy=False, in_place_merge=True,
        merge_func=lambda *_given: None, weight_func=weigh,
    )  # fmt: skip
    found = _link_by_mean(pairs, sums, counts, 60, 0.45)
    num_cells = len(np.unique(expected))
    assert 1 < num_cells < 59
    assert len(np.unique(found)) == num_cells
    assert len(np.unique(np.stack([found, expected]), axis=1).T) == num_cells


def test_a_small_cell_goes_to_the_neighbour_with_the_weakest_wall():
    probs, _ = make_rooms()
    probs[2:8, 2:8, 2:8] = 255
    probs[4:6, 4:6, 4:6] = 0
    alone = find_cells(probs, settings=CellSettings(min_voxels=0, smoothing=0.1))
    assert alone.max() == 9
    assert find_cells(probs, settings=CellSettings(min_voxels=500, smoothing=0.1)).max() == 8


@pytest.mark.parametrize("value", [0, 255])
def test_without_a_membrane_or_a_space_there_is_one_cell(value):
    cells = find_cells(np.full((4, 5, 6), value, np.uint8))
    assert (cells == 1).all()


def test_it_stops_when_asked():
    probs, _ = make_rooms()
    with listening(lambda: True), pytest.raises(CancelledError):
        find_cells(probs)
