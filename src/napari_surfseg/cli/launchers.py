"""``surfseg launchers``: where else a run can be trained."""

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
List the launchers: the other machines that a run can be trained on, each a small YAML file
that says how a training is started there, asked after and ended. They lie in a folder of
yours, in what SURFSEG_LAUNCHERS names, or in launchers/ beside an experiment.
"""

EXAMPLES = """\
examples:
  surfseg launchers --example slurm      (copies one to be adapted: ssh, slurm, lsf, sge)
  surfseg train my_experiment.yaml --launcher slurm
"""


def add(subparsers: Subparsers[Any], common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = add_command(
        subparsers,
        common,
        "launchers",
        run,
        summary="list the other machines that a run can be trained on",
        description=DESCRIPTION,
    )
    parser.epilog = EXAMPLES
    parser.add_argument(
        "folder",
        metavar="DIR",
        type=Path,
        nargs="?",
        default=Path(),
        help="folder of an experiment with launchers of its own (default: this one)",
    )
    parser.add_argument("--example", metavar="NAME", help="copy an example to your launchers")


def run(options: argparse.Namespace) -> int:
    """Carry the command out."""
    from napari_surfseg.runs.launchers.library import (
        copy_example,
        example_names,
        find_user_folder,
        list_launchers,
    )
    from napari_surfseg.wording import align_columns

    if options.example is not None:
        say(f"{copy_example(options.example)}: adapt it, then see surfseg launchers")
        return 0
    found = list_launchers(options.folder)
    valid = [one for one in found if one.launcher is not None]
    if valid:
        rows = [("launcher", "title", "file")]
        say(
            align_columns(
                [*rows, *((one.name, one.title, str(one.path)) for one in valid)], numbers=set()
            )
        )
    else:
        say(
            f"There are no launchers; surfseg launchers --example copies one of "
            f"{', '.join(example_names())} to {find_user_folder()}."
        )
    for one in found:
        if one.launcher is None:
            say(f"not valid: {one.error}")
    return 0
