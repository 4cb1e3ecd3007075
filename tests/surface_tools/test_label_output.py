"""Labels as files: levels that thin sheets survive, whole numbers that a TIFF can hold."""

import numpy as np
import pytest
import tifffile
import zarr

from napari_surfseg.errors import OutputError
from napari_surfseg.geometry import box_slices
from napari_surfseg.inference import pyramid
from napari_surfseg.inference.output_metadata import VolumeMetadata
from napari_surfseg.surface_tools.label_output import LabelOutput

PLACED = VolumeMetadata((4.0, 2.0, 2.0), "nanometer", content="labels", version="0.5")


def make(tmp_path, name, shape=(5, 6, 7)):
    return LabelOutput(name, tmp_path / "aside", tmp_path / "scratch", shape, PLACED)


@pytest.mark.parametrize(("values", "stored"), [([3, 2**31], np.uint32), ([-3, 5], np.int32)])
def test_whole_numbers_of_64_bits_are_written_in_32_where_these_are_enough(
    tmp_path, values, stored
):
    labels = np.resize(np.array(values, np.int64), (5, 6, 7))
    make(tmp_path, "a.tif").write(labels)
    found = tifffile.imread(tmp_path / "aside")
    assert found.dtype == stored
    assert np.array_equal(found, labels)


def test_others_are_refused_before_and_after_the_work(tmp_path):
    with pytest.raises(OutputError, match=r"a\.tif would hold whole numbers of 64 bits"):
        make(tmp_path, "a.tif").create(np.int64)
    with pytest.raises(OutputError, match=r"write a \.zarr instead"):
        make(tmp_path, "a.tif").write(np.full((5, 6, 7), 2**40))


def test_coarser_levels_hold_the_label_of_most_voxels(tmp_path, monkeypatch):
    monkeypatch.setattr(pyramid, "COARSEST", 4)
    monkeypatch.setattr(pyramid, "LEAST", 1)
    output = make(tmp_path, "a.zarr", (4, 4, 8))
    array = output.create(np.int32)
    values = np.zeros((4, 4, 8), np.int32)
    values[:2, :, :2] = 70_000
    values[0, :2, 2:4] = 5  # as many as background
    values[:, :, 4:6] = 9
    values[0, 0, 4] = 8
    array[box_slices(((0, 0, 0), (4, 4, 8)))] = values
    output.finish(lambda _stage, _share: None)
    group = zarr.open_group(str(tmp_path / "aside"), mode="r")
    assert sorted(group.array_keys()) == ["0", "1"]
    assert group["1"][0].tolist() == [[70_000, 5, 9, 0], [70_000, 0, 9, 0]]
    scale = group.attrs["ome"]["multiscales"][0]["datasets"][1]["coordinateTransformations"][0]
    assert scale["scale"] == [8, 4, 4]
