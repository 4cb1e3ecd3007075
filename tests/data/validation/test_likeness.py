"""How alike the contents of two parts of a volume are."""

import numpy as np
import pytest

from napari_surfseg.data.validation.likeness import compare_contents, describe_content


def test_what_a_part_holds(pair_of, sheets):
    labels = sheets((64, 64, 96))
    content = describe_content(pair_of(labels), ((0, 0, 0), labels.shape), seed=0)
    assert content.surface_share == pytest.approx(2 / 12, abs=0.03)
    assert (content.surface_grey, content.background_grey) == (150, 90)
    assert content.directions[2, 2] == pytest.approx(1)  # sheets across X


def test_a_part_like_the_whole_and_one_that_is_not(pair_of, sheets):
    labels = sheets((64, 64, 192))
    image = np.where(labels == 1, 150, 90).astype(np.uint8)
    image[..., 128:] //= 2
    pair = pair_of(labels, image)
    whole = describe_content(pair, pair.roi, seed=0)
    bright = describe_content(pair, ((0, 0, 0), (64, 64, 64)), seed=0)
    dark = describe_content(pair, ((0, 0, 128), (64, 64, 192)), seed=0)
    assert compare_contents(whole, whole) == 0
    assert compare_contents(bright, whole) < compare_contents(dark, whole)


def test_a_part_without_labels(pair_of, sheets):
    labels = sheets((64, 64, 128))
    labels[..., 64:] = 2
    content = describe_content(pair_of(labels), ((0, 0, 64), (64, 64, 128)), seed=0)
    assert content.surface_share == 0
    assert np.isnan(content.surface_grey)
