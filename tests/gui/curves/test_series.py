import math

import numpy as np

from napari_surfseg.events import (
    CommandApplied,
    DataChecked,
    RunStarted,
    StepFinished,
    ValidationFinished,
)
from napari_surfseg.gui.curves.series import MOST_POINTS, Curve, CurveStore


def step(number, total=1.0, **losses):
    return StepFinished(
        step=number,
        epoch=1,
        losses=losses,
        head_total=total,
        total=total,
        learning_rate=1e-3,
        gradient_norm=1.0,
        steps_per_second=1.0,
        elapsed_seconds=float(number),
        progress=0.1,
    )


def started(number=0, *, resumed=False):
    return RunStarted(
        step=number,
        name="run",
        device="cpu",
        precision="float32",
        model="tiny",
        num_parameters=1,
        patch_size=(8, 8, 8),
        epoch=0,
        max_epochs=1,
        max_minutes=None,
        iterations_per_epoch=1,
        loss_weights={},
        resumed=resumed,
    )


def test_events_become_curves_and_marks():
    store = CurveStore()
    grown = store.extend(
        [
            started(),
            step(1, 2.0, soft_dice=0.5),
            step(2, 1.0, soft_dice=0.25),
            ValidationFinished(
                step=2,
                epoch=1,
                metrics={"surface_dice": 0.75, "b0_pred": 3.0},
                threshold=0.5,
                is_best=True,
                seconds=1.0,
            ),
            CommandApplied(
                step=2,
                command_id="x",
                command="SetLossWeights",
                details={"weights": {"cldice": 0.3}},
            ),
        ]
    )
    assert {"total", "head_total", "soft_dice", "surface_dice", "marks"} <= grown
    assert "b0_pred" not in store.curves
    steps, values = store.curves["soft_dice"].points()
    assert steps.tolist() == [1, 2]
    assert values.tolist() == [0.5, 0.25]
    assert [(mark.step, mark.kind) for mark in store.marks] == [(2, "best"), (2, "command")]
    assert store.marks[1].text == "loss weights: clDice 0.3"
    assert [curve.name for curve in store.ordered()][:2] == ["total", "head_total"]


def test_a_resumed_run_takes_its_last_steps_again():
    store = CurveStore()
    store.extend([started(), *(step(number) for number in range(1, 11))])
    store.extend([started(6, resumed=True), step(7, 5.0)])
    steps, values = store.curves["total"].points()
    assert steps.tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert values[-1] == 5.0
    assert store.last_step == 7


def test_a_loss_that_json_could_not_hold_is_left_out():
    store = CurveStore()
    store.extend([step(1), step(2, None), step(3, float("nan")), step(4)])
    assert store.curves["total"].points()[0].tolist() == [1, 4]


def test_a_curve_of_very_many_points_keeps_its_shape_and_its_size():
    curve = Curve("total", "loss")
    number = 5 * MOST_POINTS
    for step in range(number):
        curve.append(step, math.sin(step / number))
    steps, values = curve.points()
    assert MOST_POINTS / 2 <= len(curve) == len(steps) <= MOST_POINTS
    assert len(set(np.diff(steps))) == 1
    assert number - steps[-1] <= np.diff(steps)[0]
    np.testing.assert_array_equal(values, np.sin(steps / number))
    curve.cut_after(number / 2)
    curve.append(number, 1.0)
    assert len(curve.points()[0]) == len(curve)


def test_nearest_mark_and_value():
    store = CurveStore()
    store.extend([CommandApplied(step=50, command_id="a", command="Pause")])
    assert store.nearest_mark(53, within=5).text == "paused"
    assert store.nearest_mark(60, within=5) is None
    curve = Curve("total", "loss")
    assert curve.value_at(3) is None
    for number, value in ((10, 1.0), (20, 2.0), (30, 3.0)):
        curve.append(number, value)
    assert [curve.value_at(at) for at in (-5, 14, 16, 99)] == [1.0, 1.0, 2.0, 3.0]


def test_a_run_says_whether_it_has_validation_data():
    store = CurveStore()
    assert store.has_validation is None
    assert store.extend([DataChecked(volumes=[{"role": "train"}])]) == {"validation"}
    assert store.has_validation is False
    store.extend([DataChecked(volumes=[{"role": "train"}, {"role": "validation"}])])
    assert store.has_validation is True
