"""A run is handed over, asked after and cancelled, with pretended programs of a cluster."""

import time
from dataclasses import replace

import pytest
from tests.runs.launchers.stand_ins import wait_until

from napari_surfseg import events
from napari_surfseg.errors import RunBusyError, RunError
from napari_surfseg.events import Stop, append_command, read_events
from napari_surfseg.runs.folder import RunState
from napari_surfseg.runs.follow import RunFollower, read_snapshot, read_state
from napari_surfseg.runs.launch import find_free_run
from napari_surfseg.runs.launch_record import read_launch, write_launch
from napari_surfseg.runs.launchers.job import (
    bring_here,
    cancel_job,
    describe_end,
    describe_job,
    refresh_job,
    submit_run,
)
from napari_surfseg.runs.lock import is_alive, read_worker


def ends_as(run, state):
    follower = RunFollower(run.path)
    return wait_until(lambda: (found := follower.poll()).state is state and found)


def test_a_job_that_waits_is_shown_as_queued_and_can_be_cancelled(run, make_launcher, cluster):
    record = submit_run(run, make_launcher())
    clock = time.strftime("%H:%M", time.localtime(record.submitted))
    assert describe_job(record) == f"queued at slurm since {clock}, job 4711"
    assert read_state(run.path) is RunState.QUEUED
    answered = refresh_job(run.path)
    assert describe_job(answered).endswith("job 4711 (Resources)")
    snapshot = read_snapshot(run.path)
    assert snapshot.state.is_active
    assert snapshot.is_waiting
    assert snapshot.message == f"Queued at slurm since {clock}, job 4711 (Resources)."
    with pytest.raises(RunBusyError, match=r"waits for a job .*job 4711"):
        find_free_run(run.path)
    cancel_job(run.path)()
    assert cluster.state(4711) == ""
    snapshot = read_snapshot(run.path)
    assert snapshot.state is RunState.STOPPED
    assert snapshot.message == "Job 4711 at slurm was cancelled before it started."
    assert find_free_run(run.path).path == run.path


@pytest.mark.parametrize("example", ["slurm", "ssh"])
def test_a_run_is_trained_there_followed_here_and_stopped(
    run, disk, make_launcher, cluster, example
):
    cluster.set_mode("run")
    submit_run(run, make_launcher(example))
    assert '"lab"' in run.config_path.read_text()  # as it is called there
    assert run.read_experiment().data.train[0].image == str(disk / "a.tif")
    ends_as(run, RunState.RUNNING)
    worker = read_worker(run.worker_path)
    assert is_alive(worker)
    append_command(run.commands_path, Stop())
    ends_as(run, RunState.STOPPED)
    assert run.last_checkpoint.exists()
    wait_until(lambda: read_worker(run.worker_path) is None)
    # Resume: the same launcher, from last.pt, and a command of before is not taken again.
    submit_run(run, make_launcher(example), resume=True)
    ends_as(run, RunState.COMPLETED)
    started = [one for one in read_events(run.events_path) if isinstance(one, events.RunStarted)]
    assert [one.resumed for one in started] == [False, True]
    # And here, afterwards: the paths are this machine's again.
    bring_here(run)
    assert read_launch(run.path) is None
    assert run.read_experiment().data.train[0].image == str(disk / "a.tif")
    assert "there's" not in run.config_path.read_text()


def test_what_is_sent_while_a_job_waits_is_taken_when_it_starts(run, make_launcher, cluster):
    run.last_checkpoint.parent.mkdir()
    run.last_checkpoint.write_bytes(b"weights")
    append_command(run.commands_path, Stop())  # to an earlier worker
    submit_run(run, make_launcher(), resume=True)
    sent = append_command(run.commands_path, events.SaveNow())
    cluster.start(4711)
    ends_as(run, RunState.COMPLETED)
    answered = {
        one.command_id: type(one)
        for one in read_events(run.events_path)
        if isinstance(one, events.CommandApplied | events.CommandRefused)
    }
    assert answered.pop(sent) is events.CommandApplied
    assert list(answered.values()) == [events.CommandRefused]


