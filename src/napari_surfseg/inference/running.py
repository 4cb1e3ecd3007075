"""What predictions of a region and of a volume share: counting, batching, converting."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from napari_surfseg.errors import CancelledError
from napari_surfseg.inference.windows import choose_window
from napari_surfseg.model.network import SurfaceUNet

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import DTypeLike, NDArray

    from napari_surfseg.geometry import Size3
    from napari_surfseg.inference.stream import Model

__all__ = ["Counter", "choose_batch_size", "choose_fitting_window", "evaluating", "find_converter"]

#: Window voxels given at once to a GPU, which is faster with more; a CPU gets one window.
GPU_BATCH_VOXELS = 8 * 64**3

#: Bytes the network's activations may take for one window larger than the training patch.
ACTIVATION_BYTES = {"cpu": 1_000_000_000, "cuda": 4_000_000_000}

#: Activations alive at once, in tensors of the network's finest stage: 14 measured for
#: ``exp001``, 10 for ``base``, 4 for ``tiny``.
LIVE_TENSORS = 14

#: Larger windows gain nothing more (benchmarks/predict.py), and make progress coarse.
MAX_WINDOW_VOXELS = 128**3


class Counter:
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
        """Count windows done, and those among them that needed no network."""
        self._done += done
        self.num_skipped += skipped
        if self._progress is not None:
            self._progress(self._done, self._total)
        self.raise_if_stopped()

    def raise_if_stopped(self) -> None:
        """Raise if the person asked to stop."""
        if self._should_stop is not None and self._should_stop():
            raise CancelledError(self._sentence)


class evaluating:  # noqa: N801  a context manager
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


def find_converter(dtype: DTypeLike, threshold: float) -> Callable[[torch.Tensor], NDArray[Any]]:
    """Find how probabilities become an array of a dtype; a mask is above the threshold."""
    dtype = np.dtype(dtype)
    if dtype == np.uint8:
        return lambda probs: probs.mul(255).add_(0.5).clamp_(0, 255).to(torch.uint8).cpu().numpy()
    if dtype == np.bool_:
        return lambda probs: (probs > threshold).cpu().numpy()
    if dtype == np.float32:
        return lambda probs: probs.clamp(0, 1).cpu().numpy()
    raise ValueError(f"dtype must be uint8, bool or float32, not {dtype}")


def choose_batch_size(device: torch.device, window: Size3) -> int:
    """Choose how many windows the network is given at once."""
    return 1 if device.type == "cpu" else max(1, GPU_BATCH_VOXELS // math.prod(window))


def choose_fitting_window(
    model: Model,
    shape: Size3,
    patch: Size3,
    *,
    multiple: Size3,
    overlap: float,
    device: torch.device,
) -> Size3:
    """Choose a window larger than the patch, as far as the network's memory allows.

    See :func:`~napari_surfseg.inference.windows.choose_window`.
    """
    most = MAX_WINDOW_VOXELS
    if isinstance(model, SurfaceUNet):
        architecture = model.architecture
        channels = architecture.channels[0] / architecture.stem_factor**3  # a voxel of the image
        allowed = ACTIVATION_BYTES.get(device.type, ACTIVATION_BYTES["cpu"])
        most = min(most, int(allowed / (4 * channels * LIVE_TENSORS)))
    return choose_window(shape, patch, multiple=multiple, overlap=overlap, max_voxels=most)
