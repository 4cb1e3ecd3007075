"""Tab goes where the eye goes."""

import itertools

import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QLineEdit, QScrollArea, QVBoxLayout, QWidget

from napari_surfseg.gui.controls.basics import Section
from napari_surfseg.gui.controls.tab_order import TabOrder, order_by_eye
from napari_surfseg.gui.predict.view import PredictView
from napari_surfseg.gui.proofread.view import ProofreadView
from napari_surfseg.gui.run_table.view import RunsView
from napari_surfseg.gui.training.view import TrainingView


def chain_of(view, among):
    """Follow Qt's own chain once around."""
    found, widget = [], view.nextInFocusChain()
    while widget is not view:
        if widget in among:
            found.append(widget)
        widget = widget.nextInFocusChain()
    return found


def names(widgets):
    return [widget.objectName() for widget in widgets]


def wait_for_order(qtbot, view):
    """Wait until the controls have come to rest and Qt's chain is that of the eye."""

    def is_by_eye():
        eye = order_by_eye(view)
        assert names(chain_of(view, eye)) == names(eye)

    qtbot.waitUntil(is_by_eye)


@pytest.mark.parametrize("make", [TrainingView, PredictView, RunsView, ProofreadView])
def test_the_chain_is_that_of_the_eye(qtbot, make):
    view = make()
    qtbot.addWidget(view)
    view.resize(360, 750)
    view.show()
    pages = view.tabs.count() if make is TrainingView else 1
    for page in range(pages):
        if make is TrainingView:
            view.tabs.setCurrentIndex(page)
            view.data.add_pair()
        for section in view.findChildren(Section):
            section.button.setChecked(True)
        wait_for_order(qtbot, view)
        assert len(order_by_eye(view)) > 4


def test_tab_walks_from_top_to_bottom_and_scrolls(qtbot):
    view = TrainingView()
    qtbot.addWidget(view)
    view.resize(360, 600)
    view.show()
    view.activateWindow()
    view.data.more.button.setChecked(True)
    wait_for_order(qtbot, view)
    page = view.findChild(QScrollArea, "data_page")
    body = page.widget()
    view.data.rows[0].image.setFocus()
    places, seen = [], []
    for _ in range(80):
        focused = QApplication.focusWidget()
        if focused is None or not body.isAncestorOf(focused):
            break
        places.append(focused.mapTo(body, focused.rect().center()).y())
        seen.append(focused.objectName())
        # What has the focus can be seen.
        top = focused.mapTo(page.viewport(), focused.rect().topLeft()).y()
        assert -1 <= top < page.viewport().height()
        QTest.keyClick(focused, Qt.Key.Key_Tab)
    assert {"image_0", "labels_0", "data_spacing", "data_cache_gib", "roi_0"} <= set(seen)
    assert all(after > before - 10 for before, after in itertools.pairwise(places))


def test_rows_that_come_later_have_their_place(qtbot):
    root = QWidget()
    qtbot.addWidget(root)
    layout = QVBoxLayout(root)
    first, last = QLineEdit(), QLineEdit()
    layout.addWidget(first)
    layout.addWidget(last)
    TabOrder(root)
    root.show()
    between = QLineEdit()
    layout.insertWidget(1, between)
    qtbot.waitUntil(lambda: chain_of(root, order_by_eye(root)) == [first, between, last])
    assert order_by_eye(root) == [first, between, last]
