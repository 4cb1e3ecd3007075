"""The scores in the run panel: on what they were made, and why there are none."""

from __future__ import annotations

import pytest

from napari_surfseg.events import ValidationFinished
from napari_surfseg.gui.run_session.status import describe_all_scores, describe_scores
from napari_surfseg.gui.training.run_panel import RunPanel
from napari_surfseg.runs.folder import RunState
from napari_surfseg.runs.follow import RunSnapshot


def scored(metrics, **changes):
    return ValidationFinished(
        epoch=3, metrics=metrics, threshold=0.5, is_best=True, seconds=1.0, **changes
    )


WHOLE = scored({"surface_dice": 0.91, "dice": 0.7}, num_annotated=300_000, num_surface=25_000)
STROKES = scored(
    {"dice": 0.8, "precision": 0.7}, num_annotated=1204, num_surface=310, is_sparse=True
)


@pytest.mark.parametrize(
    ("validation", "is_validated", "line"),
    [
        (None, None, "–"),
        (None, True, "–"),
        (None, False, "not scored: no validation"),
        (WHOLE, True, "surface Dice 0.910   Dice 0.700"),
        (STROKES, True, "Dice 0.800 on 1,204 annotated voxels"),
    ],
)
def test_a_line(validation, is_validated, line):
    assert describe_scores(validation, RunSnapshot(is_validated=is_validated)) == line


def test_details_say_what_they_were_made_on():
    assert describe_all_scores(None) == ""
    whole = describe_all_scores(WHOLE).splitlines()
    assert whole[-1] == "on 300,000 annotated voxels, 25,000 of them surface."
    assert "between them nothing is known" in describe_all_scores(STROKES)


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
