"""Training from strokes: the classifier leads, the network takes over, new strokes count."""

from __future__ import annotations

import numpy as np
import pytest
import zarr

from napari_surfseg import events
from napari_surfseg.config import Experiment, Labels
from napari_surfseg.config_files import apply_overrides
from napari_surfseg.data.cache import VolumeCache
from napari_surfseg.data.checks import check_volumes
from napari_surfseg.data.strokes.stroke_files import write_strokes
from napari_surfseg.data.volume import ArrayVolume
from napari_surfseg.metrics.surface import compute_dice
from napari_surfseg.model.intensity import Intensity
from napari_surfseg.training.assembly import QUICK_STEPS
from napari_surfseg.training.schedule import Bounds, Cycle
from napari_surfseg.training.stroke_start import (
    HANDOVER_STEPS,
    SHARE_AFTER_STROKES,
    open_stroke_start,
)

SHAPE = (32, 48, 48)
MAPPING = Labels(foreground=(1,), background=(2,), ignore=(0,))


@pytest.fixture
def volume():
    """Bright sheets across Y, the truth, and strokes on one slice."""
    rng = np.random.default_rng(0)
    truth = np.zeros(SHAPE, np.uint8)
    for first in (5, 19, 33):
        truth[:, first : first + 3] = 1
    image = np.where(truth == 1, 150, 90) + rng.normal(0, 18, SHAPE)
    labels = np.zeros(SHAPE, np.uint8)
    labels[16, 5:8, 8:40] = 1
    labels[16, 19:22, 8:40] = 1
    labels[16, 12:14, 8:40] = 2
    labels[16, 26:28, 8:40] = 2
    return image.clip(0, 255).astype(np.uint8), truth, labels


def open_start(image, labels, *, wanted="auto", mapping=MAPPING):
    from napari_surfseg.config import Data

    pair = check_volumes(
        ArrayVolume(image), ArrayVolume(labels), Data(labels=mapping), role="train"
    )
    return open_stroke_start(
        [pair], VolumeCache(10**8), Intensity(0, 255, 0.4, 0.1), wanted=wanted, seed=0
    ), pair


def test_strokes_are_recognised_and_dense_labels_are_not(volume):
    image, truth, labels = volume
    assert open_start(image, labels)[0] is not None
    assert open_start(image, truth, mapping=Labels())[0] is None
    assert open_start(image, labels, wanted=False)[0] is None
    assert open_start(image, truth, wanted=True, mapping=Labels())[0] is not None


def test_single_annotated_slices_count_as_strokes(volume):
    image, truth, _ = volume
    labels = np.full(SHAPE, 2, np.uint8)
    labels[16] = truth[16]
    assert open_start(image, labels, mapping=Labels())[0] is not None


