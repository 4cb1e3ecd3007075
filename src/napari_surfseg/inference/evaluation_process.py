"""An evaluation as a process of its own: what the window's "Topology errors" launches.

``python -m napari_surfseg.inference.evaluation_process JOB.json`` answers as
:mod:`napari_surfseg.inference.prediction_process` does, and leaves ``errors.csv`` beside the job::

    {"stage": "finding topology errors", "share": 0.25}
    {"result": {"scores": {...}, "errors": "errors.csv", "warnings": []}}
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_surfseg.errors import SurfsegError
from napari_surfseg.inference.prediction_process import Teller, say

__all__ = ["ERRORS_NAME", "EvaluationJob", "main", "read_evaluation_job"]

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


def read_evaluation_job(path: Path) -> EvaluationJob:
    """Read a job that ``write_job`` wrote.

    Raises
    ------
    SurfsegError
        If it is damaged.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        for key in ("foreground", "ignore"):
            values[key] = tuple(map(int, values[key]))
        return EvaluationJob(**values)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise SurfsegError(f"The job {path} cannot be read: {error}.") from None


def run_evaluation_job(job: EvaluationJob, folder: Path, tell: Teller) -> dict[str, Any]:
    """Carry a job out and return what is told of it."""
    from napari_surfseg.data.volume import open_volume
    from napari_surfseg.inference.evaluate_volume import evaluate_volume
    from napari_surfseg.metrics.error_table import write_error_table

    found = evaluate_volume(
        open_volume(job.prediction),
        open_volume(job.labels),
        foreground=job.foreground,
        ignore=job.ignore,
        threshold=job.threshold,
        with_errors=True,
        tell=tell,
    )
    write_error_table(folder / ERRORS_NAME, found.errors)
    return {"scores": found.scores, "errors": ERRORS_NAME, "warnings": found.warnings}


def main(arguments: list[str] | None = None) -> int:
    """Run the job named on the command line; returns the exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    if len(given) != 1:
        say({"error": "One job file must be named."})
        return 2
    path = Path(given[0])
    tell = Teller()
    try:
        tell("starting", 0.0)
        result = run_evaluation_job(read_evaluation_job(path), path.parent, tell)
    except SurfsegError as error:
        say({"error": str(error)})
        return error.exit_code
    except MemoryError:
        say({"error": "There is not enough memory to compare the two volumes in one piece."})
        return 2
    say({"result": result})
    return 0


if __name__ == "__main__":
    sys.exit(main())
