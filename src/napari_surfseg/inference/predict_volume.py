"""Predict a volume of any size into a file.

OME-Zarr or TIFF is written with one slab of windows in memory (see ``sliding_window``), and
either the whole result is left or nothing.
"""

from __future__ import annotations

import itertools
import math
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_surfseg.data.intensity import fit_intensity
from napari_surfseg.data.open import open_volume
from napari_surfseg.data.resampling import KnownVoxels, ResampledVolume, choose_resampling
from napari_surfseg.data.units import compare_sizes, format_sizes
from napari_surfseg.geometry import box_at, clip_box, to_spacing, whole_box
from napari_surfseg.inference.output_metadata import VolumeMetadata
from napari_surfseg.inference.postprocess_slabs import PiecesPostProcess
from napari_surfseg.inference.settings import OutputSettings, PredictionSettings, WindowLimit
from napari_surfseg.inference.sliding_window import (
    Slab,
    SlabReader,
    WindowCounter,
    WindowedBox,
    WindowNetwork,
    evaluation_mode,
    find_converter,
    stream_slabs,
)
from napari_surfseg.inference.volume_writer import VolumeWriter, check_output, scratch_folder
from napari_surfseg.inference.window_size import (
    choose_fitting_window,
    fit_to_device,
    with_fitting_window,
)
from napari_surfseg.inference.windows import Block, split_into_blocks
from napari_surfseg.surfaces.postprocess import PostProcess
from napari_surfseg.wording import format_percent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_surfseg.data.resampling import ResampleMode, Resampling
    from napari_surfseg.data.volume import Volume
    from napari_surfseg.geometry import Box, Index3, Size3, Spacing3
    from napari_surfseg.inference.settings import TrainedModel
    from napari_surfseg.inference.sliding_window import Model

__all__ = [
    "PredictionSummary",
    "check_result",
    "compare_spacing",
    "plan_resampling",
    "predict_to_file",
    "predict_volume",
]

#: Bytes a block's slab of sums, its planes and what is read ahead may take together.
MAX_SLAB_BYTES = 1_000_000_000

#: Voxels along an edge of a piece that is brought back to the volume's own grid; of the writer's
#: chunks.
PIECE_EDGE = 128

#: Spacing ratio from which structures look too different to what was trained on.
SPACING_RATIO = 1.5

#: Shares of surface above which a result is not believed: where the share in training is not
#: known; where it was small; and however large it was, as labels of strokes are half surface.
FULL_SHARE, FEW_SHARE, NEARLY_ALL = 0.6, 0.3, 0.95


