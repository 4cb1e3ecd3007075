import numpy as np
import pytest

from napari_surfseg.events import (
    CommandApplied,
    RunStarted,
    StepFinished,
    ValidationFinished,
)
from napari_surfseg.gui.curve_data import (
    Curve,
    CurveStore,
    PlotRange,
    compute_range,
    compute_running_mean,
    compute_ticks,
    format_value,
    thin_by_pixel,
)


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


def test_running_mean_by_hand():
    values = np.array([0.0, 3.0, 6.0, 3.0])
    assert compute_running_mean(values, 1).tolist() == [1.5, 3.0, 4.0, 4.5]
    assert compute_running_mean(values, 0) is values
    assert compute_running_mean(np.full(9, 7.0), 4) == pytest.approx(np.full(9, 7.0))


def test_thinning_keeps_the_ends_and_extremes_of_every_column():
    rng = np.random.default_rng(0)
    x = np.sort(rng.uniform(0, 50, 5000))
    y = rng.normal(size=5000)
    thin_x, thin_y = thin_by_pixel(x, y)
    assert len(thin_x) <= 200
    assert (np.diff(thin_x) >= 0).all()
    for column in range(50):
        inside = (x >= column) & (x < column + 1)
        kept = (thin_x >= column) & (thin_x < column + 1)
        assert thin_y[kept].max() == y[inside].max()
        assert thin_y[kept].min() == y[inside].min()


def test_places_go_there_and_back():
    shown = PlotRange(0, 100, 0, 2)
    x, y = shown.to_pixels(np.array([25.0]), np.array([1.5]), 400, 200)
    assert (x[0], y[0]) == (100, 50)
    assert shown.value_at(100, 50, 400, 200) == (25.0, 1.5)
    log = PlotRange(0, 100, -2, 0, log=True)
    _, rows = log.to_pixels(np.zeros(3), np.array([1.0, 0.1, 0.0]), 400, 200)
    assert rows[:2].tolist() == [0, 100]
    assert np.isnan(rows[2])
    assert log.value_at(0, 100, 400, 200)[1] == pytest.approx(0.1)


def test_zooming_keeps_the_place_under_the_cursor():
    shown = PlotRange(0, 100, 0, 2)
    zoomed = shown.zoomed(0.25, 0.5, 0.5, 1.0)
    assert zoomed.value_at(0.25, 0.5, 1, 1) == pytest.approx(shown.value_at(0.25, 0.5, 1, 1))
    assert zoomed.x1 - zoomed.x0 == pytest.approx(50)
    assert shown.moved(0.1, 0.5) == PlotRange(-10, 90, 1, 3)


def test_the_fitted_range_shows_everything():
    curve = Curve("total", "loss")
    for number in range(1, 200):
        curve.append(number, 2.0 / number)
    shown = compute_range([curve], log=False, last_step=199)
    assert shown.x1 >= 199
    assert shown.y0 <= 0.01
    assert shown.y1 >= 2.0
    log = compute_range([curve], log=True, last_step=199)
    assert 10**log.y0 <= 2 / 199
    assert 10**log.y1 >= 2.0
    assert compute_range([], log=False) == PlotRange(0, 10, 0, 1)


@pytest.mark.parametrize(
    ("low", "high", "most", "expected"),
    [
        (0, 1, 5, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (0, 3000, 6, [0, 500, 1000, 1500, 2000, 2500, 3000]),
        (0.13, 0.17, 2, [0.14, 0.16]),
        (5, 5, 3, []),
    ],
)
def test_ticks_are_round(low, high, most, expected):
    assert compute_ticks(low, high, most) == pytest.approx(expected)


def test_logarithmic_ticks_are_decades_or_parts_of_them():
    assert compute_ticks(-3, 0, 4, log=True) == pytest.approx([0.001, 0.01, 0.1, 1.0])
    assert compute_ticks(-1, 0, 4, log=True) == pytest.approx([0.1, 0.2, 0.5, 1.0])


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.12345, "0.123"), (12.345, "12.3"), (1234.5, "1234"), (1e-5, "1e-05")],
)
def test_values_are_written_short(value, text):
    assert format_value(value) == text
