"""What our writers write, our readers read: voxels, voxel size, unit, place and kind."""

import numpy as np
import pytest
from napari.layers import Image, Labels

from napari_surfseg.data.open import open_volume
from napari_surfseg.gui.contributions.writers import write_labels
from napari_surfseg.gui.layers.copies import write_layer
from napari_surfseg.gui.layers.layer_volume import take_layer
from napari_surfseg.inference.output_metadata import VolumeMetadata
from napari_surfseg.inference.volume_writer import VolumeWriter

SHAPE = (6, 9, 11)
VALUES = np.random.default_rng(2).integers(0, 3, SHAPE).astype(np.uint8)
UNITS = ("angstrom", "nanometer", "micrometer", "millimeter", "meter", None)
SPACING, PLACE = (0.5, 0.3, 0.2), (30.0, -20.0, 10.0)


def check(path, spacing, unit, place, content=None):
    volume = open_volume(path)
    np.testing.assert_array_equal(volume.read((0, 0, 0), SHAPE), VALUES)
    assert volume.spacing_known == (spacing is not None)
    assert volume.spacing == pytest.approx(spacing or (1, 1, 1), rel=1e-5)
    assert volume.units == unit
    assert volume.translate == pytest.approx(place, rel=1e-5, abs=1e-9)
    assert volume.content == content
    assert volume.notes == []


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("suffix", [".zarr", ".tif"])
@pytest.mark.parametrize("place", [PLACE, (0, 0, 0)], ids=["placed", "at the origin"])
def test_predictions(tmp_path, suffix, unit, place):
    path = tmp_path / f"out{suffix}"
    metadata = VolumeMetadata(SPACING, unit, place, "labels")
    pieces = [((0, 0, 0), VALUES[:4]), ((4, 0, 0), VALUES[4:])]
    VolumeWriter(path, SHAPE, metadata).write(pieces)
    check(path, SPACING, unit, place, "labels")


@pytest.mark.parametrize("suffix", [".zarr", ".tif"])
def test_predictions_of_unknown_size(tmp_path, suffix):
    path = tmp_path / f"out{suffix}"
    metadata = VolumeMetadata(content="probabilities")
    VolumeWriter(path, SHAPE, metadata).write([((0, 0, 0), VALUES)])
    check(path, None, None, (0, 0, 0), "probabilities")


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("suffix", [".zarr", ".tif"])
def test_saved_labels(tmp_path, suffix, unit):
    path = tmp_path / f"labels{suffix}"
    units = (unit or "pixel",) * 3
    layer = Labels(VALUES, scale=SPACING, translate=PLACE, units=units)
    data, about, _ = layer.as_layer_data_tuple()
    write_labels(str(path), data, about)
    check(path, SPACING, unit, PLACE, "labels")


@pytest.mark.parametrize("unit", UNITS)
def test_copies_of_layers(tmp_path, unit):
    path = tmp_path / "copy.zarr"
    units = (unit or "pixel",) * 3
    write_layer(take_layer(Image(VALUES, scale=SPACING, translate=PLACE, units=units)), path)
    check(path, SPACING, unit, PLACE)
