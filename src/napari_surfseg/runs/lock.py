"""One worker a run: ``worker.json`` says who it is and that it is alive.

The file is the lock. It is created exclusively, rewritten every few seconds
with a fresh heartbeat, and removed when the worker ends. On the worker's own
machine, life is judged by its process (pid and creation time, since pids are
used again); from another machine, over a shared disk, by the heartbeat's age.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import threading
import time
import uuid
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING

import psutil

from napari_surfseg.errors import RunBusyError, SurfsegError
from napari_surfseg.files import written_aside

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

__all__ = [
    "Worker",
    "WorkerLock",
    "create_exclusively",
    "describe_this_worker",
    "is_alive",
    "read_worker",
    "wait_for_release",
    "write_worker",
]

HEARTBEAT_SECONDS = 3.0
#: A worker on another host counts as gone after this: twenty missed heartbeats, so that a slow
#: network disk or clocks that differ a little do not make a living one look dead.
GONE_AFTER_SECONDS = 60.0
#: The same process may be reported with slightly different creation times after the clock was set.
CREATION_TOLERANCE_SECONDS = 30.0
UNREADABLE_WAIT_SECONDS = 0.2
#: A worker that has ended its training still writes the report.
RELEASE_SECONDS = 60.0


@dataclass(frozen=True)
class Worker:
    """Who works on a run.

    Attributes
    ----------
    pid : int
        Its process.
    host : str
        The machine that process is on.
    started : float
        When it took the run, in seconds since the Unix epoch.
    process_created : float
        When the process was created, by the system's account.
    heartbeat : float
        When it last reported that it lives.
    token : str
        Distinguishes two holders of one pid.
    """

    pid: int
    host: str
    started: float
    process_created: float
    heartbeat: float
    token: str


def describe_this_worker(pid: int | None = None) -> Worker:
    """Describe this process, or another one of this machine, as the worker of a run."""
    now = time.time()
    pid = os.getpid() if pid is None else pid
    try:
        created = psutil.Process(pid).create_time()
    except psutil.Error:
        created = now
    return Worker(
        pid=pid,
        host=platform.node(),
        started=now,
        process_created=created,
        heartbeat=now,
        token=uuid.uuid4().hex,
    )


def read_worker(path: Path) -> Worker | None:
    """Read ``worker.json``; None where there is none or it cannot be understood."""
    try:
        values = json.loads(path.read_bytes())
        return Worker(**{item.name: values[item.name] for item in fields(Worker)})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def is_alive(worker: Worker, *, now: float | None = None) -> bool:
    """Whether a worker still runs, as far as can be seen from this machine.

    Parameters
    ----------
    worker : Worker
        As read from ``worker.json``.
    now : float, optional
        Seconds since the Unix epoch, for workers on other hosts.
    """
    if worker.host != platform.node():
        now = time.time() if now is None else now
        return now - worker.heartbeat < GONE_AFTER_SECONDS
    try:
        process = psutil.Process(worker.pid)
        same = abs(process.create_time() - worker.process_created) < CREATION_TOLERANCE_SECONDS
        # A killed child that its parent has not waited for still has a pid.
        return same and process.status() not in {psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD}
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:
        return True  # it exists, and belongs to another user


class WorkerLock:
    """Hold a run folder for this process, with a heartbeat from a daemon thread.

    Parameters
    ----------
    path : Path
        ``worker.json`` of the run.
    heartbeat_seconds : float
        Time between heartbeats.
    """

    def __init__(self, path: Path, *, heartbeat_seconds: float = HEARTBEAT_SECONDS) -> None:
        self.path = path
        self.worker: Worker | None = None
        self._heartbeat_seconds = heartbeat_seconds
        self._released = threading.Event()
        self._thread: threading.Thread | None = None

    def acquire(self) -> Worker:
        """Take the run, also from a worker that is gone.

        Raises
        ------
        RunBusyError
            If a living worker holds it, naming its pid and host.
        """
        worker = describe_this_worker()
        while not create_exclusively(self.path, worker):
            holder = read_worker(self.path)
            if holder is None:
                # Just released, just being written, or damaged: only damage lasts.
                time.sleep(UNREADABLE_WAIT_SECONDS)
                if read_worker(self.path) is None:
                    self._move_aside(None)
            elif self._was_launched_for_us(holder):
                worker = replace(worker, started=holder.started)
                write_worker(self.path, worker)
                break
            elif is_alive(holder):
                raise RunBusyError(
                    f"The run {self.path.parent} is being trained by process {holder.pid} on "
                    f"{holder.host}; stop that one first.",
                    field="run_dir",
                )
            else:
                self._move_aside(holder)
        self.worker = worker
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        self._thread.start()
        return worker

    def release(self) -> None:
        """Release the run; does nothing where it is not held."""
        self._released.set()
        if self._thread is not None:
            self._thread.join(timeout=10)
            self._thread = None
        holder = read_worker(self.path)
        if self.worker is not None and holder is not None and holder.token == self.worker.token:
            with contextlib.suppress(OSError):
                self.path.unlink()
        self.worker = None

    def __enter__(self) -> WorkerLock:
        self.acquire()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()

    @staticmethod
    def _was_launched_for_us(holder: Worker) -> bool:
        """Whether the launcher wrote this entry for the process that we are.

        In a virtual environment on Windows ``python.exe`` starts the real one, so
        the launcher knows our parent's pid instead of ours.
        """
        ours = {os.getpid(), os.getppid()} if os.name == "nt" else {os.getpid()}
        return holder.host == platform.node() and holder.pid in ours and is_alive(holder)

    def _move_aside(self, stale: Worker | None) -> None:
        """Take away the entry of a worker that is gone, unless a new one came in between."""
        aside = self.path.with_name(f".worker.{uuid.uuid4().hex[:8]}.json")
        try:
            self.path.rename(aside)
        except OSError:
            return  # another process was first
        moved = read_worker(aside)
        if moved is not None and moved != stale and is_alive(moved):
            with contextlib.suppress(OSError):
                os.link(aside, self.path)
        with contextlib.suppress(OSError):
            aside.unlink()

    def _beat(self) -> None:
        while not self._released.wait(self._heartbeat_seconds):
            holder, worker = read_worker(self.path), self.worker
            if worker is None or (holder is not None and holder.token != worker.token):
                return  # the run was taken over: two processes must not write this file
            # A full disk or a lost network drive: the next heartbeat may succeed.
            with contextlib.suppress(SurfsegError, OSError):
                write_worker(self.path, replace(worker, heartbeat=time.time()))


def wait_for_release(path: Path, seconds: float = RELEASE_SECONDS) -> None:
    """Wait until no worker holds the run of this ``worker.json``.

    Raises
    ------
    RunBusyError
        If one still does after so many seconds.
    """
    until = time.monotonic() + seconds
    while True:
        holder = read_worker(path)
        if holder is None or not is_alive(holder):
            return
        if time.monotonic() > until:
            raise RunBusyError(
                f"The run {path.parent} is still held by process {holder.pid} on {holder.host}.",
                field="run_dir",
            )
        time.sleep(0.1)


def create_exclusively(path: Path, worker: Worker) -> bool:
    """Create ``worker.json`` whole; False if there is one already."""
    aside = path.with_name(f".worker.{worker.token[:8]}.json")
    write_worker(aside, worker)
    try:
        # A link appears whole or not at all, and never replaces; not every file system has them.
        os.link(aside, path)
    except FileExistsError:
        return False
    except OSError:
        try:
            with path.open("xb") as file:
                file.write(aside.read_bytes())
        except FileExistsError:
            return False
    finally:
        with contextlib.suppress(OSError):
            aside.unlink()
    return True


def write_worker(path: Path, worker: Worker) -> None:
    """Write or replace ``worker.json``."""
    with written_aside(path) as aside:
        aside.write_text(json.dumps(asdict(worker), indent=1) + "\n", encoding="utf-8")
