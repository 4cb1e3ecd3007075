"""Compares the memory that a run was estimated to take with what there is, and what it took."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from napari_surfseg.events import MemoryMeasured
from napari_surfseg.process_memory import find_free_memory, measure_memory, measure_peak
from napari_surfseg.wording import format_bytes

if TYPE_CHECKING:
    from napari_surfseg.training.memory_estimate import RunMemory
    from napari_surfseg.training.reporting import Reporter
    from napari_surfseg.training.rung import Rung

__all__ = ["MemoryCheck", "find_free_bytes"]

#: After so many steps everything was in memory once, the copy of the state included.
MEASURED_STEPS = 3
#: How far an estimate may be exceeded before it is called wrong: a share, and what libraries load
#: when they are first used.
EXCEEDED_SHARE, EXCEEDED_BYTES = 1.25, 2**28


def find_free_bytes(device: torch.device) -> int:
    """Return the bytes that a run on a device may still take there."""
    if device.type != "cuda":
        return find_free_memory()
    free, _ = torch.cuda.mem_get_info(device)
    # What torch keeps of freed tensors is free for the next ones.
    return int(free) + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)


class MemoryCheck:
    """Warns before the first step where memory is short, and measures after some.

    To be made before the network is: what is free, and taken, is looked up then.

    Parameters
    ----------
    memory : RunMemory
        What the memory of the run depends on.
    device : torch.device
        Where it trains.
    reporter : Reporter
        Takes the warning and the measurement.
    """

    def __init__(self, memory: RunMemory, device: torch.device, reporter: Reporter) -> None:
        self._memory = memory
        self._device = device
        self._reporter = reporter
        self._num_steps = 0
        self._free = find_free_bytes(device)
        self._before = 0 if device.type == "cuda" else measure_memory()
        self._peak_before = 0 if device.type == "cuda" else measure_peak()
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)

    def warn_if_short(self, rung: Rung) -> None:
        """Warn if the run is estimated to take more than is free."""
        message = self._memory.warn(rung, self._free)
        if message:
            self._reporter.warn(
                f"{message} Where memory runs out, training goes on with less at once."
            )

    def count_step(self, rung: Rung) -> None:
        """Measure after the first steps."""
        self._num_steps += 1
        if self._num_steps != MEASURED_STEPS:
            return
        estimated, measured = self._memory.needed(rung), self._measure()
        self._reporter.report(
            MemoryMeasured(
                device=self._device.type, measured_bytes=measured, estimated_bytes=estimated
            )
        )
        if measured > EXCEEDED_SHARE * estimated + EXCEEDED_BYTES:
            self._reporter.warn(
                f"Training takes {format_bytes(measured)} of memory, more than the "
                f"{format_bytes(estimated)} that were estimated before its start."
            )

    def _measure(self) -> int:
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device)
        peak = measure_peak()
        if peak <= self._peak_before:  # of something that this process did earlier
            peak = measure_memory()
        return max(0, peak - self._before)
