import pytest

from napari_surfseg.events import LabelsUpdated
from napari_surfseg.gui.strokes.status import (
    StrokesStatus,
    describe_changes,
    describe_status,
    describe_update,
)


@pytest.mark.parametrize(
    ("known", "sentence"),
    [
        ({"is_opening": True}, "Opening the run's volume and labels…"),
        ({"has_layers": False, "has_copies": True}, "The labels of this run are not open here."),
        (
            {"has_layers": False},
            "This run's labels are files of your own, which it does not change.",
        ),
        ({"is_collecting": True, "is_unsent": True}, "Looking for what was painted…"),
        ({"is_awaited": True}, "Sent; the worker takes it between two steps."),
        ({"is_refused": True, "is_unsent": True}, "Painted, but not taken."),
        ({"is_unsent": True, "newest": "old"}, "Painted; taken when the brush rests."),
        ({"is_unsent": True, "is_automatic": False}, "Painted, not sent."),
        ({"newest": "1 voxel changed."}, "1 voxel changed."),
        ({"is_active": True}, "Paint on the labels to teach the run more."),
        ({}, "Paint on the labels; Resume learns from it."),
    ],
)
def test_one_sentence_says_where_the_strokes_are(known, sentence):
    assert describe_status(StrokesStatus(**{"has_layers": True, **known})) == sentence


def test_what_changed_is_counted():
    update = LabelsUpdated(
        labels="a.zarr", num_changed=1200, volumes=[{"num_surface": 40}, {"num_surface": 1}]
    )
    assert describe_update(update) == "1,200 voxels changed; 41 are surface."
    assert describe_changes(1) == "1 voxel changed in the run's labels, for Resume."
