"""Painted labels reach a running training, or are refused without a trace."""

import numpy as np
import pytest
import zarr

from napari_surfseg import events
from napari_surfseg.config import Experiment
from napari_surfseg.config_files import apply_overrides
from napari_surfseg.data.strokes.stroke_files import write_strokes


@pytest.fixture
def inputs(tmp_path):
    """A run's own copy of an image and its labels."""
    rng = np.random.default_rng(0)
    labels = np.zeros((32, 32, 96), np.uint8)
    labels[14:16] = 1
    image = np.where(labels == 1, 140, 90) + rng.normal(0, 12, labels.shape)
    folder = tmp_path / "run" / "inputs"
    for name, values in (("image_0", image.clip(0, 255)), ("labels_0", labels)):
        group = zarr.open_group(str(folder / f"{name}.zarr"), mode="w", zarr_format=2)
        group.create_array("0", shape=labels.shape, chunks=labels.shape, dtype="uint8")[:] = values
    return folder


@pytest.fixture
def experiment(inputs):
    return apply_overrides(
        Experiment(),
        [
            f"data.train=[{{image: {inputs}/image_0.zarr::0, labels: {inputs}/labels_0.zarr}}]",
            "data.patch_size=[16,32,32]",
            "data.validation.fraction=0.3",
            "data.augmentation.symmetries=false",
            "model={preset: tiny, base_channels: 4, multipliers: [1, 2]}",
            "training.max_epochs=2",
            "training.train_iterations_per_epoch=4",
            "training.workers=2",
            "training.validation_share=1",
        ],
    )


def strokes(inputs, *boxes, labels="labels_0.zarr", name="a"):
    write_strokes(inputs / "strokes" / f"{name}.npz", boxes)
    return events.UpdateLabels(
        labels=str(inputs / labels), strokes=str(inputs / "strokes" / f"{name}.npz")
    )


def stored(inputs):
    return zarr.open_group(str(inputs / "labels_0.zarr"), mode="r")["0"][:]


def test_strokes_are_learned_from(tmp_path, training_run, inputs, experiment):
    before = stored(inputs)
    painted = np.ones((4, 32, 20), np.uint8)
    command = strokes(inputs, ((24, 0, 10), painted))
    run = training_run(tmp_path / "run", experiment, {2: [command]}).run()
    (checked,) = run.of(events.DataChecked)
    (updated,) = run.of(events.LabelsUpdated)
    (applied,) = run.of(events.CommandApplied)
    assert applied.command_id == command.id
    assert updated.num_changed == painted.size
    assert updated.step == 2
    rows = {row["role"]: row for row in checked.volumes}
    new = {row["role"]: row for row in updated.volumes}
    assert new["train"]["num_surface"] == rows["train"]["num_surface"] + painted.size
    assert new["train"]["num_background"] == rows["train"]["num_background"] - painted.size
    assert new["validation"]["num_surface"] == rows["validation"]["num_surface"]
    before[24:28, :, 10:30] = 1
    np.testing.assert_array_equal(stored(inputs), before)
    assert not any((inputs / "strokes").iterdir())
    assert isinstance(run.events[-1], events.RunCompleted)


def test_patches_come_from_where_was_painted(tmp_path, training_run, inputs, experiment):
    """After the old surface was erased and another painted, patches are centred on that one."""
    erased = np.zeros((32, 32, 96), np.uint8)
    erased[28:30] = 1
    run = training_run(
        tmp_path / "run", experiment, {1: [strokes(inputs, ((0, 0, 0), erased))]}
    ).run()
    assert not run.of(events.CommandRefused)
    places = [run.parts.loader.build(step) for step in range(1000, 1020)]
    centred = [batch for batch in places if batch.centred[0]]
    assert centred
    for batch in centred:
        assert batch.labels[0, 0, 8, 16, 16] == 1 or batch.starts[0][0] == 16
        z = batch.starts[0][0] + np.flatnonzero((batch.labels[0, 0] == 1).any(axis=(1, 2)))
        assert set(z) <= {28, 29}


