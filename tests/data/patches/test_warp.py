"""Rotation, scaling, shear and bending on the device."""

from __future__ import annotations

import itertools

import pytest
import torch

from napari_surfseg.data.patches import warp as warp_module
from napari_surfseg.data.patches.warp import warp_batch


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def make_batch(size=32, count=4):
    """Wavy sheets: the image is the label, smoothed."""
    x = torch.arange(size, dtype=torch.float32)
    wave = x[None, None, :] + 2 * torch.sin(x[None, :, None] / 5) + torch.cos(x[:, None, None] / 4)
    image = (0.5 + 0.5 * torch.cos(wave / 10 * 6.2832)).expand(count, 1, size, size, size).clone()
    return image, (image > 0.6).to(torch.uint8)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_keeps_shapes_and_types_and_leaves_the_input_alone():
    image, labels = make_batch()
    before = image.clone(), labels.clone()
    warped, targets = warp_batch(image, labels, affine=1, elastic=1, generator=seeded())
    assert warped.shape == targets.shape == image.shape
    assert warped.dtype == torch.float32
    assert targets.dtype == torch.uint8
    assert torch.equal(image, before[0])
    assert torch.equal(labels, before[1])
    assert not torch.equal(warped, image)


def test_nothing_to_do_gives_back_the_same():
    image, labels = make_batch()
    warped, targets = warp_batch(image, labels, affine=0, elastic=0, generator=seeded())
    assert warped is image
    assert targets is labels


def test_repeats_with_the_seed():
    image, labels = make_batch()
    first = warp_batch(image, labels, affine=0.5, elastic=0.5, generator=seeded(3))
    again = warp_batch(image, labels, affine=0.5, elastic=0.5, generator=seeded(3))
    other = warp_batch(image, labels, affine=0.5, elastic=0.5, generator=seeded(4))
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[0], other[0])


def test_each_sample_is_drawn_on_its_own():
    image, labels = make_batch(size=8, count=200)
    warped, _ = warp_batch(image, labels, affine=0.2, elastic=0, generator=seeded())
    changed = (warped != image).flatten(1).any(1).float().mean()
    assert 0.1 < changed < 0.3


@pytest.mark.parametrize(("affine", "elastic"), [(1, 0), (0, 1), (1, 1)])
def test_image_and_labels_move_together(affine, elastic):
    image, labels = make_batch(size=40, count=6)
    warped, targets = warp_batch(image, labels, affine=affine, elastic=elastic, generator=seeded())
    seen = targets != 2
    assert seen.float().mean() > 0.6
    agree = ((warped > 0.6) == (targets == 1))[seen].float().mean()
    assert agree > 0.9


def test_labels_stay_labels_and_are_ignored_outside():
    image, labels = make_batch(count=8)
    _, targets = warp_batch(image, labels, affine=1, elastic=0, generator=seeded())
    assert set(targets.unique().tolist()) <= {0, 1, 2}
    assert (targets == 2).any()
    assert not (targets[:, :, 12:20, 12:20, 12:20] == 2).any()


def test_ignored_voxels_stay_ignored():
    image, labels = make_batch()
    _, targets = warp_batch(
        image, torch.full_like(labels, 2), affine=1, elastic=1, generator=seeded()
    )
    assert bool((targets == 2).all())


def fix_matrix(monkeypatch, matrix):
    monkeypatch.setattr(warp_module, "_draw_matrix", lambda *_: torch.tensor(matrix))


def test_identity_is_exact(monkeypatch):
    fix_matrix(monkeypatch, [[1.0, 0, 0], [0, 1, 0], [0, 0, 1]])
    image, labels = make_batch(size=17)
    warped, targets = warp_batch(image, labels, affine=1, elastic=0, spacing=(3, 1, 2))
    assert torch.allclose(warped, image, atol=1e-4)
    assert torch.equal(targets, labels)


