"""Strokes as points, and what lies beside them."""

from __future__ import annotations

import numpy as np

from napari_surfseg.data.strokes.annotation import (
    find_beside,
    gather_annotation,
    list_points,
)


def test_beside_a_stroke_is_its_plane_only():
    targets = np.full((9, 15, 15), 2, np.uint8)
    targets[4, 7, 2:13] = 1
    beside = find_beside(targets, (1.0, 1.0, 1.0))
    assert not beside[[0, 1, 2, 3, 5, 6, 7, 8]].any()
    assert np.flatnonzero(beside[4, :, 7]).tolist() == [5, 9]  # 1 < distance <= 2.5


def test_beside_a_stroke_painted_in_another_plane():
    targets = np.full((15, 9, 15), 2, np.uint8)
    targets[7, 4, 2:13] = 1
    targets[8, 4, 2:13] = 1
    beside = find_beside(targets, (1.0, 1.0, 1.0))
    # Two planes along Z and one along Y: it was painted across Y.
    assert not beside[:, [0, 1, 2, 3, 5, 6, 7, 8]].any()
    assert beside[5, 4, 7]
    assert beside[10, 4, 7]


def test_beside_a_ball_is_all_around_it():
    z, y, x = np.mgrid[:15, :15, :15]
    targets = np.where((z - 7) ** 2 + (y - 7) ** 2 + (x - 7) ** 2 <= 9, 1, 2).astype(np.uint8)
    beside = find_beside(targets, (1.0, 1.0, 1.0))
    assert beside[12, 7, 7]
    assert beside[7, 2, 7]


def test_what_was_annotated_is_never_beside():
    targets = np.full((5, 15, 15), 2, np.uint8)
    targets[2, 7, 2:13] = 1
    targets[2, 9] = 0
    assert not find_beside(targets, (1.0, 1.0, 1.0))[targets != 2].any()


def test_points_are_what_was_painted_and_what_is_beside():
    targets = np.full((3, 9, 9), 2, np.uint8)
    targets[1, 4, 1:8] = 1
    targets[1, 0] = 0
    places, kinds = list_points(targets, (1.0, 1.0, 1.0))
    assert np.bincount(kinds).tolist()[:2] == [9, 7]
    assert set(targets[tuple(places[kinds == 2].T)]) == {2}


def test_few_blocks_are_read_of_many(monkeypatch, make_pair):
    labels = np.full((64, 64, 640), 0, np.uint8)
    labels[:, :10] = 1
    labels[:, 20:30] = 2
    pair = make_pair(np.zeros(labels.shape, np.uint8), labels)
    monkeypatch.setattr("napari_surfseg.data.strokes.annotation.MAX_BLOCKS", 3)
    blocks = gather_annotation([pair.open_targets()], [pair.census], seed=1)
    assert len(blocks) == 3
    again = gather_annotation([pair.open_targets()], [pair.census], seed=1)
    assert [b.start for b in blocks] == [b.start for b in again]
