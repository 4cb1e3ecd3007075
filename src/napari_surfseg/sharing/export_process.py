"""An export as a process of its own: what *Share* in the dock "Runs" launches.

It answers as :mod:`napari_surfseg.inference.process_protocol` says, and writes the network
where the job says::

    {"stage": "writing the network", "share": 0.0}
    {"result": {"written": "/data/.first_x/first.zip"}}
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_surfseg.errors import SurfsegError
from napari_surfseg.inference.process_protocol import read_job, run_process
from napari_surfseg.sharing.settings import DEFAULT_LICENCE, ShareSettings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari_surfseg.sharing.settings import ShareFormat

__all__ = ["ExportJob", "job_of", "main", "run_export_job"]


@dataclass(frozen=True)
class ExportJob:
    """Which network is written, where and as what.

    Attributes
    ----------
    checkpoint : str
        ``best.pt`` or ``last.pt``, or whatever else ``open_network`` opens.
    output : str
        A path where nothing is yet, in a folder that there is.
    kind : str
        ``monai``, ``bioimageio`` or ``onnx``.
    title, authors, licence
        As in :class:`~napari_surfseg.sharing.settings.ShareSettings`.
    """

    checkpoint: str
    output: str
    kind: str
    title: str | None = None
    authors: tuple[str, ...] = ()
    licence: str = DEFAULT_LICENCE


def job_of(
    checkpoint: Path, output: Path, kind: ShareFormat, settings: ShareSettings | None = None
) -> ExportJob:
    """Make the job that writes a network with what goes along."""
    settings = settings or ShareSettings()
    along = settings.title, settings.authors, settings.licence
    return ExportJob(str(checkpoint), str(output), kind, *along)


def run_export_job(job: ExportJob, report: Callable[[str, float], None]) -> dict[str, Any]:
    """Carry a job out and return the result.

    Parameters
    ----------
    job : ExportJob
        What to write.
    report : callable
        Called with the stage and its share, 0 to 1.
    """
    from napari_surfseg.sharing.export import export_network

    settings = ShareSettings(job.title, tuple(job.authors), job.licence)
    written = export_network(job.checkpoint, job.output, job.kind, settings, report)
    return {"written": str(written)}


def main(arguments: list[str] | None = None) -> int:
    """Run the job named on the command line; returns the exit code."""

    def carry_out(path: Path, report: Callable[[str, float], None]) -> dict[str, Any]:
        report("starting", 0.0)
        try:
            return run_export_job(read_job(path, lambda values: ExportJob(**values)), report)
        except MemoryError:
            raise SurfsegError("There is not enough memory to write the network.") from None

    return run_process(arguments, carry_out)


if __name__ == "__main__":
    sys.exit(main())
