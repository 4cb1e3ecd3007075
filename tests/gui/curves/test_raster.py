"""Lines as pictures."""

from __future__ import annotations

import numpy as np

from napari_surfseg.gui.curves.raster import rasterize_line


def draw(x, y, **options):
    settings = {"width": 2.0, "size": (20, 10), **options}
    return rasterize_line(np.asarray(x, float), np.asarray(y, float), **settings)


def test_a_level_line_covers_its_rows_and_no_other():
    picture = draw([-5, 25], [4, 4])
    assert picture.shape == (10, 20)
    assert picture.dtype == np.uint8
    assert (picture[3:5] == 255).all()
    assert (picture[:3] == 0).all()
    assert (picture[5:] == 0).all()


def test_a_line_between_two_rows_shades_both_alike():
    picture = draw([-5, 25], [4.5, 4.5]).astype(int)
    assert (abs(picture[3] - picture[5]) <= 1).all()
    assert (picture[4] > picture[3]).all()
    assert (picture[3] > 40).all()
    assert (picture[:3] == 0).all()
    assert (picture[6:] == 0).all()


def test_a_break_is_left_open_and_a_lone_point_is_a_dot():
    picture = draw([0, 5, np.nan, 10, np.nan, 15, 20], [5, 5, np.nan, 5, np.nan, 5, 5])
    covered = (picture > 0).any(axis=0)
    assert covered[:5].all()
    assert not covered[7:9].any()
    assert covered[10]
    assert not covered[12:13].any()
    assert covered[15:].all()


def test_nothing_is_drawn_of_nothing():
    assert draw([], []).max() == 0
    assert draw([np.nan], [1.0]).max() == 0


def test_a_screen_of_double_resolution_gets_four_times_the_pixels():
    fine = draw([-5, 25], [4, 4], ratio=2.0)
    assert fine.shape == (20, 40)
    assert (fine[6:10] == 255).all()
    assert int(fine.astype(int).sum()) == 4 * int(draw([-5, 25], [4, 4]).astype(int).sum())


def test_values_far_outside_do_no_harm():
    picture = draw([0, 10, 20], [5, 1e300, 5])
    assert picture.shape == (10, 20)
    assert picture[5, 0] > 0


def test_dots_lie_on_the_points():
    picture = draw([5, 15], [5, 5], width=1.0, dots=2.5)
    assert picture[4:6, 4:6].min() == 255
    assert picture[3, 15] > 0
    assert picture[3, 10] == 0
