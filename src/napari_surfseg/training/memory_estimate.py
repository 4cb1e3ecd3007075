"""The memory that a run will take, and what fits into the memory there is.

Nothing here imports torch: the window asks as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

from napari_surfseg.wording import format_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_surfseg.geometry import Size3
    from napari_surfseg.training.rung import Rung

__all__ = ["MemoryEstimate", "RunMemory"]

#: Bytes a parameter of what is copied to the machine's memory: weights, their average and two
#: moments, to take steps back and to write last.pt, and the average to write best.pt.
COPIED_BYTES = 4 * (4 + 4 + 1)
#: Bytes a voxel of a batch that is kept ready: image and labels.
BATCH_BYTES = 2


@dataclass(frozen=True)
class MemoryEstimate:
    """What a run takes, in bytes.

    Attributes
    ----------
    step : int
        Of the device: the network, its optimizer and a step of training.
    beside : int
        Of the machine: copies for recovery and saving, batches kept ready, decoded chunks.
    """

    step: int
    beside: int

    def needed_on(self, device: str) -> int:
        """Return what is needed of the memory of ``cpu`` or ``cuda``."""
        return self.step + self.beside if device == "cpu" else self.step


@dataclass(frozen=True, kw_only=True)
class RunMemory:
    """What the memory of a run depends on, besides what a step takes at once.

    Attributes
    ----------
    network_bytes : int
        Of the device, whatever goes through the network.
    voxel_bytes : float
        Of the device, for each voxel that goes through the network at once.
    num_parameters : int
        Trainable numbers in the network.
    divisor : int or None
        As :meth:`Rung.lower` takes it.
    device : str
        ``cpu`` or ``cuda``.
    batch_size : int
        Patches of a batch.
    num_ready : int
        Batches kept ready.
    chunk_bytes : int
        Decoded chunks that are kept.
    """

    network_bytes: int
    voxel_bytes: float
    num_parameters: int
    divisor: int | None
    device: str = "cpu"
    batch_size: int = 1
    num_ready: int = 3
    chunk_bytes: int = 0

    @classmethod
    def fit(cls, estimate: Callable[[int], int], patch_size: Size3, **given: Any) -> RunMemory:
        """Make it of what a step is estimated to take with a number of patches of a size."""
        one, two = estimate(1), estimate(2)
        return cls(network_bytes=2 * one - two, voxel_bytes=(two - one) / prod(patch_size), **given)

    def estimate(self, rung: Rung) -> MemoryEstimate:
        """Estimate what a run takes whose steps take so much at once."""
        voxels = prod(rung.patch_size)
        step = self.network_bytes + self.voxel_bytes * voxels * rung.patches_at_once
        copies = COPIED_BYTES * self.num_parameters
        batches = BATCH_BYTES * self.num_ready * self.batch_size * voxels
        return MemoryEstimate(int(step), copies + batches + self.chunk_bytes)

    def needed(self, rung: Rung) -> int:
        """Return what is needed of the memory of the device."""
        return self.estimate(rung).needed_on(self.device)

    def find_fitting(self, rung: Rung, free: int) -> Rung | None:
        """Find the largest that fits, of those that the run itself would try; None if none does."""
        found: Rung | None = rung
        while found is not None and self.needed(found) > free:
            found = found.lower(self.divisor)
        return found

    def warn(self, rung: Rung, free: int) -> str:
        """Say in a sentence that a run will not fit, and what does; empty where it fits."""
        needed = self.needed(rung)
        if needed <= free:
            return ""
        where = "" if self.device == "cpu" else " on the GPU"
        advice = self._advise(rung, self.find_fitting(rung, free))
        return (
            f"Training with {rung} is estimated to take {format_bytes(needed)} of memory, and "
            f"{format_bytes(free)} are free{where}; {advice}."
        )

    def _advise(self, rung: Rung, fitting: Rung | None) -> str:
        if fitting is None:
            smaller = "not even the smallest patch fits, so choose a smaller model.preset"
            return smaller if self.device == "cpu" else f"{smaller}, or the device cpu"
        parts = []
        if fitting.patch_size != rung.patch_size:
            parts.append(f"data.patch_size={list(fitting.patch_size)}")
        if fitting.patches_at_once != rung.patches_at_once:
            parts.append(f"training.train_batch_size={fitting.patches_at_once}")
        return f"{' with '.join(parts)} would fit"
