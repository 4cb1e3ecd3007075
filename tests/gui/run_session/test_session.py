from tests.gui.conftest import sent_commands

from napari_surfseg.events import (
    Pause,
    SetPreview,
    Stop,
)
from napari_surfseg.runs.follow import RunSnapshot


def test_a_snapshot_never_overtakes_another(session, feeds, tmp_path):
    """A slot that lets the event loop turn must not change the order in which others hear."""
    session.attach(tmp_path)
    heard_first, heard_later = [], []

    def nosy(snapshot):
        heard_first.append(snapshot.step)
        if snapshot.step == 1:
            feeds[-1].polled.emit(RunSnapshot(step=2))

    session.polled.connect(nosy)
    session.polled.connect(lambda snapshot: heard_later.append(snapshot.step))
    feeds[-1].polled.emit(RunSnapshot(step=1))
    assert heard_first == [1, 2]
    assert heard_later == [1, 2]


def test_a_feed_that_was_let_go_is_not_heard(session, feeds, tmp_path):
    session.attach(tmp_path / "a")
    session.attach(tmp_path / "b")
    feeds[0].polled.emit(RunSnapshot(step=99))
    assert session.snapshot is None
    assert not feeds[0].running


def test_commands_keep_their_order(session, run):
    session.attach(run.path)
    for command in (Pause(), SetPreview(seconds=1.0), Stop()):
        session.send(command)
    assert [type(command) for command in sent_commands(session)] == [Pause, SetPreview, Stop]
