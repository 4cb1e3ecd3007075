from napari_surfseg.gui.controls.box_size import BoxSize


def test_the_size_of_the_box_is_told_once_it_was_chosen(qtbot):
    box = BoxSize("live_box", (32, 128, 128), (8, 1024))
    qtbot.addWidget(box)
    seen = []
    box.changed.connect(seen.append)
    box.set_size((16, 64, 64))
    assert seen == []
    box.spins[1].setValue(96)
    assert seen == [(16, 96, 64)]
    assert "0.098 million voxels" in box.spins[0].toolTip()
