"""What a checked pair says of itself and gives to read."""

from dataclasses import replace

import numpy as np

from napari_surfseg.data.cache import VolumeCache
from napari_surfseg.data.intensity import Intensity


def test_counts_and_row(pair_of, sheets):
    labels = sheets((16, 16, 48))
    labels[:4] = 2
    pair = pair_of(labels)
    assert pair.shape == (16, 16, 48)
    assert pair.ignored_fraction == 0.25
    assert pair.foreground_fraction == np.count_nonzero(labels == 1) / labels.size
    row = pair.as_row()
    assert (row["image"], row["labels"], row["role"]) == ("image", "labels", "train")
    assert row["roi"] == [[0, 0, 0], [16, 16, 48]]
    assert row["num_surface"] == np.count_nonzero(labels == 1)


def test_what_is_held_out_is_not_annotated(pair_of, sheets):
    labels = sheets((16, 16, 48))
    box = (2, 0, 0), (6, 16, 48)
    pair = replace(pair_of(labels), held_out=(box,))
    targets = pair.open_targets().read((0, 0, 0), labels.shape)
    assert (targets[2:6] == 2).all()
    np.testing.assert_array_equal(targets[6:], labels[6:])
    assert pair_of(labels).hide(pair.labels) is pair.labels


def test_an_image_that_is_uint8_already_is_given_as_it_is(pair_of, sheets):
    pair = pair_of(sheets((16, 16, 48)))
    assert pair.open_image(Intensity(0, 255, 0.5, 0.1)) is pair.image
    changed = pair.open_image(Intensity(0, 100, 0.5, 0.1), VolumeCache(10**6))
    assert (changed.read((0, 0, 0), (1, 1, 1)) == 255).all()  # 150, clipped