@dataclass(frozen=True)
class PredictionSummary:
    """What a prediction of a volume did.

    Attributes
    ----------
    output : Path
        The file or folder written.
    shape : tuple of int
        Its voxels.
    window : tuple of int
        Window used.
    num_windows, num_skipped : int
        Windows, and those among them that were constant and needed no network.
    threshold : float
        Probability above which a voxel is surface.
    surface_fraction : float
        Share of the voxels above it (before small components were removed).
    num_removed : int
        Components removed because they were too small.
    seconds : float
        Wall-clock time.
    warnings : tuple of str
        Sentences for the person, such as a spacing that differs from training.
    notes : tuple of str
        Sentences on what was settled by looking at the volume.
    """

    output: Path
    shape: Size3
    window: Size3
    num_windows: int
    num_skipped: int
    threshold: float
    surface_fraction: float
    num_removed: int
    seconds: float
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def predict_volume(
    volume: Volume,
    checkpoint: TrainedModel,
    output: str | Path,
    settings: PredictionSettings | None = None,
    *,
    output_settings: OutputSettings | None = None,
    progress: Callable[[int, int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> PredictionSummary:
    """Predict a whole volume with a checkpoint and write OME-Zarr or TIFF.

    Parameters
    ----------
    volume : Volume
        The image.
    checkpoint : TrainedModel
        The network, its threshold and its post-processing; an
        ``output_settings.threshold`` replaces the last two.
    output : str or Path
        As for :func:`predict_to_file`.
    settings : PredictionSettings, optional
        By default ``PredictionSettings.from_checkpoint(checkpoint)``. The window grows
        from the one given, as far as the network and the device allow.
    output_settings : OutputSettings, optional
        What is written; by default the 0/1 that the checkpoint suggests.
    progress, should_stop : callable, optional
        As for :func:`predict_to_file`.

    Raises
    ------
    OutputError, CancelledError
        As :func:`predict_to_file`.
    """
    written = output_settings or OutputSettings()
    check_output(output, overwrite=written.overwrite, source=volume.source)
    if written.threshold is None:
        written = replace(
            written,
            threshold=checkpoint.threshold,
            postprocess=written.postprocess or _read_postprocess(checkpoint),
        )
    given = settings or PredictionSettings.from_checkpoint(checkpoint)
    network = checkpoint.build_model(given.device)
    multiple = given.multiple
    if multiple is None and (architecture := getattr(network, "architecture", None)) is not None:
        multiple = architecture.window_multiple
    resampling, resampled = plan_resampling(volume, checkpoint, given.resample)
    seen = volume.shape if resampling is None else resampling.shape(volume.shape)
    intensity, fit = fit_intensity(volume, given.intensity, given.fit)
    limit = WindowLimit()
    given = replace(
        given, intensity=intensity, resampling=resampling, multiple=multiple, limit=limit
    )
    read = getattr(checkpoint, "notes", ())
    notes = tuple(note for note in (*read, fit.note, resampled if resampling else "") if note)
    unlike = resampled or compare_spacing(volume, checkpoint.spacing, checkpoint.units)
    known = (None if resampling else unlike, fit.warning)

    def predict_with(settings: PredictionSettings) -> PredictionSummary:
        window = choose_fitting_window(network, seen, settings)
        return predict_to_file(
            network,
            volume,
            output,
            replace(settings, window=window, multiple=None),
            output_settings=written,
            progress=progress,
            should_stop=should_stop,
        )

    summary = with_fitting_window(given, predict_with)
    result = check_result(volume.name, summary.surface_fraction, checkpoint.surface_fraction)
    said = (*volume.notes, *known, limit.describe(), result)
    warnings = tuple(warning for warning in said if warning)
    return replace(summary, warnings=warnings, notes=notes)


def _read_postprocess(checkpoint: TrainedModel) -> PostProcess | None:
    values = checkpoint.postprocess
    return None if values is None else PostProcess.from_dict(values)


def predict_to_file(
    model: Model,
    volume: Volume,
    output: str | Path,
    settings: PredictionSettings,
    *,
    output_settings: OutputSettings | None = None,
    max_slab_bytes: int = MAX_SLAB_BYTES,
    progress: Callable[[int, int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> PredictionSummary:
    """Predict a whole volume, however large, and write OME-Zarr or TIFF.

    Parameters
    ----------
    model : callable
        As for :func:`~napari_surfseg.inference.predict_region.predict_region`.
    volume : Volume
        The image.
    output : str or Path
        ``.zarr`` (OME-Zarr) or ``.tif``/``.tiff``, of the image's shape, spacing
        and place.
    settings : PredictionSettings
        Windows, normalisation, device.
    output_settings : OutputSettings, optional
        What is written; by default 0/1 above one half.
    max_slab_bytes : int
        Memory for planes and sums; a volume with larger planes is predicted in
        columns, with the same result.
    progress : callable, optional
        ``progress(done, total)`` in windows.
    should_stop : callable, optional
        Asked after every batch of windows.

    Raises
    ------
    OutputError
        If the output exists, cannot be written, or the disk is full.
    CancelledError
        When ``should_stop`` said so; nothing is left.
    """
    if settings.resampling is not None:
        return _predict_resampled(
            model,
            volume,
            output,
            settings,
            output_settings or OutputSettings(),
            max_slab_bytes,
            progress,
            should_stop,
        )
    began = time.monotonic()
    written = output_settings or OutputSettings()
    path = check_output(output, overwrite=written.overwrite, source=volume.source)
    shape = volume.shape
    settings = fit_to_device(settings.with_flips_for(shape), model, shape)
    box = WindowedBox.over(whole_box(shape), settings)
    blocks = _plan_blocks(box, volume, max_slab_bytes)
    num_windows = sum(_num_windows(box, block) for block in blocks)
    counter = WindowCounter(num_windows, _describe_cancelled(volume), progress, should_stop)
    network = WindowNetwork(model, settings)

    def read_u8(start: Index3, stop: Index3) -> NDArray[np.uint8]:
        return settings.known_intensity.to_uint8(volume.read(start, stop))

    def slabs() -> Iterator[Slab]:
        for block in blocks:
            reader = SlabReader(read_u8, box, block, chunks=volume.chunks)
            yield from stream_slabs(network, reader, box, block, on_windows=counter)

    with evaluation_mode(model):
        result = _write(
            path,
            volume,
            written,
            slabs(),
            in_order=len(blocks) == 1,
            raise_if_stopped=counter.raise_if_stopped,
        )
    return replace(
        result,
        window=settings.window,
        num_windows=num_windows,
        num_skipped=counter.num_skipped,
        seconds=time.monotonic() - began,
    )


def _predict_resampled(
    model: Model,
    volume: Volume,
    output: str | Path,
    settings: PredictionSettings,
    written: OutputSettings,
    max_slab_bytes: int,
    progress: Callable[[int, int], None] | None,
    should_stop: Callable[[], bool] | None,
) -> PredictionSummary:
    """Predict in the network's grid into a scratch file, and bring that to the volume's own."""
    began = time.monotonic()
    path = check_output(output, overwrite=written.overwrite, source=volume.source)
    resampling = settings.resampling
    assert resampling is not None  # noqa: S101  what leads here
    seen = ResampledVolume(volume, resampling.shape(volume.shape))
    stopping = WindowCounter(1, _describe_cancelled(volume), None, should_stop)
    with scratch_folder(path) as folder:
        summary = predict_to_file(
            model,
            seen,
            folder,
            replace(settings, resampling=None),
            output_settings=OutputSettings(probabilities=True),
            max_slab_bytes=max_slab_bytes,
            progress=progress,
            should_stop=should_stop,
        )
        found = ResampledVolume(open_volume(folder), volume.shape)
        boxes = list(_plan_pieces(volume.shape, max_slab_bytes))

        def slabs() -> Iterator[Slab]:
            for start, stop in boxes:
                stopping.raise_if_stopped()
                yield Slab(start, torch.from_numpy(found.read(start, stop)).float() / 255)

        result = _write(
            path,
            volume,
            written,
            slabs(),
            in_order=all(start[1:] == (0, 0) for start, _ in boxes),
            raise_if_stopped=stopping.raise_if_stopped,
        )
    return replace(
        result,
        window=summary.window,
        num_windows=summary.num_windows,
        num_skipped=summary.num_skipped,
        seconds=time.monotonic() - began,
    )


def _describe_cancelled(volume: Volume) -> str:
    return f"The prediction of {volume.name} was cancelled; nothing was written."


def _plan_pieces(shape: Size3, max_bytes: int) -> Iterator[Box]:
    """Cut a volume into pieces that fit into memory: whole planes where they do, else columns."""
    # Of each voxel a few float32 on the way.
    voxels = max_bytes // 24
    edge = max(PIECE_EDGE, int(math.sqrt(voxels / PIECE_EDGE)) // PIECE_EDGE * PIECE_EDGE)
    is_whole = shape[1] * shape[2] * min(shape[0], PIECE_EDGE) <= voxels
    columns = shape[1:] if is_whole else (edge, edge)
    ranges = (range(0, size, step) for size, step in zip(shape[1:], columns, strict=True))
    for y, x in itertools.product(*ranges):
        for z in range(0, shape[0], PIECE_EDGE):
            yield clip_box(box_at((z, y, x), (PIECE_EDGE, *columns)), whole_box(shape))


def _write(
    path: Path,
    volume: Volume,
    written: OutputSettings,
    slabs: Iterator[Slab],
    *,
    in_order: bool,
    raise_if_stopped: Callable[[], None],
) -> PredictionSummary:
    """Write slabs of probabilities as what is wanted of them, and describe that."""
    shape = volume.shape
    threshold = 0.5 if written.threshold is None else written.threshold
    min_component = written.min_component
    postprocess = None if written.probabilities else written.postprocess
    if postprocess is not None:
        threshold = postprocess.threshold
        postprocess = replace(postprocess, min_voxels=max(min_component, postprocess.min_voxels))
        min_component = 0
        in_order = False  # as blocks, not as planes
    as_probabilities = written.probabilities or postprocess is not None
    convert = find_converter(np.uint8 if as_probabilities else np.bool_, threshold)
    num_surface = 0

    def pieces() -> Iterator[tuple[Index3, NDArray[np.uint8]]]:
        nonlocal num_surface
        for slab in slabs:
            num_surface += _count_above(slab, threshold)
            yield slab.start, convert(slab.probs).view(np.uint8)

    metadata = VolumeMetadata.like(volume, "probabilities" if written.probabilities else "labels")
    writer = VolumeWriter(
        path,
        shape,
        # A result lies beside its source: whoever opens both finds the same axes in both.
        replace(metadata, axes=volume.stored_axes),
        overwrite=written.overwrite,
        in_order=in_order,
        min_component=min_component,
        component_level=max(math.floor(threshold * 255), 0) if written.probabilities else 0,
    )
    if postprocess is None:
        num_removed = writer.write(pieces(), should_stop=raise_if_stopped)
    else:
        with scratch_folder(path) as folder:
            found = PiecesPostProcess(pieces(), shape, postprocess, folder, raise_if_stopped)
            writer.write(found, should_stop=raise_if_stopped)
            num_removed = found.num_removed
    return PredictionSummary(
        output=path,
        shape=shape,
        window=shape,
        num_windows=0,
        num_skipped=0,
        threshold=threshold,
        surface_fraction=num_surface / math.prod(shape),
        num_removed=num_removed,
        seconds=0.0,
    )


def plan_resampling(
    volume: Volume, checkpoint: TrainedModel, wanted: ResampleMode | None = None
) -> tuple[Resampling | None, str]:
    """Choose in voxels of which size a network sees a volume.

    Parameters
    ----------
    volume : Volume
        The image.
    checkpoint : TrainedModel
        The network: the voxels that it knows.
    wanted : str or tuple of float, optional
        As ``data.resample``; by default what it was trained with, and where that was a size, in
        the same.

    Returns
    -------
    resampling : Resampling or None
        None where the volume is seen as it is.
    note : str
        A sentence; or empty.
    """
    known = KnownVoxels(checkpoint.spacing, checkpoint.units, checkpoint.anisotropy)
    mode = checkpoint.experiment.data.resample if wanted is None else wanted
    if wanted is None and not isinstance(mode, str):
        ratios = compare_sizes(volume.spacing, volume.units, known.spacing, known.units)
        mode = to_spacing(size / ratio for size, ratio in zip(volume.spacing, ratios, strict=True))
    return choose_resampling(volume, mode, known)


def compare_spacing(
    volume: Volume, trained: Spacing3, trained_units: str | None = None
) -> str | None:
    """Say in one sentence if a volume's voxels differ much from those trained on.

    They are compared as lengths: 8 nm are 0.008 µm.

    Returns
    -------
    str or None
        The sentence, or None where the spacing fits or is unknown.
    """
    is_known = trained_units is not None or tuple(trained) != (1.0, 1.0, 1.0)
    if not volume.spacing_known or not is_known:
        return None
    ratios = compare_sizes(volume.spacing, volume.units, trained, trained_units)
    if all(max(ratio, 1 / ratio) < SPACING_RATIO for ratio in ratios):
        return None
    found = format_sizes(volume.spacing, volume.units)
    wanted = format_sizes(trained, trained_units)
    return (
        f"The voxels of {volume.name} are {found}, those the network was trained on {wanted}: "
        "surfaces may be missed unless the image is resampled first."
    )


def check_result(name: str, found: float, trained: float | None) -> str | None:
    """Say in one sentence if a prediction is empty or nearly full.

    Parameters
    ----------
    name : str
        Of the volume.
    found : float
        Share of its voxels that are surface.
    trained : float, optional
        The greatest share in what the network was trained on.
    """
    if not found:
        return (
            f"No surface was found in {name}: its grey values, its voxel size or the threshold may "
            "be others than those the network was trained with."
        )
    limit = FULL_SHARE if trained is None else min(max(3 * trained, FEW_SHARE), NEARLY_ALL)
    if found <= limit:
        return None
    seen = "" if trained is None else f", where training saw {format_percent(trained)} at most"
    return (
        f"{format_percent(found)} of {name} is taken for surface{seen}: its grey values, its voxel "
        "size or the threshold may be others than those the network was trained with."
    )


def _count_above(slab: Slab, threshold: float) -> int:
    return int(torch.count_nonzero(slab.probs > threshold))


def _plan_blocks(box: WindowedBox, volume: Volume, max_slab_bytes: int) -> tuple[Block, ...]:
    grid = box.grid
    depth = grid.window[0]
    chunk = min(volume.chunks[0], 128)
    # float32 sums and their shifted copy, three uint8 slabs (used, joined, read ahead), output.
    bytes_per_column = 8 * depth + 3 * (depth + chunk) + 2 * 128
    return split_into_blocks(grid, max(max_slab_bytes // bytes_per_column, 1))


def _num_windows(box: WindowedBox, block: Block) -> int:
    rows = len(box.grid.starts[0])
    (y0, y1), (x0, x1) = block.windows_y, block.windows_x
    return rows * (y1 - y0) * (x1 - x0)
