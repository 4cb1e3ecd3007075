"""Best and newest of a run: what is read of them, and what is doubtful."""

import json

import pytest

from napari_surfseg.errors import CheckpointError
from napari_surfseg.events import (
    DataChecked,
    EventWriter,
    LabelsUpdated,
    StepFinished,
    ValidationFinished,
)
from napari_surfseg.runs.checkpoints import find_checkpoint, read_checkpoints
from napari_surfseg.runs.folder import RunFolder


def write_checkpoint(path, **values):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"not read")
    path.with_suffix(".json").write_text(json.dumps(values))


def volumes(*rows):
    return [{"image": f"{role}.tif", "role": role, "num_surface": n} for role, n in rows]


@pytest.fixture
def run(tmp_path):
    return RunFolder(tmp_path)


def write_run(run, *, best=8, newest=10, surface=5000, scored=True):
    metrics = {"surface_dice": 0.9} if scored else {}
    write_checkpoint(run.best_checkpoint, epoch=best, step=best * 10, metrics=metrics)
    write_checkpoint(run.last_checkpoint, epoch=newest, step=newest * 10, metrics={})
    writer = EventWriter(run.events_path)
    writer.write(DataChecked(volumes=volumes(("train", 9000), ("validation", surface))))
    writer.write(
        StepFinished(
            epoch=1, losses={}, head_total=1, total=1, learning_rate=1, gradient_norm=1,
            steps_per_second=1, elapsed_seconds=1, progress=0.1,
        )
    )  # fmt: skip
    writer.write(
        ValidationFinished(
            epoch=newest, metrics={"surface_dice": 0.8}, threshold=0.5, is_best=False, seconds=1
        )
    )
    return writer


def test_both_have_their_scores(run):
    write_run(run)
    found = read_checkpoints(run.path)
    assert (found.best.epoch, found.best.surface_dice) == (8, 0.9)
    assert (found.newest.step, found.newest.surface_dice) == (100, 0.8)
    assert found.remark == ""


@pytest.mark.parametrize(
    ("changes", "remark"),
    [
        ({"best": 1}, "The best weights are of epoch 1 of 10: compare best and newest before "
         "you rely on one of them."),
        ({"best": 1, "newest": 4}, ""),
        ({"surface": 157}, "Validation had only 157 voxels of surface: compare best and "
         "newest before you rely on one of them."),
        ({"best": 2, "surface": 0}, "The best weights are of epoch 2 of 10 and validation had only "
         "0 voxels of surface: compare best and newest before you rely on one of them."),
        ({"scored": False}, "Nothing was scored in this run: best.pt holds its newest weights."),
    ],
)  # fmt: skip
def test_what_is_doubtful_is_said_in_a_sentence(run, changes, remark):
    write_run(run, **changes)
    assert read_checkpoints(run.path).remark == remark


def test_labels_painted_later_count(run):
    write_run(run, surface=20).write(
        LabelsUpdated(labels="a", num_changed=1, volumes=volumes(("validation", 2000)))
    )
    assert read_checkpoints(run.path).remark == ""


@pytest.mark.parametrize("look", [find_checkpoint, read_checkpoints])
def test_where_there_is_none_the_sentence_says_what_to_name(run, look):
    with pytest.raises(CheckpointError, match=r"no checkpoint in the folder .*; name a best\.pt"):
        look(run.path)
    with pytest.raises(CheckpointError, match=r"There is no checkpoint .*gone\.pt\.$"):
        look(run.path / "gone.pt")
    with pytest.raises(CheckpointError, match="Choose a checkpoint or a run folder"):
        look("")


def test_a_run_without_validation_has_only_its_newest(run):
    write_checkpoint(run.last_checkpoint, epoch=4)
    assert find_checkpoint(run.path) == run.last_checkpoint
    found = read_checkpoints(run.path)
    assert (found.best, found.newest.epoch, found.remark) == (None, 4, "")


def test_a_file_outside_a_run_stands_alone(tmp_path):
    write_checkpoint(tmp_path / "mine.pt", epoch=3)
    write_checkpoint(tmp_path / "best.pt", epoch=4)
    found = read_checkpoints(tmp_path / "mine.pt")
    assert (found.best.epoch, found.newest, found.remark) == (3, None, "")
    found = read_checkpoints(tmp_path)
    assert (found.best.epoch, found.newest, found.remark) == (4, None, "")


def test_newest_is_found_beside_best(run):
    write_run(run)
    for path in (run.path, run.checkpoints, run.best_checkpoint):
        assert find_checkpoint(path) == run.best_checkpoint
        assert find_checkpoint(path, newest=True) == run.last_checkpoint
    run.last_checkpoint.unlink()
    assert find_checkpoint(run.path, newest=True) == run.best_checkpoint
