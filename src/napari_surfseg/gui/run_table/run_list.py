"""The runs of a folder with their newest state and a thinned loss curve of each."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_surfseg.events import EpochFinished, StepFinished
from napari_surfseg.runs.folder import RunFolder
from napari_surfseg.runs.follow import RunFollower
from napari_surfseg.runs.listing import find_runs

if TYPE_CHECKING:
    from pathlib import Path

    from napari_surfseg.runs.follow import RunSnapshot

__all__ = ["RunList", "RunRow"]

#: Points of a small curve: a cell has no more pixels.
CURVE_POINTS = 60


@dataclass(frozen=True)
class RunRow:
    """One line of the table.

    Attributes
    ----------
    path : Path
        The run folder.
    snapshot : RunSnapshot
        The newest.
    curve : tuple of float
        Total loss, averaged to at most as many points as a cell shows.
    has_checkpoint : bool
        Whether there is a network to give to others.
    """

    path: Path
    snapshot: RunSnapshot
    curve: tuple[float, ...]
    has_checkpoint: bool = False


class RunList:
    """Follows every run of a folder; to be used by one thread at a time."""

    def __init__(self) -> None:
        self._followers: dict[Path, RunFollower] = {}
        self._curves: dict[Path, list[float]] = {}

    def read(self, folder: Path) -> list[RunRow]:
        """Read what is new of each run; the newest run comes first.

        Raises
        ------
        RunError
            If the folder cannot be listed.
        """
        rows = []
        for path in reversed(find_runs(folder)) if folder.exists() else []:
            follower = self._followers.setdefault(path, RunFollower(path))
            snapshot = follower.poll()
            curve = self._curves.setdefault(path, [])
            curve += [
                float(event.total)
                for event in snapshot.new_events
                if isinstance(event, StepFinished | EpochFinished) and event.total is not None
            ]
            folder_of_run = RunFolder(path)
            has_checkpoint = (
                folder_of_run.best_checkpoint.exists() or folder_of_run.last_checkpoint.exists()
            )
            rows.append(RunRow(path, snapshot, _thin(curve), has_checkpoint))
        return rows


def _thin(values: list[float]) -> tuple[float, ...]:
    """Average neighbours, so that no more points are left than a cell can show."""
    if len(values) <= CURVE_POINTS:
        return tuple(values)
    size = len(values) / CURVE_POINTS
    cuts = [round(place * size) for place in range(CURVE_POINTS + 1)]
    return tuple(sum(values[a:b]) / (b - a) for a, b in itertools.pairwise(cuts) if b > a)
