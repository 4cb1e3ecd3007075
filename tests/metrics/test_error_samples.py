"""The errors kept for the report: which, where in the whole volume, and the pictures of them."""

import json

import numpy as np
import pytest

from napari_surfseg.metrics import error_samples
from napari_surfseg.metrics.error_samples import (
    PICTURE_EDGE,
    ScoredRegion,
    cut_picture,
    read_error_samples,
    write_error_samples,
)
from napari_surfseg.metrics.topology_errors import find_topology_errors

SHAPE = (24, 40, 90)


def make_region(origin=(0, 0, 0), name="scan", *, holes=((5, 4), (10, 60)), specks=1):
    """A sheet across Z with holes of 18 voxels in it, and specks of one voxel beside it."""
    label = np.zeros(SHAPE, np.uint8)
    label[5:7] = 1
    pred = label.copy()
    for y, x in holes:
        pred[5:7, y : y + 3, x : x + 3] = 0
    for number in range(specks):
        pred[10, 2, 2 + 2 * number] = 1
    image = np.full(SHAPE, 7, np.uint8)
    return ScoredRegion(name, origin, image, label, pred, find_topology_errors(pred, label))


def test_what_is_kept_is_read_back(tmp_path):
    regions = [
        make_region((100, 0, 0)),
        make_region((0, 5, 6), "other", holes=((4, 50),), specks=0),
    ]
    write_error_samples(tmp_path / "samples", regions, epoch=4)
    samples = read_error_samples(tmp_path / "samples")
    assert samples.epoch == 4
    assert samples.counts == {"extra component": 1, "hole": 3}
    found = [(row.error.name, row.image_name, row.error.start) for row in samples.rows]
    assert found[-1] == ("extra component", "scan", (110, 2, 2))
    assert set(found[:3]) == {
        ("hole", "scan", (105, 5, 4)),
        ("hole", "scan", (105, 10, 60)),
        ("hole", "other", (5, 9, 56)),
    }
    for row in samples.rows:
        at = zip(row.error.start, row.error.location, row.error.stop, strict=True)
        assert all(a <= c < b for a, c, b in at)
        assert row.picture is not None
        assert row.num_features == 1


def test_the_largest_are_kept_and_three_of_each_name(tmp_path, monkeypatch):
    monkeypatch.setattr(error_samples, "MAX_ROWS", 5)
    holes = [(2, 4), (2, 14), (2, 24), (2, 34), (10, 4), (10, 14), (10, 24)]
    write_error_samples(tmp_path, [make_region(holes=holes, specks=6)], epoch=1)
    samples = read_error_samples(tmp_path)
    assert samples.counts == {"extra component": 6, "hole": 7}
    names = [row.error.name for row in samples.rows]
    # Three of each have a picture; what room is left belongs to the next largest.
    assert names == ["hole"] * 3 + ["extra component"] * 3
    assert all(row.picture is not None for row in samples.rows)
    monkeypatch.setattr(error_samples, "MAX_ROWS", 8)
    write_error_samples(tmp_path, [make_region(holes=holes, specks=6)], epoch=1)
    rows = read_error_samples(tmp_path).rows
    assert [row.error.name for row in rows] == ["hole"] * 5 + ["extra component"] * 3
    assert [row.picture is not None for row in rows] == [True] * 3 + [False] * 2 + [True] * 3


def test_features_of_one_patch_are_one_row(tmp_path):
    """Two lost strips that cross: four fields of a net are gone by one patch of voxels."""
    label = np.zeros((16, 40, 40), np.uint8)
    label[3, 2:17, 2:17] = 1
    label[3, 4:8, 4:8] = label[3, 4:8, 10:14] = 0
    pred = np.zeros_like(label)
    pred[3, 2, 2:17] = 1
    errors = find_topology_errors(pred, label)
    region = ScoredRegion("net", (0, 0, 0), label, label, pred, errors)
    write_error_samples(tmp_path, [region], epoch=1)
    samples = read_error_samples(tmp_path)
    assert sum(samples.counts.values()) == len(errors) == 2
    (row,) = samples.rows
    assert row.num_features == 2


def test_the_picture_cuts_across_the_sheet():
    region = make_region()
    hole = max(region.errors, key=lambda error: (error.size, error.location))
    picture = cut_picture(region, hole)
    # Along the sheet one would see a hole in a blot; across it, along X: a line with a gap.
    assert picture.axis == 1
    assert picture.planes.shape == (3, SHAPE[0], PICTURE_EDGE)
    image, labels, predicted = picture.planes
    row, column = picture.mark
    assert labels[row, column] == 1
    assert predicted[row, column] == 0
    assert (image == 7).all()
    # 90 voxels along X: the window ends with the volume.
    assert column + (90 - PICTURE_EDGE) == hole.location[2]


def test_nothing_wrong_is_worth_saying(tmp_path):
    write_error_samples(tmp_path, [make_region(holes=(), specks=0)], epoch=2)
    assert read_error_samples(tmp_path) == (2, {}, [])


def test_what_is_damaged_is_passed_over(tmp_path):
    assert read_error_samples(tmp_path) is None
    write_error_samples(tmp_path, [make_region()], epoch=1)
    (tmp_path / error_samples.PICTURES_NAME).write_bytes(b"damaged")
    samples = read_error_samples(tmp_path)
    assert len(samples.rows) == 3
    assert all(row.picture is None for row in samples.rows)
    path = tmp_path / error_samples.ROWS_NAME
    said = json.loads(path.read_text())
    for damage in ({"counts": 3}, {"errors": [{"kind": "x"}]}, {"epoch": None}):
        path.write_text(json.dumps({**said, **damage}))
        assert read_error_samples(tmp_path) is None
    path.write_text("{")
    assert read_error_samples(tmp_path) is None


@pytest.mark.parametrize("edge", [1, 3])
def test_thin_volumes_have_pictures_too(edge):
    label = np.zeros((edge, 20, 20), np.uint8)
    label[:, 8] = 1
    pred = label.copy()
    pred[0, 3, 3] = 1
    region = ScoredRegion("thin", (0, 0, 0), label, label, pred, find_topology_errors(pred, label))
    assert region.errors
    for error in region.errors:
        picture = cut_picture(region, error)
        assert all(0 <= m < s for m, s in zip(picture.mark, picture.planes.shape[1:], strict=True))
