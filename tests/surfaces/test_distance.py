"""The truncated distance against SciPy's full one."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from napari_surfseg.surfaces.distance import truncated_edt


def make_mask(seed=0, shape=(2, 1, 14, 17, 12), density=0.01):
    return torch.from_numpy(np.random.default_rng(seed).random(shape) < density)


def full_distance(mask, spacing=(1, 1, 1)):
    return np.stack(
        [ndimage.distance_transform_edt(~volume, sampling=spacing) for volume in mask[:, 0].numpy()]
    )[:, None]


@pytest.mark.parametrize("radius", [0.5, 1.0, 2.0, 2.5, 5.0, 30.0])
@pytest.mark.parametrize("spacing", [(1, 1, 1), (2.5, 1.0, 0.7), (0.3, 4.0, 1.0)])
def test_exact_within_the_radius_and_clipped_beyond(radius, spacing):
    mask = make_mask()
    expected = np.minimum(full_distance(mask, spacing), radius)
    distance = truncated_edt(mask, radius, spacing)
    assert distance.dtype == torch.float32
    np.testing.assert_allclose(distance.numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("seed", range(4))
def test_many_densities(seed):
    mask = make_mask(seed, (1, 1, 20, 20, 20), 10.0 ** -(seed + 0.5))
    expected = np.minimum(full_distance(mask), 6.0) if mask.any() else np.full(mask.shape, 6.0)
    np.testing.assert_allclose(truncated_edt(mask, 6.0).numpy(), expected, atol=1e-5)


def test_by_hand():
    mask = torch.zeros(1, 1, 7, 7, 7, dtype=torch.bool)
    mask[0, 0, 3, 3, 3] = True
    distance = truncated_edt(mask, 3.0)[0, 0]
    assert distance[3, 3, 3] == 0
    assert distance[3, 4, 3] == 1
    assert distance[4, 4, 4].item() == pytest.approx(3**0.5)
    assert distance[3, 5, 4].item() == pytest.approx(5**0.5)
    assert distance[0, 3, 3] == 3
    assert distance[0, 0, 0] == 3


def test_nothing_and_everything():
    empty = torch.zeros(1, 1, 4, 5, 6, dtype=torch.bool)
    assert (truncated_edt(empty, 2.0) == 2).all()
    assert (truncated_edt(~empty, 2.0) == 0).all()


def test_samples_do_not_touch_each_other():
    mask = make_mask(1)
    for sample in range(2):
        alone = truncated_edt(mask[sample : sample + 1], 4.0)
        assert torch.equal(truncated_edt(mask, 4.0)[sample : sample + 1], alone)


def test_flips_and_turns():
    mask = make_mask(2)
    expected = truncated_edt(mask, 4.0, (1.0, 2.0, 3.0))
    assert torch.equal(truncated_edt(mask.flip(2, 4), 4.0, (1.0, 2.0, 3.0)).flip(2, 4), expected)
    turned = truncated_edt(mask.permute(0, 1, 4, 2, 3), 4.0, (3.0, 1.0, 2.0))
    torch.testing.assert_close(turned.permute(0, 1, 3, 4, 2), expected)


def test_the_unit_of_length_scales():
    mask = make_mask(3)
    torch.testing.assert_close(
        truncated_edt(mask, 4.0 * 7.91, (7.91, 7.91, 7.91)), 7.91 * truncated_edt(mask, 4.0)
    )


def test_the_mask_is_left_alone():
    mask = make_mask(4)
    before = mask.clone()
    truncated_edt(mask, 3.0)
    assert torch.equal(mask, before)


@pytest.mark.parametrize(("radius", "spacing"), [(0, (1, 1, 1)), (-1, (1, 1, 1)), (2, (1, 0, 1))])
def test_lengths_must_be_positive(radius, spacing):
    with pytest.raises(ValueError, match="must be above 0"):
        truncated_edt(make_mask(), radius, spacing)
