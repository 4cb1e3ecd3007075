import subprocess
import sys
import time
from dataclasses import replace

import pytest

from napari_surfseg import events
from napari_surfseg.runs import follow
from napari_surfseg.runs.folder import RunFolder, RunState
from napari_surfseg.runs.follow import RunFollower
from napari_surfseg.runs.lock import describe_this_worker, write_worker
from napari_surfseg.runs.worker.worker import run_training


@pytest.fixture(autouse=True)
def look_every_time(monkeypatch):
    monkeypatch.setattr(follow, "LIVENESS_SECONDS", 0.0)


def start(**changes):
    values = {
        "name": "live",
        "device": "cpu",
        "precision": "float32",
        "model": "tiny",
        "num_parameters": 1,
        "patch_size": (64, 64, 64),
        "epoch": 0,
        "max_epochs": 4,
        "max_minutes": None,
        "iterations_per_epoch": 2,
        "loss_weights": {"cldice": 0.1, "soft_dice": 0.35},
    }
    return events.RunStarted(**(values | changes))


def step(number, **changes):
    values = {
        "step": number,
        "epoch": 1,
        "losses": {"cldice": 0.7},
        "head_total": 1.0,
        "total": 1.5,
        "learning_rate": 1e-3,
        "gradient_norm": 0.1,
        "steps_per_second": 2.0,
        "elapsed_seconds": 10.0,
        "progress": 0.25,
    }
    return events.StepFinished(**(values | changes))


def validated(epoch, dice, is_best):
    return events.ValidationFinished(
        epoch=epoch, metrics={"surface_dice": dice}, threshold=0.5, is_best=is_best, seconds=0.1
    )


@pytest.fixture
def live(folder):
    """Return a run that this process seems to work on, with its writer and follower."""
    write_worker(folder.worker_path, describe_this_worker())
    return folder, events.EventWriter(folder.events_path), RunFollower(folder.path)


def test_a_run_is_followed_from_its_launch_to_its_end(live):
    _folder, writer, follower = live
    assert follower.poll().state is RunState.STARTING
    time.sleep(0.01)
    writer.write(start())
    snapshot = follower.poll()
    assert snapshot.state is RunState.RUNNING
    assert (snapshot.name, snapshot.max_epochs) == ("live", 4)
    assert snapshot.loss_weights == {"cldice": 0.1, "soft_dice": 0.35}
    writer.write(step(3))
    writer.write(validated(1, 0.8, True))
    writer.write(validated(2, 0.7, False))
    snapshot = follower.poll()
    assert (snapshot.step, snapshot.epoch, snapshot.progress) == (3, 1, 0.25)
    assert snapshot.seconds_left == pytest.approx(30.0)  # a quarter took ten seconds
    assert snapshot.metrics == {"surface_dice": 0.7}
    assert (snapshot.best_metrics, snapshot.best_epoch) == ({"surface_dice": 0.8}, 1)
    assert len(snapshot.new_events) == 3
    writer.write(events.RunPaused(step=3))
    assert follower.poll().state is RunState.PAUSED
    writer.write(events.RunResumed(step=3))
    assert follower.poll().state is RunState.RUNNING
    writer.write(
        events.CommandApplied(
            step=3, command_id="a", command="SetLossWeights", details={"weights": {"cldice": 0.5}}
        )
    )
    assert follower.poll().loss_weights == {"cldice": 0.5, "soft_dice": 0.35}
    writer.write(events.RunCompleted(step=8, epoch=4, elapsed_seconds=40.0))
    snapshot = follower.poll()  # the worker still writes the report
    assert snapshot.state is RunState.COMPLETED
    assert (snapshot.progress, snapshot.seconds_left, snapshot.step) == (1.0, None, 8)
    assert not snapshot.can_resume
    assert follower.poll().new_events == ()


def test_the_choice_of_post_processing_is_followed_while_it_lasts(live):
    _folder, writer, follower = live
    writer.write(start())
    writer.write(step(1))
    assert follower.poll().tuning is None
    writer.write(events.TuningProgressed(done=20, total=80, name="closing", stage=6, num_stages=7))
    assert follower.poll().tuning.name == "closing"
    writer.write(
        events.PostprocessTuned(settings={}, score_before=0, score_after=1, steps=[], seconds=1)
    )
    assert follower.poll().tuning is None


def test_a_vanished_worker_is_noticed(folder):
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    write_worker(folder.worker_path, describe_this_worker(process.pid))
    writer = events.EventWriter(folder.events_path)
    time.sleep(0.01)
    writer.write(start())
    folder.log_path.write_text("2026-01-01 00:00:00  epoch 1 of the end\n", encoding="utf-8")
    follower = RunFollower(folder.path)
    assert follower.poll().state is RunState.RUNNING
    process.kill()
    process.wait()
    snapshot = follower.poll()
    assert snapshot.state is RunState.VANISHED
    assert f"(process {process.pid} on" in snapshot.message
    assert 'last line of its log is "2026-01-01 00:00:00  epoch 1 of the end"' in snapshot.message
    assert snapshot.can_resume


