"""The widgets of the dock "Surface tools"."""

import numpy as np
import pytest
from napari.layers import Labels

from napari_surfseg.gui.surface_tools.view import ToolsView
from napari_surfseg.surface_tools.registry import TOOLS


@pytest.fixture
def view(qtbot):
    view = ToolsView()
    qtbot.addWidget(view)
    view.show()
    return view


@pytest.mark.parametrize("name", list(TOOLS))
def test_each_tool_shows_its_own_rows(view, name):
    view.set_tool(name)
    tool = view.tool()
    assert tool.name == name
    assert view.summary.text() == tool.summary
    shown = [chooser.isVisible() for chooser in view.choosers]
    assert shown == [number < len(tool.inputs) for number in range(2)]
    assert view.cut.isVisible() == ("mask" in tool.inputs.values())
    visible = [form for form, w in view._forms.items() if w.native.isVisible()]
    assert visible == ([name] if tool.parameters else [])
    assert set(view.settings()) == {parameter.name for parameter in tool.parameters}


def test_a_suggestion_yields_to_a_person(view):
    first, second = (Labels(np.zeros((2, 3, 4), int), name=name) for name in "ab")
    view.set_layers([first, second])
    view.suggest("surface", first)
    assert view.source("surface").layer is first
    view.choosers[0].setCurrentIndex(2)
    view.choosers[0].activated.emit(2)
    view.suggest("surface", first)
    assert view.source("surface").layer is second


def test_sentences_stand_beside_what_they_are_about(view):
    view.show_error("Wrong.", "surface")
    assert view.errors[0].isVisible()
    assert not view.error.isVisible()
    view.show_error("Other.", "radius")
    assert not view.errors[0].isVisible()
    assert view.error.text() == "Other."
    view.set_tool("fill-holes")
    assert not view.error.isVisible()


def texts(table):
    return [
        [table.item(row, column).text() for column in range(table.columnCount())]
        for row in range(table.rowCount())
    ]


def test_a_table_is_shown_row_by_row(view):
    view.set_table([{"score": "dice", "value": 0.51234}, {"score": "n", "value": 3}])
    assert texts(view.table) == [["dice", "0.512"], ["n", "3"]]
    assert view.save.isVisible()
    view.set_table([])
    assert not view.table.isVisible()
    assert not view.save.isVisible()


def test_a_table_is_saved_where_a_person_says(view, monkeypatch, tmp_path):
    view.set_table([{"label": 1, "area": 2.0, "holes": 0}])
    monkeypatch.setattr(
        "napari_surfseg.gui.surface_tools.view.QFileDialog.getSaveFileName",
        lambda *_given: (str(tmp_path / "table"), ""),
    )
    chosen = []
    view.save_clicked.connect(chosen.append)
    view.save.click()
    assert chosen == [str(tmp_path / "table.csv")]


def test_what_is_set_comes_back_in_another_dock(view, qtbot):
    changes = []
    view.changed.connect(lambda: changes.append(view.state()))
    view.set_tool("fill-holes")
    view._forms["fill-holes"]._widgets[0].value = 3
    view.threshold.setValue(0.7)
    view.set_folder("/somewhere")
    other = ToolsView()
    qtbot.addWidget(other)
    other.restore(view.state())
    assert other.tool().name == "fill-holes"
    assert other.settings()["radius"] == 3
    assert other.threshold_value() == 0.7
    assert other.folder() == "/somewhere"
    assert changes[-1]["settings"]["fill-holes"]["radius"] == 3
