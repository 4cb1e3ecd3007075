"""``surfseg export``: a trained network for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_surfseg.cli.console import say
from napari_surfseg.cli.options import add_command
from napari_surfseg.sharing.settings import DEFAULT_LICENCE, FORMATS

if TYPE_CHECKING:
    import argparse

    from napari_surfseg.cli.options import Subparsers

__all__ = ["add"]

DESCRIPTION = """\
Write a trained network for other programs.

A name that ends in .onnx makes an ONNX file, .zip a package for bioimage.io, any
other a folder that is a MONAI bundle. The bundle is also what to give to somebody
who uses napari-surfseg: surfseg predict and model.start_from read it. Nothing of
the machine it was trained on goes along. Needs: pip install "napari-surfseg[share]"
"""

EXAMPLES = """\
examples:
  surfseg export runs/first cell_walls --author "A. Person" --title "Cell walls"
  surfseg export runs/first cell_walls.zip --license CC0-1.0
  surfseg export best.pt cell_walls.onnx
  surfseg predict scan.tif --checkpoint cell_walls --output surfaces.tif
"""


def add(subparsers: Subparsers[Any], common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = add_command(
        subparsers,
        common,
        "export",
        run,
        summary="write a network for MONAI, bioimage.io or ONNX",
        description=DESCRIPTION,
    )
    parser.epilog = EXAMPLES
    parser.add_argument(
        "source",
        metavar="RUN",
        help="a run folder (its best.pt), a checkpoint, or a network of surfseg networks",
    )
    parser.add_argument("output", metavar="OUT", type=Path, help="a folder, OUT.zip or OUT.onnx")
    parser.add_argument(
        "--format",
        choices=tuple(FORMATS),
        help="what is written (default: as the name of OUT says)",
    )
    parser.add_argument("--title", help="name of the network (default: the experiment's)")
    parser.add_argument(
        "--author",
        action="append",
        default=[],
        metavar="NAME",
        help="who trained it; may be repeated",
    )
    parser.add_argument(
        "--license",
        default=DEFAULT_LICENCE,
        metavar="SPDX",
        help=f"licence of the weights, as on spdx.org/licenses (default: {DEFAULT_LICENCE})",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing output")


def run(options: argparse.Namespace) -> int:
    """Carry the command out."""
    from napari_surfseg.runs.checkpoints import find_trained
    from napari_surfseg.runs.launch import prepare_this_process
    from napari_surfseg.sharing.settings import ShareSettings, check_share

    settings = ShareSettings(
        title=options.title,
        authors=tuple(options.author),
        licence=options.license,
        overwrite=options.overwrite,
    )
    kind = check_share(options.output, options.format, settings)
    source = find_trained(options.source)
    prepare_this_process()

    # From here on torch is needed, which takes seconds to load.
    from napari_surfseg.sharing.export import export_network

    written = export_network(source, options.output, kind, settings)
    say(f"{FORMATS[kind]}: {written}, licence {settings.licence}")
    return 0
