"""Give a run that has ended more time, so that resuming it goes on."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from napari_surfseg.errors import RunBusyError
from napari_surfseg.runs.folder import RunFolder
from napari_surfseg.runs.lock import is_alive, read_worker

if TYPE_CHECKING:
    from pathlib import Path

    from napari_surfseg.runs.follow import RunSnapshot

__all__ = ["lengthen_run", "wait_for_worker"]

#: A worker that has ended its training still writes the report.
REPORT_SECONDS = 60.0


def wait_for_worker(run_dir: Path, seconds: float = REPORT_SECONDS) -> None:
    """Wait until no worker holds the run.

    Raises
    ------
    RunBusyError
        If one still does after so many seconds.
    """
    until = time.monotonic() + seconds
    while True:
        holder = read_worker(RunFolder(run_dir).worker_path)
        if holder is None or not is_alive(holder):
            return
        if time.monotonic() > until:
            raise RunBusyError(
                f"The run {run_dir} is still held by process {holder.pid} on {holder.host}.",
                field="run_dir",
            )
        time.sleep(0.1)


def lengthen_run(run_dir: Path, snapshot: RunSnapshot, amount: float, unit: str) -> None:
    """Let a run train for so much more than it did; the other bound, if any, is lifted.

    Parameters
    ----------
    run_dir : Path
        The run folder; its ``config.yaml`` is replaced.
    snapshot : RunSnapshot
        Where the run ended.
    amount : float
        How much more, above 0.
    unit : str
        ``"minutes"`` or ``"epochs"``.
    """
    folder = RunFolder(run_dir)
    experiment = folder.read_experiment()
    # Whoever asks for more does not want the patience that ended it to end it at once.
    update: dict[str, float | int | None] = {"early_stopping": None}
    if unit == "minutes":
        update |= {"max_minutes": snapshot.elapsed_seconds / 60 + amount, "max_epochs": None}
    else:
        update |= {"max_epochs": snapshot.epoch + max(round(amount), 1), "max_minutes": None}
    training = experiment.training.model_copy(update=update)
    folder.write_experiment(experiment.model_copy(update={"training": training}))