def test_quarter_turn_by_hand(monkeypatch):
    # The result's X is taken from the source's Y: a turn in the plane of the slices.
    fix_matrix(monkeypatch, [[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    image, labels = make_batch(size=9, count=1)
    warped, targets = warp_batch(image, labels, affine=1, elastic=0)
    assert torch.allclose(warped, torch.rot90(image, 1, (3, 4)), atol=1e-4) or torch.allclose(
        warped, torch.rot90(image, -1, (3, 4)), atol=1e-4
    )
    assert torch.equal(targets, (warped > 0.6).to(torch.uint8))


def test_turns_are_turns_in_space(monkeypatch):
    """With slices twice as far apart, a turn by a quarter brings 9 slices onto 17 rows."""
    fix_matrix(monkeypatch, [[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
    image = torch.zeros(1, 1, 9, 17, 5)
    image[:, :, 6] = 1  # two slices, four units, above the middle
    _, targets = warp_batch(
        image, image.to(torch.uint8), affine=1, elastic=0, spacing=(2.0, 1.0, 1.0)
    )
    rows = targets[0, 0, 4, :, 2].nonzero().flatten().tolist()
    assert sum(rows) / len(rows) in (4.0, 12.0)
    assert not bool((targets == 2).any())


def test_coarse_axes_are_turned_less():
    matrices = [
        torch.stack(
            [warp_module._draw_matrix(seeded(i), torch.device("cpu"), spacing) for i in range(200)]
        )
        for spacing in ((1.0, 1.0, 1.0), (10.0, 1.0, 1.0))
    ]
    # How much of Z goes into X, and of Y into X: axes are X, Y, Z.
    even, coarse = (matrix.abs().mean(0) for matrix in matrices)
    assert coarse[0, 2] < 0.3 * even[0, 2]
    assert coarse[0, 1] > 0.7 * even[0, 1]


def test_changes_of_size_stay_small():
    matrices = torch.stack(
        [warp_module._draw_matrix(seeded(i), torch.device("cpu"), (1.0,) * 3) for i in range(300)]
    )
    volumes = torch.linalg.det(matrices.double())
    most = (warp_module.MAX_SCALE * warp_module.MAX_STRETCH) ** 3
    assert volumes.min() > 1 / most
    assert volumes.max() < most
    assert volumes.log().mean().abs() < 0.1


def test_bending_does_not_fold():
    # A ramp along X must still rise everywhere, whatever the bend.
    size = 48
    ramp = torch.arange(size, dtype=torch.float32).expand(8, 1, size, size, size).clone()
    warped, _ = warp_batch(
        ramp, torch.zeros_like(ramp, dtype=torch.uint8), affine=0, elastic=1, generator=seeded()
    )
    inner = warped[..., 6:-6, 6:-6, 6:-6]
    rising = (inner.diff(dim=-1) > 0).float().mean()
    assert rising > 0.995
    shift = (inner - ramp[..., 6:-6, 6:-6, 6:-6]).abs()
    assert shift.mean() > 0.2


def test_half_precision_goes_through():
    image, labels = make_batch(size=16)
    warped, _ = warp_batch(
        image.to(torch.bfloat16), labels, affine=1, elastic=1, generator=seeded()
    )
    assert warped.dtype == torch.bfloat16


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="one shape"):
        warp_batch(torch.zeros(1, 1, 4, 4, 4), torch.zeros(1, 1, 4, 4, 5), affine=1, elastic=0)


def test_flat_patches_are_fine():
    image, labels = torch.rand(2, 1, 1, 16, 16), torch.zeros(2, 1, 1, 16, 16, dtype=torch.uint8)
    warped, _ = warp_batch(image, labels, affine=1, elastic=1, generator=seeded())
    assert bool(torch.isfinite(warped).all())


def test_mirrored_beyond_the_edges(monkeypatch):
    fix_matrix(monkeypatch, [[2.0, 0, 0], [0, 1, 0], [0, 0, 1]])  # X at half its size
    ramp = torch.arange(8.0).expand(1, 1, 4, 4, 8).clone()
    warped, targets = warp_batch(
        ramp, torch.ones_like(ramp, dtype=torch.uint8), affine=1, elastic=0
    )
    # Voxel centres at -3.5, -1.5 … 10.5 of the source, mirrored at its faces -0.5 and 7.5.
    expected = torch.tensor([2.5, 0.5, 0.5, 2.5, 4.5, 6.5, 6.5, 4.5])
    assert torch.allclose(warped[0, 0, 2, 2], expected, atol=1e-5)
    assert targets[0, 0, 2, 2].tolist() == [2, 2, 1, 1, 1, 1, 2, 2]


@pytest.mark.parametrize("edges", [(0, 2, 4), (0, 1, 2, 3, 4), (0, 3, 4)])
def test_parts_of_a_batch_are_warped_as_the_whole_is(edges):
    image, labels = make_batch()
    whole = warp_batch(image, labels, affine=0.7, elastic=0.7, generator=seeded(2))
    found = [
        warp_batch(
            image[a:b], labels[a:b], affine=0.7, elastic=0.7, generator=seeded(2), part=(a, 4)
        )
        for a, b in itertools.pairwise(edges)
    ]
    assert torch.equal(torch.cat([part[0] for part in found]), whole[0])
    assert torch.equal(torch.cat([part[1] for part in found]), whole[1])
