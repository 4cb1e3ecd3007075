"""What every volume has and refuses, whatever its format."""

import numpy as np
import pytest

from napari_surfseg.data.cache import VolumeCache
from napari_surfseg.data.open import open_volume
from napari_surfseg.data.volume import ArrayVolume, TransposedVolume, grow_chunks
from napari_surfseg.errors import DataError

SHAPE = (7, 11, 13)


REFUSED = {
    "complex": (np.zeros(SHAPE, "complex64"), r"holds complex numbers; .* are needed\.$"),
    "two axes": (np.zeros((4, 4)), r"shape 4 x 4, which is not a volume; three axes"),
    "colour": (np.zeros((4, 4, 4, 3), "uint8"), r"looks like a colour image"),
    "four axes": (np.zeros((2, 5, 5, 5)), r"shape 2 x 5 x 5 x 5; only leading axes of length 1"),
    "text": (np.full(SHAPE, "a"), r"holds values of type <U1; integers"),
    "records": (np.zeros(SHAPE, "u1,u1"), r"holds records"),
    "no voxels": (np.zeros((0, 4, 4)), r"holds no voxels"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refuses(tmp_path, case):
    values, sentence = REFUSED[case]
    np.save(tmp_path / "a.npy", values)
    with pytest.raises(DataError, match=sentence) as caught:
        open_volume(tmp_path / "a.npy")
    assert str(caught.value).endswith(".")
    assert "a.npy" in str(caught.value)


def test_a_derived_volume_lies_where_its_base_lies():
    base = ArrayVolume(
        np.zeros(SHAPE, "uint16"), name="a", spacing=(3, 2, 1), units="nm", translate=(5, 6, 7)
    )
    derived = VolumeCache(10**6).view(base)
    for name in ("source", "name", "shape", "dtype", "spacing", "units", "translate", "chunks"):
        assert getattr(derived, name) == getattr(base, name), name
    assert derived.spacing_known
    assert not VolumeCache(0).view(ArrayVolume(np.zeros(SHAPE))).spacing_known


@pytest.mark.parametrize(
    ("chunks", "most", "expected"),
    [((4, 4, 4), 4**3, (4, 4, 4)), ((1, 8, 8), 8**3, (8, 8, 8)), ((4, 4, 4), 10**9, (8, 16, 16))],
)
def test_chunks_grow_along_their_shortest_axis(chunks, most, expected):
    assert grow_chunks(chunks, ((0, 0, 0), SHAPE), most) == expected


@pytest.mark.parametrize("axes", ["zyx", "xyz", "yxz", "zxy"])
def test_a_volume_stored_in_another_order_is_read_as_zyx(axes):
    values = np.arange(3 * 5 * 7).reshape(3, 5, 7)
    about = {"z": (3.0, 30.0), "y": (2.0, 20.0), "x": (1.0, 10.0)}
    base = ArrayVolume(
        values.transpose(["zyx".index(axis) for axis in axes]),
        spacing=[about[axis][0] for axis in axes],
        translate=[about[axis][1] for axis in axes],
        units="um",
        notes=["something was left out"],
    )
    volume = TransposedVolume(base, axes)
    assert volume.shape == (3, 5, 7)
    assert volume.spacing == (3.0, 2.0, 1.0)
    assert volume.translate == (30.0, 20.0, 10.0)
    assert volume.units == "micrometer"
    assert volume.notes == ["something was left out"]
    assert volume.stored_axes == axes
    part = volume.read((1, 0, 2), (3, 4, 6))
    np.testing.assert_array_equal(part, values[1:3, 0:4, 2:6])
    assert part.flags.c_contiguous
