"""What the run panel says of a run: its state, its scores, and why there are none."""

from __future__ import annotations

from dataclasses import replace
from unittest.mock import Mock

import pytest

from napari_surfseg.events import TuningProgressed, ValidationFinished, WeightsLoaded
from napari_surfseg.gui.run_session.status import (
    compute_share,
    describe_all_scores,
    describe_state,
    describe_validation,
)
from napari_surfseg.runs.folder import RunState
from napari_surfseg.runs.follow import RunSnapshot


def scored(metrics, **changes):
    return ValidationFinished(
        epoch=3, metrics=metrics, threshold=0.5, is_best=True, seconds=1.0, **changes
    )


TUNING = TuningProgressed(done=20, total=80, name="closing", stage=6, num_stages=7)
WHOLE = scored(
    {"surface_dice": 0.91, "dice": 0.7, "mean_dice": 0.805},
    num_annotated=300_000,
    num_surface=25_000,
    scored_by="mean_dice",
)

STROKES = scored(
    {"dice": 0.8, "precision": 0.7},
    num_annotated=1204,
    num_surface=310,
    is_sparse=True,
    scored_by="dice",
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
    assert describe_validation(validation, RunSnapshot(is_validated=is_validated)) == line


def test_details_say_what_they_were_made_on():
    assert describe_all_scores(None) == ""
    whole = describe_all_scores(WHOLE).splitlines()
    assert whole[-1] == "on 300,000 annotated voxels, 25,000 of them surface."
    assert "between them nothing is known" in describe_all_scores(STROKES)


def test_what_made_the_weights_the_best_is_said():
    assert describe_validation(WHOLE, None, only_deciding=True) == "mean Dice 0.805"
    assert describe_all_scores(WHOLE).startswith("Kept as best.pt by mean Dice.\n")
    first = describe_all_scores(STROKES).splitlines()[0]
    assert first == "Kept as best.pt by Dice on strokes, the newest of those near the greatest."
    early = replace(WHOLE, is_warming_up=True)
    assert "for now, by mean Dice: the learning rate still rose" in describe_all_scores(early)
    assert "best.pt" not in describe_all_scores(replace(WHOLE, is_best=False))


@pytest.mark.parametrize("state", [RunState.VANISHED, RunState.STOPPED, RunState.FAILED])
def test_what_ended_meanwhile_says_how(state):
    snapshot = RunSnapshot(state=state, progress=0.7, tuning=TUNING)
    assert "post-processing" not in describe_state(snapshot)
    assert compute_share(snapshot) == 0.7
    assert compute_share(None) == 0


@pytest.mark.parametrize(
    ("loaded", "said"),
    [
        (None, "Training on CPU."),
        (("surfaces-tiny", ""), "Training on CPU. Started from surfaces-tiny."),
        (
            ("/runs/first/checkpoints/best.pt", "40 % were taken."),
            "Training on CPU. Started from best.pt of first. 40 % were taken.",
        ),
    ],
)
def test_it_says_what_the_run_started_from(loaded, said):
    event = loaded and WeightsLoaded(
        source=loaded[0], note=loaded[1], num_taken=1, num_parameters=2
    )
    snapshot = RunSnapshot(state=RunState.RUNNING, started=Mock(device="cpu"), loaded=event)
    assert describe_state(snapshot) == said
