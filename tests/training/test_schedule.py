import itertools
import math

import pytest

from napari_surfseg.training.schedule import (
    LONGER_PEAK,
    LONGER_RISE,
    WARMUP_SHARE,
    Bounds,
    Cycle,
    RateSchedule,
    Turn,
    compute_ema_decay,
)

PEAK = 1e-3
CYCLE = Cycle(PEAK, 1e-4)


def start(bounds, **options):
    return RateSchedule(CYCLE, Turn(bounds), **options)


def follow(schedule, bounds, steps, seconds_per_step=0.1):
    """Return the rates of these steps."""
    return [schedule.compute_rate(bounds, i, i * seconds_per_step) for i in steps]


def test_progress_follows_the_bound_that_is_met_first():
    bounds = Bounds(max_steps=100, max_seconds=60.0)
    assert bounds.compute_progress(25, 6.0) == 0.25
    assert bounds.compute_progress(25, 45.0) == 0.75
    assert bounds.compute_progress(200, 0.0) == 1.0
    assert Bounds.of(None, 1.0, 50).compute_progress(10, 30.0) == 0.5
    assert Bounds.of(2, None, 50).compute_progress(10, 30.0) == 0.1


def test_the_rate_rises_once_and_falls_once():
    rates = follow(start(Bounds(1000, None)), Bounds(1000, None), range(1001))
    top = rates.index(max(rates))
    assert rates[0] == pytest.approx(1e-4)
    assert max(rates) == pytest.approx(PEAK)
    assert top == 150
    assert rates[-1] == pytest.approx(1e-6)
    assert rates[:151] == sorted(rates[:151])
    assert rates[150:] == sorted(rates[150:], reverse=True)


@pytest.mark.parametrize("place", [0.15, 0.2, 0.5, 0.8, 1.0])
def test_a_place_is_found_by_its_rate(place):
    assert CYCLE.find_place(CYCLE.rate(place)) == pytest.approx(place)


def test_a_rate_that_the_cycle_does_not_have_is_at_an_end_of_the_way_down():
    assert CYCLE.find_place(2 * PEAK) == pytest.approx(WARMUP_SHARE)
    assert CYCLE.find_place(0.0) == 1.0
    assert Cycle(1e-6, 1.0).find_place(0.5) == 1.0


THOUSAND = Bounds(1000, None)
#: Changes of the bounds of a run of 1000 steps or 100 s: after which step, and to what.
CHANGES = {
    "longer after the end": [(1000, Bounds(3000, None))],
    "far longer after the end": [(1000, Bounds(1_000_000, None))],
    "a little longer after the end": [(1000, Bounds(1030, None))],
    "twice longer after the end": [(1000, Bounds(2000, None)), (2000, Bounds(4000, None))],
    "longer while it rises again": [(1000, Bounds(2000, None)), (1050, Bounds(9000, None))],
    "longer and back": [(1000, Bounds(3000, None)), (1010, Bounds(1100, None))],
    "longer in the warm-up": [(80, Bounds(5000, None))],
    "longer at the peak": [(150, Bounds(5000, None))],
    "longer in the middle": [(500, Bounds(2000, None))],
    "longer near the end": [(950, Bounds(2000, None))],
    "shorter in the warm-up": [(80, Bounds(200, None))],
    "shorter in the middle": [(400, Bounds(600, None))],
    "shorter near the end": [(900, Bounds(950, None))],
    "minutes after epochs": [(1000, Bounds(None, 200.0))],
    "both, minutes met first": [(1000, Bounds(5000, 150.0))],
    "both, epochs met first": [(1000, Bounds(1500, 1000.0))],
    "a box that is turned step by step": [
        (700 + i, Bounds(None, 100.0 + 10 * i)) for i in range(60)
    ],
}


@pytest.mark.parametrize("changes", CHANGES.values(), ids=CHANGES)
def test_the_rate_never_jumps_when_the_length_changes(changes):
    schedule, bounds, begin, rates = start(THOUSAND), THOUSAND, 0, []
    for step, later in [*changes, (None, None)]:
        if step is None:
            step = next(i for i in range(begin, 10**7) if bounds.compute_progress(i, i / 10) >= 1)
            step = min(step, begin + 20_000)
        rates += follow(schedule, bounds, range(begin, step))
        begin, bounds = step, later
    # The fastest that the rate ever changes by itself: the warm-up of the shortest of the runs.
    left = min(
        ((b.max_steps or math.inf) - s, (10 * (b.max_seconds or math.inf)) - s) for s, b in changes
    )
    allowed = PEAK * math.pi / (LONGER_RISE * max(30, min(left, default=0)))
    assert max(abs(b - a) for a, b in itertools.pairwise(rates)) < max(allowed, 0.011 * PEAK)
    end = changes[-1][1]
    if (end.max_steps or 0) < 20_000:
        assert rates[-1] < 0.02 * PEAK  # it is annealed again


