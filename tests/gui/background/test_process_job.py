"""A dock's job: what it shows, and a job that ends while napari's bar is being drawn."""

from unittest.mock import MagicMock, Mock

import pytest

from napari_surfseg.errors import CancelledError, SurfsegError
from napari_surfseg.gui.background import process_job
from napari_surfseg.gui.background.process_job import JobView, ProcessJob
from napari_surfseg.time_left import TimeLeft


class Later:
    """Keeps the work until a test does it."""

    def start(self, _name, work, *, done, failed):
        self.work, self.done, self.failed = work, done, failed


@pytest.fixture
def view():
    return Mock(spec=JobView)


@pytest.fixture
def later():
    return Later()


@pytest.fixture
def job(qapp, view, later):
    return ProcessJob(view, later, module="module", what="prediction", title="Predicting")


@pytest.fixture
def bars(monkeypatch):
    """The bars in the activity dock, newest last."""
    made = []

    def make(**_options):
        made.append(MagicMock())
        return made[-1]

    monkeypatch.setattr(process_job, "progress", make)
    return made


def start(job):
    outcomes = []
    job.start(lambda process: process, done=outcomes.append, failed=outcomes.append)
    return outcomes


def texts(view):
    return [call.args[0] for call in view.set_state.call_args_list]


def test_the_dock_is_busy_from_start_to_end(job, view, later, bars):
    outcomes = start(job)
    assert job.is_busy
    view.set_busy.assert_called_once_with(True)
    assert texts(view) == ["Preparing…"]
    later.done("found")
    assert outcomes == ["found"]
    assert job.is_busy  # until the dock has shown it
    job.end()
    assert not job.is_busy
    assert view.set_busy.call_args.args == (False,)
    bars[0].close.assert_called_once()


def test_a_failure_frees_the_dock_before_it_is_shown(job, view, later, bars):
    was_busy = []
    job.start(Mock(), done=Mock(), failed=lambda _error: was_busy.append(job.is_busy))
    later.failed(SurfsegError("No."))
    assert was_busy == [False]


def test_cancelling_reaches_the_process_and_its_questions(job, view, later, bars):
    start(job)
    process = later.work(None)
    view.ask.return_value = True
    assert process.ask("Go on?")
    job.cancel()
    with pytest.raises(CancelledError):
        process.check_cancelled()


def test_the_time_left_is_shown_once_it_is_known(job, view, bars):
    start(job)
    clock = iter([0.0, 1.0, 4.0])
    job._time_left = TimeLeft(lambda: next(clock))
    job.report("predicting", 0.1)
    job.report("predicting", 0.2)
    job.report("predicting", 0.5)
    assert texts(view)[1:] == ["Predicting…", "Predicting…", "Predicting… 5.0 s left."]
    assert view.set_state.call_args.args[1] == 0.5


@pytest.mark.parametrize("turn", ["made", "set_description", "reset", "update"])
def test_a_job_may_end_while_its_bar_is_drawn(job, monkeypatch, turn):
    """Napari handles events while it draws the bar."""
    bars = []

    def make(**_options):
        bars.append(MagicMock())
        if turn == "made":
            job.end()
        else:
            getattr(bars[-1], turn).side_effect = lambda *_a, **_o: job.end()
        return bars[-1]

    monkeypatch.setattr(process_job, "progress", make)
    start(job)
    assert not job.is_busy
    (bar,) = bars
    bar.close.assert_called_once()
    if turn == "made":
        bar.reset.assert_not_called()
    job.report("late", 0.5)
    assert len(bars) == 1


def test_a_report_while_the_bar_is_drawn_makes_no_second_one(job, monkeypatch):
    bars = []

    def make(**_options):
        job.report("meanwhile", 0.5)
        bars.append(MagicMock())
        return bars[-1]

    monkeypatch.setattr(process_job, "progress", make)
    start(job)
    assert len(bars) == 1
