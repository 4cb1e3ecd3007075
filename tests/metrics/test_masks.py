"""What two volumes must be to be compared, and what becomes of them."""

import numpy as np
import pytest

from napari_surfseg.errors import DataError
from napari_surfseg.metrics.masks import prepare_masks


def test_ignored_voxels_are_background_in_both_and_stray_values_foreground():
    pred = np.array([[[0, 1, 5, 1]]])
    label = np.array([[[1, 0, 7, 2]]])
    masks = prepare_masks(pred, label)
    assert [mask.ravel().tolist() for mask in masks] == [[0, 1, 1, 0], [1, 0, 1, 0]]
    masks = prepare_masks(pred, label, ignore_index=None)
    assert [mask.ravel().tolist() for mask in masks] == [[0, 1, 1, 1], [1, 0, 1, 1]]


@pytest.mark.parametrize(
    ("pred", "label", "words"),
    [
        (np.zeros((3, 3)), np.zeros((3, 3)), "three axes"),
        (np.zeros((3, 3, 3)), np.zeros((1, 3, 3, 3)), "three axes"),
        (np.zeros((3, 3, 3)), np.zeros((3, 3, 4)), "one shape"),
        (np.full((3, 3, 3), np.nan), np.zeros((3, 3, 3)), "NaN"),
        (np.zeros((3, 3, 3)), np.full((3, 3, 3), np.nan), "NaN"),
        (np.zeros((3, 3, 3), complex), np.zeros((3, 3, 3)), "complex"),
        (np.full((3, 3, 3), "a"), np.zeros((3, 3, 3)), "<U1"),
    ],
)
def test_bad_volumes_are_refused_in_a_sentence(pred, label, words):
    with pytest.raises(DataError) as caught:
        prepare_masks(pred, label)
    assert words in str(caught.value)
    assert str(caught.value).endswith(".")
