"""Which stored axes are Z, Y and X."""

import numpy as np
import pytest

from napari_surfseg.data.formats.axes import AxisOrder, find_axis_order
from napari_surfseg.errors import DataError


@pytest.mark.parametrize(
    ("shape", "names", "zyx", "stored"),
    [
        ((4, 5, 6), None, (0, 1, 2), "zyx"),
        ((1, 1, 4, 5, 6), None, (2, 3, 4), "zyx"),
        ((4, 5, 6), "zyx", (0, 1, 2), "zyx"),
        ((6, 5, 4), "xyz", (2, 1, 0), "xyz"),
        ((5, 6, 4), "YXZ", (2, 0, 1), "yxz"),
        ((1, 4, 5, 6, 1), "tzyxc", (1, 2, 3), "zyx"),
        ((4, 5, 6, 1), ("z", "y", "x", ""), (0, 1, 2), "zyx"),
    ],
)
def test_order(shape, names, zyx, stored):
    order = find_axis_order(shape, names, "a.h5")
    assert order == AxisOrder(zyx, len(shape))
    assert order.stored_axes == stored
    assert order.pick(shape) == (4, 5, 6)
    values = np.arange(120).reshape(shape)
    box = order.read(values, ((1, 2, 3), (3, 5, 6)))
    others = [axis for axis in range(len(shape)) if axis not in zyx]
    expected = values.transpose(*others, *zyx).reshape(4, 5, 6)[1:3, 2:5, 3:6]
    np.testing.assert_array_equal(box, expected)


@pytest.mark.parametrize(
    ("shape", "names", "words"),
    [
        ((5, 6), None, "not a volume"),
        ((2, 4, 5, 6), None, "leading axes of length 1"),
        ((2, 4, 5, 6), "czyx", "holds 2 channels"),
        ((4, 5, 6, 7), "zyxt", "holds 7 points of time"),
        ((4, 5, 6, 7), "zyxq", "holds 7 entries along its axis 'q'"),
        ((4, 5, 6), "tyx", "axes t, y and x; a volume has Z, Y and X once each"),
        ((4, 5, 6), "zzx", "axes z, z and x"),
    ],
)
def test_refused(shape, names, words):
    with pytest.raises(DataError, match=words):
        find_axis_order(shape, names, "a.h5")
