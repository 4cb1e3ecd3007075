"""The worker is asked for previews of what the view shows."""

import pytest
from tests.gui.conftest import sent_commands
from tests.gui.live.conftest import SCAN, make_preview

from napari_surfseg.events import DataChecked
from napari_surfseg.gui.layers.camera import camera_of
from napari_surfseg.gui.live.view_follower import ViewFollower
from napari_surfseg.runs.folder import RunState
from napari_surfseg.runs.follow import RunSnapshot


@pytest.fixture
def follower(viewer, session, scan):
    follower = ViewFollower(viewer, session)
    yield follower
    follower.close()


@pytest.fixture
def running(feeds, follower):
    checked = DataChecked(volumes=[{"image": SCAN, "spacing": [1, 1, 1]}])
    feeds[-1].polled.emit(RunSnapshot(state=RunState.RUNNING, new_events=(checked,)))


def look_at(viewer, z):
    viewer.dims.set_point(0, z)
    camera_of(viewer).center = (0, 150, 50)


def test_the_worker_is_asked_once_for_each_part(viewer, session, follower, running):
    follower.last = make_preview(shape=(16, 64, 64))
    look_at(viewer, 20)
    follower.send()
    look_at(viewer, 21)  # still the same part
    follower.send()
    look_at(viewer, 35)
    follower.send()
    assert [command.center for command in sent_commands(session)] == [(20, 150, 50), (35, 150, 50)]
    assert {command.image for command in sent_commands(session)} == {SCAN}


def test_a_moving_view_is_waited_for(viewer, follower, running):
    look_at(viewer, 20)
    assert follower._rest.isActive()
    follower._rest.stop()
    follower.enabled = False
    look_at(viewer, 30)
    assert not follower._rest.isActive()


def test_a_new_worker_is_asked_again(viewer, session, follower, running, run):
    look_at(viewer, 20)
    follower.send()
    session.attach(run.path)
    follower.send()
    assert len(sent_commands(session)) == 2


def test_a_hidden_volume_is_not_asked_for(viewer, follower, running):
    viewer.layers["scan"].visible = False
    assert follower.build_command() is None
    viewer.layers.clear()
    assert follower.build_command() is None


def test_nothing_is_asked_of_a_run_that_is_over(session, feeds, follower):
    feeds[-1].polled.emit(RunSnapshot(state=RunState.COMPLETED))
    follower.send()
    assert sent_commands(session) == []
