"""Predict a region in memory, or a volume of any size into a file.

:func:`predict_region` returns probabilities; validation and live previews use
it. :func:`predict_volume` takes a checkpoint and writes OME-Zarr or TIFF, holding
one slab of windows in memory (see ``stream``), and leaves either the whole
result or nothing.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
import torch

from napari_surfseg.errors import DeviceMemoryError
from napari_surfseg.inference.output import VolumeWriter, check_output
from napari_surfseg.inference.postprocessed import postprocess_slabs
from napari_surfseg.inference.region import Precision, predict_region
from napari_surfseg.inference.running import (
    Counter,
    choose_batch_size,
    choose_fitting_window,
    evaluating,
    find_converter,
)
from napari_surfseg.inference.stream import (
    Slab,
    SlabReader,
    WindowedBox,
    WindowNetwork,
    stream_slabs,
)
from napari_surfseg.inference.windows import Block, split_into_blocks
from napari_surfseg.model.network import SurfaceUNet
from napari_surfseg.surfaces.postprocess import PostProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_surfseg.data.intensity import Intensity
    from napari_surfseg.data.volume import Volume
    from napari_surfseg.geometry import Size3
    from napari_surfseg.inference.stream import Model

__all__ = [
    "PredictionSummary",
    "TrainedModel",
    "choose_flips",
    "compare_spacing",
    "predict_region",
    "predict_to_file",
    "predict_volume",
]

#: Bytes a block's slab of sums, its planes and what is read ahead may take together.
MAX_SLAB_BYTES = 1_000_000_000

#: Voxels up to which ``auto`` averages over the flips: about two minutes with the small nets.
AUTO_FLIPS_VOXELS = {"cpu": 2**24, "cuda": 2**29}

#: Spacing ratio from which structures look too different to what was trained on.
SPACING_RATIO = 1.5


class TrainedModel(Protocol):
    """What a checkpoint has to offer (``model.checkpoint.Checkpoint`` does)."""

    @property
    def intensity(self) -> Intensity: ...  # noqa: D102
    @property
    def patch_size(self) -> Size3: ...  # noqa: D102
    @property
    def spacing(self) -> tuple[float, float, float]: ...  # noqa: D102
    @property
    def threshold(self) -> float: ...  # noqa: D102
    @property
    def postprocess(self) -> dict[str, Any] | None: ...  # noqa: D102
    def build_model(self, device: Any) -> torch.nn.Module: ...  # noqa: D102


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


def predict_volume(
    volume: Volume,
    checkpoint: TrainedModel,
    output: str | Path,
    *,
    device: str | torch.device = "cpu",
    threshold: float | None = None,
    probabilities: bool = False,
    overlap: float = 0.25,
    flips: bool | Literal["auto"] = False,
    window: Size3 | None = None,
    precision: Precision = "float32",
    min_component: int = 0,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> PredictionSummary:
    """Predict a whole volume with a checkpoint and write OME-Zarr or TIFF.

    Normalisation, threshold and post-processing come from the checkpoint (a
    ``threshold`` given here replaces the last two), and the window grows from its
    training patch (see :func:`~napari_surfseg.inference.windows.choose_window`).
    See :func:`predict_to_file` for the rest.
    """
    check_output(output, overwrite=overwrite, source=volume.source)
    warning = compare_spacing(volume, checkpoint.spacing)
    network = checkpoint.build_model(device)
    patch = chosen = window or checkpoint.patch_size
    if isinstance(network, SurfaceUNet):
        divisor = network.architecture.divisor
        chosen = choose_fitting_window(
            network,
            volume.shape,
            patch,
            multiple=(divisor, divisor, divisor),
            overlap=overlap,
            device=torch.device(device),
        )

    def predict_with(window: Size3) -> PredictionSummary:
        return predict_to_file(
            network,
            volume,
            output,
            intensity=checkpoint.intensity,
            window=window,
            overlap=overlap,
            threshold=checkpoint.threshold if threshold is None else threshold,
            probabilities=probabilities,
            postprocess=None if threshold is not None else _read_postprocess(checkpoint),
            device=device,
            precision=precision,
            flips=choose_flips(flips, volume.shape, torch.device(device)),
            min_component=min_component,
            overwrite=overwrite,
            progress=progress,
            should_stop=should_stop,
            warnings=() if warning is None else (warning,),
        )

    try:
        return predict_with(chosen)
    except DeviceMemoryError:
        if chosen == patch:
            raise
        return predict_with(patch)  # where it was trained, the patch fits


def _read_postprocess(checkpoint: TrainedModel) -> PostProcess | None:
    values = checkpoint.postprocess
    return None if values is None else PostProcess.from_dict(values)


def choose_flips(wanted: bool | str, shape: Size3, device: torch.device) -> bool:
    """Turn ``auto`` into yes for a volume that is small enough for the device."""
    if wanted != "auto":
        return bool(wanted)
    return math.prod(shape) <= AUTO_FLIPS_VOXELS.get(device.type, 0)


def predict_to_file(
    model: Model,
    volume: Volume,
    output: str | Path,
    *,
    intensity: Intensity,
    window: Size3,
    overlap: float = 0.25,
    threshold: float = 0.5,
    probabilities: bool = False,
    postprocess: PostProcess | None = None,
    device: str | torch.device = "cpu",
    precision: Precision = "float32",
    flips: bool = False,
    min_component: int = 0,
    overwrite: bool = False,
    batch_size: int | None = None,
    skip_constant: bool = True,
    max_slab_bytes: int = MAX_SLAB_BYTES,
    progress: Callable[[int, int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
    warnings: tuple[str, ...] = (),
) -> PredictionSummary:
    """Predict a whole volume, however large, and write OME-Zarr or TIFF.

    Parameters
    ----------
    model, intensity, window, overlap, device, precision, flips, batch_size, skip_constant
        As in :func:`predict_region`.
    volume : Volume
        The image.
    output : str or Path
        ``.zarr`` (OME-Zarr) or ``.tif``/``.tiff``, of the image's shape, spacing
        and place.
    threshold : float
        A voxel is surface where its probability is above it.
    probabilities : bool
        Write probabilities 0..255 instead of 0/1.
    postprocess : PostProcess, optional
        Make the 0/1 with these settings instead of ``threshold`` alone (see
        ``postprocessed``); without effect on probabilities. A volume whose
        planes are too large for memory gets its threshold and component size only.
    min_component : int
        Remove 26-connected components of surface voxels smaller than this (in
        the probabilities: set them to 0). 0 keeps all.
    overwrite : bool
        Replace an existing output; it stays until the new one is complete.
    max_slab_bytes : int
        Memory for planes and sums; a volume with larger planes is predicted in
        columns, with the same result.
    progress : callable, optional
        ``progress(done, total)`` in windows.
    should_stop : callable, optional
        Asked before every batch of windows.
    warnings : tuple of str
        Handed on in the summary.

    Raises
    ------
    OutputError
        If the output exists, cannot be written, or the disk is full.
    CancelledError
        When ``should_stop`` said so; nothing is left.
    """
    began = time.monotonic()
    path = check_output(output, overwrite=overwrite, source=volume.source)
    shape = volume.shape
    box = WindowedBox.over((0, 0, 0), shape, window, overlap)
    blocks = _plan_blocks(box, volume, max_slab_bytes)
    num_windows = sum(_num_windows(box, block) for block in blocks)
    counter = Counter(
        num_windows,
        f"The prediction of {volume.name} was cancelled; nothing was written.",
        progress,
        should_stop,
    )
    network = WindowNetwork(
        model,
        mean=intensity.mean,
        std=intensity.std,
        device=device,
        precision=precision,
        flips=flips,
    )
    batch_size = batch_size or choose_batch_size(network.device, window)
    if probabilities:
        postprocess = None
    if postprocess is not None:
        threshold = postprocess.threshold
        min_component = max(min_component, postprocess.min_voxels)
        if len(blocks) > 1:
            postprocess = None
    as_probabilities = probabilities or postprocess is not None
    convert = find_converter(np.uint8 if as_probabilities else np.bool_, threshold)
    num_surface = 0

    def read_u8(start: Size3, stop: Size3) -> NDArray[np.uint8]:
        return intensity.to_uint8(volume.read(start, stop))

    def pieces() -> Iterator[tuple[Size3, NDArray[np.uint8]]]:
        nonlocal num_surface
        for block in blocks:
            reader = SlabReader(read_u8, box, block, chunks=volume.chunks)
            for slab in stream_slabs(
                network,
                reader,
                box,
                block,
                batch_size=batch_size,
                skip_constant=skip_constant,
                on_windows=counter,
            ):
                num_surface += _count_above(slab, threshold)
                yield slab.start, convert(slab.probs).view(np.uint8)

    writer = VolumeWriter(
        path,
        shape,
        spacing=volume.spacing if volume.spacing_known else None,
        units=volume.units,
        translate=volume.translate,
        content="probabilities" if probabilities else "labels",
        overwrite=overwrite,
        in_order=len(blocks) == 1,
        min_component=min_component,
        component_level=max(math.floor(threshold * 255), 0) if probabilities else 0,
    )
    found = pieces()
    if postprocess is not None:
        found = postprocess_slabs(found, shape, postprocess)
    with evaluating(model):
        num_removed = writer.write(found, should_stop=counter.raise_if_stopped)
    return PredictionSummary(
        output=path,
        shape=shape,
        window=window,
        num_windows=num_windows,
        num_skipped=counter.num_skipped,
        threshold=threshold,
        surface_fraction=num_surface / math.prod(shape),
        num_removed=num_removed,
        seconds=time.monotonic() - began,
        warnings=warnings,
    )


def compare_spacing(volume: Volume, trained: tuple[float, float, float]) -> str | None:
    """Say in one sentence if a volume's voxels differ much from those trained on.

    Returns
    -------
    str or None
        The sentence, or None where the spacing fits or is unknown.
    """
    if not volume.spacing_known or tuple(trained) == (1.0, 1.0, 1.0):
        return None
    ratios = [max(a / b, b / a) for a, b in zip(volume.spacing, trained, strict=True)]
    if max(ratios) < SPACING_RATIO:
        return None
    found, wanted = (" x ".join(f"{v:.4g}" for v in s) for s in (volume.spacing, trained))
    return (
        f"The voxels of {volume.name} are {found}, those the network was trained on {wanted}: "
        "surfaces may be missed unless the image is resampled first."
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
