"""How large a window and a batch of windows the network and the device can take."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from napari_surfseg.errors import DeviceMemoryError
from napari_surfseg.geometry import to_index
from napari_surfseg.inference.settings import WindowLimit
from napari_surfseg.inference.sliding_window import lack_of_memory
from napari_surfseg.inference.windows import choose_window
from napari_surfseg.model.presets import find_smaller_patch
from napari_surfseg.out_of_memory import free_memory, is_out_of_memory

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_surfseg.geometry import Size3
    from napari_surfseg.inference.settings import PredictionSettings
    from napari_surfseg.inference.sliding_window import Model

__all__ = [
    "choose_fitting_window",
    "find_window_limit",
    "fit_to_device",
    "with_fitting_window",
]

_Result = TypeVar("_Result")

#: Window voxels given at once to a GPU, which is faster with more; a CPU gets one window.
GPU_BATCH_VOXELS = 8 * 64**3

#: Bytes the network's activations may take for one window larger than the training patch.
ACTIVATION_BYTES = {"cpu": 1_000_000_000, "cuda": 4_000_000_000}

#: Activations alive at once, in tensors of the network's finest stage: 14 measured for
#: ``exp001``, 10 for ``base``, 4 for ``tiny``.
LIVE_TENSORS = 14

#: Larger windows gain nothing more (benchmarks/predict.py), and make progress coarse.
MAX_WINDOW_VOXELS = 128**3


def choose_fitting_window(model: Model, shape: Size3, settings: PredictionSettings) -> Size3:
    """Choose a window larger than the patch, as far as the network's memory allows.

    Parameters
    ----------
    model : callable
        The network; only of one with an ``architecture`` it is known what memory it takes.
    shape : tuple of int
        Voxels of the volume.
    settings : PredictionSettings
        ``window`` is the patch; without ``multiple`` it is returned as it is.

    See Also
    --------
    napari_surfseg.inference.windows.choose_window : The choice itself.
    """
    if settings.multiple is None:
        return settings.window
    known = None if settings.limit is None else settings.limit.window
    if known is not None:
        return to_index(min(pair) for pair in zip(settings.window, known, strict=True))
    return choose_window(
        shape,
        settings.window,
        multiple=settings.multiple,
        overlap=settings.overlap,
        max_voxels=find_window_limit(model, settings.device_type),
    )


def find_window_limit(model: Model, device_type: str) -> int:
    """Return the most voxels of a window whose activations a device takes.

    Parameters
    ----------
    model : callable
        As for :func:`choose_fitting_window`.
    device_type : str
        ``cpu`` or ``cuda``.
    """
    most = MAX_WINDOW_VOXELS
    architecture = getattr(model, "architecture", None)
    if architecture is not None:
        allowed = ACTIVATION_BYTES.get(device_type, ACTIVATION_BYTES["cpu"])
        most = min(most, int(allowed / (4 * architecture.finest_values * LIVE_TENSORS)))
    return most


def fit_to_device(settings: PredictionSettings, model: Model, shape: Size3) -> PredictionSettings:
    """Replace the window and the batch size by those that suit a volume and the device."""
    window = choose_fitting_window(model, shape, settings)
    batch_size = settings.batch_size
    if batch_size is None:
        is_cpu = settings.device_type == "cpu"
        batch_size = 1 if is_cpu else max(1, GPU_BATCH_VOXELS // math.prod(window))
    return replace(settings, window=window, batch_size=batch_size)


def with_fitting_window(
    settings: PredictionSettings, predict: Callable[[PredictionSettings], _Result]
) -> _Result:
    """Predict, and where memory runs out, predict again with the next smaller window.

    Parameters
    ----------
    settings : PredictionSettings
        Without ``multiple`` nothing is known of the sizes that the network takes, and nothing is
        tried again. A ``limit`` is lowered, so that the next prediction begins where this ends.
    predict : callable
        Makes the whole prediction with the settings it is given.

    Raises
    ------
    DeviceMemoryError, MemoryError
        If the smallest window does not fit either.
    """
    limit = settings.limit or WindowLimit()
    settings = replace(settings, limit=limit)
    while True:
        now = settings
        if limit.window is not None:
            window = to_index(min(pair) for pair in zip(now.window, limit.window, strict=True))
            now = replace(settings, window=window)
        try:
            return predict(now)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            before = getattr(error, "window", None) or now.window
            if limit.window is not None and math.prod(before) > math.prod(limit.window):
                before = limit.window  # the error names a window of an earlier try
            multiple = settings.multiple
            if multiple is None:
                smaller = None
            elif math.prod(before) > math.prod(settings.window):
                smaller = settings.window  # where it was trained, the patch fits
            else:
                smaller = find_smaller_patch(before, max(multiple))
            if smaller is None:
                if isinstance(error, (DeviceMemoryError, MemoryError)):
                    raise
                raise lack_of_memory(settings.device, before) from None
        # Outside the handler, which would keep the failed attempt's tensors alive.
        free_memory()
        limit.lower(before, smaller)
