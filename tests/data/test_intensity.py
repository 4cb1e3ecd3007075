"""Grey values to uint8."""

from __future__ import annotations

import numpy as np
import pytest

from napari_surfseg.data.intensity import compute_intensity
from napari_surfseg.data.volume import ArrayVolume
from napari_surfseg.errors import DataError


def test_uint8_stays_as_it_is():
    values = np.random.default_rng(0).integers(0, 200, (20, 20, 20)).astype(np.uint8)
    intensity = compute_intensity([ArrayVolume(values)])
    assert (intensity.low, intensity.high) == (0, 255)
    assert intensity.mean == pytest.approx(values.mean() / 255)
    assert intensity.std == pytest.approx(values.std() / 255)
    assert intensity.to_uint8(values) is values


@pytest.mark.parametrize("dtype", ["uint16", "int32", "float32", "float64"])
def test_percentiles_of_other_types(dtype):
    values = np.random.default_rng(0).normal(30_000, 1000, (40, 40, 40)).astype(dtype)
    values[0, 0, 0] = 60_000  # one bright grain
    intensity = compute_intensity([ArrayVolume(values)])
    assert intensity.low == pytest.approx(np.percentile(values, 0.5))
    assert intensity.high == pytest.approx(np.percentile(values, 99.5))
    scaled = intensity.to_uint8(values)
    assert scaled.dtype == np.uint8
    assert (scaled.min(), scaled.max()) == (0, 255)
    assert intensity.mean == pytest.approx(scaled.mean() / 255)
    assert intensity.std == pytest.approx(scaled.std() / 255)


def test_void_and_everything_outside_the_box_are_left_out():
    values = np.full((30, 30, 30), 0.0, np.float32)
    values[:10, :10, :10] = np.random.default_rng(0).uniform(5, 6, (10, 10, 10))
    values[20:] = 1e6
    intensity = compute_intensity(
        [ArrayVolume(values)], boxes=[((0, 0, 0), (20, 30, 30))], void_value=0
    )
    assert 5 <= intensity.low < 5.02
    assert 5.98 < intensity.high <= 6


def test_mostly_one_value():
    values = np.zeros((30, 30, 30), np.uint16)
    values[0, 0, :3] = 7
    intensity = compute_intensity([ArrayVolume(values)])
    assert (intensity.low, intensity.high) == (0, 7)


def test_refuses_one_value_only():
    for dtype in ("uint8", "float32"):
        with pytest.raises(DataError, match="holds the one value 3 only"):
            compute_intensity([ArrayVolume(np.full((4, 4, 4), 3, dtype), name="a.tif")])
    with pytest.raises(DataError, match="no finite values other than the void value"):
        compute_intensity([ArrayVolume(np.zeros((4, 4, 4), "uint8"))], void_value=0)


def test_large_volumes_are_sampled():
    reads = []

    class Watched(ArrayVolume):
        def _read_box(self, start, stop):
            reads.append((start, stop))
            return super()._read_box(start, stop)

    values = np.random.default_rng(0).integers(0, 255, (64 * 5, 64, 64)).astype(np.uint8)
    intensity = compute_intensity([Watched(values)], max_samples=2)
    assert len(reads) == 2
    assert intensity.mean == pytest.approx(values.mean() / 255, rel=0.01)
    again = compute_intensity([Watched(values)], max_samples=2)
    assert again == intensity


def test_slices_stored_whole_are_sampled_whole():
    reads = []

    class Watched(ArrayVolume):
        def _read_box(self, start, stop):
            reads.append((start, stop))
            return super()._read_box(start, stop)

    volume = Watched(np.random.default_rng(0).integers(0, 255, (50, 300, 300)).astype(np.uint8))
    volume.chunks = (1, 300, 300)
    compute_intensity([volume], max_samples=5)
    assert len(reads) == 5
    assert all(stop == (start[0] + 2, 300, 300) and start[1:] == (0, 0) for start, stop in reads)
