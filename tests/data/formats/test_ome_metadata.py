"""Images, levels, axes and layouts in the attributes of an OME-Zarr group."""

import pytest

from napari_surfseg.data.formats.ome_metadata import (
    Axis,
    read_content,
    read_images,
    read_members,
    short_names,
)


def attributes(own=None, common=None, axes=None):
    stated = [{"name": "c"}, *({"name": name, "unit": "micrometer"} for name in "zyx")]
    dataset = {"path": "/0/", "coordinateTransformations": own}
    image = {"axes": stated if axes is None else axes, "datasets": [dataset]}
    return {"multiscales": [{**image, "coordinateTransformations": common}]}


def scale(*values):
    return {"type": "scale", "scale": list(values)}


def shift(*values):
    return {"type": "translation", "translation": list(values)}


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_scales_multiply_and_places_move_with_them(version):
    found = attributes([scale(1, 4, 2, 2), shift(0, 10, 20, 30)], [scale(1, 0.5, 0.5, 0.5)])
    (image,) = read_images(found if version == "0.4" else {"ome": found})
    (level,) = image.levels
    assert level.path == "0"
    assert level.scale == (1, 2, 1, 1)
    assert level.translation == (0, 5, 10, 15)
    assert image.axes[-1] == Axis("x", unit="micrometer")


@pytest.mark.parametrize(
    "own", [None, [], "rubbish", [scale(1, 0, 1, 1)], [scale(1, "a", 1, 1)], [{"type": "scale"}]]
)
def test_damaged_scales_are_left_out(own):
    (level,) = read_images(attributes(own))[0].levels
    assert level.scale is None
    assert level.translation is None
    assert level.unread == ""


@pytest.mark.parametrize("kind", ["affine", "rotation", "byDimension"])
def test_other_transformations_make_the_scale_unknown(kind):
    for lists in ([scale(1, 2, 2, 2), {"type": kind}], None), (None, [{"type": kind}]):
        (level,) = read_images(attributes(*lists))[0].levels
        assert (level.scale, level.unread) == (None, kind)


@pytest.mark.parametrize(
    "found",
    [
        {},
        {"multiscales": []},
        {"multiscales": "x"},
        {"ome": 3},
        {"multiscales": [{"datasets": [3, {"path": 1}]}]},
        {"multiscales": [{"datasets": None}]},
    ],
)
def test_no_ome_zarr(found):
    assert read_images(found) == []


def test_what_a_group_holds():
    assert read_content({"image-label": {}}) == "labels"
    assert read_content({"ome": {"image-label": {}}}) == "labels"
    assert read_content({"napari_surfseg": "probabilities"}) == "probabilities"
    assert read_content({}) is None


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize(
    ("found", "members"),
    [
        ({"plate": {"wells": [{"path": "A/1"}, {"row": 3}]}}, ("wells", ["A/1"])),
        ({"well": {"images": [{"path": "0"}, {"path": "1"}]}}, ("images", ["0", "1"])),
        ({"labels": ["cells", 4]}, ("images", ["cells"])),
        ({"series": ["0"]}, ("images", ["0"])),
        ({"bioformats2raw.layout": 3}, ("series", [])),
        ({"anything": 3}, None),
    ],
)
def test_members_of_a_group(version, found, members):
    assert read_members(found if version == "0.4" else {"ome": found}) == members


@pytest.mark.parametrize(
    ("axes", "names"),
    [
        ("zyx", "zyx"),
        ("XYZ", "xyz"),
        (["time", "channel", "z", "y", "x"], "tczyx"),
        (["depth", "height", "width"], None),
        (["time", "depth", "height", "width"], "tzyx"),
        (["slice", "y", "x"], "zyx"),
        (["y", "x", "slice"], "yxz"),
        ("zxx", "zxx"),
        ([], None),
    ],
)
def test_short_names_of_axes(axes, names):
    found = short_names([Axis(name) for name in axes])
    assert found == (list(names) if names is not None else None)


def test_the_stated_kind_of_an_axis_counts_more_than_its_name():
    axes = [Axis("phase", "channel"), Axis("t", "space"), Axis("y", "space"), Axis("x", "space")]
    assert short_names(axes) == ["c", "z", "y", "x"]
