"""An evaluation as a process of its own: what the window's "Proofread" launches.

It answers as :mod:`napari_surfseg.inference.process_protocol` says, and leaves ``errors.csv``
beside the job::

    {"stage": "finding topology errors", "share": 0.25}
    {"result": {"scores": {...}, "errors": "errors.csv", "warnings": []}}
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

__all__ = ["ERRORS_NAME", "EvaluationJob", "main", "run_evaluation_job"]

ERRORS_NAME = "errors.csv"


@dataclass(frozen=True)
class EvaluationJob:
    """What to compare with what.

    Attributes
    ----------
    prediction, labels : str
        Anything ``open_volume`` opens.
    foreground, ignore : tuple of int
        Label values that are surface, and that are not scored.
    threshold : float, optional
        The prediction holds probabilities, surface is above it.
    """

    prediction: str
    labels: str
    foreground: tuple[int, ...] = (1,)
    ignore: tuple[int, ...] = (2,)
    threshold: float | None = None

    @classmethod
    def from_values(cls, values: dict[str, Any]) -> EvaluationJob:
        """Make a job of the values in its file."""
        for key in ("foreground", "ignore"):
            values[key] = tuple(map(int, values[key]))
        return cls(**values)


def run_evaluation_job(
    job: EvaluationJob, folder: Path, report: Callable[[str, float], None]
) -> dict[str, Any]:
    """Carry a job out and return the result.

    Parameters
    ----------
    job : EvaluationJob
        What to compare.
    folder : Path
        Where the table of errors goes.
    report : callable
        Called with the stage and its share, 0 to 1.
    """
    from napari_surfseg.data.open import open_volume
    from napari_surfseg.inference.evaluate_volume import EvaluationSettings, evaluate_volume
    from napari_surfseg.metrics.error_table import write_error_table

    found = evaluate_volume(
        open_volume(job.prediction),
        open_volume(job.labels),
        EvaluationSettings(foreground=job.foreground, ignore=job.ignore, threshold=job.threshold),
        with_errors=True,
        report=report,
    )
    write_error_table(folder / ERRORS_NAME, found.errors)
    return {"scores": found.scores, "errors": ERRORS_NAME, "warnings": found.warnings}


def main(arguments: list[str] | None = None) -> int:
    """Run the job named on the command line; returns the exit code."""

    def carry_out(path: Path, report: Callable[[str, float], None]) -> dict[str, Any]:
        report("starting", 0.0)
        try:
            return run_evaluation_job(
                read_job(path, EvaluationJob.from_values), path.parent, report
            )
        except MemoryError:
            raise SurfsegError(
                "There is not enough memory to compare the two volumes in one piece."
            ) from None

    return run_process(arguments, carry_out)


if __name__ == "__main__":
    sys.exit(main())
