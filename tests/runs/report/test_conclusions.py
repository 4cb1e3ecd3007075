"""The sentences of a report, from histories made for each of them."""

from dataclasses import replace

import numpy as np
import pytest

from napari_surfseg import events
from napari_surfseg.config import Experiment
from napari_surfseg.runs.folder import RunFolder
from napari_surfseg.runs.history import RunHistory
from napari_surfseg.runs.report.conclusions import describe_headline, list_conclusions, list_limits


@pytest.fixture
def make_history(tmp_path, make):
    """Make the history of a run with these totals and surface Dice scores, an epoch each."""

    def made(totals=(), dices=(), *, best=None, terms=None, **metrics):
        folder = RunFolder(tmp_path)
        history = RunHistory(folder=folder, experiment=Experiment(), starts=[make.started()])
        terms = terms or {}
        for number, total in enumerate(totals, 1):
            losses = {name: values[number - 1] for name, values in terms.items()}
            history.epochs[number] = make.epoch(number, total, **losses)
        if best is None and len(dices):
            best = int(np.argmax(dices)) + 1
        for number, dice in enumerate(dices, 1):
            is_best = number == best
            history.validations[number] = make.scored(number, dice, is_best=is_best, **metrics)
        return history

    return made


def said(history):
    return " ".join(list_conclusions(history))


def test_falling_and_rising_totals(make_history):
    assert "fell from 2.000 to 1.000 (−50 %)" in said(make_history([2.0, 1.5, 1.0]))
    assert "**rose** from 1.000 to 2.000 (+100 %)" in said(make_history([1.0, 2.0]))
    assert "hardly moved, from 1.000 to 1.010" in said(make_history([1.0, 1.01]))
    assert "no trend" in said(make_history([1.0]))
    flat = [2.0, 1.5, 1.2, 1.1, 1.05, 1.0, 1.0, 1.0, 1.0, 1.0]
    assert "hardly moved in the last third" in said(make_history(flat))


def test_a_term_that_rises_while_the_total_falls_is_named(make_history):
    terms = {"soft_dice": [0.9, 0.5], "cldice": [0.2, 0.3]}
    text = said(make_history([1.0, 0.8], terms=terms))
    assert "While the total fell, `cldice` rose from 0.200 to 0.300 (+50 %): with 50.0 %" in text
    assert "`soft_dice` rose" not in text
    assert "traded away" not in said(make_history([0.8, 1.0], terms=terms))


def test_overfitting_is_recognised(make_history):
    history = make_history([1.0, 0.8, 0.6, 0.4], [0.7, 0.9, 0.85, 0.8])
    text = said(history)
    assert "Since epoch 2" in text
    assert "by heart" in text
    # The score falls, but so does the learning: not the training volumes by heart.
    assert "by heart" not in said(make_history([1.0, 0.8, 0.9, 0.9], [0.7, 0.9, 0.8, 0.8]))


def test_still_rising_or_level(make_history):
    assert "still rising" in said(make_history([1] * 4, [0.5, 0.6, 0.7, 0.8]))
    level = said(make_history([1] * 5, [0.5, 0.9, 0.905, 0.9, 0.902]))
    assert "within 0.01 of its best at epoch 2 and has been level since" in level
    late = said(make_history([1] * 5, [0.3, 0.55, 0.52, 0.576, 0.571]))
    assert "near its best only at epoch 4 of 5" in late


def test_precision_against_recall(make_history):
    def text(precision, recall):
        return said(make_history([1], [0.9], precision=precision, recall=recall))

    assert "misses surface more than it invents" in text(0.95, 0.7)
    assert "invents surface more than it misses" in text(0.7, 0.95)
    assert "in balance" in text(0.9, 0.92)


def test_place_right_but_voxels_wrong(make_history):
    assert "not voxel for voxel" in said(make_history([1], [0.95], dice=0.7))
    assert "not voxel for voxel" not in said(make_history([1], [0.95], dice=0.9))


