"""The synthetic scroll that a run makes for itself when its experiment names no volumes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_surfseg.config import Pair, PhantomData

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari_surfseg.config import Experiment

__all__ = ["make_training_phantom"]


def make_training_phantom(
    experiment: Experiment,
    folder: Path,
    *,
    progress: Callable[[int, int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Experiment:
    """Make the scroll of ``data.phantom`` and return the experiment that trains on it.

    Parameters
    ----------
    experiment : Experiment
        One with an empty ``data.train``.
    folder : Path
        Where the volumes go.
    progress, should_stop : callable, optional
        As in ``write_phantom``.

    Raises
    ------
    OutputError
        If it cannot be written.
    CancelledError
        If ``should_stop`` returned True; nothing is left on disk.
    """
    # Here, because zarr takes a while to import and most runs bring their own volumes.
    from napari_surfseg.data.phantom.settings import PhantomSettings
    from napari_surfseg.data.phantom.storage import write_phantom

    wanted = experiment.data.phantom or PhantomData()
    settings = PhantomSettings(shape=wanted.shape, seed=wanted.seed)
    paths = write_phantom(folder.resolve(), settings, progress=progress, should_stop=should_stop)
    pair = Pair(image=str(paths.image), labels=str(paths.labels))
    data = experiment.data.model_copy(update={"train": (pair,)})
    return experiment.model_copy(update={"data": data})
