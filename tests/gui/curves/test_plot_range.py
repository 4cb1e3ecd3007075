"""Where points lie: smoothing, thinning, ranges and ticks."""

import numpy as np
import pytest

from napari_surfseg.gui.curves.plot_range import (
    PlotRange,
    compute_range,
    compute_running_mean,
    compute_score_range,
    compute_ticks,
    format_ticks,
    smooth,
    thin_by_pixel,
)


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


def test_the_fitted_range_shows_what_is_usual():
    values = 2.0 / np.arange(1, 200)
    shown = compute_range([values], log=False, last_step=199)
    assert shown.x1 >= 199
    assert shown.y0 == 0
    assert 0.5 < shown.y1 < 2.0  # the first steps leave the frame
    log = compute_range([values], log=True, last_step=199)
    assert 10**log.y0 <= values[-1] <= 10**log.y1
    assert compute_range([], log=False) == PlotRange(0, 10, 0, 1)


def test_a_spike_flattens_nothing():
    values = 0.3 + np.exp(-np.arange(300) / 50)
    spiked = values.copy()
    spiked[[120, 250]] = 1000.0
    calm = compute_range([smooth(values, 3)], log=False, last_step=300)
    shown = compute_range([smooth(spiked, 3)], log=False, last_step=300)
    assert shown.y1 == pytest.approx(calm.y1, rel=0.05)
    assert abs(smooth(spiked, 3) - smooth(values, 3)).max() < 0.05


def test_the_newest_value_is_never_outside():
    values = np.r_[np.full(300, 1.0), 3.0]
    shown = compute_range([values], log=False, last_step=301)
    assert shown.y1 > 3.0


def test_smoothing_keeps_a_level_and_averages_noise():
    noise = np.random.default_rng(0).normal(size=500)
    assert smooth(noise, 0) is noise
    assert smooth(noise, 3).std() < 0.3
    assert smooth(np.full(50, 7.0), 5) == pytest.approx(np.full(50, 7.0))
    assert smooth(np.arange(4.0), 20).tolist() == [0, 1, 2, 3]  # too short


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], (0.0, 1.0)),
        ([0.72, 0.91], (0.5, 1.0)),
        ([0.05, 0.1], (0.0, 0.5)),
        ([0.0, 1.0], (0.0, 1.0)),
        ([0.31, 0.33], (0.3, 0.8)),
    ],
)
def test_scores_have_half_of_their_range_at_least(values, expected):
    shown = compute_score_range([np.asarray(values)], last_step=20)
    assert (shown.y0, shown.y1) == pytest.approx(expected)
    assert shown.x1 == 20


def test_every_value_axis_has_four_ticks():
    rng = np.random.default_rng(0)
    for _ in range(2000):
        low = rng.uniform(-3, 3)
        high = low + 10 ** rng.uniform(-4, 3)
        ticks = compute_ticks(low, high, 4)
        assert len(ticks) >= 4
        assert len(set(format_ticks(ticks))) == len(ticks)
        assert min(ticks) >= low - 1e-6 * (high - low)
        assert max(ticks) <= high + 1e-6 * (high - low)
        assert len(compute_ticks(low, low + rng.uniform(0.04, 5), 4, log=True)) >= 4


@pytest.mark.parametrize(
    ("ticks", "expected"),
    [
        ([0.0, 0.2, 0.4], ["0.0", "0.2", "0.4"]),
        ([0.25, 0.5, 0.75, 1.0], ["0.25", "0.50", "0.75", "1.00"]),
        ([0, 1000.0, 2000.0], ["0", "1000", "2000"]),
        ([1e-4, 2e-4], ["0.0001", "0.0002"]),
    ],
)
def test_ticks_have_the_decimals_they_need(ticks, expected):
    assert format_ticks(ticks) == expected


@pytest.mark.parametrize(
    ("low", "high", "most", "expected"),
    [
        (0, 1, 5, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (0, 3000, 6, [0, 500, 1000, 1500, 2000, 2500, 3000]),
        (0.13, 0.17, 2, [0.13, 0.14, 0.15, 0.16, 0.17]),
        (5, 5, 3, []),
    ],
)
def test_ticks_are_round(low, high, most, expected):
    assert compute_ticks(low, high, most) == pytest.approx(expected)


def test_logarithmic_ticks_are_decades_or_parts_of_them():
    assert compute_ticks(-3, 0, 4, log=True) == pytest.approx([0.001, 0.01, 0.1, 1.0])
    assert compute_ticks(-1, 0, 4, log=True) == pytest.approx([0.1, 0.2, 0.5, 1.0])
