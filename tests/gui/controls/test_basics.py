from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import QApplication, QSpinBox, QVBoxLayout, QWidget

from napari_surfseg.gui.controls.basics import (
    ElidedLabel,
    FieldError,
    NoWheelFilter,
    Section,
    hint,
)


def test_a_hint_is_a_tooltip_and_said_by_screen_readers(qtbot):
    widget = QWidget()
    qtbot.addWidget(widget)
    assert hint(widget, "Voxels.") is widget
    assert widget.toolTip() == "<qt>Voxels.</qt>"
    assert widget.accessibleDescription() == "Voxels."


def test_a_text_that_is_cut_is_whole_in_the_tooltip(qtbot):
    label = ElidedLabel("short")
    qtbot.addWidget(label)
    label.resize(300, 20)
    assert label.toolTip() == ""
    label.set_text("a sentence that does not fit" * 10)
    assert label.toolTip() == label.whole_text()
    label.set_details("more")
    assert label.toolTip() == "more"


def test_an_error_is_shown_while_there_is_one(qtbot):
    error = FieldError("patch")
    qtbot.addWidget(error)
    assert (error.objectName(), error.isHidden()) == ("patch_error", True)
    error.set_message("It is too large.")
    assert not error.isHidden()
    error.set_message("")
    assert error.isHidden()


def test_a_section_folds(qtbot):
    section = Section("More", "more")
    qtbot.addWidget(section)
    assert section.body.isHidden()
    section.button.click()
    assert not section.body.isHidden()


def test_the_wheel_changes_no_value_without_focus(qtbot):
    page = QWidget()
    qtbot.addWidget(page)
    spin = QSpinBox()
    QVBoxLayout(page).addWidget(spin)
    wheel = NoWheelFilter(page)
    wheel.guard(page)
    turn = QWheelEvent(
        QPointF(2, 2),
        QPointF(2, 2),
        QPoint(0, 0),
        QPoint(0, 120),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(spin, turn)
    assert spin.value() == 0
