"""A search for doubtful places as a process of its own: what the window's list launches.

It answers as :mod:`napari_surfseg.inference.process_protocol` says, and leaves ``places.csv``
beside the job::

    {"stage": "looking for doubtful places", "share": 0.25}
    {"result": {"places": "places.csv", "warnings": [], "threshold": 0.5}}
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_surfseg.errors import SurfsegError
from napari_surfseg.inference.process_protocol import read_job, run_process

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari_surfseg.geometry import Spacing3

__all__ = ["PLACES_NAME", "DoubtJob", "main", "run_doubt_job"]

PLACES_NAME = "places.csv"


@dataclass(frozen=True)
class DoubtJob:
    """Where doubt is looked for.

    Attributes
    ----------
    prediction : str
        Anything ``open_volume`` opens: probabilities or a mask.
    threshold : float, optional
        Surface is above it; by default one half of probabilities, and not 0 of a mask.
    earlier, other : str, optional
        The same as it was predicted earlier, and by another network.
    labels : str, optional
        What a person has annotated; no place is there.
    ignore : tuple of int
        Values of the labels that say that nobody annotated there.
    spacing : tuple of float, optional
        Z, Y, X voxel size; by default the prediction's own.
    max_places : int
        The first so many are listed.
    """

    prediction: str
    threshold: float | None = None
    earlier: str | None = None
    other: str | None = None
    labels: str | None = None
    ignore: tuple[int, ...] = (2,)
    spacing: Spacing3 | None = None
    max_places: int = 200

    @classmethod
    def from_values(cls, values: dict[str, Any]) -> DoubtJob:
        """Make a job of the values in its file."""
        if "ignore" in values:
            values["ignore"] = tuple(map(int, values["ignore"]))
        if values.get("spacing") is not None:
            values["spacing"] = tuple(map(float, values["spacing"]))
        return cls(**values)


def run_doubt_job(
    job: DoubtJob, folder: Path, report: Callable[[str, float], None]
) -> dict[str, Any]:
    """Carry a job out and return the result.

    Parameters
    ----------
    job : DoubtJob
        Where to look.
    folder : Path
        Where the table of places goes.
    report : callable
        Called with the stage and its share, 0 to 1.
    """
    from napari_surfseg.data.open import open_volume
    from napari_surfseg.inference.doubt_in_volume import DoubtSources, find_places_in_volume
    from napari_surfseg.proofreading.places import write_places

    earlier, other, labels = (
        None if source is None else open_volume(source)
        for source in (job.earlier, job.other, job.labels)
    )
    found = find_places_in_volume(
        DoubtSources(open_volume(job.prediction), earlier, other, labels, job.ignore),
        job.threshold,
        spacing=job.spacing,
        max_places=job.max_places,
        report=report,
    )
    write_places(folder / PLACES_NAME, found.places)
    return {"places": PLACES_NAME, "warnings": found.warnings, "threshold": found.threshold}


def main(arguments: list[str] | None = None) -> int:
    """Run the job named on the command line; returns the exit code."""

    def carry_out(path: Path, report: Callable[[str, float], None]) -> dict[str, Any]:
        report("starting", 0.0)
        try:
            return run_doubt_job(read_job(path, DoubtJob.from_values), path.parent, report)
        except MemoryError:
            raise SurfsegError("There is not enough memory to look for doubtful places.") from None

    return run_process(arguments, carry_out)


if __name__ == "__main__":
    sys.exit(main())
