"""Train a run that has ended for longer: its configuration gets a later end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_surfseg.runs.folder import RunFolder

if TYPE_CHECKING:
    from pathlib import Path

    from napari_surfseg.runs.follow import RunSnapshot

__all__ = ["extend_run"]


def extend_run(run_dir: Path, snapshot: RunSnapshot, amount: float, unit: str) -> None:
    """Move the end of a run so that resuming it trains for so much more.

    Only the bound in ``unit`` is kept.

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
    # Early stopping may be what ended it, and would end it again at once.
    update: dict[str, float | int | None] = {"early_stopping": None}
    if unit == "minutes":
        update |= {"max_minutes": snapshot.elapsed_seconds / 60 + amount, "max_epochs": None}
    else:
        update |= {"max_epochs": snapshot.epoch + max(round(amount), 1), "max_minutes": None}
    training = experiment.training.model_copy(update=update)
    folder.write_experiment(experiment.model_copy(update={"training": training}))
