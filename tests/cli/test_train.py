import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from napari_surfseg import events
from napari_surfseg.config import Pair
from napari_surfseg.config_files import load_experiment
from napari_surfseg.runs import launch
from napari_surfseg.runs.folder import RunFolder, RunState
from napari_surfseg.runs.follow import read_state
from napari_surfseg.runs.lock import describe_this_worker, write_worker

FAKE = """
import importlib.util, sys, time
from pathlib import Path
from types import SimpleNamespace
spec = importlib.util.spec_from_file_location("fake", {fake!r})
fake = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fake)
def script(trainer, epoch, step):
    if step == {after}:
        print("now", flush=True)
        time.sleep({sleep})
def build(experiment, **given):
    return fake.FakeTrainer(experiment, **given, script=script)
sys.modules["napari_surfseg.training.trainer"] = SimpleNamespace(Trainer=build)
from napari_surfseg.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def ending(run_dir):
    (found,) = [
        e
        for e in events.read_events(RunFolder(run_dir).events_path)
        if isinstance(e, events.TERMINAL_EVENTS)
    ]
    return found


def test_a_training_from_start_to_end(surfseg, config, quick_trainer):
    code, out, err = surfseg("train", config, "--run-dir", "run")
    assert (code, err) == (0, "")
    assert "epoch 2  total 1.500" in out
    assert "completed after 2 epochs" in out
    assert "report: run" in out
    names = {path.name for path in RunFolder("run").path.iterdir()}
    assert names == {
        "config.yaml",
        "environment.json",
        "events.jsonl",
        "train.log",
        "checkpoints",
        "previews",
        "report",
    }


def test_the_default_folder_is_named_after_the_experiment(surfseg, config, quick_trainer, volumes):
    for expected in ("sheets", "sheets_2", "sheets_3"):
        assert surfseg("train", config)[0] == 0
        assert (volumes / "runs" / expected / "train.log").exists()


def test_settings_are_applied_and_written_resolved(surfseg, config, quick_trainer, volumes):
    code, _, _ = surfseg(
        "train",
        config,
        "--run-dir",
        "run",
        "--set",
        "training.max_epochs=1",
        "--set",
        "loss.cldice=0.5",
        "--set",
        "data.train=[{image: image.tif, labels: labels.tif::x}]",
    )
    assert code == 0
    written = load_experiment("run/config.yaml")
    assert written.training.max_epochs == 1
    assert written.loss.cldice == 0.5
    # Relative to where the command was given, not to the run folder.
    image = str((volumes / "image.tif").resolve())
    labels = str((volumes / "labels.tif").resolve()) + "::x"
    assert written.data.train == (Pair(image=image, labels=labels),)


def test_a_preset_makes_its_own_scroll(surfseg, quick_trainer, volumes):
    code, out, _ = surfseg(
        "train",
        "exp001_3d_unet_topology_full",
        "--run-dir",
        "run",
        "--set",
        "data.phantom.shape=[24,200,200]",
        "--set",
        "training.max_epochs=1",
    )
    assert code == 0
    assert "making a synthetic scroll" in out
    (pair,) = load_experiment("run/config.yaml").data.train
    assert pair.image == str((volumes / "run" / "phantom" / "image.zarr").resolve())
    assert (volumes / "run" / "phantom" / "labels.zarr").is_dir()


def test_a_preset_takes_volumes_instead(surfseg, quick_trainer, volumes):
    code, out, _ = surfseg(
        "train",
        "membranes_cpu",
        "--run-dir",
        "run",
        "--set",
        "training.max_epochs=1",
        "--set",
        "data.train={image: image.tif, labels: labels.tif}",
    )
    assert code == 0
    assert "scroll" not in out
    assert not (volumes / "run" / "phantom").exists()


def test_a_prepared_folder_is_started_as_a_window_does(surfseg, config, quick_trainer):
    folder = RunFolder("run").create(load_experiment(config))
    assert surfseg("train", folder.config_path, "--run-dir", folder.path)[0] == 0
    assert isinstance(ending("run"), events.RunCompleted)
    code, _, err = surfseg("train", folder.config_path, "--run-dir", folder.path)
    assert code == 2
    assert "was trained already; continue it with --resume" in err


def test_a_prepared_folder_by_its_name_alone(surfseg, config, quick_trainer):
    RunFolder("run").create(load_experiment(config))
    assert surfseg("train", "run")[0] == 0
    assert isinstance(ending("run"), events.RunCompleted)


def test_a_prepared_run_that_is_refused_stays_and_says_so(surfseg, config, quick_trainer):
    """A window made the folder and follows it: it must find the reason there."""
    quick_trainer["script"] = fail
    folder = RunFolder("run").create(load_experiment(config))
    code, _, err = surfseg("train", folder.config_path, "--run-dir", folder.path)
    assert code == 2
    assert err == "There is no more of it.\n"
    assert read_state(folder.path) is RunState.FAILED


def fail(trainer, epoch, step):
    from napari_surfseg.errors import TrainingError

    raise TrainingError("There is no more of it.")


def test_resuming(surfseg, config, quick_trainer):
    assert surfseg("train", config, "--run-dir", "run")[0] == 0
    code, out, _ = surfseg("train", "run", "--resume", "--set", "training.max_epochs=3")
    assert code == 0
    assert "resumed" in out
    assert load_experiment("run/config.yaml").training.max_epochs == 3
    found = events.read_events(RunFolder("run").events_path)
    assert [e.resumed for e in found if isinstance(e, events.RunStarted)] == [False, True]


def test_resuming_a_preset_keeps_its_scroll(surfseg, quick_trainer, volumes):
    small = ("--set", "data.phantom.shape=[24,200,200]", "--set", "training.max_epochs=1")
    assert surfseg("train", "demo", "--run-dir", "run", *small)[0] == 0
    made = (volumes / "run" / "phantom" / "image.zarr").stat().st_mtime_ns
    code, out, _ = surfseg("train", "demo", "--run-dir", "run", "--resume", *small)
    assert code == 0
    assert "making" not in out
    assert (volumes / "run" / "phantom" / "image.zarr").stat().st_mtime_ns == made


def test_a_refusal_before_the_start_leaves_no_folder(surfseg, config, quick_trainer, volumes):
    def refuse(experiment, **given):
        from napari_surfseg.errors import DataError

        raise DataError("There is no file image.tif.")

    sys.modules["napari_surfseg.training.trainer"].Trainer = refuse
    before = sorted(volumes.rglob("*"))
    for run_dir in (("--run-dir", "deep/er/run"), ()):
        code, _, err = surfseg("train", config, *run_dir)
        assert (code, err) == (2, "There is no file image.tif.\n")
        assert sorted(volumes.rglob("*")) == before
    (volumes / "empty").mkdir()
    assert surfseg("train", config, "--run-dir", "empty")[0] == 2
    assert list((volumes / "empty").iterdir()) == []


@pytest.mark.parametrize("beside", ["a sibling run", "another worker", "a person's file"])
def test_a_refused_run_removes_only_what_it_made(surfseg, config, quick_trainer, volumes, beside):
    """Whatever else came into the folders that it made while it was being checked stays."""
    made = volumes / "runs"
    kept = {
        "a sibling run": made / "second" / "config.yaml",
        "another worker": made / "first" / "worker.json",
        "a person's file": made / "first" / "notes.txt",
    }[beside]

    def refuse(experiment, **given):
        from napari_surfseg.errors import DataError

        kept.parent.mkdir(exist_ok=True)
        if beside == "another worker":
            write_worker(kept, replace(describe_this_worker(), host="elsewhere"))
        else:
            kept.write_text("kept")
        raise DataError("There is no file image.tif.")

    sys.modules["napari_surfseg.training.trainer"].Trainer = refuse
    assert surfseg("train", config, "--run-dir", "runs/first")[0] == 2
    assert kept.exists()
    assert (made / "first").exists() == (beside != "a sibling run")


def test_an_error_of_the_program_keeps_its_traceback(surfseg, config, quick_trainer, volumes):
    def break_down(experiment, **given):
        raise KeyError("oops")

    sys.modules["napari_surfseg.training.trainer"].Trainer = break_down
    code, _, err = surfseg("train", config, "--run-dir", "run")
    assert code == 1
    assert err.count("\n") == 1
    assert "the traceback is in run" in err
    assert "KeyError: 'oops'" in (volumes / "run" / "train.log").read_text()


def test_a_failure_after_the_start_keeps_the_run(surfseg, config, quick_trainer):
    quick_trainer["script"] = fail
    code, out, err = surfseg("train", config, "--run-dir", "run")
    assert (code, err) == (2, "There is no more of it.\n")
    assert "There is no more of it." not in out
    assert isinstance(ending("run"), events.RunFailed)


def test_debug_shows_where(surfseg, config, quick_trainer):
    quick_trainer["script"] = fail
    _, _, err = surfseg("train", config, "--run-dir", "run", "--debug")
    assert "Traceback" in err
    assert err.endswith("There is no more of it.\n")


def test_background_launches_a_worker(surfseg, config, quick_trainer, monkeypatch):
    launched = []
    monkeypatch.setattr(launch, "launch_worker", lambda *a, **k: launched.append((a, k)) or 4711)
    code, out, _ = surfseg("train", config, "--run-dir", "run", "--background", "--device", "cpu")
    assert code == 0
    assert "process 4711 trains run" in out
    (((path,), options),) = launched
    assert path == RunFolder("run").path
    assert options == {"device": "cpu", "resume": False}
    assert read_state("run") is RunState.NEW


@contextlib.contextmanager
def start_fake(config, *arguments, after=3, sleep=30.0):
    fake = str(Path(__file__).parents[1] / "runs" / "conftest.py")
    with subprocess.Popen(
        [
            sys.executable,
            "-c",
            FAKE.format(fake=fake, after=after, sleep=sleep),
            "train",
            str(config),
            *arguments,
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for_line(process, wanted):
    for line in process.stdout:
        if wanted in line:
            return
    pytest.fail(f"it ended before it said {wanted!r}: {process.stderr.read()}")


@pytest.mark.skipif(os.name == "nt", reason="signals are sent with os.kill")
def test_one_ctrl_c_ends_well(config, volumes):
    with start_fake(config, "--run-dir", "run", sleep=1.5) as process:
        wait_for_line(process, "now")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, "")
    assert "stopping; interrupt again to end at once" in out
    assert "stopped as asked" in out
    assert isinstance(ending("run"), events.RunStopped)
    assert not RunFolder("run").worker_path.exists()


@pytest.mark.skipif(os.name == "nt", reason="signals are sent with os.kill")
def test_a_second_ctrl_c_ends_at_once(config, volumes):
    with start_fake(config, "--run-dir", "run", sleep=100) as process:
        wait_for_line(process, "now")
        process.send_signal(signal.SIGINT)
        wait_for_line(process, "stopping; interrupt again")
        time.sleep(0.5)  # what comes within a tenth of a second is one press of the keys
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert time.monotonic() - began < 30
    assert process.returncode == 130
    assert "ended at once" in ending("run").message
    assert read_state("run") is RunState.FAILED


@pytest.mark.skipif(os.name == "nt", reason="signals are sent with os.kill")
def test_a_killed_worker_leaves_a_run_that_another_can_take(surfseg, config, quick_trainer):
    with start_fake(config, "--run-dir", "run", after=5, sleep=100) as process:
        wait_for_line(process, "now")
        assert read_state("run") is RunState.RUNNING
        code, _, err = surfseg("train", "run", "--resume")
        assert code == 2
        assert f"is being trained by process {process.pid} on " in err
        process.kill()
        process.communicate()
    assert read_state("run") is RunState.VANISHED
    assert surfseg("train", "run", "--resume")[0] == 0
    assert read_state("run") is RunState.COMPLETED


def test_a_launched_worker_is_the_same_command(config, volumes):
    """A real worker, detached, on a run that is refused once its volumes are opened."""
    experiment = load_experiment(config)
    Path("labels.tif").unlink()
    folder = RunFolder("run").create(experiment)
    pid = launch.launch_worker(folder.path, device="cpu")
    entry = json.loads(folder.worker_path.read_text())
    assert entry["pid"] == pid
    assert read_state(folder.path) is RunState.STARTING
    if os.name != "nt":
        assert os.getsid(pid) == pid  # a session of its own: it outlives us
    for _ in range(1200):
        if not read_state(folder.path).is_active:
            break
        time.sleep(0.1)
    assert read_state(folder.path) is RunState.FAILED
    assert "labels.tif" in ending("run").message
    lines = folder.log_path.read_text().splitlines()
    assert sum("labels.tif" in line for line in lines) <= 2
    assert not folder.worker_path.exists()
