"""Grey values to uint8."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_surfseg.data.intensity import compute_intensity, fit_intensity, fit_pairs
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


def scan(dtype, scale, offset=0.0, seed=0):
    shares = np.random.default_rng(seed).normal(0.4, 0.1, (20, 20, 20)).clip(0, 1)
    return (shares * scale + offset).astype(dtype)


def test_a_network_sees_a_copy_of_another_type_as_its_own():
    intensity = compute_intensity([ArrayVolume(scan("uint8", 255))])
    copy = ArrayVolume(scan("uint16", 65535, seed=1), name="copy.tif")
    fitted, fit = fit_intensity(copy, intensity)
    assert (fitted.low, fitted.high) == (0, 65535)
    assert fit.note.startswith("The grey values of copy.tif")
    assert fit_intensity(copy, intensity, "as_is")[0] is intensity
    # A checkpoint of an earlier version does not say what it was trained on.
    assert fit_intensity(copy, replace(intensity, values=None))[0].high == 255
    # One value only: nothing to compare.
    empty = ArrayVolume(np.zeros((4, 4, 4), np.uint16))
    assert fit_intensity(empty, intensity)[0] is intensity


@pytest.mark.parametrize("dtypes", [("uint8", "uint16"), ("uint16", "uint8"), ("float32", "uint8")])
def test_the_volumes_of_a_run_are_brought_to_those_of_the_first(pair_of, dtypes):
    scales = {"uint8": 255, "uint16": 65535, "float32": 1.0}
    labels = np.zeros((20, 20, 20), np.uint8)
    labels[10] = 1
    first, second = (pair_of(labels, scan(dtype, scales[dtype])) for dtype in dtypes)
    pairs, fits = fit_pairs([first, second, first])
    assert pairs[0] is first
    assert pairs[2] is first
    assert [bool(fit.note) for fit in fits] == [False, True]
    made = pairs[1].image.read((0, 0, 0), (20, 20, 20))
    assert made.dtype == first.image.dtype
    expected = first.image.read((0, 0, 0), (20, 20, 20))
    assert np.abs(made.astype(float) - expected).max() <= scales[dtypes[0]] / 250
    assert fit_pairs([first, second], "as_is")[0][1] is second


def test_a_void_value_stays_what_it_is(pair_of):
    image = scan("uint16", 65535)
    image[:5] = 0
    labels = np.zeros((20, 20, 20), np.uint8)
    labels[10] = 1
    first = pair_of(labels, scan("float32", 2.0, -1.0))
    second = replace(pair_of(labels, image), void_value=0.0)
    made = fit_pairs([first, second])[0][1].image.read((0, 0, 0), (20, 20, 20))
    assert (made[:5] == 0).all()
    assert made[5:].min() < -0.5


def test_volumes_that_do_not_fit_are_left_and_said(pair_of):
    labels = np.zeros((20, 20, 20), np.uint8)
    labels[10] = 1
    first = pair_of(labels, scan("uint8", 255))
    second = pair_of(labels, scan("int32", 3000, 20_000))
    pairs, fits = fit_pairs([first, second])
    assert pairs[1] is second
    assert "set data.intensity to match" in fits[1].warning
    assert "were matched" in fit_pairs([first, second], "match")[1][1].note
