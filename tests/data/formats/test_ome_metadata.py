"""Levels and voxel sizes in the attributes of an OME-Zarr group."""

import pytest

from napari_surfseg.data.formats.ome_metadata import read_content, read_levels


def attributes(own=None, common=None, unit="micrometer"):
    axes = [{"name": "c"}, *({"name": name, "unit": unit} for name in "zyx")]
    dataset = {"path": "/0/", "coordinateTransformations": own}
    image = {"axes": axes, "datasets": [dataset], "coordinateTransformations": common}
    return {"multiscales": [image]}


def scale(*values):
    return {"type": "scale", "scale": list(values)}


def shift(*values):
    return {"type": "translation", "translation": list(values)}


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_scales_multiply_and_places_move_with_them(version):
    found = attributes([scale(1, 4, 2, 2), shift(0, 10, 20, 30)], [scale(1, 0.5, 0.5, 0.5)])
    (level,) = read_levels(found if version == "0.4" else {"ome": found})
    assert (level.path, level.units) == ("0", "micrometer")
    assert level.spacing == (2, 1, 1)
    assert level.place == (5, 10, 15)


def test_ones_without_a_unit_mean_that_it_is_not_known():
    assert read_levels(attributes([scale(1, 1, 1, 1)], unit=None))[0].spacing is None
    assert read_levels(attributes([scale(1, 1, 1, 1)]))[0].spacing == (1, 1, 1)


@pytest.mark.parametrize(
    "own", [None, [], "rubbish", [scale(1, 0, 1, 1)], [scale(1, "a", 1, 1)], [{"type": "scale"}]]
)
def test_damaged_scales_are_left_out(own):
    (level,) = read_levels(attributes(own))
    assert level.spacing is None
    assert level.place is None


@pytest.mark.parametrize("found", [{}, {"multiscales": []}, {"multiscales": "x"}, {"ome": 3}])
def test_no_ome_zarr(found):
    assert read_levels(found) == []


def test_what_a_group_holds():
    assert read_content({"image-label": {}}) == "labels"
    assert read_content({"ome": {"image-label": {}}}) == "labels"
    assert read_content({"napari_surfseg": "probabilities"}) == "probabilities"
    assert read_content({}) is None
