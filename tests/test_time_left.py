"""The time left, from the share that is done."""

import pytest

from napari_surfseg.time_left import TimeLeft


@pytest.fixture
def clock():
    return iter([0.0, 1.0, 4.0, 6.0, 8.0, 20.0, 24.0])


def test_the_time_left_follows_the_share_of_a_stage(clock):
    left = TimeLeft(lambda: next(clock))
    assert left.estimate("predicting", 0.1) is None  # 0 s
    assert left.estimate("predicting", 0.15) is None  # 1 s: too soon
    assert left.estimate("predicting", 0.5) == pytest.approx(4 * 0.5 / 0.4)
    assert left.estimate("predicting", 1.0) is None
    assert left.estimate("building the mesh", 0.0) is None
    assert left.estimate("building the mesh", 0.01) is None  # hardly begun
    assert left.estimate("building the mesh", 0.5) == pytest.approx(16)
