"""Rows of a tool as a table."""

import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication

from napari_surfseg.gui.surface_tools.result_table import MAX_ROWS, ResultTable

ROWS = [
    {"label": 3, "area": 20.0, "gap": float("inf")},
    {"label": 12, "area": 3.25, "gap": 4.0},
    {"label": 7, "area": 100.0, "gap": 1.5},
]


@pytest.fixture
def table(qtbot):
    table = ResultTable()
    qtbot.addWidget(table)
    table.show_rows(ROWS, {"area": "nm²"})
    return table


def column(table, number):
    return [table.item(row, number).text() for row in range(table.rowCount())]


def test_headings_have_units_and_sort_by_value(table):
    headings = [table.horizontalHeaderItem(number).text() for number in range(3)]
    assert headings == ["label", "area [nm²]", "gap"]
    assert column(table, 0) == ["3", "12", "7"]
    table.sortItems(1, Qt.SortOrder.AscendingOrder)
    assert column(table, 1) == ["3.250", "20.0", "100"]
    table.sortItems(0, Qt.SortOrder.DescendingOrder)
    assert column(table, 0) == ["12", "7", "3"]


def test_a_row_is_the_one_that_was_measured_however_it_is_sorted(table):
    chosen = []
    table.row_chosen.connect(chosen.append)
    table.sortItems(1, Qt.SortOrder.AscendingOrder)
    table.selectRow(0)
    assert chosen == [ROWS[1]]


def test_rows_are_copied_in_full(table):
    table.selectRow(1)
    table.copy()
    assert QApplication.clipboard().text() == "label\tarea\tgap\n12\t3.25\t4.0"
    table.clearSelection()
    table.copy()
    assert len(QApplication.clipboard().text().splitlines()) == 4


def test_a_long_table_scrolls(table):
    short = table.height()
    table.show_rows(ROWS * 30, {})
    assert table.rowCount() == 90
    assert short < table.height() <= 40 * (MAX_ROWS + 2)
    assert not table.horizontalHeader().isHidden()
    table.show_rows([{"score": "dice", "value": 1.0}], {})
    assert table.horizontalHeader().isHidden()


def test_what_a_dock_has_little_space_for_comes_last(table):
    table.show_rows([{"label": 1, "voxels": 9, "volume": 921600.0, "area": 1234.5}], {})
    headings = [table.horizontalHeaderItem(number).text() for number in range(4)]
    assert headings == ["label", "area", "voxels", "volume"]
    assert [table.item(0, number).text() for number in range(4)] == ["1", "1,234", "9", "921,600"]
