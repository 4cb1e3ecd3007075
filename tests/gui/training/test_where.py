"""The choice of the machine that trains."""

from napari_surfseg.gui.training.launcher_choice import LauncherChoice
from napari_surfseg.gui.training.where import WhereBox


def test_what_is_not_valid_is_shown_with_why_and_cannot_be_chosen(qtbot):
    box = WhereBox()
    qtbot.addWidget(box)
    assert (box.currentText(), box.name()) == ("this computer", "")
    broken = LauncherChoice("old", "old", "In old.yaml, start is missing.")
    box.set_launchers([LauncherChoice("gpu", "workstation"), broken])
    box.choose("gpu")
    assert box.currentText() == "workstation"
    assert not box.model().item(2).isEnabled()
    assert "start is missing" in box.model().item(2).toolTip()
    # Files are read again: the choice stays as long as it is there.
    box.set_launchers([broken, LauncherChoice("gpu", "workstation")])
    assert box.name() == "gpu"
    box.set_launchers([])
    assert box.name() == ""
    with qtbot.waitSignal(box.opened):
        box.showPopup()
    box.hidePopup()
