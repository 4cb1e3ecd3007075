"""A run whose network sees other voxels than the volume's: everything else is on its own grid."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import zarr

from napari_surfseg import events
from napari_surfseg.config import Experiment
from napari_surfseg.config_files import apply_overrides
from napari_surfseg.data.open import open_volume
from napari_surfseg.data.strokes.stroke_files import write_strokes
from napari_surfseg.inference.predict_volume import plan_resampling
from napari_surfseg.model.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from napari_surfseg.model.network import build_unet

SMALL = "model={preset: tiny, base_channels: 4, multipliers: [1, 2]}"
SHAPE = (48, 64, 160)


@pytest.fixture
def volume(tmp_path):
    """A sheet of two voxels of 4 nm, in zarr as a run copies it; returns the folder."""
    rng = np.random.default_rng(0)
    labels = np.zeros(SHAPE, np.uint8)
    labels[23:25] = 1
    image = np.where(labels == 1, 150, 90) + rng.normal(0, 10, SHAPE)
    folder = tmp_path / "run" / "inputs"
    axes = [{"name": axis, "type": "space", "unit": "nanometer"} for axis in "zyx"]
    scale = [{"type": "scale", "scale": [4, 4, 4]}]
    for name, values in (("image_0", image.clip(0, 255)), ("labels_0", labels)):
        group = zarr.open_group(str(folder / f"{name}.zarr"), mode="w", zarr_format=2)
        group.create_array("0", shape=SHAPE, chunks=(16, 64, 64), dtype="uint8")[:] = values
        group.attrs["multiscales"] = [
            {"version": "0.4", "axes": axes,
             "datasets": [{"path": "0", "coordinateTransformations": scale}]}
        ]  # fmt: skip
    return folder


@pytest.fixture
def experiment(tmp_path, volume, tiny_checkpoint):
    """A run on it that starts from a network which was trained on voxels of 8 nm."""
    torch.manual_seed(0)
    source = apply_overrides(Experiment(), [SMALL])
    save_checkpoint(
        tmp_path / "first.pt",
        replace(
            tiny_checkpoint,
            experiment=source,
            weights=build_unet(source.model).state_dict(),
            spacing=(8.0, 8.0, 8.0),
        ),
    )
    return apply_overrides(
        Experiment(),
        [
            f"data.train=[{{image: {volume}/image_0.zarr, labels: {volume}/labels_0.zarr}}]",
            "data.patch_size=[16,32,32]",
            "data.validation.fraction=0.3",
            f"model.start_from={tmp_path}/first.pt",
            "preview={seconds: 0.001, size: [48, 40, 40]}",
            "training.max_epochs=2",
            "training.train_iterations_per_epoch=4",
            "training.workers=0",
            "training.validation_share=1",
        ],
    )


def last_of(tmp_path) -> Checkpoint:
    return load_checkpoint(tmp_path / "run" / "checkpoints" / "last.pt")


def test_the_network_sees_the_voxels_it_knows(tmp_path, training_run, experiment, volume):
    run = training_run(tmp_path / "run", experiment).run()
    assert isinstance(run.events[-1], events.RunCompleted)
    (checked,) = run.of(events.DataChecked)
    (note,) = [note for note in checked.notes if "data.resample" in note]
    assert "are 4 x 4 x 4 nm, those the network was trained on 8 x 8 x 8 nm" in note
    assert {pair.resampling.scale for pair in run.parts.data.pairs} == {(0.5, 0.5, 0.5)}
    # Half as thick in the patches as in the volume.
    batch = run.parts.loader.build(0)
    assert batch.image.shape == (1, 1, 16, 32, 32)
    thickness = (batch.labels == 1).sum() / (batch.labels.size / 16)
    assert 1 <= thickness <= 2
    assert batch.image[batch.labels == 1].mean() > batch.image[batch.labels == 0].mean()
    # On the own grid: what is shown, scored and counted.
    assert all(row["spacing"] == [4, 4, 4] for row in checked.volumes)
    for preview in run.of(events.PreviewWritten):
        assert preview.shape == (48, 40, 40)
        array = np.load(tmp_path / "run" / preview.probabilities)
        assert array.shape == preview.shape
    assert run.of(events.PreviewWritten)
    assert run.of(events.ValidationFinished)
    found = run.parts.scoring.validator.predict_as_volumes(run.parts.learner.network)
    labels = run.parts.scoring.validator.read_all_labels()
    assert [array.shape for array in found] == [array.shape for array in labels]
    # And what it has learned in goes with it.
    assert (last_of(tmp_path).spacing, last_of(tmp_path).units) == ((8, 8, 8), "nanometer")
    seen, _ = plan_resampling(open_volume(volume / "image_0.zarr"), last_of(tmp_path))
    assert seen.scale == (0.5, 0.5, 0.5)


def test_a_resumed_run_sees_the_same_voxels(tmp_path, training_run, experiment):
    training_run(tmp_path / "run", experiment).run()
    (tmp_path / "first.pt").unlink()
    longer = apply_overrides(experiment, ["training.max_epochs=3"])
    run = training_run(tmp_path / "run", longer, resume=True).run()
    assert isinstance(run.events[-1], events.RunCompleted)
    assert {pair.resampling.scale for pair in run.parts.data.pairs} == {(0.5, 0.5, 0.5)}
    assert last_of(tmp_path).spacing == (8, 8, 8)


def test_strokes_are_painted_on_the_own_grid(tmp_path, training_run, experiment, volume):
    painted = np.ones((4, 64, 20), np.uint8)
    path = volume / "strokes" / "a.npz"
    write_strokes(path, [((36, 0, 10), painted)])
    command = events.UpdateLabels(labels=str(volume / "labels_0.zarr"), strokes=str(path))
    run = training_run(tmp_path / "run", experiment, {2: [command]}).run()
    (updated,) = run.of(events.LabelsUpdated)
    assert updated.num_changed == painted.size
    stored = open_volume(volume / "labels_0.zarr").read((36, 0, 10), (40, 64, 30))
    np.testing.assert_array_equal(stored, painted)
    # Patches drawn there hold them.
    data = run.parts.data.experiment.data
    assert data.patch_size == (16, 32, 32)
    hits = [run.parts.loader.build(step).labels.max() for step in range(4)]
    assert max(hits) == 1


@pytest.mark.parametrize(
    ("override", "spacing", "scale"),
    [
        ("data.resample=none", (4, 4, 4), None),
        ("data.resample=[4, 8, 8]", (4, 8, 8), (1, 0.5, 0.5)),
        ("model.start_from=none", (4, 4, 4), None),
        ("data.spacing=[4000, 4000, 4000]", (4000, 4000, 4000), None),
    ],
)
def test_as_it_is_set(tmp_path, training_run, experiment, override, spacing, scale):
    small = apply_overrides(experiment, [override, "training.max_epochs=1"])
    if override == "model.start_from=none":
        small = apply_overrides(small, [SMALL.replace("}", ", start_from: none}")])
    run = training_run(tmp_path / "run", small).run()
    pair = run.parts.data.train[0]
    assert (None if pair.resampling is None else pair.resampling.scale) == scale
    assert last_of(tmp_path).spacing == spacing
    warned = [event.message for event in run.of(events.WarningIssued)]
    assert any("too far apart" in text for text in warned) == ("data.spacing" in override)


def test_a_network_without_a_size_minds_anisotropy_alone(
    tmp_path, training_run, experiment, registry
):
    registry.add(anisotropy=1)
    wanted = apply_overrides(
        experiment,
        ["model.start_from=sheets-tiny", "data.spacing=[8,4,4]", "training.max_epochs=1"],
    )
    run = training_run(tmp_path / "run", wanted).run()
    assert run.parts.data.train[0].resampling.scale == (2, 1, 1)
    assert run.parts.data.train[0].seen_spacing == (4, 4, 4)
