from napari_surfseg.gui.controls.number_boxes import NumberBox
from napari_surfseg.gui.controls.tuned_number import TunedRow


def test_the_number_is_the_checkpoints_until_a_person_sets_one(qtbot):
    row = TunedRow(NumberBox("threshold", "Threshold", 0, 1), "tuned")
    qtbot.addWidget(row)
    assert row.value() is None
    assert row.spin.text() == "–"
    row.set_tuned(0.4)
    assert row.value() is None
    assert (row.spin.value(), row.spin.isEnabled()) == (0.4, False)
    row.tuned.setChecked(False)
    assert row.spin.isEnabled()
    row.spin.setValue(0.6)
    row.set_tuned(0.3)
    assert row.value() == 0.6
    row.tuned.setChecked(True)
    assert (row.value(), row.spin.value()) == (None, 0.3)
