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

from napari_surfseg.errors import CancelledError
from napari_surfseg.inference.output import VolumeWriter, check_output
from napari_surfseg.inference.postprocessed import postprocess_slabs
from napari_surfseg.inference.stream import Box, Slab, SlabReader, WindowNetwork, stream_slabs
from napari_surfseg.inference.windows import Block, choose_window, split_into_blocks
from napari_surfseg.model.network import SurfaceUNet
from napari_surfseg.surfaces.postprocess import PostProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import DTypeLike, NDArray

    from napari_surfseg.data.intensity import Intensity
    from napari_surfseg.data.volume import Volume
    from napari_surfseg.inference.stream import Model, ReadU8
    from napari_surfseg.inference.windows import Size3

__all__ = [
    "PredictionSummary",
    "TrainedModel",
    "choose_flips",
    "compare_spacing",
    "predict_region",
    "predict_to_file",
    "predict_volume",
]

Progress = "Callable[[int, int], None]"
Precision = Literal["float32", "bf16"]

#: Bytes a block's slab of sums, its planes and what is read ahead may take together.
MAX_SLAB_BYTES = 1_000_000_000

#: Window voxels given at once to a GPU, which is faster with more; a CPU gets one window.
GPU_BATCH_VOXELS = 8 * 64**3

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


