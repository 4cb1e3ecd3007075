"""A worker that stands by: takes a run at once, leaves with the window, and changes nothing."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest

from napari_surfseg.config import Experiment
from napari_surfseg.config_files import apply_overrides
from napari_surfseg.errors import RunBusyError, RunError
from napari_surfseg.events import RunCompleted, StepFinished, read_events
from napari_surfseg.process_memory import GpuMemory
from napari_surfseg.runs import standby as module
from napari_surfseg.runs.folder import RunFolder
from napari_surfseg.runs.launch import launch_worker
from napari_surfseg.runs.lock import read_worker

json_loads = json.loads


@pytest.fixture
def prepared(monkeypatch):
    """A standby of this test's own."""
    own = module.Standby()
    monkeypatch.setattr(module, "_standby", own)
    own.prepare()
    yield own
    own.release()


def make_run(path):
    labels = np.zeros((32, 32, 64), np.uint8)
    labels[14:16] = 1
    noise = np.random.default_rng(0).normal(0, 12, labels.shape)
    path.mkdir()
    np.save(path / "image.npy", (np.where(labels == 1, 140, 90) + noise).astype(np.uint8))
    np.save(path / "labels.npy", labels)
    pair = f"[{{image: '{path}/image.npy', labels: '{path}/labels.npy'}}]"
    experiment = apply_overrides(
        Experiment(),
        [
            f"data.train={pair}",
            "data.patch_size=[16,16,16]",
            "model={preset: tiny, base_channels: 4, multipliers: [1, 2]}",
            "training.max_epochs=1",
            "training.train_iterations_per_epoch=3",
            "training.workers=0",
        ],
    )
    return RunFolder(path / "run").create(experiment)


def wait_for(condition, seconds=120):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


def losses(folder):
    found = list(read_events(folder.events_path))
    assert any(isinstance(event, RunCompleted) for event in found)
    return [event.total for event in found if isinstance(event, StepFinished)]


def has_ended(folder):
    return any(isinstance(event, RunCompleted) for event in read_events(folder.events_path))


@pytest.mark.slow
def test_it_trains_what_a_launched_worker_would(tmp_path, prepared):
    first, second = make_run(tmp_path / "a"), make_run(tmp_path / "b")
    waiting = prepared._process.pid
    assert module.launch_prepared(first.path, device="cpu") == waiting
    assert read_worker(first.worker_path).pid == waiting
    wait_for(lambda: has_ended(first))
    other = launch_worker(second.path, device="cpu")
    assert other != waiting
    wait_for(lambda: has_ended(second))
    assert losses(first) == losses(second)
    assert "started" in first.log_path.read_text(encoding="utf-8")
    wait_for(lambda: not psutil.pid_exists(waiting))


@pytest.fixture
def reporting(monkeypatch, request):
    """A process that answers as one that stands by, with what the test gives it."""

    def make(*lines):
        script = (
            "import json, sys\n"
            f"lines = iter({list(lines)!r})\n"
            "print(next(lines), flush=True)\n"
            "for line in sys.stdin:\n"
            "    assert json.loads(line) == {}\n"
            "    print(next(lines), flush=True)\n"
        )
        own = module.Standby()
        monkeypatch.setattr(module, "_standby", own)

        def start(_arguments, **given):
            return subprocess.Popen(
                [sys.executable, "-c", script], stdin=given["stdin"], stdout=given["output"]
            )

        monkeypatch.setattr(module, "start_detached", start)
        own.prepare()
        process = own._process
        request.addfinalizer(lambda: (own.release(), process.wait(60)))
        return own

    return make


def test_what_is_free_on_the_gpu_is_known_and_can_be_asked_again(reporting):
    first, second = ({"gpu": {"name": "A100", "free_bytes": free}} for free in (7, 5))
    own = reporting(json.dumps(first), json.dumps(second))
    wait_for(lambda: own.gpu is not None)
    assert module.read_gpu_memory() == GpuMemory("A100", 7)
    module.ask_gpu_memory()
    wait_for(lambda: own.gpu == GpuMemory("A100", 5))
    process = own._process
    own.release()
    process.wait(60)
    module.ask_gpu_memory()  # nobody answers, and nobody minds


@pytest.mark.parametrize(
    "line", ["a library says hello", "3", "{}", '{"gpu": {"size": 3}}', '{"gpu": null}', "\xff"]
)
def test_other_lines_are_passed_over(reporting, line):
    known = json.dumps({"gpu": {"name": "A100", "free_bytes": 7}})
    own = reporting(line, known)
    module.ask_gpu_memory()
    wait_for(lambda: own.gpu == GpuMemory("A100", 7))


@pytest.mark.slow
def test_a_real_one_answers_before_it_is_a_worker(tmp_path, prepared, monkeypatch):
    answers = []
    monkeypatch.setattr(module.json, "loads", lambda text: answers.append(text) or json_loads(text))
    prepared.ask_gpu()
    wait_for(lambda: sum(b'"gpu"' in text for text in answers) == 2)
    assert prepared.gpu is None or prepared.gpu.free_bytes > 0


def test_it_ends_with_the_window(prepared):
    pid = prepared._process.pid
    assert psutil.pid_exists(pid)
    prepared.release()
    wait_for(lambda: not psutil.pid_exists(pid))


def test_a_second_one_is_not_started(prepared):
    pid = prepared._process.pid
    prepared.prepare()
    assert prepared._process.pid == pid


def test_where_none_stands_by_a_worker_is_launched(tmp_path, monkeypatch):
    launched = []
    monkeypatch.setattr(module, "_standby", module.Standby())
    monkeypatch.setattr(module, "launch_worker", lambda *a, **k: launched.append((a, k)) or 7)
    folder = make_run(tmp_path / "a")
    assert module.launch_prepared(folder.path, device="cpu", resume=True) == 7
    assert launched == [((folder.path,), {"device": "cpu", "resume": True})]


def test_one_that_has_died_is_passed_over(tmp_path, prepared, monkeypatch):
    monkeypatch.setattr(module, "launch_worker", lambda *_a, **_k: 7)
    prepared._process.kill()
    prepared._process.wait()
    assert module.launch_prepared(make_run(tmp_path / "a").path) == 7


def test_a_busy_run_and_an_empty_folder_are_refused(tmp_path, prepared):
    folder = make_run(tmp_path / "a")
    module.create_exclusively(folder.worker_path, module.describe_this_worker(psutil.Process().pid))
    with pytest.raises(RunBusyError):
        module.launch_prepared(folder.path)
    with pytest.raises(RunError):
        module.launch_prepared(tmp_path / "nothing")
    assert prepared._process is not None  # it still stands by


def test_there_is_none_where_memory_is_short(monkeypatch):
    monkeypatch.setattr(module, "NEEDED_BYTES", 1 << 60)
    own = module.Standby()
    own.prepare()
    assert own._process is None