def test_a_worker_that_died_at_once_vanished_too(folder):
    """Before its first event, so that no event reports its end."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    worker = describe_this_worker(process.pid)
    process.wait()
    write_worker(folder.worker_path, worker)
    assert RunFollower(folder.path).poll().state is RunState.VANISHED


@pytest.mark.parametrize(
    ("ending", "state"),
    [
        (events.RunCompleted(epoch=4, elapsed_seconds=1.0), RunState.COMPLETED),
        (events.RunStopped(epoch=2, elapsed_seconds=1.0), RunState.STOPPED),
        (events.RunFailed(message="It is too large.", field="data.patch_size"), RunState.FAILED),
    ],
)
def test_endings_and_a_resumption(folder, ending, state):
    writer = events.EventWriter(folder.events_path)
    writer.write(start())
    writer.write(ending)
    follower = RunFollower(folder.path)
    assert follower.poll().state is state
    if state is RunState.FAILED:
        assert follower.poll().message == "It is too large."
        assert follower.poll().error_field == "data.patch_size"
    time.sleep(0.01)
    write_worker(folder.worker_path, describe_this_worker())
    snapshot = follower.poll()
    assert snapshot.state is RunState.STARTING
    assert (snapshot.message, snapshot.error_field) == ("", None)
    writer.write(start(resumed=True))
    assert follower.poll().error_field is None
    assert follower.poll().state is RunState.RUNNING


def test_a_worker_on_another_host_lives_by_its_heartbeat(folder, monkeypatch):
    moment = [1000.0]
    monkeypatch.setattr(follow.time, "monotonic", lambda: moment[0])
    skewed = time.time() - 50  # the other clock is behind by most of what is allowed
    worker = replace(describe_this_worker(), host="elsewhere", heartbeat=skewed)
    write_worker(folder.worker_path, worker)
    events.EventWriter(folder.events_path).write(start())
    follower = RunFollower(folder.path)
    assert follower.poll().state is RunState.STARTING or RunState.RUNNING
    for beat in range(1, 5):  # it beats on, by its own clock
        moment[0] += 30
        write_worker(folder.worker_path, replace(worker, heartbeat=skewed + beat))
        assert follower.poll().state.is_active
    moment[0] += 59
    assert follower.poll().state.is_active
    moment[0] += 2
    assert follower.poll().state is RunState.VANISHED


def test_nothing_there_raises_nothing(tmp_path):
    follower = RunFollower(tmp_path / "nowhere")
    snapshot = follower.poll()
    assert snapshot.state is RunState.NEW
    assert snapshot.name == "nowhere"


def test_damaged_files_raise_nothing(folder):
    folder.config_path.write_text("nonsense: [")
    folder.worker_path.write_bytes(b"\xff\xfe")
    folder.events_path.write_bytes(
        b'not json\n{"kind":"StepFinished"}\n{"kind":"Unheard","step":3}\n[1,2]\n'
        b'{"kind":"StepFinished","step":5,"epoch":1,"losses":null,"head_total":null,"total":null,'
        b'"learning_rate":null,"gradient_norm":null,"steps_per_second":null,'
        b'"elapsed_seconds":null,"progress":null,"from_the_future":1}\n{"kind":"RunComp'
    )
    follower = RunFollower(folder.path)
    snapshot = follower.poll()
    assert snapshot.state is RunState.VANISHED
    assert snapshot.step == 5
    assert len(snapshot.new_events) == 1
    with folder.events_path.open("ab") as file:
        file.write(b'leted","epoch":1,"elapsed_seconds":2.0}\n')
    assert follower.poll().state is RunState.COMPLETED


def test_a_folder_in_place_of_a_file_raises_nothing(tmp_path):
    folder = RunFolder(tmp_path)
    folder.events_path.mkdir()
    folder.worker_path.mkdir()
    assert RunFollower(tmp_path).poll().new_events == ()


def test_catching_up_in_pieces_equals_reading_at_once(folder, fake_trainer):
    run_training(folder.path, build_trainer=fake_trainer(steps=30), with_report=False)
    whole = RunFollower(folder.path).poll()
    pieces = RunFollower(folder.path, max_bytes=1000)
    seen = []
    while pieces.is_behind:
        snapshot = pieces.poll()
        assert len(snapshot.new_events) < 20
        seen += snapshot.new_events
    assert tuple(seen) == whole.new_events
    assert replace(snapshot, new_events=()) == replace(whole, new_events=())


def test_without_steps_the_newest_is_still_known(folder, fake_trainer):
    run_training(folder.path, build_trainer=fake_trainer(steps=30), with_report=False)
    full = RunFollower(folder.path).poll()
    brief = RunFollower(folder.path, steps=False).poll()
    count = sum(isinstance(event, events.StepFinished) for event in brief.new_events)
    assert count == 1
    assert replace(brief, new_events=()) == replace(full, new_events=())


def test_polling_is_cheap_when_nothing_happens(live, monkeypatch):
    folder, writer, follower = live
    monkeypatch.setattr(follow, "LIVENESS_SECONDS", 1.0)
    writer.write(start())
    for number in range(2000):
        writer.write(step(number))
    follower.poll()
    looked = []
    monkeypatch.setattr(follow, "is_alive", lambda *a, **k: looked.append(1) or True)
    for _ in range(50):
        assert follower.poll().new_events == ()
    assert len(looked) <= 1
    assert folder.events_path.stat().st_size > 200_000
