from napari_surfseg.gui.controls.box_size import BoxSize


def test_the_size_of_the_box_is_told_once_it_was_chosen(qtbot):
    box = BoxSize("live_box", (32, 128, 128), (8, 1024))
    qtbot.addWidget(box)
    told = []
    box.changed.connect(told.append)
    box.set_size((16, 64, 64))
    assert told == []
    box.spins[1].setValue(96)
    assert told == [(16, 96, 64)]
    assert "0.098 million voxels" in box.spins[0].toolTip()
