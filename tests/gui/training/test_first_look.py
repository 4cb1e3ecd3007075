import pytest

from napari_surfseg.gui.training.first_look import FirstLook


@pytest.fixture
def look(qtbot):
    look = FirstLook()
    qtbot.addWidget(look)
    return look


def test_nothing_is_offered_without_a_network(look):
    assert look.isHidden()
    look.offer("surfaces-tiny")
    assert not look.isHidden()
    assert "Let surfaces-tiny, which" in look.find.toolTip()
    look.offer(None)
    assert look.isHidden()


def test_while_it_looks_there_is_cancel_and_progress(look, qtbot):
    look.offer("surfaces-tiny")
    with qtbot.waitSignal(look.find_clicked):
        look.find.click()
    look.set_busy(True)
    look.set_state("Predicting…", 0.4)
    assert look.find.isHidden()
    assert not look.job.cancel.isHidden()
    assert look.job.progress.value() == 400
    assert look.job.state.text() == "Predicting…"
    with qtbot.waitSignal(look.cancel_clicked):
        look.job.cancel.click()
    look.set_busy(False)
    look.set_state("")
    assert look.job.cancel.isHidden()
    assert look.job.state.isHidden()
    assert not look.find.isHidden()
