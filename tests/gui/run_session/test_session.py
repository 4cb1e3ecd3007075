import gc

import numpy as np
from napari.layers import Labels
from tests.gui.conftest import sent_commands

from napari_surfseg.errors import RunError
from napari_surfseg.events import (
    Pause,
    SetPreview,
    Stop,
    WarningIssued,
)
from napari_surfseg.gui.run_session import session as module
from napari_surfseg.runs.folder import RunState
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


def test_a_feed_that_was_replaced_is_ignored(session, feeds, tmp_path):
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


def test_a_workers_sentences_name_layers_and_buttons(session, feeds, tmp_path):
    snapshots = []
    session.polled.connect(snapshots.append)
    session.attach(tmp_path)
    layer = Labels(np.zeros((2, 2, 2), np.uint8), name="my strokes")
    path = str(tmp_path / "inputs" / "labels_0.zarr")
    session.link_layer(path, layer)
    warning = WarningIssued(message=f"{path} holds no surface; continue it with --resume.")
    feeds[-1].polled.emit(
        RunSnapshot(state=RunState.RUNNING, message=warning.message, new_events=(warning,))
    )
    expected = "The layer 'my strokes' holds no surface; continue it with Resume."
    assert snapshots[-1].message == snapshots[-1].new_events[0].message == expected
    del layer
    gc.collect()
    feeds[-1].polled.emit(RunSnapshot(state=RunState.FAILED, message=warning.message))
    assert snapshots[-1].message.startswith("The run's copy of the labels holds no surface")


def test_stop_takes_a_job_that_waits_out_of_its_queue(session, feeds, run, monkeypatch, qtbot):
    finished, said = [], []
    session.follow_failed.connect(said.append)
    monkeypatch.setattr(module, "cancel_job", lambda path: lambda: finished.append(path))
    session.attach(run.path)
    feeds[-1].polled.emit(RunSnapshot(state=RunState.QUEUED, is_waiting=True))
    session.stop_run()
    qtbot.waitUntil(lambda: finished == [run.path])
    assert sent_commands(session) == []

    def hang(_path):
        def finish():
            raise RunError("Job 4711 could not be cancelled: ssh did not answer within 30 s.")

        return finish

    monkeypatch.setattr(module, "cancel_job", hang)
    session.stop_run()
    qtbot.waitUntil(lambda: bool(said))
    assert "could not be cancelled" in said[0]
    feeds[-1].polled.emit(RunSnapshot(state=RunState.RUNNING))
    session.stop_run()
    assert [type(command) for command in sent_commands(session)] == [Stop]
