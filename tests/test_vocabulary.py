"""One loss term more is one entry and one function: everything else finds it.

This file is also a script: in a process of its own it registers a term before anything reads the
vocabulary, trains with it, and looks for it in every place that takes or shows loss terms.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from napari_surfseg import vocabulary
from napari_surfseg.vocabulary import LOSS_TERMS, SCORES, TOTALS, LossTerm

NEW = LossTerm(
    key="total_variation",
    title="total variation",
    note="Differences between neighbouring voxels: against ragged faces.",
    color="#22ccaa",
    weight=0.2,
)


def compute_total_variation(prediction, target):
    """Return the mean difference of neighbouring probabilities along Z."""
    return prediction.probs.diff(dim=2).abs().mean()


def test_keys_and_colours_are_distinct():
    entries = [*TOTALS.values(), *LOSS_TERMS.values(), *SCORES.values()]
    assert len({entry.key for entry in entries}) == len(entries)
    assert len({entry.color for entry in entries}) == len(entries)
    assert all(re.fullmatch("#[0-9a-f]{6}", entry.color) for entry in entries)
    assert all(entry.note.endswith(".") for entry in entries)
    assert vocabulary.curve_keys() == [entry.key for entry in entries]


def test_scores_that_may_decide_are_those_of_the_configuration():
    from typing import get_args

    from napari_surfseg.config import Training

    allowed = get_args(Training.model_fields["best_by"].annotation)
    assert set(allowed) == {key for key, score in SCORES.items() if score.decides}


@pytest.mark.parametrize(
    ("key", "title", "heading"),
    [
        ("soft_dice", "soft Dice", "Soft Dice"),
        ("cldice", "clDice", "clDice"),
        ("voi_score", "VOI score", "VOI score"),
    ],
)
def test_a_heading_begins_with_a_capital(key, title, heading):
    entry = vocabulary.find_entry(key)
    assert (entry.title, entry.heading) == (title, heading)


def test_a_key_of_another_version_has_words_and_a_colour():
    assert vocabulary.title_of("some_new_term") == "some new term"
    assert vocabulary.color_of("some_new_term") == vocabulary.OTHER_COLOR


def test_colours_are_darker_on_a_light_ground():
    assert vocabulary.color_of("total") == "#f2a33a"
    assert vocabulary.color_of("total", light=True) == "#ba7d2d"


@pytest.mark.xdist_group("windows")
def test_one_more_term_is_one_entry_and_one_function(tmp_path):
    pytest.importorskip("qtpy")
    done = subprocess.run(
        [sys.executable, __file__, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = done.stdout.split()
    assert found == ["configuration", "step", "events", "log", "report", "curves", "sliders"]


# -- in a process of its own -----------------------------------------------------------


def look_everywhere(folder: Path) -> None:
    """Register the term, then look for it; prints each place where it was found."""
    LOSS_TERMS[NEW.key] = NEW
    from napari_surfseg.losses.combined import FUNCTIONS

    FUNCTIONS[NEW.key] = compute_total_variation
    look_in_the_configuration()
    look_in_the_step()
    run = train(folder)
    look_in_the_run(run)
    look_in_the_window(run)


def found_in(place: str) -> None:
    sys.stdout.write(place + "\n")


def look_in_the_configuration() -> None:
    from napari_surfseg.config import Experiment, Loss
    from napari_surfseg.config_files import apply_overrides, dump_experiment

    assert Experiment().loss.weights[NEW.key] == 0.2
    changed = apply_overrides(Experiment(), [f"loss.{NEW.key}=0.3"])
    assert changed.loss.weights[NEW.key] == 0.3
    assert f"{NEW.key}: 0.3" in dump_experiment(changed)
    assert NEW.note in Loss.model_fields[NEW.key].description
    found_in("configuration")


def look_in_the_step() -> None:
    import torch

    from napari_surfseg.losses.combined import compute_combined_loss, compute_loss_targets

    labels = torch.zeros(1, 1, 8, 8, 8, dtype=torch.uint8)
    labels[:, :, 3:5] = 1
    logits = torch.randn(labels.shape, requires_grad=True)
    result = compute_combined_loss([logits], compute_loss_targets(labels), {NEW.key: 2.0})
    assert result.total == 2 * result.terms[NEW.key]
    result.total.backward()
    assert logits.grad.abs().sum() > 0
    found_in("step")


def train(folder: Path):
    """Train two steps; return the run folder."""
    import numpy as np

    from napari_surfseg.config import Augmentation, Data, Experiment, Model, Pair, Training
    from napari_surfseg.runs.folder import RunFolder
    from napari_surfseg.runs.worker.worker import run_training

    labels = np.zeros((32, 32, 32), np.uint8)
    labels[14:17] = 1
    np.save(folder / "image.npy", 100 + 50 * labels)
    np.save(folder / "labels.npy", labels)
    pair = Pair(image=str(folder / "image.npy"), labels=str(folder / "labels.npy"))
    experiment = Experiment(
        data=Data(
            train=(pair,),
            validation={"fraction": 0},
            patch_size=(16, 16, 16),
            augmentation=Augmentation(symmetries=False, affine=0, elastic=0),
        ),
        model=Model(preset="tiny", base_channels=4, multipliers=(1, 2)),
        training=Training(max_epochs=1, train_iterations_per_epoch=2, workers=0),
    )
    run = RunFolder(folder / "run").create(experiment)
    run_training(run.path, device="cpu")
    return run


def look_in_the_run(run) -> None:
    from napari_surfseg.events import EpochFinished, RunStarted, StepFinished, read_events

    events = read_events(run.events_path)
    started = next(event for event in events if isinstance(event, RunStarted))
    assert started.loss_weights[NEW.key] == 0.2
    steps = [event for event in events if isinstance(event, StepFinished)]
    assert all(event.losses[NEW.key] > 0 for event in steps)
    for event in steps:
        total = sum(started.loss_weights[key] * value for key, value in event.losses.items())
        assert abs(total - event.head_total) < 1e-4
    found_in("events")
    (epoch,) = (event for event in events if isinstance(event, EpochFinished))
    log = run.log_path.read_text(encoding="utf-8")
    assert f"{NEW.key} 0.2" in log
    assert f"{NEW.key} {epoch.losses[NEW.key]:.3f}" in log
    found_in("log")
    report = run.report_path.read_text(encoding="utf-8")
    assert f"| `{NEW.key}` " in report
    found_in("report")


def look_in_the_window(run) -> None:
    from qtpy.QtWidgets import QApplication, QCheckBox, QLabel, QSlider

    application = QApplication.instance() or QApplication([])
    from napari_surfseg.events import read_events
    from napari_surfseg.gui.curves.legend import CurveLegend
    from napari_surfseg.gui.curves.series import CurveStore
    from napari_surfseg.gui.training.loss_page import LossPanel

    store = CurveStore()
    store.extend(read_events(run.events_path))
    assert len(store.curves[NEW.key].points()[0]) >= 1
    legend = CurveLegend()
    for curve in store.ordered():
        legend.add(curve.name)
    row = legend.rows[NEW.key]
    assert row.swatch.color == NEW.color
    assert NEW.note in row.eye.toolTip()
    found_in("curves")
    panel = LossPanel()
    slider = panel.findChild(QSlider, f"{NEW.key}_slider")
    assert slider.value() == 20
    assert NEW.note in slider.toolTip()
    assert panel.findChild(QCheckBox, f"{NEW.key}_on").text() == "Total variation"
    assert NEW.note in [label.text() for label in panel.findChildren(QLabel)]
    assert panel.weights()[NEW.key] == 0.2
    found_in("sliders")
    application.processEvents()


if __name__ == "__main__":
    look_everywhere(Path(sys.argv[1]))