def test_painted_validation_labels_let_the_next_score_be_the_best(
    tmp_path, training_run, inputs, experiment
):
    experiment = apply_overrides(experiment, ["training.max_epochs=3"])
    everything = np.zeros((32, 32, 20), np.uint8)
    everything[2] = 1  # where the network has learned nothing: the scores fall
    run = training_run(
        tmp_path / "run", experiment, {4: [strokes(inputs, ((0, 0, 76), everything))]}
    ).run()
    first, second, *_ = run.of(events.ValidationFinished)
    assert first.is_best
    assert second.is_best
    (updated,) = run.of(events.LabelsUpdated)
    assert first.step <= updated.step < second.step
    row = next(row for row in updated.volumes if row["role"] == "validation")
    assert (
        row["num_surface"]
        != next(
            row for row in run.of(events.DataChecked)[0].volumes if row["role"] == "validation"
        )["num_surface"]
    )


def test_strokes_elsewhere_leave_the_best_score(tmp_path, training_run, inputs, experiment):
    command = strokes(inputs, ((0, 0, 0), np.ones((1, 32, 20), np.uint8)))
    run = training_run(tmp_path / "run", experiment, {1: [command]})
    called = []
    run.trainer.state.forget_best_score = lambda: called.append(True)
    run.run()
    assert run.of(events.LabelsUpdated)
    assert not called


def test_what_cannot_be_used_is_refused_and_changes_nothing(
    tmp_path, training_run, inputs, experiment
):
    before = stored(inputs)
    own = tmp_path / "own.zarr"
    commands = [
        strokes(inputs, ((0, 0, 0), np.full((2, 2, 2), 9, np.uint8)), name="unknown"),
        strokes(inputs, ((0, 0, 0), np.zeros((32, 32, 96), np.uint8)), name="erased"),
        strokes(inputs, ((30, 0, 0), np.zeros((9, 2, 2), np.uint8)), name="outside"),
        strokes(inputs, ((0, 0, 0), np.zeros((2, 2, 2), np.float32)), name="real"),
        events.UpdateLabels(labels=str(own), strokes=str(inputs / "strokes" / "none.npz")),
        events.UpdateLabels(
            labels=str(inputs / "labels_0.zarr"), strokes=str(inputs / "strokes" / "gone.npz")
        ),
        events.UpdateLabels(
            labels=str(inputs / "labels_0.zarr"), strokes=str(tmp_path / "else" / "a.npz")
        ),
    ]
    run = training_run(tmp_path / "run", experiment, {2: commands}).run()
    refused = {event.command_id: event.message for event in run.of(events.CommandRefused)}
    assert list(refused) == [command.id for command in commands]
    messages = list(refused.values())
    assert all(message.endswith(".") and "\n" not in message for message in messages)
    for message, part in zip(
        messages,
        (
            "holds the value 9 (8 voxels), not listed",
            "no surface voxels",
            "do not lie in",
            "whole numbers",
            "not part of this run",
            "cannot be read",
            "never changes",
        ),
        strict=True,
    ):
        assert part in message
    assert not run.of(events.LabelsUpdated)
    assert isinstance(run.events[-1], events.RunCompleted)
    np.testing.assert_array_equal(stored(inputs), before)
    assert not any((inputs / "strokes").iterdir())


def test_a_full_disk_refuses_the_stroke_and_the_run_goes_on(
    tmp_path, training_run, inputs, experiment, monkeypatch
):
    def full(path, boxes):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("napari_surfseg.training.stroke_updates.apply_strokes", full)
    command = strokes(inputs, ((0, 0, 0), np.ones((2, 2, 2), np.uint8)))
    run = training_run(tmp_path / "run", experiment, {2: [command]}).run()
    (refused,) = run.of(events.CommandRefused)
    assert "No space left" in refused.message
    assert isinstance(run.events[-1], events.RunCompleted)
