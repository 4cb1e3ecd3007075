"""A thread that outlives its window ends quietly."""

import threading

import pytest

from napari_surfseg.errors import CancelledError
from napari_surfseg.gui.background.threads import Job

sip = pytest.importorskip("PyQt6.sip")


@pytest.mark.parametrize("outcome", ["done", "failed", "broken", "reported"])
def test_a_job_may_end_after_its_window_is_gone(qapp, monkeypatch, outcome):
    raised = []
    monkeypatch.setattr(threading, "excepthook", raised.append)
    gone = threading.Event()

    def work(job):
        gone.wait(10)
        if outcome == "failed":
            raise CancelledError("It was cancelled.")
        if outcome == "broken":
            raise ValueError("broken")
        if outcome == "reported":
            job.report(0.5)

    job = Job(work, "a job")
    job.start()
    sip.delete(job)
    gone.set()
    Job.wait(job, 10)
    assert not raised
