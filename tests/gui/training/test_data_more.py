import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_surfseg.gui.training.data_more import DataMore


def type_into(control, text):
    control.setFocus()
    control.selectAll()
    QTest.keyClick(control, Qt.Key.Key_Backspace)
    QTest.keyClicks(control, text)
    QTest.keyClick(control, Qt.Key.Key_Return)


@pytest.mark.parametrize("text", ["0:64", "a", "0:1, 0:1, 5:2", "0:1 0:1 0:1 0:1", "-1:2 0:1 0:1"])
def test_what_is_no_box_is_refused_beside_its_field(qtbot, text):
    more = DataMore()
    qtbot.addWidget(more)
    more.set_num_pairs(2)
    assert len(more.rois) == 2
    type_into(more.rois[1], text)
    assert text in more.rois[1].error.text()
    assert "as 0:64, 0:128, 0:128" in more.rois[1].error.text()
    more.remove_pair(0)
    assert len(more.rois) == 1
    assert more.rois[0].text() == text
    assert text in more.rois[0].error.text()