def test_pieces(make_history):
    text = said(make_history([1], [0.9], b0_pred=12.0, b0_label=3.0, b1_pred=40.0, b1_label=8.0))
    assert "12 pieces where the labels have 3" in text
    assert "40 tunnels (holes in sheets, bridges) against 8" in text


def test_sampling_that_misses_its_share(make_history, make):
    history = make_history()
    history.epochs[1] = make.epoch(1, patches={"foreground_centred_share": 0.3})
    assert "30.0 % of the patches were centred on the surface, **not** as asked" in said(history)
    history.epochs[1] = make.epoch(1, patches={"foreground_centred_share": 0.66})
    assert "as asked for (65.0 %)" in said(history)


def test_limits_of_a_small_slab(make_history):
    history = make_history([1], [0.9])
    row = {"image": "a.tif", "role": "train", "shape": [100, 100, 100]}
    slab = row | {"role": "validation", "shape": [10, 100, 100], "foreground_fraction": 0.1}
    history.data = events.DataChecked(volumes=[row, slab])
    text = " ".join(list_limits(history))
    assert "0.10 million voxels with 10,000 of surface, so few that" in text
    assert "cut from the training volumes" in text
    history.data = events.DataChecked(volumes=[row, slab | {"image": "b.tif"}])
    assert "not trained on" in " ".join(list_limits(history))


def test_limits_of_few_steps_thresholds_and_topology(make_history):
    history = make_history([1], [0.9])
    text = " ".join(list_limits(history))
    assert "10 steps are few" in text
    assert "threshold 0.40 and the best epoch were chosen on the validation data" in text
    assert "`topo_score` is absent" in text
    history = make_history([1], [0.9], topo_score=0.5)
    assert "absent" not in " ".join(list_limits(history))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"scored_by": "mean_dice"}, "`best.pt` is epoch 1, chosen by mean Dice; by another score"),
        (
            {"scored_by": "dice", "is_sparse": True},
            "chosen by Dice on strokes, the newest of those near the greatest;",
        ),
        ({"is_warming_up": True}, "chosen by surface Dice, while the learning rate still rose:"),
    ],
)
def test_what_the_best_epoch_was_chosen_by(make_history, changes, text):
    history = make_history([1], [0.9])
    history.validations[1] = replace(history.validations[1], **changes)
    assert text in " ".join(list_limits(history))


def test_the_trend_is_that_of_the_score_that_decides(make_history, make):
    history = make_history([1.0, 0.9, 0.8, 0.7], [0.9, 0.8, 0.7, 0.7])
    for epoch, value in enumerate([0.5, 0.6, 0.7, 0.8], 1):
        event = make.scored(epoch, 0.9 - 0.05 * epoch, is_best=True, mean_dice=value)
        history.validations[epoch] = replace(event, scored_by="mean_dice")
    assert "The mean Dice was still rising at the end" in said(history)


def test_weights_changed_midway_are_mentioned_and_used(make_history):
    history = make_history([1.0, 0.8])
    history.applied.append(
        events.CommandApplied(
            seq=5,
            step=7,
            command_id="a",
            command="SetLossWeights",
            details={"weights": {"cldice": 0.9}},
        )
    )
    assert "changed while it ran (at step 7)" in " ".join(list_limits(history))
    assert history.loss_weights == {"soft_dice": 0.5, "cldice": 0.9}


def test_headlines(make_history):
    history = make_history([1.0, 0.9], [0.7, 0.8], dice=0.6)
    text = describe_headline(history)
    assert text.startswith("**Surface Dice 0.800** on the validation data at epoch 2 (Dice 0.600).")
    assert "has not ended" in text
    assert "2 epochs, 20 steps and 4.0 s of training of a 1.50 M parameter network (tiny)" in text
    history.ending = events.RunFailed(message="The disk is full.")
    assert "**failed** (The disk is full)" in describe_headline(history)
    assert "**No validation score**" in describe_headline(make_history([1.0]))
