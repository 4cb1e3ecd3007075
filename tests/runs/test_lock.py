import json
import os
import platform
import subprocess
import sys
import threading
import time
from dataclasses import asdict, replace

import psutil
import pytest

from napari_surfseg.errors import RunBusyError
from napari_surfseg.runs import lock
from napari_surfseg.runs.lock import (
    WorkerLock,
    create_exclusively,
    describe_this_worker,
    is_alive,
    read_worker,
    wait_for_release,
    write_worker,
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "worker.json"


@pytest.fixture
def dead_pid():
    """Return the pid of a process that is gone."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def names_beside(path):
    return sorted(item.name for item in path.parent.iterdir())


def other_host(**changes):
    return replace(describe_this_worker(), host="elsewhere", **changes)


def test_a_held_run_says_who_holds_it(path):
    with WorkerLock(path) as held:
        found = read_worker(path)
        assert found == held.worker
        assert (found.pid, found.host) == (os.getpid(), platform.node())
        assert is_alive(found)
    assert not path.exists()


def test_a_second_worker_is_refused_with_the_name_of_the_first(path):
    holder = other_host(pid=4711)
    write_worker(path, holder)
    with pytest.raises(RunBusyError, match=r"process 4711 on elsewhere; stop that one first\.$"):
        WorkerLock(path).acquire()
    assert read_worker(path) == holder
    assert names_beside(path) == ["worker.json"]


def test_two_locks_of_one_process_exclude_each_other(path):
    parent = psutil.Process(os.getppid())
    write_worker(
        path, replace(describe_this_worker(parent.pid), process_created=parent.create_time())
    )
    with pytest.raises(RunBusyError, match=f"process {parent.pid}"):
        WorkerLock(path).acquire()


def test_a_dead_worker_of_this_machine_gives_way(path, dead_pid):
    write_worker(path, replace(describe_this_worker(), pid=dead_pid))
    with WorkerLock(path):
        assert read_worker(path).pid == os.getpid()
    assert names_beside(path) == []


def test_a_pid_that_was_used_again_does_not_count_as_alive(path):
    old = replace(describe_this_worker(os.getppid()), process_created=1000.0)
    write_worker(path, old)
    assert not is_alive(old)
    with WorkerLock(path):
        assert read_worker(path).pid == os.getpid()


def test_a_killed_child_that_nobody_waited_for_is_dead():
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    worker = describe_this_worker(process.pid)
    assert is_alive(worker)
    process.kill()
    for _ in range(100):
        if not is_alive(worker):
            break
        time.sleep(0.05)
    assert not is_alive(worker)
    process.wait()


def test_another_host_is_judged_by_its_heartbeat(path):
    now = time.time()
    fresh, stale = other_host(heartbeat=now - 5), other_host(heartbeat=now - 300)
    assert is_alive(fresh)
    assert not is_alive(stale)
    assert is_alive(stale, now=now - 290)
    write_worker(path, stale)
    with WorkerLock(path):
        assert read_worker(path).pid == os.getpid()


def test_what_the_launcher_wrote_for_us_is_ours(path):
    launched = replace(describe_this_worker(), started=123.0)
    write_worker(path, launched)
    with WorkerLock(path) as held:
        # Its start stays, so that a watcher sees one start, not two.
        assert held.worker.started == 123.0
        assert read_worker(path).token == held.worker.token != launched.token


def test_a_damaged_entry_gives_way(path, monkeypatch):
    monkeypatch.setattr(lock, "UNREADABLE_WAIT_SECONDS", 0.01)
    for text in ("", "{", "[]", '{"pid": 3}'):
        path.write_text(text)
        with WorkerLock(path):
            assert read_worker(path).pid == os.getpid()


def test_the_heart_beats(path):
    with WorkerLock(path, heartbeat_seconds=0.02):
        first = read_worker(path).heartbeat
        for _ in range(200):
            time.sleep(0.02)
            if read_worker(path) and read_worker(path).heartbeat > first:
                break
        found = read_worker(path)
        assert found.heartbeat > first
        assert found.started <= first


def test_a_lock_that_was_taken_over_is_left_alone(path):
    mine = WorkerLock(path, heartbeat_seconds=0.02)
    mine.acquire()
    theirs = other_host(pid=1)
    for _ in range(50):  # a heartbeat that is under way may still write over it
        write_worker(path, theirs)
        time.sleep(0.2)
        if read_worker(path) == theirs:
            break
    mine.release()
    assert read_worker(path) == theirs


def test_creation_is_exclusive_under_a_race(path):
    results = []
    gate = threading.Barrier(8)

    def race():
        worker = describe_this_worker()
        gate.wait()
        results.append(create_exclusively(path, worker))

    threads = [threading.Thread(target=race) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results.count(True) == 1
    assert names_beside(path) == ["worker.json"]


def test_creation_without_hard_links(path, monkeypatch):
    def refuse(*_):
        raise PermissionError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    worker = describe_this_worker()
    assert create_exclusively(path, worker)
    assert not create_exclusively(path, other_host())
    assert read_worker(path) == worker


def test_a_worker_that_still_writes_its_report_is_waited_for(path):
    wait_for_release(path, 0)
    create_exclusively(path, describe_this_worker())
    with pytest.raises(RunBusyError, match=r"The run .* is still held by process"):
        wait_for_release(path, 0.2)


def test_the_entry_is_readable_by_people(path):
    with WorkerLock(path) as held:
        assert json.loads(path.read_text()) == asdict(held.worker)
