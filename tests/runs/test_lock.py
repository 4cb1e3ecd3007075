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
    old = replace(describe_this_worker(os.getppid()), process_created=1000.0, since_boot=1.0)
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
    with WorkerLock(path, watch_seconds=0.1):
        assert read_worker(path).pid == os.getpid()


@pytest.mark.parametrize("clock", [-90, 90, 4000, -4000])
def test_clocks_that_differ_take_nobodys_run(path, clock):
    """The living worker of another machine is seen by its beats, whatever its clock shows."""
    holder = other_host(pid=4711, heartbeat=time.time() + clock)
    write_worker(path, holder)
    ended = threading.Event()

    def beat():
        while not ended.wait(0.05):
            write_worker(path, replace(holder, heartbeat=time.time() + clock))

    beating = threading.Thread(target=beat)
    beating.start()
    try:
        with pytest.raises(RunBusyError, match="process 4711 on elsewhere"):
            WorkerLock(path, heartbeat_seconds=0.05, watch_seconds=5).acquire()
    finally:
        ended.set()
        beating.join()


@pytest.mark.parametrize("clock", [-90, 4000])
def test_a_worker_gone_on_a_machine_with_another_clock_gives_way(path, clock):
    write_worker(path, other_host(heartbeat=time.time() + clock))
    with WorkerLock(path, heartbeat_seconds=0.05, watch_seconds=0.2):
        assert read_worker(path).pid == os.getpid()


def test_a_clock_that_is_set_takes_nobodys_run(path, monkeypatch):
    """On Linux the creation of a process moves with the clock, on Windows the system's start."""
    parent = psutil.Process(os.getppid())
    real = parent.create_time() - psutil.boot_time()
    write_worker(path, describe_this_worker(parent.pid))
    for name, shift in (("both", 3600.0), ("both", -3600.0), ("boot", 3600.0)):
        boot = psutil.boot_time()
        created = boot + real + (shift if name == "both" else 0.0)
        with monkeypatch.context() as patch:
            patch.setattr(psutil, "boot_time", lambda boot=boot, shift=shift: boot + shift)
            patch.setattr(psutil.Process, "create_time", lambda _, created=created: created)
            with pytest.raises(RunBusyError, match=f"process {parent.pid}"):
                WorkerLock(path).acquire()


def test_an_entry_of_an_earlier_version_is_understood(path):
    values = asdict(other_host(pid=4711))
    del values["since_boot"], values["commands_bytes"]
    path.write_text(json.dumps(values))
    assert read_worker(path).pid == 4711
    with pytest.raises(RunBusyError, match="process 4711"):
        WorkerLock(path).acquire()


def test_an_entry_that_cannot_be_taken_away_is_busy(path, monkeypatch, dead_pid):
    write_worker(path, replace(describe_this_worker(), pid=dead_pid))
    monkeypatch.setattr(WorkerLock, "_move_aside", lambda *_: None)
    with pytest.raises(RunBusyError, match=f"process {dead_pid}"):
        WorkerLock(path).acquire()


def test_a_heartbeat_under_way_never_writes_over_the_new_owner(path):
    """Whatever happens between looking at the entry and beating, the beat hits the old file."""
    mine = WorkerLock(path, heartbeat_seconds=1000)
    mine.acquire()
    theirs = other_host(pid=1)
    path.rename(path.with_name("aside.json"))
    assert create_exclusively(path, theirs)
    before = path.read_bytes()
    mine._beat_once()
    assert path.read_bytes() == before
    with pytest.raises(RunBusyError, match=r"taken over by process 1 on elsewhere; this worker st"):
        mine.check()
    assert mine.is_lost
    mine.release()
    assert path.read_bytes() == before


def test_an_entry_removed_by_hand_comes_back(path):
    mine = WorkerLock(path, heartbeat_seconds=1000)
    token = mine.acquire().token
    path.unlink()
    mine.check()
    mine._beat_once()
    assert read_worker(path).token == token
    mine._beat_once()
    mine.release()
    assert names_beside(path) == []


def test_it_knows_which_commands_were_meant_for_an_earlier_worker(path):
    path.with_name("commands.jsonl").write_bytes(b"x" * 17)
    launched = describe_this_worker()
    assert create_exclusively(path, launched)
    path.with_name("commands.jsonl").write_bytes(b"x" * 30)
    with WorkerLock(path) as held:
        assert held.worker.commands_bytes == 17
    with WorkerLock(path) as held:
        assert held.worker.commands_bytes == 30


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
    write_worker(path, theirs)
    time.sleep(0.2)
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


def test_a_machine_of_the_same_name_is_judged_by_the_heartbeat():
    worker = describe_this_worker()
    assert worker.is_here
    assert is_alive(worker, now=worker.heartbeat + 1000)
    other = replace(worker, machine="another start of a container", pid=2**22 - 1)
    assert not other.is_here
    assert is_alive(other, now=other.heartbeat + 1)
    assert not is_alive(other, now=other.heartbeat + 1000)
    # What an earlier version wrote says nothing of it.
    assert replace(worker, machine="").is_here
