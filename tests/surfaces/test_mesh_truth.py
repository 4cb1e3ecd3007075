"""The mesh of a sheet lies where the sheet of the phantom was drawn, to a fraction of a voxel."""

import numpy as np
import pytest
from benchmarks.meshes import measure_offsets


@pytest.mark.parametrize("seed", [0, 5])
def test_the_mesh_lies_in_the_middle_of_the_sheet(seed):
    offsets = abs(measure_offsets((24, 96, 96), seed))
    assert len(offsets) > 20_000
    assert np.median(offsets) < 0.1
    assert np.percentile(offsets, 95) < 0.3
    assert np.mean(offsets < 0.5) > 0.98  # the rest lies at rims
