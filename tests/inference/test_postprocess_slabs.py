from itertools import pairwise

import numpy as np
import pytest

from napari_surfseg.inference.postprocess_slabs import PiecesPostProcess
from napari_surfseg.surfaces.postprocess import PostProcess
from napari_surfseg.surfaces.postprocess_blocks import apply_postprocess


@pytest.mark.parametrize("thicknesses", [(90,), (50, 7, 33)])
def test_pieces_give_what_the_whole_volume_gives(tmp_path, thicknesses):
    probs = np.random.default_rng(3).integers(0, 130, (90, 20, 24)).astype(np.uint8)
    probs[:, 9:12] += 110
    probs[5, 2, 2] = 255
    settings = PostProcess(threshold=0.8, low_threshold=0.5, closing_radius=1, min_voxels=9)
    starts = np.cumsum((0, *thicknesses))
    slabs = [((int(a), 0, 0), probs[a:b]) for a, b in pairwise(starts)]
    pieces = PiecesPostProcess(reversed(slabs), probs.shape, settings, tmp_path)
    found = np.full(probs.shape, 9, np.uint8)
    for start, mask in pieces:
        found[tuple(slice(a, a + n) for a, n in zip(start, mask.shape, strict=True))] = mask
    np.testing.assert_array_equal(found, apply_postprocess(probs, settings))
    assert pieces.num_removed > 0
