"""Runs that are scored on strokes, and runs that are not scored at all."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_surfseg import events
from napari_surfseg.config import Experiment
from napari_surfseg.config_files import apply_overrides
from napari_surfseg.geometry import box_shape
from napari_surfseg.model.checkpoint import load_checkpoint
from napari_surfseg.runs.event_text import describe_event
from napari_surfseg.training.validation import Validator
from napari_surfseg.training.validation_regions import ValidationRegion

SHAPE = (64, 128, 192)


def strokes(num, seed=0):
    """Strokes of 2 or 3 by 16 voxels on slices of sheets normal to X."""
    rng = np.random.default_rng(seed)
    labels = np.full(SHAPE, 2, np.uint8)
    for number in range(num):
        z, y = int(rng.integers(SHAPE[0])), int(rng.integers(SHAPE[1] - 16))
        x = 12 * int(rng.integers(1, SHAPE[2] // 12))
        if number % 2:
            labels[z, y : y + 16, x : x + 2] = 1
        else:
            labels[z, y : y + 16, x + 4 : x + 7] = 0
    return labels


@pytest.fixture
def start(tmp_path, training_run):
    """Train a small run with these labels."""

    def build(labels, *settings, resume=False):
        image = np.full(SHAPE, 90.0)
        image[..., ::12] = image[..., 1::12] = 150
        image += np.random.default_rng(0).normal(0, 8, SHAPE)
        np.save(tmp_path / "image.npy", image.clip(0, 255).astype(np.uint8))
        np.save(tmp_path / "labels.npy", labels)
        experiment = apply_overrides(
            Experiment(),
            [
                f"data.train=[{{image: {tmp_path}/image.npy, labels: {tmp_path}/labels.npy}}]",
                "data.patch_size=[16,32,32]",
                "model={preset: tiny, base_channels: 4, multipliers: [1, 2]}",
                "training.max_epochs=2",
                "training.train_iterations_per_epoch=3",
                "training.workers=0",
                "training.validation_share=1",
                *settings,
            ],
        )
        return training_run(tmp_path / "run", experiment, resume=resume).run()

    return build


def weights(path):
    return load_checkpoint(path).weights


@pytest.mark.parametrize("settings", [(), ("data.validation.fraction=0",)])
def test_twelve_strokes_train_and_nothing_is_scored(tmp_path, start, settings):
    run = start(strokes(12), *settings)
    assert isinstance(run.events[-1], events.RunCompleted)
    assert run.events[-1].best is None
    assert run.of(events.ValidationFinished) == []
    assert run.of(events.PostprocessTuned) == []
    roles = [row["role"] for row in run.of(events.DataChecked)[0].volumes]
    assert roles == ["train"]
    said = [event.message for event in run.of(events.WarningIssued) if "scored" in event.message]
    assert len(said) == (0 if settings else 1)
    # best.pt holds the newest averaged weights.
    best, last = (tmp_path / "run" / "checkpoints" / name for name in ("best.pt", "last.pt"))
    assert load_checkpoint(best).epoch == 2
    assert load_checkpoint(best).metrics == {}
    for name, value in weights(last).items():
        assert torch.equal(weights(best)[name], value)
    saved = [event.epoch for event in run.of(events.CheckpointSaved) if "best" in event.path]
    assert saved == [1, 2]


def test_strokes_are_scored_voxel_by_voxel(tmp_path, start):
    run = start(strokes(800))
    checked = run.of(events.DataChecked)[0]
    kept = [row for row in checked.volumes if row["role"] == "validation"]
    assert kept
    assert any("Validation takes the strokes" in note for note in checked.notes)
    scored = run.of(events.ValidationFinished)
    assert scored
    for event in scored:
        assert set(event.metrics) <= {"dice", "precision", "recall"}
        assert event.is_sparse
        assert event.scored_by == "dice"
        assert event.threshold == 0.5
        assert event.num_surface == sum(row["num_surface"] for row in kept)
        assert event.num_annotated == event.num_surface + sum(r["num_background"] for r in kept)
    assert run.of(events.PostprocessTuned) == []
    assert not (tmp_path / "run" / "samples" / "topology_errors.npz").exists()
    assert set(run.events[-1].best) <= {"dice", "precision", "recall", "epoch"}
    assert load_checkpoint(tmp_path / "run" / "checkpoints" / "best.pt").threshold == 0.5


def test_dense_labels_say_how_many_voxels_were_scored(start):
    labels = np.zeros(SHAPE, np.uint8)
    labels[..., ::12] = labels[..., 1::12] = 1
    labels[:4] = 2
    run = start(labels, "training.tuning_share=0", "training.max_epochs=1")
    (kept,) = [r for r in run.of(events.DataChecked)[0].volumes if r["role"] == "validation"]
    event = run.of(events.ValidationFinished)[-1]
    assert not event.is_sparse
    assert event.scored_by == "mean_dice"
    assert event.num_surface == kept["num_surface"]
    assert event.num_annotated == kept["num_surface"] + kept["num_background"]


@pytest.mark.parametrize(("flips", "views"), [("auto", 8), ("false", 1)])
def test_post_processing_is_chosen_on_what_will_be_predicted(start, flips, views):
    labels = np.zeros(SHAPE, np.uint8)
    labels[..., ::12] = labels[..., 1::12] = 1
    run = start(labels, f"inference.flips={flips}", "training.max_epochs=1")
    seen = []
    run.parts.scoring.validator.predict_as_volumes(lambda values: seen.append(values) or values)
    torch.testing.assert_close(seen[0], seen[-1].flip((2, 3, 4)) if views == 8 else seen[0])
    assert len(seen) == views * len(run.parts.scoring.validator.regions)


def test_a_resumed_run_is_scored_on_the_same_or_not_at_all(start):
    start(strokes(12), "training.max_epochs=1")
    # Meanwhile so much was painted that a new run would keep some of it.
    run = start(strokes(800), resume=True)
    assert run.of(events.ValidationFinished) == []
    assert [row["role"] for row in run.of(events.DataChecked)[0].volumes] == ["train"]


@pytest.mark.parametrize("kind", ["nothing", "background", "beside_another"])
def test_a_region_without_annotated_surface_scores_nothing(start, kind, monkeypatch):
    """An empty prediction of it would score 1 and keep the first weights for ever."""
    labels = np.zeros(SHAPE, np.uint8)
    labels[..., ::12] = labels[..., 1::12] = 1
    found = labels[:32].copy()
    hidden = np.full_like(found, 0 if kind == "background" else 2)

    def read(validator, region):
        return found if kind == "beside_another" and region is validator.regions[0] else hidden

    def two_regions(*_args, **_settings):
        boxes = ((0, 0, 0), found.shape), ((32, 0, 0), SHAPE)
        return [ValidationRegion(0, box) for box in boxes]

    monkeypatch.setattr(Validator, "read_labels", read)
    monkeypatch.setattr("napari_surfseg.training.validation.choose_regions", two_regions)
    monkeypatch.setattr(
        "napari_surfseg.training.validation.predict_region",
        lambda _network, _read, box, *_args, **_settings: np.zeros(box_shape(box), np.uint8),
    )
    run = start(labels, "training.tuning_share=0", "data.validation.fraction=0.5")
    scored = run.of(events.ValidationFinished)
    if kind == "beside_another":
        assert {event.metrics["surface_dice"] for event in scored} == {0.0}
        return
    assert [event.metrics for event in scored] == [{}, {}]
    assert not any(event.is_best for event in scored)
    assert run.events[-1].best is None
    (_,) = [e for e in run.of(events.WarningIssued) if "nothing was scored" in e.message]
    saved = [event.epoch for event in run.of(events.CheckpointSaved) if "best" in event.path]
    assert saved == [1, 2]


def test_every_volume_has_scores_of_its_own(tmp_path, training_run):
    rows = ["image,labels,weight,split,spacing"]
    for name, spacing, split in (
        ("a", 1, "train"),
        ("b", 2, "train"),
        ("v", 1, "val"),
        ("w", 1, "val"),
    ):
        image = np.full((24, 32, 48), 90, np.uint8)
        image[..., ::12] = image[..., 1::12] = 150
        np.save(tmp_path / f"{name}.npy", image)
        np.save(tmp_path / f"{name}_labels.npy", (image > 100).astype(np.uint8))
        rows.append(
            f"{name}.npy,{name}_labels.npy,{'3' if split == 'train' else ''},{split},{spacing}"
        )
    (tmp_path / "pairs.csv").write_text("\n".join(rows))
    experiment = apply_overrides(
        Experiment(),
        [
            f"data.train={tmp_path}/pairs.csv",
            "data.patch_size=[16,16,16]",
            "model={preset: tiny, base_channels: 4, multipliers: [1, 2]}",
            "training.max_epochs=1",
            "training.train_iterations_per_epoch=2",
            "training.workers=0",
            "training.validation_share=1",
        ],
    )
    found = training_run(tmp_path / "run", experiment).run().events
    (checked,) = [event for event in found if isinstance(event, events.DataChecked)]
    assert sum("the network sees it in voxels of 1 x 1 x 1" in one for one in checked.notes) == 1
    scored = next(event for event in found if isinstance(event, events.ValidationFinished))
    assert [row["image"].rpartition("/")[2] for row in scored.volumes] == ["v.npy", "w.npy"]
    mean = np.mean([row["metrics"]["surface_dice"] for row in scored.volumes])
    assert scored.metrics["surface_dice"] == pytest.approx(mean)
    said = "\n".join(describe_event(scored))
    assert f"{scored.scored_by}, by volume: v.npy 0." in said
