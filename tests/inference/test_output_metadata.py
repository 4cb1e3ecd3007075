"""What a written volume says about itself."""

from dataclasses import replace

import numpy as np
import pytest

from napari_surfseg.data.volume import ArrayVolume
from napari_surfseg.inference.output_metadata import (
    VolumeMetadata,
    imagej_metadata,
    ome_xml_metadata,
    ome_zarr_attributes,
)

METADATA = VolumeMetadata((4.0, 2.0, 1.0), "nm", (8.0, 0.0, -1.0), "labels")


@pytest.mark.parametrize("units", ["um", "µm", "micron", "micrometer"])
def test_units_have_their_full_name_in_ome_zarr(units):
    (image,) = ome_zarr_attributes(replace(METADATA, units=units), "scan")["multiscales"]
    assert {axis["unit"] for axis in image["axes"]} == {"micrometer"}
    assert image["name"] == "scan"


def test_labels_are_marked_as_such():
    assert ome_zarr_attributes(METADATA, "a")["image-label"] == {"version": "0.4"}
    assert "image-label" not in ome_zarr_attributes(replace(METADATA, content=None), "a")


def test_imagej_counts_the_origin_in_voxels():
    metadata = imagej_metadata(METADATA)
    assert metadata["unit"] == "nm"
    assert metadata["spacing"] == 4.0
    assert [metadata[f"{axis}origin"] for axis in "zyx"] == [-2.0, 0.0, 1.0]


def test_ome_xml_places_every_plane():
    metadata = ome_xml_metadata(METADATA, 3)
    assert metadata["PhysicalSizeZ"] == 4.0
    assert metadata["PhysicalSizeXUnit"] == "nm"
    assert metadata["Plane"]["PositionZ"] == [8.0, 12.0, 16.0]
    assert metadata["Plane"]["PositionX"] == [-1.0] * 3


def test_nothing_is_made_up():
    nothing = VolumeMetadata()
    assert imagej_metadata(nothing) == ome_xml_metadata(nothing, 3) == {"axes": "ZYX"}


def test_a_volume_without_a_known_spacing_has_none():
    volume = ArrayVolume(np.zeros((2, 2, 2), np.uint8), name="scan")
    assert VolumeMetadata.like(volume, "labels").spacing is None
    volume.set_spacing((3, 2, 1))
    assert VolumeMetadata.like(volume, "labels").spacing == (3.0, 2.0, 1.0)
