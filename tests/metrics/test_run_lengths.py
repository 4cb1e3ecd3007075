"""Components by runs against SciPy's."""

import numpy as np
import pytest
from scipy import ndimage

from napari_surfseg.metrics.run_lengths import (
    component_boxes,
    component_sizes,
    count_enclosed,
    enclosed_labels,
    label_components,
    paint_labels,
)

SIX = ndimage.generate_binary_structure(3, 1)
TWENTY_SIX = ndimage.generate_binary_structure(3, 3)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("connectivity", "structure"), [(6, SIX), (26, TWENTY_SIX)])
@pytest.mark.parametrize("background", [False, True])
def test_components_equal_scipy(seed, connectivity, structure, background):
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(1, 14, 3))
    mask = (rng.random(shape) < rng.uniform(0.05, 0.95)).astype(np.uint8)
    expected, num = ndimage.label(mask == (not background), structure)
    parts = label_components(mask, connectivity=connectivity, background=background)
    painted = paint_labels(parts)
    assert parts.num == num
    # Both number components by their first voxel.
    np.testing.assert_array_equal(painted, expected)
    touching = set(
        np.unique(np.concatenate([np.take(expected, (0, -1), axis).ravel() for axis in range(3)]))
    ) - {0}
    assert enclosed_labels(parts).tolist() == [i + 1 not in touching for i in range(num)]
    assert count_enclosed(parts) == num - len(touching)


def test_sizes_and_boxes_are_those_of_the_painted_components():
    mask = (np.random.default_rng(0).random((7, 8, 9)) < 0.2).astype(np.uint8)
    parts = label_components(mask, connectivity=26)
    painted = paint_labels(parts)
    for number, (size, box) in enumerate(
        zip(component_sizes(parts), component_boxes(parts), strict=True), start=1
    ):
        voxels = np.argwhere(painted == number)
        assert size == len(voxels)
        np.testing.assert_array_equal(box, [voxels.min(axis=0), voxels.max(axis=0) + 1])
