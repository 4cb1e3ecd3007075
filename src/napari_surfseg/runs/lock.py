"""One worker a run: ``worker.json`` says who it is and that it is alive.

The file is the lock. It is created exclusively, gets a fresh heartbeat every few
seconds, and is removed when the worker ends. On the worker's own machine, life is
judged by its process (pid and creation time, since pids are used again); from
another machine, over a shared disk, by the heartbeat's age. Clocks differ and are
set, so before a run is taken its heartbeat is also watched for a while.

A heartbeat is written through a handle of the file that this worker made, never by
name: where another worker has taken the run, the name means the other's file. What
the worker writes besides is preceded by :meth:`WorkerLock.check`.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import platform
import threading
import time
import uuid
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import psutil

from napari_surfseg.errors import RunBusyError, SurfsegError
from napari_surfseg.files import retry_while_open, written_aside

if TYPE_CHECKING:
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
#: Before a run is taken its heartbeat must rest for so long by our own clock: five of them.
WATCH_SECONDS = 15.0
#: The same process may be reported with slightly different creation times after the clock was set.
CREATION_TOLERANCE_SECONDS = 30.0
#: Measured from the start of the system, which no setting of the clock moves.
SINCE_BOOT_TOLERANCE_SECONDS = 2.0
#: An entry that cannot be taken away so often is held open by a living process (on Windows).
MAX_ATTEMPTS = 5
#: The entry is written over in place, and always fills so many bytes.
ENTRY_BYTES = 1024
UNREADABLE_WAIT_SECONDS = 0.2
#: A worker that has ended its training still writes the report.
RELEASE_SECONDS = 60.0
#: Of the commands beside ``worker.json``; folder.py names it for all others.
COMMANDS_NAME = "commands.jsonl"


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
    since_boot : float
        When the process was created, in seconds since its system started; 0 if unknown.
    commands_bytes : int
        Length of ``commands.jsonl`` when it took the run: what lies before was meant for an
        earlier worker. Not a time, since the clocks of watchers differ.
    machine : str
        Tells machines, and containers on one, apart that have the same name; empty if unknown.
    """

    pid: int
    host: str
    started: float
    process_created: float
    heartbeat: float
    token: str
    since_boot: float = 0.0
    commands_bytes: int = 0
    machine: str = ""

    @property
    def is_here(self) -> bool:
        """Whether its process number means a process that this one can see."""
        if self.host != platform.node():
            return False
        return self.machine in {"", _name_machine()}


def describe_this_worker(pid: int | None = None) -> Worker:
    """Describe this process, or another one of this machine, as the worker of a run."""
    now = time.time()
    pid = os.getpid() if pid is None else pid
    try:
        created, since_boot = _find_creation(psutil.Process(pid))
    except psutil.Error:
        created, since_boot = now, 0.0
    return Worker(
        pid=pid,
        host=platform.node(),
        started=now,
        process_created=created,
        heartbeat=now,
        token=uuid.uuid4().hex,
        since_boot=since_boot,
        machine=_name_machine(),
    )


