"""The time left, from the share that is done."""

import pytest

from napari_surfseg.runs.pace import Pace


@pytest.fixture
def clock():
    return iter([0.0, 1.0, 4.0, 6.0, 8.0, 20.0, 24.0])


def test_the_time_left_follows_the_share_of_a_stage(clock):
    pace = Pace(lambda: next(clock))
    assert pace.estimate_left("predicting", 0.1) is None  # 0 s
    assert pace.estimate_left("predicting", 0.15) is None  # 1 s: too soon
    assert pace.estimate_left("predicting", 0.5) == pytest.approx(4 * 0.5 / 0.4)
    assert pace.estimate_left("predicting", 1.0) is None
    assert pace.estimate_left("building the mesh", 0.0) is None
    assert pace.estimate_left("building the mesh", 0.01) is None  # hardly begun
    assert pace.estimate_left("building the mesh", 0.5) == pytest.approx(16)
