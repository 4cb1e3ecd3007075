"""Label values and what they mean."""

from __future__ import annotations

import numpy as np
import pytest

from napari_surfseg.config import Labels
from napari_surfseg.data.labels import IGNORE, UNKNOWN, build_label_table, map_labels
from napari_surfseg.data.targets import TargetVolume
from napari_surfseg.data.volume import ArrayVolume
from napari_surfseg.errors import LabelError

STROKES = Labels(foreground=(1,), background=(2,), ignore=(0,))


def test_table_gives_every_value_a_meaning():
    table = build_label_table(Labels(foreground=(255, 7), background=(0,), ignore=(2, 300)))
    assert table[[255, 7, 0, 2]].tolist() == [1, 1, 0, IGNORE]
    assert np.count_nonzero(table == UNKNOWN) == 252


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint32", "int64", "bool"])
def test_maps_every_whole_type(dtype):
    values = np.array([[[0, 1], [1, 0]]]).astype(dtype)
    mapped = map_labels(values, Labels())
    assert mapped.dtype == np.uint8
    assert mapped.tolist() == [[[0, 1], [1, 0]]]


def test_inverted_mask():
    mapping = Labels(foreground=(0,), background=(255,), ignore=())
    assert map_labels(np.array([0, 255], np.uint8), mapping).tolist() == [1, 0]


def test_strokes_on_an_empty_layer():
    assert map_labels(np.array([0, 1, 2], np.uint8), STROKES).tolist() == [IGNORE, 1, 0]


def test_values_outside_uint8():
    mapping = Labels(foreground=(70_000,), background=(-1,), ignore=(0,))
    values = np.array([70_000, -1, 0], np.int32)
    assert map_labels(values, mapping).tolist() == [1, 0, IGNORE]
    # A value the type cannot hold is simply not there.
    assert map_labels(np.array([0], np.uint8), mapping).tolist() == [IGNORE]


def test_names_values_that_have_no_meaning():
    values = np.array([0, 1, 9, 9, 200], np.uint16)
    with pytest.raises(LabelError, match=r"values 9 \(2 voxels\), 200 \(1 voxel\), not") as caught:
        map_labels(values, Labels(), source="a.tif")
    sentence = str(caught.value)
    assert sentence.startswith("a.tif holds")
    assert sentence.endswith(".")
    assert caught.value.field == "data.labels"


def test_names_only_the_most_frequent():
    values = np.repeat(np.arange(20, dtype=np.uint8), np.arange(1, 21))
    with pytest.raises(LabelError, match=r"values 19 \(20 voxels\), 18 .* and 12 more, not"):
        map_labels(values, Labels())


def test_refuses_labels_that_are_no_whole_numbers():
    with pytest.raises(LabelError, match="holds float32 values; labels must be whole numbers"):
        map_labels(np.zeros(3, np.float32), Labels())


def test_void_voxels_are_ignored():
    labels = np.array([[[0, 1, 1]]], np.uint8)
    image = np.array([[[0, 0, 5]]], np.uint16)
    target = TargetVolume(ArrayVolume(labels), Labels(), image=ArrayVolume(image), void_value=0)
    assert target.read((0, 0, 0), (1, 1, 3)).tolist() == [[[IGNORE, IGNORE, 1]]]
    plain = TargetVolume(ArrayVolume(labels), Labels(), image=ArrayVolume(image))
    assert plain.read((0, 0, 0), (1, 1, 3)).tolist() == [[[0, 1, 1]]]


def test_void_may_be_nan():
    labels = np.ones((1, 1, 2), np.uint8)
    image = np.array([[[np.nan, 1]]], np.float32)
    target = TargetVolume(
        ArrayVolume(labels), Labels(), image=ArrayVolume(image), void_value=float("nan")
    )
    assert target.read((0, 0, 0), (1, 1, 2)).tolist() == [[[IGNORE, 1]]]