@functools.cache
def _name_machine() -> str:
    """Name this start of the system and its numbering of processes; nothing where it cannot say.

    Containers and machines made from one image often have one host name.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def _find_creation(process: psutil.Process) -> tuple[float, float]:
    """When a process was created: since the Unix epoch, and since the system started.

    The first moves with the clock on Linux and the second on Windows, which leaves one of them.
    """
    created = process.create_time()
    return created, created - psutil.boot_time()


def read_worker(path: Path) -> Worker | None:
    """Read ``worker.json``; None where there is none or it cannot be understood."""
    try:
        values = json.loads(path.read_bytes())
        # What earlier versions do not say has a default.
        return Worker(
            **{item.name: values[item.name] for item in fields(Worker) if item.name in values}
        )
    except (OSError, ValueError, AttributeError, TypeError):
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
    if not worker.is_here:
        now = time.time() if now is None else now
        return now - worker.heartbeat < GONE_AFTER_SECONDS
    try:
        process = psutil.Process(worker.pid)
        created, since_boot = _find_creation(process)
        same = abs(created - worker.process_created) < CREATION_TOLERANCE_SECONDS
        if worker.since_boot and not same:
            same = abs(since_boot - worker.since_boot) < SINCE_BOOT_TOLERANCE_SECONDS
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
    watch_seconds : float
        How long the heartbeat of a worker that seems gone is watched before its run is taken.
    """

    def __init__(
        self,
        path: Path,
        *,
        heartbeat_seconds: float = HEARTBEAT_SECONDS,
        watch_seconds: float = WATCH_SECONDS,
    ) -> None:
        self.path = path
        self.worker: Worker | None = None
        self._heartbeat_seconds = heartbeat_seconds
        self._watch_seconds = watch_seconds
        self._file: BinaryIO | None = None
        self._writing = threading.Lock()
        self._released = threading.Event()
        self._thread: threading.Thread | None = None
        self.is_lost = False

    def acquire(self) -> Worker:
        """Take the run, also from a worker that is gone.

        Raises
        ------
        RunBusyError
            If a living worker holds it, naming its pid and host.
        """
        worker = describe_this_worker()
        attempts = 0
        while not create_exclusively(self.path, worker):
            attempts += 1
            holder = read_worker(self.path)
            if holder is None:
                # Just released, just being written, or damaged: only damage lasts.
                time.sleep(UNREADABLE_WAIT_SECONDS)
                if read_worker(self.path) is None:
                    self._move_aside(None)
            elif self._was_launched_for_us(holder):
                worker = replace(
                    worker, started=holder.started, commands_bytes=holder.commands_bytes
                )
                write_worker(self.path, worker)
                break
            elif self._is_at_work(holder) or attempts > MAX_ATTEMPTS:
                raise RunBusyError(
                    f"The run {self.path.parent} is being trained by process {holder.pid} on "
                    f"{holder.host}; stop that one first.",
                    field="run_dir",
                )
            else:
                self._move_aside(holder)
        self.worker = read_worker(self.path) or worker
        self._open_entry()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        self._thread.start()
        return self.worker

    def check(self) -> None:
        """Make sure that the run is still ours, before something is written to it.

        Raises
        ------
        RunBusyError
            If another worker has taken it, which it does where this one, suspended or cut off
            from the disk, looked gone. A run whose entry cannot be read is still ours.
        """
        if self.worker is None:
            return
        holder = read_worker(self.path)
        if holder is not None and holder.token != self.worker.token:
            self.is_lost = True
            raise RunBusyError(
                f"The run {self.path.parent} was taken over by process {holder.pid} on "
                f"{holder.host}; this worker stops and leaves the run to it.",
                field="run_dir",
            )

    def release(self) -> None:
        """Release the run; does nothing where it is not held."""
        self._released.set()
        if self._thread is not None:
            self._thread.join(timeout=10)
            self._thread = None
        with self._writing:
            if self._file is not None:
                with contextlib.suppress(OSError):
                    self._file.close()
            self._file = None
        worker, self.worker = self.worker, None
        holder = read_worker(self.path)
        if worker is not None and holder is not None and holder.token == worker.token:
            self._move_aside(holder)

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
        return holder.is_here and holder.pid in ours and is_alive(holder)

    def _move_aside(self, stale: Worker | None) -> None:
        """Take away an entry, unless another worker's came in between."""
        aside = self.path.with_name(f".worker.{uuid.uuid4().hex[:8]}.json")
        try:
            retry_while_open(lambda: self.path.rename(aside))
        except OSError:
            return  # another process was first
        moved = read_worker(aside)
        if moved is not None and (stale is None or moved.token != stale.token) and is_alive(moved):
            with contextlib.suppress(OSError):
                os.link(aside, self.path)
        with contextlib.suppress(OSError):
            aside.unlink()

    def _is_at_work(self, holder: Worker) -> bool:
        """Whether a worker lives, watching it where a clock would have to be believed."""
        if holder.is_here and (holder.since_boot or is_alive(holder)):
            return is_alive(holder)
        if not holder.is_here and abs(time.time() - holder.heartbeat) < GONE_AFTER_SECONDS:
            return True
        return self._still_beats(holder)

    def _still_beats(self, holder: Worker) -> bool:
        """Whether a worker that seems gone, by a clock that may be wrong, gives a sign of life."""
        until = time.monotonic() + self._watch_seconds
        while time.monotonic() < until:
            time.sleep(min(self._heartbeat_seconds, self._watch_seconds) / 4)
            found = read_worker(self.path)
            if found is not None and found.token != holder.token:
                return is_alive(found)
            if found is not None and found.heartbeat != holder.heartbeat:
                return True
        return False

    def _open_entry(self) -> None:
        with contextlib.suppress(OSError):
            if self._file is not None:
                self._file.close()
            self._file = None
            file = self.path.open("r+b", buffering=0)
            if self.worker is not None and self.worker.token.encode() in file.read():
                self._file = file
            else:
                file.close()

    def _beat(self) -> None:
        while not self._released.wait(self._heartbeat_seconds):
            # A full disk or a lost network drive: the next heartbeat may succeed.
            with contextlib.suppress(SurfsegError, OSError):
                self._beat_once()

    def _beat_once(self) -> None:
        worker = self.worker
        if worker is None:
            return
        living = replace(worker, heartbeat=time.time())
        if not self.path.exists():
            # Removed by hand: the run is ours as long as nobody takes it, and must say so.
            if create_exclusively(self.path, living, commands_bytes=worker.commands_bytes):
                self._open_entry()
            return
        with self._writing:
            if self._file is None:
                self._open_entry()
            if self._file is not None:
                self._file.seek(0)
                self._file.write(_encode(living))
                os.fsync(self._file.fileno())


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


def create_exclusively(path: Path, worker: Worker, *, commands_bytes: int | None = None) -> bool:
    """Create ``worker.json`` whole; False if there is one already.

    Parameters
    ----------
    path : Path
        ``worker.json`` of the run.
    worker : Worker
        Who takes it.
    commands_bytes : int, optional
        Of ``commands.jsonl``, meant for an earlier worker; by default all there is of it.
    """
    if commands_bytes is None:
        commands_bytes = _count_bytes(path.with_name(COMMANDS_NAME))
    worker = replace(worker, commands_bytes=commands_bytes)
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


def _count_bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def write_worker(path: Path, worker: Worker) -> None:
    """Write or replace ``worker.json``."""
    with written_aside(path) as aside:
        aside.write_bytes(_encode(worker))


def _encode(worker: Worker) -> bytes:
    """Write an entry as text of one length, so that a newer one covers all of an older one."""
    text = json.dumps(asdict(worker), indent=1)
    return text.encode().ljust(ENTRY_BYTES - 1) + b"\n"
