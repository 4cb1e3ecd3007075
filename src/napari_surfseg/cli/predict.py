"""``surfseg predict``: a volume and a checkpoint become surfaces."""

from __future__ import annotations

import argparse
import contextlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from napari_surfseg.cli.console import counting, say, say_error
from napari_surfseg.cli.options import (
    UsageError,
    add_command,
    add_device,
    read_resample,
    read_share,
    read_spacing,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_surfseg.cli.options import Subparsers

__all__ = ["add"]

DESCRIPTION = """\
Find surfaces in a volume with a trained network: your own, or without --checkpoint the
one that comes with the package, which knows membranes, walls and sheets in general.

The result has the image's shape, spacing and place: 0 and 1 as uint8, or with
--probabilities 0 to 255. It is written aside and appears when it is complete. Until then
finished blocks are kept in OUT.surfseg-prediction: whatever ended the command, the same one
goes on from there.
Normalisation, window and threshold come from the checkpoint; a network of the package
normalises each volume by its own grey values.
"""

EXAMPLES = """\
examples:
  surfseg predict scan.tif --output surfaces.tif
  surfseg predict scan.zarr --checkpoint runs/first --output surfaces.zarr
  surfseg predict scan.tif --checkpoint best.pt --output probs.tif --probabilities --flips
  surfseg predict scan.zarr::1 --checkpoint best.pt --output level1.zarr
  surfseg predict scroll.zarr --output scroll_surfaces.zarr --part 3/16
"""


def add(subparsers: Subparsers[Any], common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = add_command(
        subparsers,
        common,
        "predict",
        run,
        summary="find surfaces in a volume",
        description=DESCRIPTION,
    )
    parser.epilog = EXAMPLES
    parser.add_argument(
        "image",
        metavar="IMAGE",
        help="zarr, OME-Zarr, zipped zarr, N5, TIFF, folder of slices, npy, mrc, HDF5, "
        "BigDataViewer, NIfTI or NRRD; PATH::KEY names an array inside",
    )
    network = parser.add_mutually_exclusive_group()
    network.add_argument(
        "--checkpoint",
        metavar="FILE",
        help="best.pt or last.pt; a run folder stands for its best.pt; a bundle of surfseg export; "
        "a result of nnU-Net v2, of which FOLDER::CLASS names the class that is surface (default: "
        "the network that comes with the package)",
    )
    network.add_argument(
        "--network",
        metavar="NAME",
        help="a network that `surfseg networks` lists",
    )
    parser.add_argument(
        "--output", type=Path, required=True, metavar="OUT", help="OUT.zarr or OUT.tif"
    )
    parser.add_argument(
        "--probabilities", action="store_true", help="write probabilities 0..255 instead of 0/1"
    )
    parser.add_argument(
        "--threshold",
        type=read_share,
        metavar="T",
        help="probability above which a voxel is surface (default: the checkpoint's)",
    )
    parser.add_argument(
        "--overlap",
        type=float,
        metavar="SHARE",
        help="share of a window its neighbour sees again, 0 to 0.9 (default: the checkpoint's)",
    )
    parser.add_argument(
        "--flips",
        nargs="?",
        const="on",
        choices=("auto", "on", "off"),
        help="average over the eight flips: eight times slower, a better surface (default: the "
        "checkpoint's setting, which is auto unless changed: on for small volumes)",
    )
    parser.add_argument(
        "--min-size",
        type=int,
        default=0,
        metavar="VOXELS",
        help="leave out connected pieces smaller than this (default: 0, keep all)",
    )
    parser.add_argument(
        "--spacing",
        type=read_spacing,
        metavar="Z,Y,X",
        help="voxel size, where the file does not say it",
    )
    parser.add_argument(
        "--intensity",
        choices=("auto", "as_is", "match"),
        help="where the grey values do not fit those trained on: auto rescales where the types "
        "explain it and warns otherwise, match maps the range of nearly all values onto that of "
        "the training's, as_is leaves them (default: the checkpoint's setting, which is auto "
        "unless changed)",
    )
    parser.add_argument(
        "--resample",
        type=read_resample,
        metavar="auto|none|Z,Y,X",
        help="in voxels of which size the network sees the image: auto resamples where they differ "
        "by more than a factor of 1.5 from those trained on, none leaves them; the result is on "
        "the image's own grid (default: as it was trained)",
    )
    parser.add_argument(
        "--ome-zarr",
        choices=("0.5", "0.4"),
        default="0.5",
        help="version of an OUT.zarr: 0.5 stores many chunks in one file (default), 0.4 is read by "
        "older programs too",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing output")
    add_device(parser)
    _add_work(parser)


def _add_work(parser: argparse.ArgumentParser) -> None:
    """Add what long predictions need."""
    group = parser.add_argument_group("large volumes (docs/scale.md)")
    group.add_argument(
        "--part",
        type=_read_part,
        metavar="K/N",
        help="predict the K-th of N parts, for job arrays; whichever part is the last to end "
        "writes the output",
    )
    group.add_argument(
        "--cluster",
        metavar="local:N|tcp://HOST:PORT|FILE.yaml",
        help="predict on the workers of a Dask cluster: N processes here, those of a scheduler, or "
        "jobs of a queue that a YAML file describes",
    )
    group.add_argument(
        "--coarse-to-fine",
        type=int,
        choices=(2, 4, 8),
        metavar="2|4|8",
        help="see the volume so many times coarser first and leave out what is surely empty; how "
        "much surface that misses is measured and said",
    )
    group.add_argument(
        "--finish",
        action="store_true",
        help="predict nothing: write the output of finished parts, or say which are missing",
    )
    group.add_argument(
        "--restart", action="store_true", help="begin again instead of going on with what is there"
    )
    group.add_argument(
        "--keep",
        action="store_true",
        help="keep the finished blocks, so that the same command with another --threshold or "
        "--min-size takes no network",
    )


def run(options: argparse.Namespace) -> int:
    """Carry the command out."""
    from napari_surfseg.data.open import open_volume
    from napari_surfseg.networks.registry import find_network
    from napari_surfseg.runs.checkpoints import find_trained
    from napari_surfseg.runs.launch import prepare_this_process
    from napari_surfseg.wording import format_duration, format_percent, format_size

    if options.overlap is not None and not 0 <= options.overlap <= 0.9:
        raise UsageError(f"The --overlap is {options.overlap:g}, but it must be 0 to 0.9.")
    if options.min_size < 0:
        raise UsageError(f"The --min-size is {options.min_size}, but it must be at least 0.")
    if options.cluster is not None:
        from napari_surfseg.inference.cluster import check_cluster

        check_cluster(options.cluster)
    spacing = None if options.spacing == "file" else options.spacing
    volume = open_volume(options.image, spacing=spacing)
    if options.checkpoint is None:
        source: str | Path = find_network(options.network).name
    else:
        source = find_trained(options.checkpoint)
    prepare_this_process()

    # From here on torch is needed, which takes seconds to load.
    from napari_surfseg.device import choose_device
    from napari_surfseg.inference.predict_volume import predict_volume
    from napari_surfseg.inference.prediction_run import default_folder
    from napari_surfseg.inference.settings import (
        OutputSettings,
        PredictionSettings,
        WorkSettings,
    )
    from napari_surfseg.model.open_network import open_network

    device = choose_device(options.device)
    checkpoint = open_network(source)
    settings = checkpoint.experiment.inference
    folder = default_folder(options.output)
    work = WorkSettings(
        folder=folder,
        network=str(source),
        part=options.part,
        cluster=options.cluster,
        coarse=options.coarse_to_fine,
        finish=options.finish,
        restart=options.restart,
        keep=options.keep,
        say=say_error,
    )
    with _keeping(folder), counting("predicting") as progress:
        summary = predict_volume(
            volume,
            checkpoint,
            options.output,
            replace(
                PredictionSettings.from_checkpoint(checkpoint),
                device=device,
                overlap=settings.overlap if options.overlap is None else options.overlap,
                flips=_read_flips(options.flips, settings.flips),
                fit=options.intensity or settings.intensity,
                resample=options.resample,
            ),
            output_settings=OutputSettings(
                threshold=options.threshold,
                probabilities=options.probabilities,
                min_component=options.min_size,
                overwrite=options.overwrite,
                ome_zarr=options.ome_zarr,
            ),
            work=work,
            progress=progress,
        )
    for note in summary.notes:
        say_error(note)
    for warning in summary.warnings:
        say_error(f"warning: {warning}")
    if not summary.is_written:
        say(
            f"{summary.num_finished} of {summary.num_blocks} blocks of {volume.name} are finished "
            f"in {folder}; the last part to end writes {options.output}."
        )
        return 0
    what = "probabilities" if options.probabilities else "surfaces"
    say(
        f"{what} of {volume.name}, {format_size(summary.shape)}, in {summary.output}: "
        f"{format_percent(summary.surface_fraction)} above {summary.threshold:.2f}, "
        f"{format_duration(summary.seconds)}, by {source}"
    )
    return 0


@contextlib.contextmanager
def _keeping(folder: Path) -> Iterator[None]:
    """Say what Ctrl-C leaves."""
    try:
        yield
    except KeyboardInterrupt:
        if folder.exists():
            say_error(
                f"The finished blocks are in {folder}; the same command goes on from there, and "
                "with --restart from the beginning."
            )
        raise


def _read_part(text: str) -> tuple[int, int]:
    """Read ``3/16``."""
    first, _, last = text.partition("/")
    if not (first.isdecimal() and last.isdecimal() and 1 <= int(first) <= int(last)):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a part; give its number and how many there are, such as 3/16"
        )
    return int(first), int(last)


def _read_flips(wanted: str | None, setting: bool | Literal["auto"]) -> bool | Literal["auto"]:
    if wanted is None:
        return setting
    return "auto" if wanted == "auto" else wanted == "on"
