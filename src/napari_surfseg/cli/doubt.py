"""``surfseg doubt``: where a prediction is probably wrong, without labels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_surfseg.cli.console import reporting_stages, say, say_error
from napari_surfseg.cli.options import (
    UsageError,
    add_command,
    check_table_path,
    read_share,
    read_spacing,
    read_values,
)

if TYPE_CHECKING:
    import argparse

    from napari_surfseg.cli.options import Subparsers
    from napari_surfseg.proofreading.places import DoubtfulPlace

__all__ = ["add"]

DESCRIPTION = """\
List where a prediction is probably wrong, what matters most first. No labels are needed.

  hole          through a sheet
  bridge        holds two sheets together, hardly
  loose end     a sheet is torn, or ends where it seems to go on
  small piece   hangs on nothing
  uncertain     probabilities near the threshold
  flickering    changed since --earlier
  disagreement  --other says something else

Give probabilities (surfseg predict --probabilities): a mask of 0 and 1 shows holes and loose
ends, but no doubt. Memory does not grow with the volume.
"""

EXAMPLES = """\
examples:
  surfseg doubt probs.zarr --output places.csv
  surfseg doubt probs.tif --threshold 0.4 --most 20 --output places.csv
  surfseg doubt probs.tif --earlier yesterday.tif --labels strokes.tif --ignore 0 --output todo.csv
"""

#: Lines of the table that are shown.
SHOWN = 10


def add(subparsers: Subparsers[Any], common: argparse.ArgumentParser) -> None:
    """Add the command."""
    from napari_surfseg.proofreading.find import MAX_PLACES

    parser = add_command(
        subparsers,
        common,
        "doubt",
        run,
        summary="list where a prediction is probably wrong",
        description=DESCRIPTION,
    )
    parser.epilog = EXAMPLES
    parser.add_argument("prediction", metavar="PREDICTION", help="probabilities, or a mask")
    parser.add_argument(
        "--output", type=Path, required=True, metavar="FILE.csv", help="the table of places"
    )
    parser.add_argument(
        "--threshold",
        type=read_share,
        metavar="T",
        help="surface is above it (default: 0.5 of probabilities; of a mask what is not 0)",
    )
    parser.add_argument(
        "--earlier", metavar="VOLUME", help="the same, predicted earlier: what changed is listed"
    )
    parser.add_argument("--other", metavar="VOLUME", help="the same, predicted by another network")
    parser.add_argument(
        "--labels", metavar="VOLUME", help="what is annotated already: no place is there"
    )
    parser.add_argument(
        "--ignore",
        type=read_values,
        default=(2,),
        metavar="VALUES",
        help="values of --labels that mean not annotated (default: 2)",
    )
    parser.add_argument(
        "--spacing",
        type=read_spacing,
        default="file",
        metavar="Z,Y,X",
        help="voxel size (default: file, what the prediction's file says)",
    )
    parser.add_argument(
        "--most",
        type=int,
        default=MAX_PLACES,
        metavar="N",
        help=f"list the first N (default: {MAX_PLACES})",
    )


def run(options: argparse.Namespace) -> int:
    """Carry the command out."""
    from napari_surfseg.data.open import open_volume
    from napari_surfseg.files import written_aside
    from napari_surfseg.inference.doubt_in_volume import DoubtSources, find_places_in_volume
    from napari_surfseg.proofreading.places import count_places, write_places

    if options.most < 1:
        raise UsageError(f"The --most is {options.most}, but it must be at least 1.")
    check_table_path(options.output, "--output")
    earlier, other, labels = (
        None if source is None else open_volume(source)
        for source in (options.earlier, options.other, options.labels)
    )
    sources = DoubtSources(open_volume(options.prediction), earlier, other, labels, options.ignore)
    with reporting_stages() as report:
        found = find_places_in_volume(
            sources,
            options.threshold,
            spacing=None if options.spacing == "file" else options.spacing,
            max_places=options.most,
            report=report,
        )
    for warning in found.warnings:
        say_error(f"warning: {warning}")
    with written_aside(options.output) as aside:
        write_places(aside, found.places)
    counts = ", ".join(f"{count} {kind}" for kind, count in count_places(found.places).items())
    say(f"doubtful places: {len(found.places)}" + (f" ({counts})" if counts else ""))
    if found.places:
        say(f"\n{_tabulate(found.places[:SHOWN])}\n")
    say(f"All are in {options.output}")
    return 0


def _tabulate(places: list[DoubtfulPlace]) -> str:
    from napari_surfseg.wording import align_columns

    rows: list[tuple[str, ...]] = [("weight", "z", "y", "x", "what", "why")]
    rows += [
        (f"{place.weight:.2f}", *map(str, place.location), place.kind, place.reason)
        for place in places
    ]
    return align_columns(rows, numbers={0, 1, 2, 3})
