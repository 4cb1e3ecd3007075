"""Notices that one of the processes that train together is gone.

A process that waits in an exchange over a GPU's network library may wait for ever for one that
was killed. So each of them gives a sign of life now and then, and looks for those of others.
"""

from __future__ import annotations

import json
import os
import platform
import threading
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch.distributed import Store  # type: ignore[attr-defined]

__all__ = ["RankWatch"]

#: Time between two signs of life, and between two looks at the others'.
BEAT_SECONDS = 1.0
#: A process of another machine without a sign for so long is gone; libraries may keep all threads
#: of a process from running for a while.
GONE_SECONDS = 120.0


@dataclass(frozen=True)
class _Process:
    """A process as the others know it."""

    host: str
    pid: int
    created: float

    def is_gone(self) -> bool:
        """Whether it has ended, as far as its own machine can say."""
        if self.host != platform.node():
            return False
        try:
            process = psutil.Process(self.pid)
            if abs(process.create_time() - self.created) > 1:
                return True
            return process.status() in {psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD}
        except psutil.NoSuchProcess:
            return True
        except psutil.Error:
            return False


class RankWatch:
    """Watches the other processes from a thread.

    Parameters
    ----------
    store : Store
        Through which all of them can be reached; used by this thread alone.
    rank : int
        Of this process.
    others : sequence of int
        Ranks to watch.
    on_lost : callable
        Called once, in the thread, with a sentence that names a process that is gone.
    """

    def __init__(
        self, store: Store, rank: int, others: Sequence[int], on_lost: Callable[[str], None]
    ) -> None:
        self._store = store
        self._rank = rank
        self._others = list(others)
        self._on_lost = on_lost
        self._processes: dict[int, _Process] = {}
        self._beats: dict[int, tuple[bytes, float]] = {}
        self._ended = threading.Event()
        #: The sentence, once a process is gone.
        self.lost = ""
        self._thread = threading.Thread(target=self._run, name="rank-watch", daemon=True)
        process = psutil.Process(os.getpid())
        own = _Process(platform.node(), process.pid, process.create_time())
        store.set(f"who/{rank}", json.dumps(asdict(own)))
        self._thread.start()

    def close(self) -> None:
        """Stop watching."""
        self._ended.set()
        self._thread.join(timeout=2 * BEAT_SECONDS)

    def look(self) -> str:
        """Look at the processes of this machine now; return the sentence, if one is gone."""
        if not self.lost:
            gone = next((r for r, process in self._processes.items() if process.is_gone()), None)
            if gone is not None:
                self.lost = self._describe(gone)
        return self.lost

    def _run(self) -> None:
        number = 0
        while not self._ended.wait(BEAT_SECONDS):
            number += 1
            try:
                self._store.set(f"beat/{self._rank}", str(number))
                self._read_signs()
            except RuntimeError:
                # The store lies in the process that leads, or in the one that started all.
                self.lost = self.lost or "The process that connects the others ended."
            if not self.look():
                silent = self._find_silent()
                self.lost = "" if silent is None else self._describe(silent)
            if self.lost and not self._ended.is_set():
                self._on_lost(self.lost)
                return

    def _read_signs(self) -> None:
        for rank in self._others:
            if rank not in self._processes and self._store.check([f"who/{rank}"]):
                self._processes[rank] = _Process(**json.loads(self._store.get(f"who/{rank}")))
            if not self._store.check([f"beat/{rank}"]):
                continue
            beat = bytes(self._store.get(f"beat/{rank}"))
            if rank not in self._beats or self._beats[rank][0] != beat:
                self._beats[rank] = (beat, time.monotonic())

    def _find_silent(self) -> int | None:
        now = time.monotonic()
        return next((r for r, (_, at) in self._beats.items() if now - at > GONE_SECONDS), None)

    def _describe(self, rank: int) -> str:
        process = self._processes.get(rank)
        where = "" if process is None else f" (process {process.pid} on {process.host})"
        return f"Rank {rank}{where} ended or cannot be reached."
