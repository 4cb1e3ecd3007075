"""Labels that cover a part of a volume too large to be labelled as a whole."""

import numpy as np

from napari_surfseg.gui.layers.label_regions import PlacedArray, choose_region

EDGE = 20_000


def test_a_part_is_as_large_as_it_may_be_and_lies_inside():
    assert choose_region((1000, 1000, 1000), (5, 5, 5)) is None
    assert choose_region((EDGE,) * 3, (10_000, 3, EDGE - 1)) == (
        (9728, 0, 19456),
        (10240, 512, 19968),
    )
    start, stop = choose_region((40, EDGE, EDGE), (20, 10_000, 10_000))
    assert (start[0], stop[0]) == (0, 40)


def test_a_placed_array_is_0_around_its_part():
    part = np.arange(1, 9).reshape(2, 2, 2)
    placed = PlacedArray(part, (3, 4, 5), (10, 10, 10))
    whole = np.zeros((10, 10, 10), int)
    whole[3:5, 4:6, 5:7] = part
    np.testing.assert_array_equal(placed[:, :, :], whole)
    np.testing.assert_array_equal(placed[4:9, 0:5, 6:7], whole[4:9, 0:5, 6:7])
    assert not placed[0:2, 0:2, 0:2].any()
    assert placed.stored_starts() == [(0, 0, 0)]
