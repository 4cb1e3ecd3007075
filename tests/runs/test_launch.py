import os
from types import SimpleNamespace

import pytest

from napari_surfseg.errors import RunBusyError, RunError
from napari_surfseg.runs import launch
from napari_surfseg.runs.lock import describe_this_worker, write_worker


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    names = ("OMP_WAIT_POLICY", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_")
    for name in (*launch.THREAD_VARIABLES, *names):
        monkeypatch.setenv(name, "")  # so that what a test sets is taken back after it
        monkeypatch.delenv(name)


def test_a_worker_has_at_most_a_thread_a_core():
    assert 1 <= launch.choose_num_threads() <= launch.count_usable_cores()
    environment = launch.build_environment()
    for name in launch.THREAD_VARIABLES:
        assert environment[name] == str(launch.choose_num_threads())
    assert environment["MALLOC_MMAP_THRESHOLD_"] == str(1 << 30)
    assert environment["OMP_WAIT_POLICY"] == "PASSIVE"


@pytest.mark.parametrize(("asked", "taken"), [("3", 3), ("5,2", 5)])
def test_what_the_user_set_is_kept(monkeypatch, asked, taken):
    monkeypatch.setenv("OMP_NUM_THREADS", asked)
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    assert launch.choose_num_threads() == taken
    environment = launch.build_environment()
    assert environment["OMP_NUM_THREADS"] == asked
    assert environment["MKL_NUM_THREADS"] == str(taken)
    assert environment["OMP_WAIT_POLICY"] == "ACTIVE"


def test_a_value_that_is_no_number_is_passed_over(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "many")
    assert launch.choose_num_threads() >= 1


def test_this_process_gets_what_a_worker_gets(monkeypatch):
    kept = {}
    library = SimpleNamespace(mallopt=kept.__setitem__)
    monkeypatch.setattr(launch.ctypes, "CDLL", lambda name: library)
    monkeypatch.setattr(launch.sys, "platform", "linux")
    launch.prepare_this_process()
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"
    assert os.environ["OMP_NUM_THREADS"] == str(launch.choose_num_threads())
    assert kept == {-3: 1 << 30, -1: (1 << 31) - 1}


def test_the_command_line_of_a_worker(folder):
    arguments = launch.train_arguments(folder, device="cpu", resume=False)
    expected = ["train", str(folder.config_path), "--run-dir", str(folder.path), "--device", "cpu"]
    assert arguments == expected
    assert launch.train_arguments(folder, device="cpu", resume=True) == [*expected, "--resume"]


def test_a_run_is_free_unless_a_living_worker_holds_it(folder, tmp_path):
    assert launch.find_free_run(folder.path).path == folder.path.resolve()
    write_worker(folder.worker_path, describe_this_worker(os.getppid()))
    with pytest.raises(RunBusyError, match=f"process {os.getppid()} on") as caught:
        launch.find_free_run(folder.path)
    assert caught.value.field == "run_dir"
    with pytest.raises(RunError, match="does not exist"):
        launch.find_free_run(tmp_path / "nowhere")
