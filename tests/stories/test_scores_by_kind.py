"""What is said of a run that was scored on whole surfaces, on strokes, or not at all."""

from __future__ import annotations

import pytest

from napari_surfseg import events
from napari_surfseg.config import Data, Experiment, ExperimentInfo, Pair
from napari_surfseg.runs.event_text import describe_event
from napari_surfseg.runs.folder import RunFolder
from napari_surfseg.runs.follow import RunFollower
from napari_surfseg.runs.history import read_history
from napari_surfseg.runs.listing import list_runs, tabulate_runs
from napari_surfseg.runs.report.conclusions import describe_headline, list_limits
from napari_surfseg.runs.report.page import write_report
from napari_surfseg.wording import describe_basis

KINDS = {
    "whole": {
        "metrics": {"surface_dice": 0.81, "dice": 0.6, "precision": 0.8, "recall": 0.7},
        "num_annotated": 300_000,
        "num_surface": 25_000,
    },
    "strokes": {
        "metrics": {"dice": 0.91, "precision": 0.9, "recall": 0.92},
        "num_annotated": 1204,
        "num_surface": 310,
        "is_sparse": True,
        "scored_by": "dice",
    },
    "none": None,
}
NOTE = "Validation takes the end of axis Z."


def row(role):
    return {
        "image": "a.tif", "labels": "b.tif", "role": role, "shape": [50, 100, 22],
        "spacing": [1, 1, 1], "foreground_fraction": 0.2, "ignored_fraction": 0.0,
    }  # fmt: skip


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def run(tmp_path, kind):
    """Write the events of a finished run of two epochs."""
    data = Data(train=(Pair(image="a.tif", labels="b.tif"),))
    experiment = Experiment(experiment=ExperimentInfo(name="try"), data=data)
    folder = RunFolder(tmp_path / "run").create(experiment)
    writer = events.EventWriter(folder.events_path)
    roles = ("train",) if kind == "none" else ("train", "validation")
    writer.write(events.DataChecked(volumes=[row(role) for role in roles], notes=[NOTE]))
    writer.write(
        events.RunStarted(
            name="try", device="cpu", precision="float32", model="tiny", num_parameters=10**6,
            patch_size=(64, 64, 64), epoch=0, max_epochs=2, max_minutes=None,
            iterations_per_epoch=4, loss_weights={"soft_dice": 1.0},
        )
    )  # fmt: skip
    best = None
    for epoch in (1, 2):
        writer.write(
            events.EpochFinished(
                step=4 * epoch, epoch=epoch, losses={"soft_dice": 1 / epoch}, head_total=1 / epoch,
                total=1 / epoch, learning_rate=1e-3, epoch_seconds=1.0, steps_per_second=4.0,
                elapsed_seconds=float(epoch), patches={}, cache={},
            )
        )  # fmt: skip
        if KINDS[kind] is not None:
            best = KINDS[kind]["metrics"]
            writer.write(
                events.ValidationFinished(
                    step=4 * epoch, epoch=epoch, threshold=0.5, is_best=True, seconds=0.5,
                    **KINDS[kind],
                )
            )  # fmt: skip
    writer.write(events.RunCompleted(step=8, epoch=2, elapsed_seconds=2.0, best=best))
    return folder


HEADLINES = {
    "whole": "**Surface Dice 0.810** on the validation data at epoch 2",
    "strokes": "**Dice 0.910** on 1,204 annotated voxels, 310 of them surface, at epoch 2 "
    "(precision 0.900, recall 0.920): strokes, not whole surfaces.",
    "none": "**Not scored**: there was no validation.",
}
LIMITS = {
    "whole": "The scores were made on 300,000 annotated voxels, 25,000 of them surface.",
    "strokes": "surface Dice, variation of information and topology are absent, because between",
    "none": "`best.pt` holds its newest averaged weights.",
}


def test_the_report_says_what_scores_were_made_on(run, kind):
    history = read_history(run.path)
    assert describe_headline(history).startswith(HEADLINES[kind])
    limits = " ".join(list_limits(history))
    assert LIMITS[kind] in limits
    assert ("threshold stayed at 0.5" in limits) == (kind == "strokes")
    text = write_report(run.path).read_text(encoding="utf-8")
    assert HEADLINES[kind] in text
    assert NOTE in text
    assert ("report/scores.png" in text) == (kind != "none")
    if kind != "whole":
        assert "surface dice" not in text.lower().replace("surface dice, variation", "")


def test_the_table_of_runs_has_no_score_where_there_is_none(run, kind):
    table = tabulate_runs(list_runs(run.path))
    assert ("0.8100" in table) == (kind == "whole")
    assert "0.91" not in table


def test_a_watcher_knows_whether_there_is_validation(run, kind):
    seen = RunFollower(run.path).poll()
    assert seen.is_validated == (kind != "none")
    if kind == "none":
        assert seen.validation is None
        assert seen.best_validation is None
    else:
        assert seen.best_validation.num_annotated == KINDS[kind]["num_annotated"]
        assert seen.validation.metrics == KINDS[kind]["metrics"]


def test_the_log_says_what_scores_were_made_on():
    lines = {
        name: describe_event(
            events.ValidationFinished(epoch=1, threshold=0.5, is_best=False, seconds=0.5, **values)
        )[0]
        for name, values in KINDS.items()
        if values is not None
    }
    assert "on 300,000 annotated voxels, 25,000 of them surface" in lines["whole"]
    assert "on 1,204 annotated voxels, 310 of them surface, strokes, voxel by" in lines["strokes"]
    done = events.RunCompleted(epoch=2, elapsed_seconds=2.0, best=KINDS["strokes"]["metrics"])
    assert describe_event(done)[0].endswith("best dice 0.9100")
    # An event of an earlier version does not say.
    assert describe_basis(0, 0) == ""
