"""Random fields that depend on the place alone."""

from __future__ import annotations

import numpy as np
import pytest

from napari_surfseg.data.phantom.noise import (
    compute_lattice_noise,
    compute_spline,
    compute_spline_noise,
    compute_white_noise,
    hash_coordinates,
)


class TestNoise:
    def test_white_noise_is_uniform_and_uncorrelated(self):
        noise = compute_white_noise((-20, 100, 7), (44, 164, 71), 5)
        assert abs(noise.mean()) < 0.01
        assert noise.std() == pytest.approx(3**-0.5, rel=0.01)
        assert noise.min() >= -1
        assert noise.max() < 1
        for axis in range(3):
            assert abs((noise * np.roll(noise, 1, axis)).mean()) < 0.005

    def test_hashes_differ_by_salt_and_place(self):
        axis = np.arange(-150, 150)
        first = hash_coordinates((axis[:, None], axis[None, :]), 1)
        assert np.unique(first).size > 0.999 * first.size
        assert not np.any(first == hash_coordinates((axis[:, None], axis[None, :]), 2))

    def test_a_spline_reproduces_a_linear_field(self):
        def evaluate(z, y, x):
            return [0.5 * z - 2.0 * y + x + 3.0]

        (found,) = compute_spline(evaluate, (4, 5, 3), (-7, 2, 11), (6, 19, 23))
        z, y, x = np.mgrid[-7:6, 2:19, 11:23]
        np.testing.assert_allclose(found, 0.5 * z - 2 * y + x + 3, atol=1e-4)

    def test_spline_noise_is_smooth_with_unit_deviation(self):
        noise = compute_spline_noise((6, 6, 6), (0, 0, 0), (120, 120, 120), 3)
        assert abs(noise.mean()) < 0.05
        assert noise.std() == pytest.approx(1, rel=0.05)
        # A quarter of the deviation a voxel is typical for nodes six apart.
        assert np.diff(noise, axis=1).std() < 0.35

    def test_lattice_noise_is_the_nodes_value_at_whole_numbers_and_between_them_elsewhere(self):
        x = np.linspace(-3, 3, 61, dtype=np.float32)
        noise = compute_lattice_noise([x], np.zeros(61, int), 4)
        for left in range(0, 60, 10):
            inside = noise[left : left + 11]
            assert np.all(inside >= min(inside[0], inside[-1]) - 1e-6)
            assert np.all(inside <= max(inside[0], inside[-1]) + 1e-6)
        other = compute_lattice_noise([x], np.ones(61, int), 4)
        assert np.abs(noise - other).max() > 0.1
