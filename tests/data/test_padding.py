"""Reading beyond the borders, and what sources are called."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_surfseg.data.cache import VolumeCache
from napari_surfseg.data.padding import read_padded
from napari_surfseg.data.volume import ArrayVolume

VALUES = np.arange(5 * 6 * 7, dtype=np.uint16).reshape(5, 6, 7)


def pad_and_cut(values, start, stop, **how):
    """The same with NumPy's own padding."""
    before = [max(0, -a) for a in start]
    after = [max(0, b - n) for b, n in zip(stop, values.shape, strict=True)]
    padded = np.pad(values, list(zip(before, after, strict=True)), **how)
    return padded[tuple(slice(a + p, b + p) for a, b, p in zip(start, stop, before, strict=True))]


corners = st.tuples(*(st.integers(-20, 20) for _ in range(3)))
extents = st.tuples(*(st.integers(1, 25) for _ in range(3)))


@given(start=corners, extent=extents)
@settings(deadline=None, max_examples=60)
def test_reads_as_numpy_pads(start, extent):
    stop = tuple(a + n for a, n in zip(start, extent, strict=True))
    volume = ArrayVolume(VALUES)
    for mode, how in (("reflect", {}), ("edge", {}), ("constant", {"constant_values": 9})):
        value = how.get("constant_values", 0)
        box = read_padded(volume, start, stop, mode, value=value)
        np.testing.assert_array_equal(box, pad_and_cut(VALUES, start, stop, mode=mode, **how))


def test_one_voxel_is_repeated():
    volume = ArrayVolume(VALUES[:1])
    box = read_padded(volume, (-3, 0, 0), (4, 6, 7))
    np.testing.assert_array_equal(box, np.broadcast_to(VALUES[:1], (7, 6, 7)))


def test_bounds_stand_for_the_volume():
    inner = VALUES[1:4, 2:5, 1:6]
    box = read_padded(ArrayVolume(VALUES), (-1, 0, 0), (6, 6, 7), bounds=((1, 2, 1), (4, 5, 6)))
    expected = pad_and_cut(inner, (-2, -2, -1), (5, 4, 6), mode="reflect")
    np.testing.assert_array_equal(box, expected)


def test_writes_into_what_is_given():
    out = np.zeros((5, 8, 7), np.uint16)[:, :6]
    result = read_padded(ArrayVolume(VALUES), (0, 0, 0), (5, 6, 7), out=out)
    assert result is out
    np.testing.assert_array_equal(out, VALUES)


def test_reads_through_a_cache():
    cache = VolumeCache(10**6)
    volume = cache.view(ArrayVolume(VALUES))
    box = read_padded(volume, (-2, -2, -2), (3, 3, 3))
    expected = pad_and_cut(VALUES, (-2, -2, -2), (3, 3, 3), mode="reflect")
    np.testing.assert_array_equal(box, expected)
    assert cache.stats().misses == 1
