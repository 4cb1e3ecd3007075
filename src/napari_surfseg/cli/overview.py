"""``surfseg report`` and ``surfseg runs``: looking at what was trained."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_surfseg.cli.console import say
from napari_surfseg.cli.options import add_command

if TYPE_CHECKING:
    import argparse

    from napari_surfseg.cli.options import Subparsers

__all__ = ["add_report", "add_runs"]

REPORT_DESCRIPTION = """\
Write RUN/report.md: scores, curves, predictions of validation slices, timing.

A run writes it at its end; a run that is still training can be reported too.
"""

RUNS_DESCRIPTION = """\
List the runs of a folder with their state and scores.
"""


def add_report(subparsers: Subparsers[Any], common: argparse.ArgumentParser) -> None:
    """Add the command ``report``."""
    parser = add_command(
        subparsers,
        common,
        "report",
        run_report,
        summary="write a run's report",
        description=REPORT_DESCRIPTION,
    )
    parser.add_argument("run_dir", metavar="RUN", type=Path, help="a run folder")


def run_report(options: argparse.Namespace) -> int:
    """Carry ``report`` out."""
    from napari_surfseg.runs.report.page import write_report

    say(f"report: {write_report(options.run_dir)}")
    return 0


def add_runs(subparsers: Subparsers[Any], common: argparse.ArgumentParser) -> None:
    """Add the command ``runs``."""
    parser = add_command(
        subparsers,
        common,
        "runs",
        run_runs,
        summary="list runs and their state",
        description=RUNS_DESCRIPTION,
    )
    parser.add_argument(
        "folder",
        metavar="DIR",
        type=Path,
        nargs="?",
        default=Path("runs"),
        help="a folder of runs, or one run (default: runs)",
    )


def run_runs(options: argparse.Namespace) -> int:
    """Carry ``runs`` out."""
    from napari_surfseg.runs.listing import list_runs, tabulate_runs

    runs = list_runs(options.folder)
    say(tabulate_runs(runs) if runs else f"There are no runs in {options.folder}.")
    return 0
