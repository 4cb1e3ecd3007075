"""``surfseg runs``: the runs of a folder and their state."""

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
List the runs of a folder with their state and scores.
"""


def add(subparsers: Subparsers[Any], common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = add_command(
        subparsers,
        common,
        "runs",
        run,
        summary="list runs and their state",
        description=DESCRIPTION,
    )
    parser.add_argument(
        "folder",
        metavar="DIR",
        type=Path,
        nargs="?",
        default=Path("runs"),
        help="a folder of runs, or one run (default: runs)",
    )


def run(options: argparse.Namespace) -> int:
    """Carry the command out."""
    from napari_surfseg.runs.launchers.job import refresh_job
    from napari_surfseg.runs.listing import find_runs, list_runs, tabulate_runs

    for path in find_runs(options.folder):
        refresh_job(path)
    runs = list_runs(options.folder)
    say(tabulate_runs(runs) if runs else f"There are no runs in {options.folder}.")
    return 0
