"""A thread that writes checkpoints while training goes on: one at a time, the newest of each."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari_surfseg.model.checkpoint import Checkpoint

__all__ = ["BackgroundWriter", "SaveOutcome"]


@dataclass(frozen=True)
class SaveOutcome:
    """What became of one save.

    Attributes
    ----------
    path : Path
        The file.
    checkpoint : Checkpoint
        What was to be written.
    note : str or None
        What else is to be said of it.
    error : Exception or None
        Why it was not written.
    """

    path: Path
    checkpoint: Checkpoint
    note: str | None
    error: Exception | None


class BackgroundWriter:
    """Writes checkpoints that nothing changes any more, in the order they were given.

    A file still waiting when a newer version of it comes is left out, so at most one of each file
    waits, whatever a slow disk does.

    Parameters
    ----------
    save : callable
        Writes a checkpoint to a path; may return a note.
    """

    def __init__(self, save: Callable[[Path, Checkpoint], str | None]) -> None:
        self._save = save
        self._waiting: dict[Path, Checkpoint] = {}
        self._outcomes: list[SaveOutcome] = []
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    @property
    def is_writing(self) -> bool:
        """Whether something is being written or waits for it."""
        with self._lock:
            return self._thread is not None

    def submit(self, path: Path, checkpoint: Checkpoint) -> None:
        """Have a checkpoint written, soon."""
        with self._lock:
            self._waiting.pop(path, None)
            self._waiting[path] = checkpoint
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="checkpoints", daemon=True)
                self._thread.start()

    def take_outcomes(self) -> list[SaveOutcome]:
        """Return what was written, or failed to be, since the last call."""
        with self._lock:
            outcomes, self._outcomes = self._outcomes, []
        return outcomes

    def wait(self) -> None:
        """Wait until all is written."""
        thread = self._thread
        if thread is not None:
            thread.join()

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._thread = None
                    return
                path = next(iter(self._waiting))
                checkpoint = self._waiting.pop(path)
            note, error = None, None
            try:
                note = self._save(path, checkpoint)
            except Exception as caught:  # noqa: BLE001 - the training reports it
                error = caught
            with self._lock:
                self._outcomes.append(SaveOutcome(path, checkpoint, note, error))