def test_before_it_is_low_the_run_keeps_its_place_on_the_cycle():
    longer = Bounds(2000, None)
    rates = follow(start(THOUSAND), THOUSAND, range(500))
    schedule = start(THOUSAND)
    follow(schedule, THOUSAND, range(500))
    after = follow(schedule, longer, range(500, 2001))
    assert after[0] == pytest.approx(rates[-1], rel=0.01)
    assert after == sorted(after, reverse=True)
    # Half the cycle is left, over three times the steps.
    assert after[750] == pytest.approx(CYCLE.rate(0.75))


@pytest.mark.parametrize(
    ("longer", "highest"),
    [(3000, LONGER_PEAK * PEAK), (100_000, LONGER_PEAK * PEAK), (1050, CYCLE.rate(1000 / 1050))],
)
def test_after_the_end_it_rises_modestly_and_falls_again(longer, highest):
    bounds = Bounds(longer, None)
    schedule = start(THOUSAND)
    follow(schedule, THOUSAND, range(1000))
    rates = follow(schedule, bounds, range(1000, longer + 1))
    assert rates[0] == pytest.approx(CYCLE.rate(1.0))
    assert max(rates) == pytest.approx(highest, rel=0.02)
    top = rates.index(max(rates))
    assert top == pytest.approx(LONGER_RISE * (longer - 1000), abs=1)
    assert rates[:top] == sorted(rates[:top])
    assert rates[top:] == sorted(rates[top:], reverse=True)


def test_a_bound_that_is_not_met_first_changes_nothing():
    plain, changed = start(THOUSAND), start(THOUSAND)
    expected = follow(plain, THOUSAND, range(1001))
    found = follow(changed, THOUSAND, range(300))
    found += follow(changed, Bounds(1000, 1e6), range(300, 1001))
    assert found == pytest.approx(expected, abs=1e-12)


def test_a_shorter_end_that_is_over_leaves_the_rate_where_it_was():
    schedule = start(THOUSAND)
    before = follow(schedule, THOUSAND, range(401))[-1]
    assert schedule.compute_rate(Bounds(300, None), 400, 40.0) in (
        pytest.approx(before),
        pytest.approx(CYCLE.rate(1.0)),
    )


def test_it_goes_on_from_plain_values_as_if_it_had_not_been_stopped():
    longer = Bounds(3000, None)
    schedule = start(THOUSAND)
    follow(schedule, THOUSAND, range(1000))
    follow(schedule, longer, range(1000, 1100))
    again = RateSchedule(CYCLE, Turn.from_dict(schedule.turn.as_dict()))
    steps = range(1100, 3001)
    assert follow(again, longer, steps) == follow(schedule, longer, steps)
    with pytest.raises((TypeError, KeyError)):
        Turn.from_dict({"place": 0.5})
    with pytest.raises(TypeError):
        Turn.from_dict({**schedule.turn.as_dict(), "stranger": 1})


def test_somebody_who_waits_has_the_peak_at_once_and_no_second_one_when_it_goes_on_longer():
    schedule = start(THOUSAND, quick_steps=30)
    rates = follow(schedule, THOUSAND, range(1000))
    assert rates[29] == PEAK
    assert max(follow(schedule, Bounds(100_000, None), range(1000, 100_000))) <= (
        LONGER_PEAK * PEAK * (1 + 1e-9)
    )


def test_only_the_first_rise_is_a_warm_up():
    schedule = start(THOUSAND)
    found = [step for step in range(1000) if schedule.is_warming_up(THOUSAND, step, 0.0)]
    assert found == list(range(150))
    assert not any(
        schedule.is_warming_up(Bounds(9000, None), step, 0.0) for step in range(1000, 9000, 50)
    )
    quick = start(THOUSAND, quick_steps=30)
    assert quick.is_warming_up(THOUSAND, 29, 0.0)
    assert not quick.is_warming_up(THOUSAND, 30, 0.0)


def test_the_average_forgets_its_start():
    assert compute_ema_decay(0, 0.999) == pytest.approx(0.1)
    assert compute_ema_decay(10**6, 0.999) == 0.999
