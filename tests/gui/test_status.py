"""What the run panel says of a run."""

import pytest

from napari_surfseg.events import TuningProgressed
from napari_surfseg.gui.run_session.status import compute_share, describe_pace, describe_state
from napari_surfseg.gui.training.run_panel import RunPanel
from napari_surfseg.runs.folder import RunState
from napari_surfseg.runs.follow import RunSnapshot

TUNING = TuningProgressed(done=20, total=80, name="closing", stage=6, num_stages=7)


def test_the_choice_of_post_processing_is_shown(qtbot):
    panel = RunPanel()
    qtbot.addWidget(panel)
    snapshot = RunSnapshot(
        state=RunState.RUNNING, progress=1.0, steps_per_second=2.0, tuning=TUNING
    )
    panel.set_snapshot(snapshot)
    assert panel.state.text() == (
        "Choosing post-processing, step 6 of 7: closing (20 of 80 settings)."
    )
    assert panel.progress.value() == 250
    assert describe_pace(snapshot) == ""
    assert panel.stop.isEnabled()


@pytest.mark.parametrize("state", [RunState.VANISHED, RunState.STOPPED, RunState.FAILED])
def test_what_ended_meanwhile_says_how(state):
    snapshot = RunSnapshot(state=state, progress=0.7, tuning=TUNING)
    assert "post-processing" not in describe_state(snapshot)
    assert compute_share(snapshot) == 0.7
    assert compute_share(None) == 0
