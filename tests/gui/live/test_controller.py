"""The live layers of a window: shown over their volume, and where the worker is sent to look."""

import numpy as np
import pytest
from tests.gui.conftest import sent_commands
from tests.gui.live.conftest import SCAN

from napari_surfseg.config import Experiment
from napari_surfseg.gui.live.controller import LiveController, get_live_controller
from napari_surfseg.gui.run_session.previews import LivePreview
from napari_surfseg.runs.folder import RunFolder, RunState
from napari_surfseg.runs.follow import RunSnapshot


@pytest.fixture
def live(viewer, session, scan):
    controller = LiveController(viewer, session)
    yield controller
    controller.close()


def preview(index=0):
    empty = np.zeros((16, 64, 64), np.uint8)
    return LivePreview(index, SCAN, (0, 0, 0), empty, empty.copy())


def test_live_layers_go_with_their_volume_and_lie_over_no_other(viewer, session, feeds, live):
    missed = []
    live.missed.connect(missed.append)
    feeds[-1].preview_loaded.emit(preview())
    viewer.add_image(np.zeros((40, 200, 200), np.uint8), name="other")
    scan = viewer.layers["scan"]
    scan.name = "renamed"
    feeds[-1].preview_loaded.emit(preview(1))
    assert missed == []
    viewer.layers.remove(scan)
    assert [layer.name for layer in viewer.layers] == ["other"]
    feeds[-1].preview_loaded.emit(preview(2))
    assert [layer.name for layer in viewer.layers] == ["other"]
    assert [shown.index for shown in missed] == [2]
    viewer.layers.append(scan)
    assert live.layers.shown.index == 2
    assert live.layers.source is scan
    viewer.layers.remove("other")
    viewer.layers.remove(scan)
    feeds[-1].preview_loaded.emit(preview(3))
    assert len(viewer.layers) == 0


def test_a_dock_that_is_opened_again_finds_the_controller(viewer, session):
    first = get_live_controller(viewer, session)
    assert get_live_controller(viewer, session) is first
    session.close()
    other = get_live_controller(viewer, session)
    assert other is not first
    other.close()


def test_a_size_that_was_chosen_holds_for_the_next_run(viewer, session, feeds, live, tmp_path):
    reported = []
    live.size_changed.connect(reported.append)
    feeds[-1].preview_loaded.emit(preview())
    feeds[-1].preview_loaded.emit(preview(1))
    assert reported == [(16, 64, 64)]
    feeds[-1].polled.emit(RunSnapshot(state=RunState.RUNNING))
    live.set_size((8, 32, 32))
    assert [command.size for command in sent_commands(session)] == [(8, 32, 32)]
    RunFolder(tmp_path / "next").create(Experiment())
    session.attach(tmp_path / "next", own=True)
    assert [command.size for command in sent_commands(session)] == [(8, 32, 32)]


def test_the_key_shows_and_hides(viewer, session, feeds, live):
    shown = []
    live.enabled_changed.connect(shown.append)
    feeds[-1].preview_loaded.emit(preview())
    live.toggle()
    assert not live.layers.prediction.visible
    feeds[-1].preview_loaded.emit(preview(1))
    live.toggle()
    assert live.layers.prediction.visible
    assert live.layers.shown.index == 1
    assert shown == [False, True]


def test_live_layers_can_be_switched_off_and_on(viewer, session, feeds, live):
    live.set_enabled(False)
    feeds[-1].preview_loaded.emit(preview())
    assert live.layers.prediction is None
    live.set_enabled(True)
    assert live.layers.prediction is not None
    viewer.layers.remove(live.layers.prediction)
    live.set_enabled(False)
    live.set_enabled(True)
    assert live.layers.prediction is not None


def test_removing_the_source_is_harmless(viewer, session, feeds, live):
    viewer.layers.clear()
    feeds[-1].preview_loaded.emit(preview())
    assert live.layers.prediction is not None
    assert live.follower.build_command() is None
