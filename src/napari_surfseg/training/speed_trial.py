"""Which way of computing is the quickest here: measured before the first step, on a GPU.

What makes one GPU quicker makes another slower, and depends on the network and the patch; so
nothing is switched on that did not win a trial.
"""

from __future__ import annotations

import itertools
import statistics
import time
from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_surfseg.cancelling import raise_if_stopped
from napari_surfseg.data.patches.loader import Batch
from napari_surfseg.errors import CancelledError
from napari_surfseg.events import SpeedTried
from napari_surfseg.out_of_memory import free_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from napari_surfseg.geometry import Size3
    from napari_surfseg.training.gradients import GradientComputer

__all__ = ["find_fastest", "list_ways", "try_speeds"]

#: Passes that are timed for each way, after some that are not: autotuning takes place in those.
TIMED_PASSES, FIRST_PASSES = 5, 3
#: A way must be so much quicker, as a share, to be taken: less is chance.
LEAST_GAIN = 0.03


def list_ways(device: torch.device) -> dict[str, Callable[[], None]]:
    """List what may be tried on a device: what to do for each; the first is how it is without."""
    if device.type != "cuda":
        return {}

    def autotune(is_on: bool) -> None:
        torch.backends.cudnn.benchmark = is_on

    return {"plain": lambda: autotune(False), "cudnn autotuning": lambda: autotune(True)}


def find_fastest(
    ways: Mapping[str, Callable[[], None]], measure: Callable[[], float]
) -> tuple[str, dict[str, float]]:
    """Try ways of computing, and go on with the quickest.

    Parameters
    ----------
    ways : mapping
        What to do for each; the first is taken unless another is clearly quicker. One that fails
        is left out.
    measure : callable
        Seconds that something takes.

    Returns
    -------
    chosen : str
        The one that is in use now.
    seconds : dict
        Of each that worked.
    """
    first = next(iter(ways))
    seconds: dict[str, float] = {}
    try:
        for name, begin in ways.items():
            begin()
            try:
                seconds[name] = measure()
            except Exception as error:
                if name == first or isinstance(error, CancelledError):
                    raise
                free_memory()
    except BaseException:
        ways[first]()
        raise
    quickest = min(seconds, key=lambda name: seconds[name])
    chosen = quickest if seconds[quickest] < (1 - LEAST_GAIN) * seconds[first] else first
    ways[chosen]()
    return chosen, seconds


def try_speeds(
    gradients: GradientComputer,
    loss_weights: Mapping[str, float],
    *,
    patch_size: Size3,
    num_patches: int,
    device: torch.device,
) -> SpeedTried | None:
    """Try all ways on patches of noise, and leave the network as it was.

    Returns
    -------
    SpeedTried or None
        What was found; None where there is nothing to try.
    """
    ways = list_ways(device)
    if not ways:
        return None
    batches = _repeat_noise(patch_size, num_patches)
    kept = [tensor.clone() for tensor in gradients.statistics]

    def measure() -> float:
        times = []
        for _ in range(FIRST_PASSES + TIMED_PASSES):
            raise_if_stopped()
            begun = time.perf_counter()
            # Reading the values waits for the device.
            gradients.compute(batches, loss_weights, 0).values.tolist()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            times.append(time.perf_counter() - begun)
        return statistics.median(times[FIRST_PASSES:])

    try:
        chosen, seconds = find_fastest(ways, measure)
    finally:
        for parameter in gradients.network.parameters():
            parameter.grad = None
        for tensor, before in zip(gradients.statistics, kept, strict=True):
            tensor.copy_(before)
    return SpeedTried(chosen=chosen, seconds=seconds)


def _repeat_noise(patch_size: Size3, num_patches: int) -> Iterator[Batch]:
    shape = (num_patches, 1, *patch_size)
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    labels = (image > 200).astype(np.uint8)
    sources, centred = [0] * num_patches, [True] * num_patches
    counts = np.bincount(labels.ravel(), minlength=3)
    starts = [(0, 0, 0)] * num_patches
    return itertools.repeat(
        Batch(image, labels, sources, centred, starts, counts, (0, num_patches))
    )
