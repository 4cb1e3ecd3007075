"""Grey values to uint8 by given limits."""

import numpy as np

from napari_surfseg.model.intensity import Intensity


def test_hand_computed():
    intensity = Intensity(low=100, high=200, mean=0.5, std=0.1)
    values = np.array([0, 100, 150, 200, 1000], np.int16)
    assert intensity.to_uint8(values).tolist() == [0, 0, 128, 255, 255]
    assert intensity.to_uint8(values.astype(np.float32)).tolist() == [0, 0, 128, 255, 255]
    assert intensity.to_uint8(np.array([150], np.uint8)).tolist() == [128]


def test_the_table_for_uint16_agrees_with_arithmetic():
    values = np.random.default_rng(0).integers(0, 2**16, (80, 80, 80)).astype(np.uint16)
    intensity = Intensity(low=300.5, high=40_001.25, mean=0.5, std=0.1)
    np.testing.assert_array_equal(
        intensity.to_uint8(values), intensity.to_uint8(values.astype(np.float32))
    )


def test_large_offsets_keep_their_steps():
    values = (2.0**30 + np.arange(256)).astype(np.float64)
    intensity = Intensity(low=2.0**30, high=2.0**30 + 255, mean=0.5, std=0.1)
    assert intensity.to_uint8(values).tolist() == list(range(256))


def test_values_that_are_no_numbers():
    intensity = Intensity(low=0, high=1, mean=0.5, std=0.1)
    values = np.array([np.nan, np.inf, -np.inf], np.float32)
    assert intensity.to_uint8(values).tolist() == [0, 255, 0]


def test_survives_a_round_trip():
    intensity = Intensity(low=1.5, high=2.5, mean=0.25, std=0.125)
    assert Intensity.from_dict(intensity.as_dict()) == intensity
