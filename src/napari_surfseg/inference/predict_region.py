"""Predict a region in memory: what validation and live previews use."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from napari_surfseg.data.resampling import resample_box, source_box
from napari_surfseg.geometry import box_shape, box_slices, shift_box, to_index, whole_box
from napari_surfseg.inference.sliding_window import (
    SlabReader,
    WindowCounter,
    WindowedBox,
    WindowNetwork,
    evaluation_mode,
    find_converter,
    stream_slabs,
)
from napari_surfseg.inference.window_size import fit_to_device, with_fitting_window
from napari_surfseg.inference.windows import Block

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import DTypeLike, NDArray

    from napari_surfseg.data.resampling import Resampling
    from napari_surfseg.geometry import Box, Index3
    from napari_surfseg.inference.settings import PredictionSettings
    from napari_surfseg.inference.sliding_window import Model, ReadU8

__all__ = ["predict_region"]


def predict_region(
    model: Model,
    read_u8: ReadU8,
    box: Box,
    settings: PredictionSettings,
    *,
    bounds: Box | None = None,
    dtype: DTypeLike = np.uint8,
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
    box : (start, stop)
        The region, half open, in the coordinates of ``read_u8``.
    settings : PredictionSettings
        Windows, normalisation, device.
    bounds : (start, stop), optional
        Box in which ``read_u8`` may be called, by default the region itself. A
        region thinner than the window is widened inside the bounds before it is
        mirrored, and ``settings.context`` ends there.
    dtype : dtype
        ``uint8`` for probabilities 0..255, ``float32`` for 0..1, ``bool`` for
        above one half.
    progress : callable, optional
        ``progress(done, total)`` in windows.
    should_stop : callable, optional
        Asked after every batch of windows.

    Returns
    -------
    ndarray, shape ``stop - start``

    Raises
    ------
    CancelledError
        When ``should_stop`` said so.
    DeviceMemoryError
        If memory ran out with the smallest window as well.
    """
    if settings.resampling is not None:
        return _predict_resampled(
            settings.resampling,
            lambda read, seen, within: predict_region(
                model,
                read,
                seen,
                replace(settings, resampling=None),
                bounds=within,
                progress=progress,
                should_stop=should_stop,
            ),
            read_u8,
            box,
            box if bounds is None else bounds,
            dtype,
        )

    def predict(chosen: PredictionSettings) -> NDArray[Any]:
        widened = _widen(box, chosen, bounds)
        fitted = fit_to_device(chosen, model, box_shape(widened))
        windowed = WindowedBox.over(widened, fitted)
        counter = WindowCounter(
            windowed.grid.num_windows, "The prediction was cancelled.", progress, should_stop
        )
        with evaluation_mode(model):
            result = _predict_windows(model, read_u8, windowed, fitted, dtype, counter)
        return np.ascontiguousarray(result[box_slices(box, widened[0])])

    return with_fitting_window(settings.with_flips_for(box_shape(box)), predict)


def _predict_windows(
    model: Model,
    read_u8: ReadU8,
    windowed: WindowedBox,
    settings: PredictionSettings,
    dtype: DTypeLike,
    counter: WindowCounter,
) -> NDArray[Any]:
    """Predict every window of a box and join them."""
    convert = find_converter(dtype)
    grid = windowed.grid
    block = Block(
        (0, grid.shape[1]), (0, grid.shape[2]), (0, len(grid.starts[1])), (0, len(grid.starts[2]))
    )
    network = WindowNetwork(model, settings)
    reader = SlabReader(read_u8, windowed, block)
    result = np.empty(windowed.shape, dtype)
    for slab in stream_slabs(network, reader, windowed, block, on_windows=counter):
        z = slab.start[0]
        result[z : z + len(slab.probs)] = convert(slab.probs)
    return result


def _predict_resampled(
    resampling: Resampling,
    predict: Callable[[ReadU8, Box, Box], NDArray[np.uint8]],
    read_u8: ReadU8,
    box: Box,
    bounds: Box,
    dtype: DTypeLike,
) -> NDArray[Any]:
    """Predict a region in the network's grid, and bring the probabilities back to its own."""
    origin = bounds[0]
    back = to_index(-at for at in origin)
    shape = box_shape(bounds)
    seen_shape = resampling.shape(shape)

    def read_seen(start: Index3, stop: Index3) -> NDArray[np.uint8]:
        made = resample_box(
            lambda low, high: read_u8(*shift_box((low, high), origin)),
            shape,
            seen_shape,
            (start, stop),
        )
        return np.rint(made).astype(np.uint8)

    wanted = shift_box(box, back)
    seen_box = source_box(seen_shape, shape, wanted)
    found = predict(read_seen, seen_box, whole_box(seen_shape))
    probabilities = resample_box(
        lambda low, high: found[box_slices((low, high), seen_box[0])], seen_shape, shape, wanted
    )
    return np.asarray(find_converter(dtype)(torch.from_numpy(probabilities / 255)))


def _widen(box: Box, settings: PredictionSettings, bounds: Box | None) -> Box:
    """Grow a region by its context and to the window, inside the bounds."""
    if bounds is None:
        return box
    window, context = settings.window, settings.context
    low, high = list(box[0]), list(box[1])
    for axis in range(3):
        first, last = bounds[0][axis], bounds[1][axis]
        low[axis] = max(first, low[axis] - context)
        high[axis] = min(last, high[axis] + context)
        missing = max(window[axis] - (high[axis] - low[axis]), 0)
        low[axis] = max(first, low[axis] - missing // 2)
        high[axis] = min(last, max(high[axis], low[axis] + window[axis]))
        missing = max(window[axis] - (high[axis] - low[axis]), 0)
        low[axis] = max(first, low[axis] - missing)
    return to_index(low), to_index(high)
