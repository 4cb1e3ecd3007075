"""The run panel: what a run is doing, and its scores or why there are none."""

from __future__ import annotations

from napari_surfseg.events import TuningProgressed, ValidationFinished
from napari_surfseg.gui.run_session.status import (
    describe_pace,
)
from napari_surfseg.gui.training.run_panel import RunPanel
from napari_surfseg.runs.folder import RunState
from napari_surfseg.runs.follow import RunSnapshot


def scored(metrics, **changes):
    return ValidationFinished(
        epoch=3, metrics=metrics, threshold=0.5, is_best=True, seconds=1.0, **changes
    )


STROKES = scored(
    {"dice": 0.8, "precision": 0.7},
    num_annotated=1204,
    num_surface=310,
    is_sparse=True,
    scored_by="dice",
)
TUNING = TuningProgressed(done=20, total=80, name="closing", stage=6, num_stages=7)


def test_the_panel_shows_absence(qtbot):
    panel = RunPanel()
    qtbot.addWidget(panel)
    panel.set_snapshot(RunSnapshot(state=RunState.RUNNING, is_validated=False))
    assert panel.newest.whole_text() == "not scored: no validation"
    assert panel.best.whole_text() == "not scored: no validation"
    panel.set_snapshot(
        RunSnapshot(
            state=RunState.RUNNING, is_validated=True, validation=STROKES, best_validation=STROKES,
            metrics=STROKES.metrics, best_metrics=STROKES.metrics, best_epoch=3,
        )
    )  # fmt: skip
    assert panel.newest.whole_text() == "Dice 0.800 on 1,204 annotated voxels"
    assert panel.best.whole_text() == "epoch 3: Dice 0.800 on 1,204 annotated voxels"


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
