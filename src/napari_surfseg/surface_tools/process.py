"""A tool as a process of its own: what the dock "Surface tools" launches.

It answers as :mod:`napari_surfseg.inference.process_protocol` says, and writes its result where
the job says::

    {"stage": "medial surface", "share": 0.0}
    {"result": {"written": "/tmp/surfseg_x/result.tif", "notes": []}}
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from napari_surfseg.errors import SurfsegError
from napari_surfseg.inference.process_protocol import read_job, run_process
from napari_surfseg.surface_tools.files import ToolRun, run_tool

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Run the job named on the command line; returns the exit code."""

    def carry_out(path: Path, report: Callable[[str, float], None]) -> dict[str, Any]:
        report("starting", 0.0)
        job = read_job(path, lambda values: ToolRun(**values))
        try:
            return run_tool(job, report)
        except MemoryError:
            raise SurfsegError(f"There is not enough memory for {job.tool} in one piece.") from None

    return run_process(arguments, carry_out)


if __name__ == "__main__":
    sys.exit(main())
