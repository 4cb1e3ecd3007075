"""``surfseg phantom``: the synthetic scroll."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_surfseg.cli.console import counting, say
from napari_surfseg.cli.options import add_command, read_size

if TYPE_CHECKING:
    import argparse

    from napari_surfseg.cli.options import Subparsers

__all__ = ["add"]

DESCRIPTION = """\
Make a synthetic rolled scroll that looks like micro-CT of one.

OUT becomes a folder with three OME-Zarr volumes: image.zarr, labels.zarr (the
sheets' inner face: 1, elsewhere 0, not annotated 2) and winding.zarr (the true
winding of every sheet voxel). It is made chunk by chunk and may be larger than
memory; the same size and seed always give the same scroll.
"""

EXAMPLES = """\
examples:
  surfseg phantom scroll
  surfseg phantom scroll --shape 320,512,512 --seed 3
  surfseg train my.yaml --set data.train="[{image: scroll/image.zarr, labels: scroll/labels.zarr}]"
"""


def add(subparsers: Subparsers[Any], common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = add_command(
        subparsers,
        common,
        "phantom",
        run,
        summary="make a synthetic scroll",
        description=DESCRIPTION,
    )
    parser.epilog = EXAMPLES
    parser.add_argument("out", metavar="OUT", type=Path, help="folder to make")
    parser.add_argument(
        "--shape",
        type=read_size,
        default=(160, 192, 192),
        metavar="Z,Y,X",
        help="voxels (default: 160,192,192)",
    )
    parser.add_argument("--seed", type=int, default=7, help="another seed, another scroll")
    parser.add_argument(
        "--strokes",
        action="store_true",
        help="annotate sparsely, as if painted: most of the background is not annotated",
    )


def run(options: argparse.Namespace) -> int:
    """Carry the command out."""
    from napari_surfseg.data.phantom.settings import PhantomSettings
    from napari_surfseg.data.phantom.storage import write_phantom
    from napari_surfseg.errors import OutputError

    out = options.out
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise OutputError(f"{out} exists already; the phantom needs a new or empty folder.")
    settings = PhantomSettings(
        shape=options.shape,
        seed=options.seed,
        annotated="strokes" if options.strokes else "dense",
    )
    with counting("making the scroll") as progress:
        paths = write_phantom(out, settings, progress=progress)
    say(f"image:  {paths.image}\nlabels: {paths.labels}\ntruth:  {paths.winding}")
    return 0