def test_the_preview_passes_from_the_classifier_to_the_network(volume):
    start, pair = open_start(volume[0], volume[2])
    start.begin_at(0, has_learned=False)
    assert start.share(0) == 1
    assert start.share(HANDOVER_STEPS // 2) == pytest.approx(0.75)
    assert start.share(HANDOVER_STEPS) == start.share(10 * HANDOVER_STEPS) == 0
    start.learn_again([pair], 1000)
    assert start.share(1000) == SHARE_AFTER_STROKES
    assert start.share(1000 + HANDOVER_STEPS) == 0
    start.begin_at(500, has_learned=False)
    assert start.share(500) == SHARE_AFTER_STROKES


def test_strokes_before_the_handover_do_not_weaken_the_classifier(volume):
    start, pair = open_start(volume[0], volume[2])
    start.begin_at(0, has_learned=False)
    start.learn_again([pair], 10)
    assert start.share(10) == pytest.approx(1 - (10 / HANDOVER_STEPS) ** 2)


@pytest.fixture
def start(tmp_path, volume, training_run):
    """Build a training on files in a run folder."""

    def build(name="run", volume=volume, **settings):
        image, _, labels = volume
        inputs = tmp_path / name / "inputs"
        for layer, values in (("image_0", image), ("labels_0", labels)):
            group = zarr.open_group(str(inputs / f"{layer}.zarr"), mode="w", zarr_format=2)
            array = group.create_array("0", shape=SHAPE, chunks=SHAPE, dtype="uint8")
            array[:] = values
        options = {
            "data.patch_size": "[16,32,32]",
            "data.labels": "{foreground: [1], background: [2], ignore: [0]}",
            "data.validation.fraction": "0",
            "data.augmentation.symmetries": "false",
            "model": "{preset: tiny, base_channels: 4, multipliers: [1, 2]}",
            "training.max_epochs": "1",
            "training.train_iterations_per_epoch": "4",
            "training.workers": "1",
            "preview.seconds": "0.01",
            "preview.size": "[32,48,48]",
            **settings,
        }
        experiment = apply_overrides(
            Experiment(),
            [
                f"data.train=[{{image: {inputs}/image_0.zarr::0, labels: {inputs}/labels_0.zarr}}]",
                *(f"{key}={value}" for key, value in options.items()),
            ],
        )
        return training_run(tmp_path / name, experiment)

    return build


def read_preview(run, event):
    return np.load(run.folder / event.probabilities)


def test_the_first_preview_comes_before_the_first_step_and_is_right(start, volume):
    training = start().run()
    first = training.of(events.PreviewWritten)[0]
    assert first.step == 0
    assert compute_dice((read_preview(training, first) > 127).astype(np.uint8), volume[1]) > 0.8
    assert any("strokes" in event.message for event in training.of(events.WarningIssued))
    assert training.of(events.RunCompleted)


def test_the_network_learns_from_what_was_filled_in(start):
    training = start().run()
    share = training.of(events.EpochFinished)[0].patches["ignored_fraction"]
    assert share == 0
    plain = start("plain", **{"data.pseudo_labels": "false"}).run()
    assert plain.of(events.EpochFinished)[0].patches["ignored_fraction"] > 0.5


def test_new_strokes_show_in_the_next_preview(start, volume):
    # At first only the upper half of the grey values is known to be surface, by one wrong stroke.
    image, truth, labels = volume
    wrong = labels.copy()
    wrong[16][labels[16] == 1], wrong[16][labels[16] == 2] = 2, 1
    training = start(volume=(image, truth, wrong), **{"preview.seconds": "1000"})
    inputs = training.folder / "inputs"
    path = inputs / "strokes" / "a.npz"
    write_strokes(path, [((0, 0, 0), labels)])
    training.commands[2] = [
        events.UpdateLabels(labels=str(inputs / "labels_0.zarr"), strokes=str(path))
    ]
    training.run()
    before, after = training.of(events.PreviewWritten)[:2]
    assert (before.step, after.step) == (0, 3)
    scores = [
        compute_dice((read_preview(training, event) > 127).astype(np.uint8), truth)
        for event in (before, after)
    ]
    assert scores[0] < 0.3
    assert scores[1] > 0.7


def test_the_rate_rises_at_once_where_somebody_waits(start):
    settings = {"training.max_epochs": "1000", "training.max_learning_rate": "0.003"}
    training = start(**settings)
    training.commands = {3: [events.Stop()]}
    training.run()
    rates = training.parts.schedule
    waited = Cycle(0.003, 0.0003)
    bounds = Bounds(4000, None)
    for step in (10, QUICK_STEPS - 1, 100, 599):
        rate = rates.compute_rate(bounds, step, 0.0)
        assert rate == pytest.approx(0.003 * min(1, (step + 1) / QUICK_STEPS))
        assert rate > waited.rate(step / 4000)
    assert rates.compute_rate(bounds, 2000, 0.0) == waited.rate(0.5)


def test_the_same_seed_repeats_the_losses(start):
    runs = [
        start(name, **{"training.workers": workers, "preview.seconds": "0"})
        for name, workers in (("a", "0"), ("b", "2"))
    ]
    losses = [[event.total for event in run.run().of(events.EpochFinished)] for run in runs]
    assert losses[0] == losses[1]
