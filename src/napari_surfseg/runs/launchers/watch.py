"""Asks after a run's job now and then, from a thread: whoever follows the run never waits."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from napari_surfseg.runs.launch_record import read_launch
from napari_surfseg.runs.launchers.job import refresh_job
from napari_surfseg.runs.launchers.library import find_used_launcher

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari_surfseg.runs.launch_record import LaunchRecord

__all__ = ["LaunchWatch"]

#: Reading ``launch.json`` costs little, and a change need not be seen within a second.
READ_SECONDS = 1.0


class LaunchWatch:
    """What is known of the job of one run.

    Parameters
    ----------
    run_dir : Path
        The run folder.
    asks : bool
        Ask the launcher; otherwise only what others have asked is known.
    refresh : callable
        Asks and writes the answer down; replaced in tests.
    """

    def __init__(
        self,
        run_dir: Path,
        *,
        asks: bool = True,
        refresh: Callable[[Path], object] = refresh_job,
    ) -> None:
        self._run_dir = run_dir
        self._asks = asks
        self._refresh = refresh
        self._record: LaunchRecord | None = None
        self._read = self._asked = float("-inf")
        self._thread: threading.Thread | None = None

    def look(self, *, is_needed: bool) -> LaunchRecord | None:
        """Return what is known; where more is needed, a question is asked, and answered later."""
        now = time.monotonic()
        if now - self._read >= READ_SECONDS:
            self._read = now
            self._record = read_launch(self._run_dir)
        if self._record is not None and self._asks and is_needed:
            self._ask(self._record, now)
        return self._record

    def _ask(self, record: LaunchRecord, now: float) -> None:
        if self._thread is not None and self._thread.is_alive():
            return
        launcher = find_used_launcher(record.digest) if now > self._asked + READ_SECONDS else None
        if launcher is None or now < self._asked + launcher.every:
            return
        self._asked = now
        self._thread = threading.Thread(
            target=self._refresh, args=(self._run_dir,), name="surfseg-job", daemon=True
        )
        self._thread.start()
