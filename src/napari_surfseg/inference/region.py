"""Predict a region in memory: what validation and live previews use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from napari_surfseg.inference.running import (
    Counter,
    choose_batch_size,
    choose_fitting_window,
    evaluating,
    find_converter,
)
from napari_surfseg.inference.stream import SlabReader, WindowedBox, WindowNetwork, stream_slabs
from napari_surfseg.inference.windows import Block

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import DTypeLike, NDArray

    from napari_surfseg.data.intensity import Intensity
    from napari_surfseg.geometry import Size3
    from napari_surfseg.inference.stream import Model, ReadU8

__all__ = ["Precision", "predict_region"]

Precision = Literal["float32", "bf16"]


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
        window = choose_fitting_window(
            model,
            _difference(high, low),
            window,
            multiple=multiple,
            overlap=overlap,
            device=torch.device(device),
        )
    box = WindowedBox.over(low, high, window, overlap)
    grid = box.grid
    block = Block(
        (0, grid.shape[1]), (0, grid.shape[2]), (0, len(grid.starts[1])), (0, len(grid.starts[2]))
    )
    convert = find_converter(dtype, 0.5)
    network = WindowNetwork(
        model,
        mean=intensity.mean,
        std=intensity.std,
        device=device,
        precision=precision,
        flips=flips,
    )
    result = np.empty(box.shape, dtype)
    counter = Counter(grid.num_windows, "The prediction was cancelled.", progress, should_stop)
    with evaluating(model):
        for slab in stream_slabs(
            network,
            SlabReader(read_u8, box, block),
            box,
            block,
            batch_size=batch_size or choose_batch_size(network.device, window),
            skip_constant=skip_constant,
            on_windows=counter,
        ):
            z = slab.start[0]
            result[z : z + len(slab.probs)] = convert(slab.probs)
    inside = tuple(slice(a - b, c - b) for a, b, c in zip(start, low, stop, strict=True))
    return np.ascontiguousarray(result[inside])


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
