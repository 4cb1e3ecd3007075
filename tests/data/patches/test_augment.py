"""Symmetries, grey values and noise."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from napari_surfseg.data.kernels import count_meanings
from napari_surfseg.data.patches.augment import (
    SYMMETRIES,
    GreyChange,
    PatchBuffer,
    build_noise,
    choose_symmetries,
    cut_pair,
    draw_grey_change,
    find_symmetries,
)

IDENTITY = np.arange(256, dtype=np.uint8)
NOISE = build_noise(0, 64)


def make_buffers(shape, seed=0):
    rng = np.random.default_rng(seed)
    image, labels = PatchBuffer(shape), PatchBuffer(shape)
    image.view[...] = rng.integers(0, 256, shape)
    labels.view[...] = rng.integers(0, 3, shape)
    return image, labels


def cut(image, labels, symmetry, change):
    shape = symmetry.apply(image.view).shape
    out = np.empty(shape, np.uint8), np.empty(shape, np.uint8)
    cut_pair(image, labels, symmetry, change, NOISE, *out)
    return out


def test_there_are_48_and_they_differ():
    cube = np.arange(27).reshape(3, 3, 3)
    results = {symmetry.apply(cube).tobytes() for symmetry in SYMMETRIES}
    assert len(results) == 48
    np.testing.assert_array_equal(SYMMETRIES[0].apply(cube), cube)


def test_neighbours_stay_neighbours():
    """A symmetry keeps the distance of any two voxels."""
    places = np.stack(np.meshgrid(*[np.arange(3)] * 3, indexing="ij"), -1).reshape(-1, 3)
    cube = np.arange(27).reshape(3, 3, 3)
    distances = ((places[:, None] - places[None]) ** 2).sum(-1)
    for symmetry in SYMMETRIES:
        order = symmetry.apply(cube).ravel()
        moved = np.empty_like(places)
        moved[order] = places
        np.testing.assert_array_equal(((moved[:, None] - moved[None]) ** 2).sum(-1), distances)


@pytest.mark.parametrize(
    ("shape", "spacing", "expected"),
    [
        ((8, 8, 8), (1, 1, 1), 48),
        ((8, 8, 8), (2, 1, 1), 16),
        ((4, 8, 8), (1, 1, 1), 16),
        ((8, 8, 4), (1, 1, 2), 16),
        ((4, 8, 16), (1, 1, 1), 8),
        ((8, 8, 8), (1, 2, 3), 8),
        ((8, 8, 8), (1.0, 1.01, 1.0), 48),
    ],
)
def test_only_those_that_keep_shape_and_spacing(shape, spacing, expected):
    found = find_symmetries(shape, spacing)
    assert len(found) == expected
    patch = np.zeros(shape)
    for symmetry in found:
        assert symmetry.apply(patch).shape == shape
        # Broadcast steps in space: each axis of the result keeps its own.
        assert np.allclose([spacing[a] for a in symmetry.axes], spacing, rtol=0.02)


@pytest.mark.parametrize("shape", [(5, 5, 5), (64, 64, 64), (40, 70, 33)])
def test_copies_as_the_views_say(shape):
    image, labels = make_buffers(shape)
    table = np.random.default_rng(1).permutation(256).astype(np.uint8)
    for symmetry in SYMMETRIES:
        grey, target = cut(image, labels, symmetry, GreyChange(table, 0.0, 0))
        np.testing.assert_array_equal(grey, table[symmetry.apply(image.view)])
        np.testing.assert_array_equal(target, symmetry.apply(labels.view))


def test_finds_where_a_voxel_comes_from():
    shape = (4, 5, 6)
    places = np.arange(np.prod(shape)).reshape(shape)
    for symmetry in SYMMETRIES:
        result = symmetry.apply(places)
        for voxel in itertools.product((0, 1, 3), repeat=3):
            source = symmetry.source_voxel(voxel, result.shape)
            assert places[source] == result[voxel]


def test_counts_meanings():
    labels = np.random.default_rng(0).integers(0, 3, (7, 8, 9)).astype(np.uint8)
    counts = np.zeros(3, np.int64)
    count_meanings(labels, counts)
    assert counts.tolist() == np.bincount(labels.ravel()).tolist()


def test_no_change_at_strength_zero():
    change = draw_grey_change(np.random.default_rng(0), intensity=0, noise=0, mean=0.5, std=0.2)
    np.testing.assert_array_equal(change.table, IDENTITY)
    assert change.noise == 0


def test_grey_changes_are_monotonic_and_turn_about_the_mean():
    rng = np.random.default_rng(0)
    changes = [draw_grey_change(rng, intensity=1, noise=0, mean=0.5, std=0.2) for _ in range(300)]
    tables = np.stack([change.table for change in changes]).astype(int)
    assert np.all(np.diff(tables, axis=1) >= 0)
    assert tables[:, 128].mean() == pytest.approx(128, abs=8)
    assert tables[:, 128].std() > 10
    slopes = (tables[:, 160] - tables[:, 96]) / 64
    assert slopes.min() < 0.75
    assert slopes.max() > 1.4


def test_strength_scales_the_change():
    def spread(intensity):
        rng = np.random.default_rng(0)
        tables = [
            draw_grey_change(rng, intensity=intensity, noise=0, mean=0.5, std=0.2).table
            for _ in range(100)
        ]
        return np.abs(np.stack(tables).astype(int) - IDENTITY).mean()

    assert 0 < spread(0.25) < spread(0.5) < spread(1)


def test_settings_do_not_shift_the_stream():
    """Turning noise or intensity off leaves everything else that is drawn as it was."""
    rngs = [np.random.default_rng(3) for _ in range(2)]
    draw_grey_change(rngs[0], intensity=0, noise=0, mean=0.5, std=0.2)
    draw_grey_change(rngs[1], intensity=1, noise=1, mean=0.5, std=0.2)
    assert rngs[0].random() == rngs[1].random()


def test_noise_has_its_deviation_and_no_bias():
    image, labels = PatchBuffer((48, 48, 48)), PatchBuffer((48, 48, 48))
    image.view[...] = 128
    for deviation in (1.0, 5.0, 20.0):
        grey, _ = cut(image, labels, SYMMETRIES[0], GreyChange(IDENTITY, deviation, 7))
        difference = grey.astype(float) - 128
        # Rounding to whole grey values adds a variance of 1/12.
        assert difference.std() == pytest.approx(np.hypot(deviation, 12**-0.5), rel=0.02)
        assert abs(difference.mean()) < 0.02 * deviation
        neighbours = np.corrcoef(difference[:, :-1].ravel(), difference[:, 1:].ravel())[0, 1]
        assert abs(neighbours) < 0.02


def test_noise_differs_by_seed_and_repeats():
    image, labels = make_buffers((16, 16, 16))
    first, again, other = (
        cut(image, labels, SYMMETRIES[0], GreyChange(IDENTITY, 5.0, seed))[0] for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert np.any(first != other)


def test_noise_is_clipped():
    image, labels = PatchBuffer((16, 16, 16)), PatchBuffer((16, 16, 16))
    image.view[:8] = 255
    grey, _ = cut(image, labels, SYMMETRIES[0], GreyChange(IDENTITY, 30.0, 0))
    assert grey[:8].min() > 100
    assert grey[8:].max() < 155
    assert np.mean(grey[:8] == 255) == pytest.approx(0.5, abs=0.05)


def test_axial_symmetries_keep_the_first_axis():
    axial = choose_symmetries("axial", (8, 8, 8), (1.0, 1.0, 1.0))
    assert len(axial) == 16
    assert {symmetry.axes[0] for symmetry in axial} == {0}
    assert len(choose_symmetries(True, (8, 8, 8), (1.0, 1.0, 1.0))) == 48
    assert choose_symmetries(False, (8, 8, 8), (1.0, 1.0, 1.0)) == SYMMETRIES[:1]
