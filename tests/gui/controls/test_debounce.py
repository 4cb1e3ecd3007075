from qtpy.QtCore import QObject

from napari_surfseg.gui.controls.debounce import Debounce


def test_many_starts_lead_to_one_call(qapp, qtbot):
    called = []
    parent = QObject()
    debounce = Debounce(parent, 20, lambda: called.append(1))
    for _ in range(5):
        debounce.start()
    assert debounce.isActive()
    qtbot.waitUntil(lambda: called == [1], timeout=5000)
    assert not debounce.isActive()
    qtbot.wait(60)
    assert called == [1]


def test_a_stopped_wait_calls_nothing(qapp, qtbot):
    called = []
    parent = QObject()
    debounce = Debounce(parent, 5, lambda: called.append(1))
    debounce.start()
    debounce.stop()
    qtbot.wait(30)
    assert called == []


def test_a_destroyed_parent_ends_the_wait(qapp, qtbot):
    called = []
    parent = QObject()
    Debounce(parent, 5, lambda: called.append(1)).start()
    parent.deleteLater()
    qtbot.waitSignal(parent.destroyed).wait()
    qtbot.wait(30)
    assert called == []
