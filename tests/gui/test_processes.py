"""A job that ends while its progress is being drawn: napari's bar lets the event loop turn."""

from unittest.mock import MagicMock

import pytest

from napari_surfseg.gui.background import processes
from napari_surfseg.gui.background.processes import JobProcess, Waiting


@pytest.mark.parametrize("turn", ["made", "set_description", "reset", "update"])
def test_a_job_may_end_while_its_bar_is_drawn(qapp, monkeypatch, turn):
    bars = []
    waiting = Waiting(MagicMock(), "Predicting")

    def make(**_options):
        bars.append(MagicMock())
        if turn == "made":
            waiting.end()
        else:
            getattr(bars[-1], turn).side_effect = lambda *_a, **_o: waiting.end()
        return bars[-1]

    monkeypatch.setattr(processes, "progress", make)
    waiting.begin(JobProcess("module", "prediction"))
    assert not waiting.is_busy
    (bar,) = bars
    bar.close.assert_called_once()
    waiting.tell("late", 0.5)
    assert len(bars) == 1


def test_what_is_told_while_the_bar_is_drawn_makes_no_second_one(qapp, monkeypatch):
    bars = []
    waiting = Waiting(MagicMock(), "Predicting")

    def make(**_options):
        waiting.tell("meanwhile", 0.5)
        bars.append(MagicMock())
        return bars[-1]

    monkeypatch.setattr(processes, "progress", make)
    waiting.begin(JobProcess("module", "prediction"))
    assert len(bars) == 1
