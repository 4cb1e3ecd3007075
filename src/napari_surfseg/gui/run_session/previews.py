"""A preview that the worker wrote into the run folder, loaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_surfseg.config_files import find_own_path
from napari_surfseg.errors import DataError
from napari_surfseg.proofreading.places import read_places
from napari_surfseg.runs.launch_record import read_launch, to_here

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_surfseg.events import PreviewWritten
    from napari_surfseg.geometry import Index3
    from napari_surfseg.proofreading.places import DoubtfulPlace

__all__ = ["LivePreview", "load_preview"]


@dataclass(frozen=True, eq=False)
class LivePreview:
    """One preview, loaded.

    Attributes
    ----------
    index : int
        Counts the previews of a run.
    image : str
        The volume it lies in, as written in the configuration.
    origin : tuple of int
        Z, Y, X voxel of that volume at which the arrays begin.
    probabilities, skeleton : arrays of shape (Z, Y, X)
        uint8: 0..255, and 0 or 1.
    places : sequence of DoubtfulPlace, optional
        Where to paint next; None where nobody looked.
    """

    index: int
    image: str
    origin: Index3
    probabilities: NDArray[np.uint8]
    skeleton: NDArray[np.uint8]
    epoch: int = 0
    step: int = 0
    places: Sequence[DoubtfulPlace] | None = None


def load_preview(run_dir: Path, event: PreviewWritten) -> LivePreview | None:
    """Read a preview's arrays; None where they are gone or damaged.

    Only a few previews are kept, so a missing one is no error.
    """
    try:
        probabilities = np.load(run_dir / event.probabilities, allow_pickle=False)
        skeleton = np.load(run_dir / event.skeleton, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    if probabilities.ndim != 3 or probabilities.shape != skeleton.shape:
        return None
    launch = read_launch(run_dir)
    image = event.image if launch is None else to_here(event.image, launch, run_dir)
    return LivePreview(
        index=event.index,
        image=find_own_path(image, run_dir),
        origin=event.origin,
        probabilities=np.ascontiguousarray(probabilities, np.uint8),
        skeleton=np.ascontiguousarray(skeleton, np.uint8),
        epoch=event.epoch,
        step=event.step,
        places=_load_places(run_dir, event.places),
    )


def _load_places(run_dir: Path, name: str | None) -> list[DoubtfulPlace] | None:
    if name is None:
        return None
    try:
        return read_places(run_dir / name)
    except DataError:
        return None
