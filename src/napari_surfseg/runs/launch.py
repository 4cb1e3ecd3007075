"""Start a worker that outlives the process that started it.

The worker is the command line itself, ``python -m napari_surfseg train``, so a
window, a script and a cluster job start the very same thing. It gets its own
session (or process group, on Windows), is niced below the window, and has an
environment in which the numerical libraries behave:

- at most one thread a core. The trainer then measures how many of them help: on
  a busy core OpenMP threads wait for each other at every operation, and fewer
  can be many times faster.
- glibc keeps freed memory. By default it returns every large tensor to the
  system and takes it again, page by page: measured on a small U-Net at 64^3 as
  24,000 page faults a step against 1,100, and a tenth of the time.

``surfseg train`` in the foreground sets as much of this as a running process can
(:func:`prepare_this_process`).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import psutil

from napari_surfseg.errors import RunBusyError, RunError
from napari_surfseg.runs.folder import RunFolder
from napari_surfseg.runs.launchers.job import refresh_job, require_no_job, worker_arguments
from napari_surfseg.runs.lock import (
    create_exclusively,
    describe_this_worker,
    is_alive,
    read_worker,
)

__all__ = [
    "build_environment",
    "choose_num_threads",
    "count_usable_cores",
    "find_free_run",
    "launch_worker",
    "prepare_this_process",
    "start_detached",
    "train_arguments",
]

#: Blocks below this stay on the heap, and so much may lie free at its end. The largest tensors of
#: a training step on a CPU are a few hundred MiB.
MMAP_THRESHOLD_BYTES = 1 << 30
TRIM_THRESHOLD_BYTES = (1 << 31) - 1
#: mallopt's numbers for the two, from malloc.h.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3

NICENESS = 10
#: Threads that wait for each other give their core away. Spinning, as they do by default, is 1.2
#: times quicker on idle cores, and 16 times slower where another program, the window say, has one.
WAIT_POLICY = ("OMP_WAIT_POLICY", "PASSIVE")
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)


def count_usable_cores() -> int:
    """Count the cores this process may use, which in a container or a job is not all of them."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def choose_num_threads() -> int:
    """Choose how many threads to compute with: what the user set, else one a physical core."""
    asked = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    if asked.isdigit() and int(asked) > 0:
        return int(asked)
    return min(count_usable_cores(), psutil.cpu_count(logical=False) or count_usable_cores())


def build_environment() -> dict[str, str]:
    """Return the environment of a worker; what the user set already is kept."""
    environment = dict(os.environ)
    for name in THREAD_VARIABLES:
        environment.setdefault(name, str(choose_num_threads()))
    environment.setdefault(*WAIT_POLICY)
    environment.setdefault("MALLOC_MMAP_THRESHOLD_", str(MMAP_THRESHOLD_BYTES))
    environment.setdefault("MALLOC_TRIM_THRESHOLD_", str(TRIM_THRESHOLD_BYTES))
    environment["PYTHONUNBUFFERED"] = "1"
    environment["PYTHONIOENCODING"] = "utf-8"
    return environment


def prepare_this_process() -> None:
    """Give this process, before it imports torch, what :func:`build_environment` gives a worker."""
    for name in THREAD_VARIABLES:
        os.environ.setdefault(name, str(choose_num_threads()))
    os.environ.setdefault(*WAIT_POLICY)
    if sys.platform != "linux":
        return
    # Another C library (musl) has no mallopt and does not need it.
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        if "MALLOC_MMAP_THRESHOLD_" not in os.environ:
            mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD_BYTES)
        if "MALLOC_TRIM_THRESHOLD_" not in os.environ:
            mallopt(M_TRIM_THRESHOLD, TRIM_THRESHOLD_BYTES)


def launch_worker(run_dir: str | Path, *, device: str = "auto", resume: bool = False) -> int:
    """Start a detached worker on a configured run and return its pid.

    Parameters
    ----------
    run_dir : path-like
        A run folder with a ``config.yaml``.
    device : str
        ``auto``, ``cpu`` or ``cuda``.
    resume : bool
        Go on from ``last.pt``.

    Raises
    ------
    RunError
        If the folder holds no run or the process cannot be started.
    RunBusyError
        If a worker is on it already.
    """
    folder = find_free_run(run_dir)
    try:
        # Appending at the level of the system: the worker's own log lines go to the same file.
        with folder.log_path.open("ab") as log:
            process = start_detached(
                ["napari_surfseg", *train_arguments(folder, device=device, resume=resume)],
                stdin=subprocess.DEVNULL,
                output=log,
            )
    except OSError as error:
        raise RunError(
            f"The worker for {folder.path} could not be started: {error.strerror or error}."
        ) from None
    # The worker writes this entry a few tenths of a second later; written here already, a second
    # start finds the run busy and a watcher sees it starting.
    create_exclusively(folder.worker_path, describe_this_worker(process.pid))
    return process.pid


def find_free_run(run_dir: str | Path) -> RunFolder:
    """Open a run folder on which no worker is at work.

    Raises
    ------
    RunError, RunBusyError
        If it holds no run, a worker is on it, or a job of another machine that may still start.
    """
    folder = RunFolder(Path(run_dir).resolve())
    folder.require_run()
    holder = read_worker(folder.worker_path)
    if holder is not None and is_alive(holder):
        raise RunBusyError(
            f"The run {folder.path} is being trained by process {holder.pid} on {holder.host}.",
            field="run_dir",
        )
    require_no_job(folder, refresh_job(folder.path))
    return folder


def train_arguments(folder: RunFolder, *, device: str, resume: bool) -> list[str]:
    """Return the command line, without the program's name, that trains a run."""
    return worker_arguments(str(folder.config_path), str(folder.path), device=device, resume=resume)


def start_detached(arguments: list[str], *, stdin: int, output: Any) -> subprocess.Popen[bytes]:
    """Start a module of this package as a process that outlives this one.

    Parameters
    ----------
    arguments : list of str
        The module and what it is given.
    stdin, output
        As :class:`subprocess.Popen` takes them.

    Raises
    ------
    OSError
        If the system starts no process.
    """
    process = subprocess.Popen(
        # -P: a file named torch.py in the current folder must not be what it imports.
        [sys.executable, "-P", "-m", *arguments],
        stdin=stdin,
        stdout=output,
        stderr=subprocess.STDOUT,
        env=build_environment(),
        start_new_session=os.name != "nt",
        creationflags=_creation_flags(),
    )
    _lower_priority(process.pid)
    # Its end has to be waited for, or it stays a zombie for as long as this process lives.
    threading.Thread(target=process.wait, name=f"worker-{process.pid}", daemon=True).start()
    return process


def _creation_flags() -> int:
    """Return what Windows calls a session of its own; the flags exist only there."""
    names = ("CREATE_NEW_PROCESS_GROUP", "CREATE_NO_WINDOW", "BELOW_NORMAL_PRIORITY_CLASS")
    return sum(getattr(subprocess, name, 0) for name in names)


def _lower_priority(pid: int) -> None:
    if sys.platform != "win32":
        with contextlib.suppress(psutil.Error, OSError):
            psutil.Process(pid).nice(NICENESS)
