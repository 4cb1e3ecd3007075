"""How many pieces of a volume can be read in reasonable time."""

from dataclasses import replace

import numpy as np

from napari_surfseg.data.reading_cost import count_affordable
from napari_surfseg.data.volume import ArrayVolume


def test_as_many_as_wanted_of_small_volumes_and_none_of_huge_pages(pair_of, sheets):
    pair = pair_of(sheets((64, 64, 144)))
    assert count_affordable(pair, 32, 200) == 200
    image = ArrayVolume(np.zeros((20, 20, 20), np.uint8))
    image.shape = image.chunks = (3000, 20_000, 20_000)
    assert count_affordable(replace(pair, image=image), 32, 200) == 0


def test_whole_chunks_are_decoded(pair_of, sheets):
    pair = pair_of(sheets((64, 64, 144)))
    image = ArrayVolume(np.zeros((20, 20, 20), np.uint8))
    image.shape, image.chunks = (2048,) * 3, (64, 2048, 2048)
    # A piece of 64 planes lies across two chunks of 2**28 voxels as often as not.
    found = count_affordable(replace(pair, image=image), 64, 200)
    assert found == 2**30 // (2 * 2**28 + 64 * 64 * 128)
