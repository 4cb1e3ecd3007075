"""A number out of range is refused in a sentence, never changed in silence."""

import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QAbstractSpinBox

from napari_surfseg.gui.controls.number_boxes import NumberBox, WholeBox, with_error
from napari_surfseg.gui.predict.view import PredictView
from napari_surfseg.gui.proofread.view import ProofreadView
from napari_surfseg.gui.training.view import TrainingView


def type_into(control, text):
    control.setFocus()
    control.selectAll()
    QTest.keyClick(control, Qt.Key.Key_Backspace)
    QTest.keyClicks(control, text)
    QTest.keyClick(control, Qt.Key.Key_Return)


@pytest.mark.parametrize(
    ("typed", "value", "said"),
    [
        ("12", 12, ""),
        ("999999", 3, "Steps is 999999, but it must be from 1 to 64 steps; it stays 3 steps."),
        ("0.5", 3, "Steps is 0.5, but it must be from 1 to 64 steps; it stays 3 steps."),
        ("5.5", 3, "Steps is 5.5, but it must be a whole number; it stays 3 steps."),
    ],
)
def test_a_whole_number_is_taken_or_refused(qtbot, typed, value, said):
    box = WholeBox("steps", "Steps", 1, 64, suffix=" steps")
    box.setValue(3)
    cell = with_error(box)
    qtbot.addWidget(cell)
    type_into(box, typed)
    assert (box.value(), box.error.text()) == (value, said)


def test_a_comma_is_a_decimal_point_and_decimals_are_limited(qtbot):
    box = NumberBox("share", "Share", 0, 1, decimals=2)
    cell = with_error(box)
    qtbot.addWidget(cell)
    type_into(box, "0,25")
    assert (box.value(), box.error.text()) == (0.25, "")
    type_into(box, "0.125")
    assert box.value() == 0.25
    assert "a number with at most 2 decimals" in box.error.text()


@pytest.mark.parametrize("make", [TrainingView, PredictView, ProofreadView])
def test_every_number_of_a_widget_refuses_in_a_sentence(qtbot, make):
    view = make()
    qtbot.addWidget(view)
    numbers = view.findChildren(QAbstractSpinBox)
    assert numbers
    for number in numbers:
        assert isinstance(number, WholeBox | NumberBox), number.objectName()
        number.setEnabled(True)
        before = number.value()
        type_into(number, "-7")
        assert number.value() == before
        assert number.error.text().startswith(f"{number.label} is -7, but it must be from ")
        assert view.isAncestorOf(number.error), number.objectName()
        type_into(number, str(number.maximum()))
        assert number.value() == number.maximum()
        assert number.error.text() == ""
