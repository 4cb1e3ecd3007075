import itertools

import pytest

from napari_surfseg.model.presets import ARCHITECTURES, check_patch_size
from napari_surfseg.training.rung import Rung


def test_a_rung_has_fewer_patches_at_once_and_then_smaller_ones():
    rungs = [Rung((64, 64, 64), 6)]
    while (lower := rungs[-1].lower(16)) is not None:
        rungs.append(lower)
    assert [rung.patches_at_once for rung in rungs[:4]] == [6, 3, 2, 1]
    assert {rung.patches_at_once for rung in rungs[3:]} == {1}
    assert [rung.patch_size for rung in rungs[3:]] == [
        (64, 64, 64),
        (48, 48, 48),
        (32, 32, 32),
        (16, 16, 32),
    ]
    assert str(rungs[0]) == "6 patches of 64 × 64 × 64 voxels at once"
    assert str(rungs[-1]) == "1 patch of 16 × 16 × 32 voxels at once"


@pytest.mark.parametrize("preset", list(ARCHITECTURES))
@pytest.mark.parametrize("patch", [(72, 136, 136), (64, 64, 64), (16, 128, 256), (256, 256, 256)])
def test_every_rung_fits_the_strides(preset, patch):
    architecture = ARCHITECTURES[preset]
    divisor = architecture.divisor
    rung = Rung(tuple(max(divisor, edge // divisor * divisor) for edge in patch), 1)
    voxels = [4 * 256**3]
    while rung is not None:
        z, y, x = rung.patch_size
        check_patch_size(rung.patch_size, architecture)
        voxels.append(z * y * x)
        rung = rung.lower(divisor)
    assert all(b <= 0.8 * a for a, b in itertools.pairwise(voxels))
    assert voxels[-1] == 2 * divisor**3


def test_a_network_of_one_size_of_patch_gets_fewer_patches_and_no_smaller_ones():
    lower = Rung((32, 32, 32), 2).lower(None)
    assert (lower.patch_size, lower.patches_at_once) == ((32, 32, 32), 1)
    assert lower.lower(None) is None
