"""A process that ends without a result, and one that is cancelled before it starts."""

import pytest

from napari_surfseg.errors import CancelledError, SurfsegError
from napari_surfseg.gui.background.processes import JobProcess


def test_a_process_that_fails_is_quoted(tmp_path):
    process = JobProcess("napari_surfseg.no_such_module", "comparison")
    with pytest.raises(SurfsegError, match=r"exit code 1; its last words are .*no_such_module"):
        process.run(tmp_path / "job.json")


def test_no_process_starts_once_the_job_is_cancelled(tmp_path):
    process = JobProcess("napari_surfseg.no_such_module", "comparison")
    process.cancel()
    assert process.is_cancelled
    with pytest.raises(CancelledError, match=r"^The comparison was cancelled\.$"):
        process.run(tmp_path / "job.json")


def test_stages_are_reported_and_other_lines_are_skipped(tmp_path, monkeypatch):
    (tmp_path / "a_job.py").write_text(
        "print('a library says hello')\n"
        'print(\'{"stage": "counting", "share": 0.5}\')\n'
        'print(\'{"result": {"count": 3}}\')\n'
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    reported = []
    process = JobProcess("a_job", "count", report=lambda *given: reported.append(given))
    assert process.run(tmp_path / "job.json") == {"count": 3}
    assert reported == [("counting", 0.5)]