@pytest.mark.parametrize(
    ("mode", "said"),
    [
        ("fail", "slurm: sbatch failed: Batch job submission failed: Invalid account."),
        ("hang", "slurm: sbatch did not answer within 1 s."),
        ("silent", "slurm: sbatch printed no job number that fits"),
    ],
)
def test_what_cannot_be_started_leaves_the_run_as_it_was(run, make_launcher, cluster, mode, said):
    cluster.set_mode(mode)
    before = run.config_path.read_text()
    began = time.monotonic()
    with pytest.raises(RunError) as caught:
        submit_run(run, make_launcher(patience=1))
    assert str(caught.value).startswith(said)
    assert caught.value.field == "launcher"
    assert time.monotonic() - began < 10
    assert run.config_path.read_text() == before
    assert read_launch(run.path) is None
    assert read_state(run.path) is RunState.NEW


def test_a_program_that_is_missing_is_named(run, make_launcher):
    with pytest.raises(RunError, match=r"slurm: qqsub cannot be run: No such file"):
        submit_run(run, make_launcher(start=["qqsub", "{script}"]))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"program": ["no_such_surfseg"]}, "no_such_surfseg: not found"),
        ({"script": "#!/bin/bash\necho the node has no GPU\nexit 3\n# {command:sh}"}, "no GPU"),
        ({"script": "#!/bin/bash\nexit 3\n# {command:sh}"}, "it left no output"),
    ],
)
def test_a_job_that_ends_before_its_first_event_says_why(
    run, make_launcher, cluster, changes, said
):
    cluster.set_mode("run")
    submit_run(run, make_launcher(**changes))
    wait_until(lambda: refresh_job(run.path).state == "ended")
    record = read_launch(run.path)
    assert read_state(run.path) is RunState.STARTING  # its output may still be on the way
    write_launch(run.path, replace(record, asked=record.asked - 60))
    snapshot = read_snapshot(run.path)
    assert snapshot.state is RunState.FAILED
    assert snapshot.message.startswith("Job 4711 at slurm ended before the training began: ")
    assert said in snapshot.message
    assert snapshot.can_resume
    assert find_free_run(run.path)


def test_a_worker_that_refuses_is_quoted(run, make_launcher, cluster):
    cluster.set_mode("run")
    submit_run(run, make_launcher(), resume=True)
    wait_until(lambda: refresh_job(run.path).state == "ended")
    assert "cannot be resumed: there is no" in describe_end(run.path, read_launch(run.path))


def test_a_job_whose_question_goes_unanswered_stays_queued_and_says_so(run, make_launcher, cluster):
    submit_run(run, make_launcher())
    cluster.set_mode("deaf")
    refresh_job(run.path)
    snapshot = read_snapshot(run.path)
    assert snapshot.state is RunState.QUEUED
    assert snapshot.message.endswith(
        "job 4711; squeue says: squeue: error: Unable to contact slurm controller."
    )
    cluster.set_mode("wait")
    assert refresh_job(run.path).trouble == ""
    cluster.forget()
    assert refresh_job(run.path).state == "ended"


def test_a_hanging_ssh_costs_its_patience_and_no_more(run, make_launcher, cluster):
    cluster.set_mode("run")
    record = submit_run(run, make_launcher("ssh", patience=1))
    cluster.set_mode("hang")
    write_launch(run.path, replace(record, events_bytes=10**9))  # as if it had written nothing
    assert refresh_job(run.path).trouble == "ssh did not answer within 1 s"
    finish = cancel_job(run.path)
    with pytest.raises(RunError, match=r"Job .* could not be cancelled: ssh did not answer"):
        finish()
    write_launch(run.path, record)
    ends_as(run, RunState.COMPLETED)


def test_a_launcher_that_nobody_used_here_is_never_run(run, make_launcher, cluster):
    record = submit_run(run, make_launcher())
    for digest in ("0" * 64, "../../x", ""):
        write_launch(run.path, replace(record, digest=digest))
        assert refresh_job(run.path).asked == 0
        with pytest.raises(RunError, match="by somebody else or on another machine"):
            cancel_job(run.path)
    assert cluster.state(4711) == "PENDING"
    write_launch(run.path, replace(record, job="-x; rm"))
    with pytest.raises(RunError, match="is no number of a job"):
        cancel_job(run.path)
