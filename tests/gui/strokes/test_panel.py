import pytest

from napari_surfseg.gui.strokes.panel import StrokesPanel


@pytest.fixture
def panel(qtbot):
    panel = StrokesPanel()
    qtbot.addWidget(panel)
    return panel


def test_what_a_person_wants_is_a_signal(panel, qtbot):
    with qtbot.waitSignal(panel.send_clicked):
        panel.send.click()
    with qtbot.waitSignal(panel.open_clicked):
        panel.open.click()
    assert panel.is_automatic()
    with qtbot.waitSignal(panel.automatic_toggled, check_params_cb=lambda on: not on):
        panel.automatic.click()
    assert not panel.is_automatic()


def test_labels_that_are_not_open_are_opened_before_strokes_are_sent(panel):
    assert panel.sending.isHidden()
    panel.set_shown(True)
    assert not panel.sending.isHidden()
    panel.set_can_open(True, busy=True)
    assert not panel.open.isHidden()
    assert not panel.open.isEnabled()
    assert panel.send.isHidden()
    assert panel.automatic.isHidden()
    panel.set_can_open(False)
    assert panel.open.isHidden()
    assert not panel.send.isHidden()


def test_state_and_error_are_shown(panel):
    panel.set_state("Painted, not sent.")
    assert panel.state.whole_text() == "Painted, not sent."
    panel.set_error("No space left.")
    assert panel.error.text() == "No space left."
    panel.set_error("")
    assert panel.error.text() == ""
