"""``surfseg report``: a run's report, written on demand."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_surfseg.cli.console import say
from napari_surfseg.cli.options import add_command

if TYPE_CHECKING:
    import argparse

    from napari_surfseg.cli.options import Subparsers

__all__ = ["add"]

DESCRIPTION = """\
Write RUN/report.md: scores, curves, predictions of validation slices, timing.

A run writes it at its end; a run that is still training can be reported too.
"""


def add(subparsers: Subparsers[Any], common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = add_command(
        subparsers,
        common,
        "report",
        run,
        summary="write a run's report",
        description=DESCRIPTION,
    )
    parser.add_argument("run_dir", metavar="RUN", type=Path, help="a run folder")


def run(options: argparse.Namespace) -> int:
    """Carry the command out."""
    from napari_surfseg.runs.report.page import write_report

    say(f"report: {write_report(options.run_dir)}")
    return 0
