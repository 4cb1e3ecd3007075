"""Whether labels are strokes or dense."""

from __future__ import annotations

import numpy as np

from napari_surfseg.data.strokes.density import count_annotated_near_surface, measure_density


def test_strokes_are_sparse_and_dense_labels_dense(pair_of, sheets, strokes):
    shape = (64, 96, 96)
    some_left_out = sheets(shape)
    some_left_out[:, 40:60, 30:50] = 2
    slices = np.full(shape, 2, np.uint8)
    slices[::16] = sheets(shape)[::16]
    shares = [
        measure_density([pair_of(labels)], seed=0)
        for labels in (sheets(shape), some_left_out, slices, strokes(shape, 60))
    ]
    assert shares[0] == 1
    assert shares[1] > 0.9
    assert shares[2] < 0.3
    assert shares[3] < 0.2
    assert count_annotated_near_surface(np.zeros((4, 4, 4), np.uint8)) == (0, 0)
