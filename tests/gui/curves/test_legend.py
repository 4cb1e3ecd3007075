"""Which curves the legend shows, in which order and with which words."""

import pytest

from napari_surfseg.gui.curves.legend import CurveLegend, line_color
from napari_surfseg.vocabulary import SCORES


@pytest.fixture
def legend(qtbot):
    legend = CurveLegend()
    qtbot.addWidget(legend)
    for name in ("recall", "dice", "cldice", "best", "mean_dice", "soft_dice", "total"):
        legend.add(name)
    return legend


def names_in(legend, rows):
    return [
        name
        for place in range(rows.count())
        for name, row in legend.rows.items()
        if rows.itemAt(place).widget() is row
    ]


def test_rows_stand_in_the_order_of_the_vocabulary(legend):
    assert names_in(legend, legend._first) == ["total", "mean_dice", "best"]
    assert names_in(legend, legend.groups["loss"].rows) == ["soft_dice", "cldice"]
    assert names_in(legend, legend.groups["score"].rows) == ["dice", "recall"]
    assert legend.groups["score"].button.text() == "Other scores (2)"


def test_a_group_shows_its_ticked_curves_when_it_is_unfolded(legend):
    assert legend.is_shown("total")
    assert not legend.is_shown("dice")
    legend.groups["score"].button.click()
    assert legend.is_shown("dice")
    assert not legend.is_shown("recall")
    legend.rows["recall"].eye.click()
    assert legend.is_shown("recall")


def test_a_tick_outlives_the_rows(legend):
    legend.rows["total"].eye.click()
    legend.clear()
    assert not legend.is_shown("total")
    legend.add("total")
    assert not legend.is_shown("total")


def test_another_main_score_is_shown_at_once(legend):
    legend.set_main_score("dice")
    assert names_in(legend, legend._first) == ["total", "dice", "best"]
    assert names_in(legend, legend.groups["score"].rows) == ["mean_dice", "recall"]


def test_words_and_colours_come_from_the_vocabulary(legend):
    row = legend.rows["dice"]
    assert row.eye.accessibleName() == SCORES["dice"].title
    assert SCORES["dice"].note in row.eye.toolTip()
    assert row.swatch.color == SCORES["dice"].color
    assert line_color("best", light=True) != line_color("best", light=False)
    assert line_color("some_new_term", light=False) == "#999999"
