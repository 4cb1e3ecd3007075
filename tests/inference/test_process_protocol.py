"""Jobs from files, and answers as lines."""

import json
from dataclasses import dataclass

import pytest

from napari_surfseg.errors import DataError, SurfsegError
from napari_surfseg.inference import process_protocol
from napari_surfseg.inference.process_protocol import (
    ProgressReporter,
    read_job,
    run_process,
    write_job,
)


@dataclass(frozen=True)
class Job:
    image: str
    box: tuple[int, int]


def lines_of(capsys):
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_job_is_read_back(tmp_path):
    job = Job("ä.tif", (1, 2))
    path = write_job(tmp_path, job)
    assert read_job(path, lambda values: Job(values["image"], tuple(values["box"]))) == job


@pytest.mark.parametrize("text", ["", "[]", "{}", "null"])
def test_a_damaged_job_is_one_sentence(tmp_path, text):
    path = tmp_path / "job.json"
    path.write_text(text)
    with pytest.raises(SurfsegError, match=r"^The job .* cannot be read: .*\.$"):
        read_job(path, lambda values: Job(values["image"], tuple(values["box"])))


def test_every_stage_and_every_end_is_reported(capsys, monkeypatch):
    monkeypatch.setattr(process_protocol, "REPORT_SECONDS", 1e9)
    report = ProgressReporter()
    for stage in ("reading", "scoring"):
        for share in (0.0, 0.5, 1.0):
            report(stage, share)
    assert lines_of(capsys) == [
        {"stage": stage, "share": share} for stage in ("reading", "scoring") for share in (0, 1)
    ]


def test_a_process_ends_with_its_result_or_one_sentence(tmp_path, capsys):
    path = str(tmp_path / "job.json")

    def carry_out(job_file, report):
        report("working", 1)
        return {"name": job_file.name}

    assert run_process([path], carry_out) == 0
    assert lines_of(capsys)[-1] == {"result": {"name": "job.json"}}

    def fail(job_file, report):
        raise DataError("The volume is empty.")

    assert run_process([path], fail) == DataError.exit_code
    assert lines_of(capsys) == [{"error": "The volume is empty."}]
    assert run_process([], carry_out) == 2
    assert lines_of(capsys) == [{"error": "One job file must be named."}]
