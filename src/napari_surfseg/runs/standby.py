"""A worker that stands by: started before it is needed, so that a run starts without delay.

Most of what passes between Start and the first prediction is Python importing PyTorch and
numba loading compiled loops. The window has a process do that while a person still chooses
volumes. It then waits for the command line it is to carry out, the same that
:mod:`~napari_surfseg.runs.launch` gives to a process of its own::

    window ── starts ──▶ python -m napari_surfseg.cli.standby      imports, takes a trial step
           ◀─ a line ── {"gpu": …}                                  memory free on the GPU
           ── a line ──▶ {}                                         asks for that again
           ── a line ──▶ train RUN/config.yaml --run-dir RUN …      is the run's worker from now on
           ── or ends ─▶ (end of the pipe)                          ends too

It is optional: where there is none, or it is not ready, a worker is launched as usual.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import threading
from typing import TYPE_CHECKING

from napari_surfseg.process_memory import GpuMemory, find_free_memory
from napari_surfseg.runs.launch import (
    find_free_run,
    launch_worker,
    start_detached,
    train_arguments,
)
from napari_surfseg.runs.launch_record import read_launch
from napari_surfseg.runs.launchers.job import submit_run
from napari_surfseg.runs.launchers.library import find_launcher
from napari_surfseg.runs.lock import create_exclusively, describe_this_worker

if TYPE_CHECKING:
    from pathlib import Path

    from napari_surfseg.runs.folder import RunFolder

__all__ = [
    "Standby",
    "ask_gpu_memory",
    "launch_prepared",
    "prepare_standby",
    "read_gpu_memory",
    "release_standby",
]

#: A standby holds some 0.5 GB; where less than this is free, there is none.
NEEDED_BYTES = 3 * 2**30


class Standby:
    """The window's end of a process that stands by."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        #: What the process last reported: the GPU a run would use; None where none is known.
        self.gpu: GpuMemory | None = None

    def prepare(self) -> None:
        """Start a process, unless one stands by or memory is short."""
        with self._lock:
            if self._process is not None and self._process.poll() is None:
                return
            _close(self._process)
            self._process = None
            if find_free_memory() < NEEDED_BYTES:
                return
            with contextlib.suppress(OSError):
                self._process = start_detached(
                    ["napari_surfseg.cli.standby"],
                    stdin=subprocess.PIPE,
                    output=subprocess.PIPE,
                )
                threading.Thread(
                    target=self._listen, args=(self._process,), name="standby-gpu", daemon=True
                ).start()

    def ask_gpu(self) -> None:
        """Have :attr:`gpu` brought up to date, soon; does nothing where none stands by."""
        with self._lock:
            if self._process is not None and self._process.stdin is not None:
                with contextlib.suppress(OSError, ValueError):
                    self._process.stdin.write(b"{}\n")
                    self._process.stdin.flush()

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        """Read what a process reports until it ends or is a worker, which reports elsewhere."""
        if process.stdout is None:
            return
        with process.stdout as lines:
            for line in lines:
                # Between the reports lies whatever libraries print.
                with contextlib.suppress(ValueError, KeyError, TypeError):
                    found = json.loads(line)["gpu"]
                    self.gpu = None if found is None else GpuMemory(**found)

    def take(self, folder: RunFolder, *, device: str, resume: bool) -> int | None:
        """Let the process be the worker of a run; returns its pid, or None where there is none."""
        with self._lock:
            process, self._process = self._process, None
        if process is None or process.stdin is None:
            return None
        order = {
            "arguments": train_arguments(folder, device=device, resume=resume),
            "log": str(folder.log_path),
        }
        try:
            with process.stdin as pipe:
                pipe.write(json.dumps(order).encode() + b"\n")
        except OSError:  # it has ended
            return None
        return process.pid if process.poll() is None else None

    def release(self) -> None:
        """Let the process end."""
        with self._lock:
            process, self._process = self._process, None
        _close(process)


def _close(process: subprocess.Popen[bytes] | None) -> None:
    if process is not None and process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()


_standby = Standby()


def prepare_standby() -> None:
    """Start a process that stands by for the next run, unless there is one."""
    _standby.prepare()


def ask_gpu_memory() -> None:
    """Have :func:`read_gpu_memory` brought up to date, soon."""
    _standby.ask_gpu()


def read_gpu_memory() -> GpuMemory | None:
    """Return what is last known of the GPU that a run would use; None where none is known."""
    return _standby.gpu


def release_standby() -> None:
    """Let the process that stands by end."""
    _standby.release()


def launch_prepared(
    run_dir: str | Path, *, device: str = "auto", resume: bool = False, launcher: str | None = ""
) -> int | None:
    """Do what :func:`~napari_surfseg.runs.launch.launch_worker` does, by a process that stands by.

    Parameters
    ----------
    run_dir, device, resume
        As there.
    launcher : str, optional
        Starts the run on another machine instead; None where it was started last.

    Returns
    -------
    int or None
        The worker's pid; None where another machine is to have it.

    Raises
    ------
    RunError, RunBusyError
        As there.
    """
    folder = find_free_run(run_dir)
    if launcher is None:
        record = read_launch(folder.path)
        launcher = "" if record is None else record.launcher
    if launcher:
        found = find_launcher(launcher, folder.path.parent)
        submit_run(folder, found, device=device, resume=resume)
        return None
    pid = _standby.take(folder, device=device, resume=resume)
    if pid is None:
        return launch_worker(run_dir, device=device, resume=resume)
    create_exclusively(folder.worker_path, describe_this_worker(pid))
    return pid