def predict_region(
    model: Model,
    read_u8: ReadU8,
    start: Size3,
    stop: Size3,
    *,
    intensity: Intensity,
    window: Size3,
    overlap: float = 0.25,
    bounds: tuple[Size3, Size3] | None = None,
    context: int = 0,
    multiple: Size3 | None = None,
    device: str | torch.device = "cpu",
    precision: Precision = "float32",
    flips: bool = False,
    dtype: DTypeLike = np.uint8,
    batch_size: int | None = None,
    skip_constant: bool = True,
    progress: Callable[[int, int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> NDArray[Any]:
    """Surface probabilities of a region, in memory.

    Parameters
    ----------
    model : callable
        Network in eval mode, or any function from (B, 1, Z, Y, X) float32 to logits
        of that shape. A module in training mode is set to eval meanwhile.
    read_u8 : callable
        ``read_u8(start, stop)`` returns the image's voxels as uint8, ZYX.
    start, stop : tuple of int
        The region, half open, in the coordinates of ``read_u8``.
    intensity : Intensity
        Its ``mean`` and ``std`` normalise the network's input.
    window : tuple of int
        Window, usually the training patch.
    overlap : float
        Least share of a window that its neighbour covers too.
    bounds : (start, stop), optional
        Box in which ``read_u8`` may be called, by default the region itself. A
        region thinner than the window is widened inside the bounds before it is
        mirrored.
    context : int
        Voxels around the region (inside the bounds) that are predicted and
        dropped, so that the region's border is not a window's border.
    multiple : tuple of int, optional
        The network takes sizes divisible by these. If given, the window is chosen
        anew from ``window``, which is quicker and better (see
        :func:`~napari_surfseg.inference.windows.choose_window`).
    device, precision, flips
        See :class:`~napari_surfseg.inference.stream.WindowNetwork`.
    dtype : dtype
        ``uint8`` for probabilities 0..255, ``float32`` for 0..1, ``bool`` for
        above one half.
    batch_size : int, optional
        Windows given to the network at once.
    skip_constant : bool
        Windows of equal voxels get probability 0 without the network.
    progress : callable, optional
        ``progress(done, total)`` in windows.
    should_stop : callable, optional
        Asked before every batch of windows.

    Returns
    -------
    ndarray, shape ``stop - start``

    Raises
    ------
    CancelledError
        When ``should_stop`` said so.
    """
    low, high = _widen(start, stop, window, context, bounds)
    if multiple is not None:
        size = _difference(high, low)
        window = choose_window(size, window, multiple=multiple, overlap=overlap)
    box = Box.over(low, high, window, overlap)
    grid = box.grid
    block = Block(
        (0, grid.shape[1]), (0, grid.shape[2]), (0, len(grid.starts[1])), (0, len(grid.starts[2]))
    )
    convert = _converter(dtype, 0.5)
    network = WindowNetwork(
        model,
        mean=intensity.mean,
        std=intensity.std,
        device=device,
        precision=precision,
        flips=flips,
    )
    result = np.empty(box.shape, dtype)
    counter = _Counter(grid.num_windows, "The prediction was cancelled.", progress, should_stop)
    with _evaluating(model):
        for slab in stream_slabs(
            network,
            SlabReader(read_u8, box, block),
            box,
            block,
            batch_size=batch_size or _batch_size(network.device, window),
            skip_constant=skip_constant,
            on_windows=counter,
        ):
            z = slab.start[0]
            result[z : z + len(slab.probs)] = convert(slab.probs)
    inside = tuple(slice(a - b, c - b) for a, b, c in zip(start, low, stop, strict=True))
    return np.ascontiguousarray(result[inside])


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
    window = window or checkpoint.patch_size
    if isinstance(network, SurfaceUNet):
        divisor = network.architecture.divisor
        window = choose_window(volume.shape, window, multiple=(divisor,) * 3, overlap=overlap)
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
    box = Box.over((0, 0, 0), shape, window, overlap)
    blocks = _plan_blocks(box, volume, max_slab_bytes)
    num_windows = sum(_num_windows(box, block) for block in blocks)
    counter = _Counter(
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
    batch_size = batch_size or _batch_size(network.device, window)
    if probabilities:
        postprocess = None
    if postprocess is not None:
        threshold = postprocess.threshold
        min_component = max(min_component, postprocess.min_voxels)
        if len(blocks) > 1:
            postprocess = None
    as_probabilities = probabilities or postprocess is not None
    convert = _converter(np.uint8 if as_probabilities else np.bool_, threshold)
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
        overwrite=overwrite,
        in_order=len(blocks) == 1,
        min_component=min_component,
        component_level=max(math.floor(threshold * 255), 0) if probabilities else 0,
    )
    found = pieces()
    if postprocess is not None:
        found = postprocess_slabs(found, shape, postprocess)
    with _evaluating(model):
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


class _Counter:
    """Windows done, told to ``progress``; the one place where a prediction is cancelled."""

    def __init__(
        self,
        total: int,
        sentence: str,
        progress: Callable[[int, int], None] | None,
        should_stop: Callable[[], bool] | None,
    ) -> None:
        self.num_skipped = 0
        self._done, self._total = 0, total
        self._sentence, self._progress, self._should_stop = sentence, progress, should_stop

    def __call__(self, done: int, skipped: int) -> None:
        self._done += done
        self.num_skipped += skipped
        if self._progress is not None:
            self._progress(self._done, self._total)
        self.raise_if_stopped()

    def raise_if_stopped(self) -> None:
        if self._should_stop is not None and self._should_stop():
            raise CancelledError(self._sentence)


class _evaluating:  # noqa: N801  a context manager
    """Set a module to eval mode, and back to how it was."""

    def __init__(self, model: Model) -> None:
        self._model = model if isinstance(model, torch.nn.Module) else None

    def __enter__(self) -> None:
        self._was_training = self._model is not None and self._model.training
        if self._was_training and self._model is not None:
            self._model.eval()

    def __exit__(self, *exception: object) -> None:
        if self._was_training and self._model is not None:
            self._model.train()


def _converter(dtype: DTypeLike, threshold: float) -> Callable[[torch.Tensor], NDArray[Any]]:
    dtype = np.dtype(dtype)
    if dtype == np.uint8:
        return lambda probs: probs.mul(255).add_(0.5).clamp_(0, 255).to(torch.uint8).cpu().numpy()
    if dtype == np.bool_:
        return lambda probs: (probs > threshold).cpu().numpy()
    if dtype == np.float32:
        return lambda probs: probs.clamp(0, 1).cpu().numpy()
    raise ValueError(f"dtype must be uint8, bool or float32, not {dtype}")


def _count_above(slab: Slab, threshold: float) -> int:
    return int(torch.count_nonzero(slab.probs > threshold))


def _batch_size(device: torch.device, window: Size3) -> int:
    return 1 if device.type == "cpu" else max(1, GPU_BATCH_VOXELS // math.prod(window))


def _plan_blocks(box: Box, volume: Volume, max_slab_bytes: int) -> tuple[Block, ...]:
    grid = box.grid
    depth = grid.window[0]
    chunk = min(volume.chunks[0], 128)
    # float32 sums and their shifted copy, three uint8 slabs (used, joined, read ahead), output.
    bytes_per_column = 8 * depth + 3 * (depth + chunk) + 2 * 128
    return split_into_blocks(grid, max(max_slab_bytes // bytes_per_column, 1))


def _num_windows(box: Box, block: Block) -> int:
    rows = len(box.grid.starts[0])
    (y0, y1), (x0, x1) = block.windows_y, block.windows_x
    return rows * (y1 - y0) * (x1 - x0)


def _widen(
    start: Size3,
    stop: Size3,
    window: Size3,
    context: int,
    bounds: tuple[Size3, Size3] | None,
) -> tuple[Size3, Size3]:
    """Grow a region by its context and to the window, inside the bounds."""
    if bounds is None:
        return start, stop
    low, high = list(start), list(stop)
    for axis in range(3):
        first, last = bounds[0][axis], bounds[1][axis]
        low[axis] = max(first, low[axis] - context)
        high[axis] = min(last, high[axis] + context)
        missing = max(window[axis] - (high[axis] - low[axis]), 0)
        low[axis] = max(first, low[axis] - missing // 2)
        high[axis] = min(last, max(high[axis], low[axis] + window[axis]))
        missing = max(window[axis] - (high[axis] - low[axis]), 0)
        low[axis] = max(first, low[axis] - missing)
    return (low[0], low[1], low[2]), (high[0], high[1], high[2])


def _difference(a: Size3, b: Size3) -> Size3:
    return a[0] - b[0], a[1] - b[1], a[2] - b[2]
