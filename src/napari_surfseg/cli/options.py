"""Arguments that several commands share, and how their values are read."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from napari_surfseg.errors import OutputError, SurfsegError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

    from napari_surfseg.geometry import Size3, Spacing3

__all__ = [
    "Subparsers",
    "UsageError",
    "add_command",
    "add_device",
    "check_table_path",
    "read_resample",
    "read_share",
    "read_size",
    "read_spacing",
    "read_values",
]

#: What ``ArgumentParser.add_subparsers`` returns; argparse has no public name for it.
Subparsers = argparse._SubParsersAction  # noqa: SLF001


class UsageError(SurfsegError):
    """An argument that is missing, unknown or of the wrong kind."""


def add_command(
    subparsers: Subparsers[Any],
    common: argparse.ArgumentParser,
    name: str,
    run: Callable[[argparse.Namespace], int],
    *,
    summary: str,
    description: str,
) -> argparse.ArgumentParser:
    """Add a command that ``run`` carries out."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        name,
        help=summary,
        description=description,
        parents=[common],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    return parser


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add ``--device``."""
    parser.add_argument(
        "--device",
        default="auto",
        metavar="auto|cpu|cuda",
        help="where to compute (default: auto, a GPU if there is one)",
    )


def check_table_path(path: Path, option: str) -> None:
    """Refuse a path for a table before what goes into it is computed, which can take an hour."""
    if not path.parent.is_dir():
        raise OutputError(f"There is no folder {path.parent} to write {path.name} into.")
    if path.is_dir():
        raise OutputError(f"{path} is a folder; {option} needs the name of a file.")


def read_size(text: str) -> Size3:
    """Read ``Z,Y,X`` or one edge for all three."""
    try:
        values = [int(part) for part in text.replace("x", ",").split(",")]
    except ValueError:
        values = []
    if len(values) == 1:
        values *= 3
    if len(values) != 3 or min(values) < 1:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a size; give Z,Y,X in voxels such as 128,192,192"
        )
    return values[0], values[1], values[2]


def read_spacing(text: str) -> Spacing3 | str:
    """Read ``Z,Y,X`` voxel sizes, one for all three, or ``file``."""
    if text == "file":
        return text
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if len(values) == 1:
        values *= 3
    if len(values) != 3 or not all(0 < value < float("inf") for value in values):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a voxel size; give Z,Y,X above 0 such as 0.235,0.15,0.15, or file"
        )
    return values[0], values[1], values[2]


def read_resample(text: str) -> Spacing3 | str:
    """Read a voxel size, one edge for all three, ``auto`` or ``none``."""
    if text in ("auto", "none"):
        return text
    if text == "file":
        raise argparse.ArgumentTypeError("'file' is no voxel size; give Z,Y,X, auto or none")
    return read_spacing(text)


def read_share(text: str) -> float:
    """Read a number between 0 and 1, neither included."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not between 0 and 1")
    return value


def read_values(text: str) -> tuple[int, ...]:
    """Read label values: ``1`` or ``1,3``; ``none`` for no value at all."""
    if text == "none":
        return ()
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a list of label values; give whole numbers such as 1 or 1,3, or none"
        ) from None
