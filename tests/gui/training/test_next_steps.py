from dataclasses import replace

import pytest

from napari_surfseg.gui.training.next_steps import NextSteps, has_result
from napari_surfseg.runs.folder import RunState
from napari_surfseg.runs.follow import RunSnapshot


@pytest.mark.parametrize(
    ("state", "epoch", "ended"),
    [
        (RunState.NEW, 5, False),
        (RunState.RUNNING, 5, False),
        (RunState.COMPLETED, 1, True),
        (RunState.COMPLETED, 0, False),
        (RunState.FAILED, 1, False),
        (RunState.FAILED, 2, True),
    ],
)
def test_a_run_has_a_result_once_an_epoch_is_done(state, epoch, ended):
    assert has_result(RunSnapshot(state=state, epoch=epoch)) == ended


def test_as_long_again_is_offered_once_and_stays_as_a_person_sets_it(qtbot):
    steps = NextSteps()
    qtbot.addWidget(steps)
    ended = RunSnapshot(state=RunState.COMPLETED, epoch=4, max_minutes=3.0)
    steps.set_snapshot(ended)
    assert not steps.isHidden()
    steps.amount.setValue(7)
    steps.set_snapshot(replace(ended, epoch=5))
    asked = []
    steps.longer_clicked.connect(lambda *amount: asked.append(amount))
    steps.longer.click()
    assert asked == [(7.0, "minutes")]
    steps.set_message("Done.")
    steps.set_snapshot(RunSnapshot(state=RunState.RUNNING))
    assert steps.isHidden()
    assert steps.message.text() == ""
