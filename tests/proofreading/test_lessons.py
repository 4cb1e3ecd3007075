"""Labels of decided places: only of what was looked at."""

import numpy as np

from napari_surfseg.proofreading.edit import Edit
from napari_surfseg.proofreading.lessons import BACKGROUND, NO_LABEL, SURFACE, build_lesson
from napari_surfseg.proofreading.record import DecidedPlace, Decision

SHAPE = (40, 40, 200)


def make_sheet():
    sheet = np.zeros(SHAPE, np.uint16)
    sheet[20:22] = 9
    return sheet


def decide(at, start, stop, edit=None):
    place = DecidedPlace("hole", at, start, stop)
    return Decision(place, "accept" if edit is None else "mend", edit)


def test_a_place_teaches_its_box_and_four_voxels_around():
    right = decide((20, 20, 20), (20, 19, 18), (22, 22, 23))
    start, values = build_lesson(make_sheet(), right)
    assert (start, values.shape) == ((16, 15, 14), (10, 11, 13))
    assert (values[4:6] == SURFACE).all()
    assert (np.delete(values, [4, 5], axis=0) == BACKGROUND).all()
    # A mend reaches further than its place.
    edit = Edit("fill hole", (20, 20, 20), (20, 18, 18), *(np.zeros((2, 9, 5)),) * 2)
    start, values = build_lesson(
        make_sheet(), decide((20, 20, 20), (20, 19, 18), (22, 22, 23), edit)
    )
    assert (start, values.shape) == ((16, 14, 14), (10, 17, 13))


def test_of_a_large_place_only_what_is_around_its_location():
    start, values = build_lesson(make_sheet(), decide((21, 5, 100), (20, 0, 0), (22, 40, 200)))
    assert start == (16, 0, 68)
    assert values.shape == (10, 38, 65)


def test_what_nobody_decided_is_not_labelled():
    unsure = np.zeros(SHAPE, np.uint8)
    unsure[19:23, 20, 20] = 1
    right = decide((20, 20, 20), (20, 19, 18), (22, 22, 23))
    open_ = ((18, 21, 21), (24, 30, 30))
    _, values = build_lesson(make_sheet(), right, unsure=unsure, undecided=[open_])
    assert (values[3:7, 5, 6] == NO_LABEL).all()
    assert (values[2:8, 7:, 9:] == NO_LABEL).all()
    assert (values[4:6, 4:7, 4:6] == SURFACE).all()  # the place's own box, in which the open one is
    marked = Edit(
        "mark unsure",
        (20, 20, 20),
        (20, 19, 18),
        np.zeros((2, 3, 5), bool),
        np.ones((2, 3, 5), bool),
    )
    _, values = build_lesson(make_sheet(), decide((20, 20, 20), (20, 19, 18), (22, 22, 23), marked))
    assert not values.any()
    assert build_lesson(make_sheet(), decide((90, 90, 20), (90, 90, 18), (91, 91, 23))) is None
