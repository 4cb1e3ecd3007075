"""What a step takes at once, and less of it where memory runs out.

::

    8 patches at once ─> 4 ─> 2 ─> 1 ─> the next smaller patch ─> ... ─> the smallest: it ends

A batch keeps its size: what does not go through the network together follows, and the gradients
are added up. Only the rungs below one patch at once change what is learned from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_surfseg.cancelling import raise_if_stopped
from napari_surfseg.errors import CancelledError, DeviceMemoryError
from napari_surfseg.events import MemoryExceeded
from napari_surfseg.out_of_memory import free_memory, is_out_of_memory
from napari_surfseg.training.rung import Rung
from napari_surfseg.wording import format_size

if TYPE_CHECKING:
    from napari_surfseg.geometry import Size3
    from napari_surfseg.training.assembly import RunParts
    from napari_surfseg.training.recovery import StepRecovery
    from napari_surfseg.training.reporting import Reporter

__all__ = ["MemoryLadder"]


class MemoryLadder:
    """Takes the steps of a run, and each of them smaller where memory runs out.

    A rung is left for good: what fitted once may be tried again by changing ``data.patch_size`` or
    ``training.train_batch_size``. Only where a rung had fitted before, the step is first
    repeated as it is, once, with the memory freed.

    Parameters
    ----------
    parts : RunParts
        What a rung changes: how the learner splits batches, what the loader cuts, and the
        windows of validation and previews.
    recovery : StepRecovery
        Takes the steps.
    reporter : Reporter
        Reports each rung.
    divisor : int or None
        Number by which every edge of a patch must be divisible; None where the network takes
        patches of one size only.
    """

    def __init__(
        self, parts: RunParts, recovery: StepRecovery, reporter: Reporter, *, divisor: int | None
    ) -> None:
        self._parts = parts
        self._recovery = recovery
        self._reporter = reporter
        self._divisor = divisor
        self._has_fitted = self._is_repeated = self._is_taken_back = False
        self.rung = parts.rung
        self._apply()
        parts.limit.report = self._report_window

    def report_start(self) -> None:
        """Report the rung of a run that goes on below what its configuration says."""
        data = self._parts.experiment.data
        if self.rung != Rung(data.patch_size, self._parts.loader.num_patches):
            self._report(
                f"Memory ran out earlier in this run, so it goes on with {self.rung}; to try more "
                "again, change data.patch_size or training.train_batch_size."
            )

    def take_step(self, rate: float) -> dict[str, float] | None:
        """Take one step; return its values, or None where it was skipped.

        Raises
        ------
        DeviceMemoryError
            If memory ran out on the lowest rung.
        NonFiniteLossError
            As the recovery raises it.
        CancelledError
            If work should end; nothing of the step remains then, and it counts no patches.
        """
        loader = self._parts.loader
        first, tally = loader.step, loader.tally_as_dict()
        while True:
            try:
                raise_if_stopped()
                values = self._recovery.take_step(loader, rate)
            except CancelledError:
                self._parts.learner.forget_step()
                loader.restore_tally(tally)
                raise
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
            else:
                self._has_fitted, self._is_taken_back = True, False
                return values
            # Outside the handler, which would keep the failed step's tensors alive.
            self._clear()
            self._step_down()
            loader.restart(first, self.rung.patch_size)
            loader.restore_tally(tally)

    def _clear(self) -> None:
        """Leave nothing of the failed step, and free what can be made again."""
        learner = self._parts.learner
        learner.forget_step()
        if not learner.is_whole:
            self._recovery.take_back()
            self._is_taken_back = True
        self._parts.data.cache.clear()
        free_memory()

    def _step_down(self) -> None:
        if self._has_fitted and not self._is_repeated:
            self._is_repeated = True
            self._report(
                f"Memory ran out with {self.rung}; it was freed, and the step is repeated."
            )
            return
        lower = self.rung.lower(self._divisor)
        if lower is None:
            # An older state than the last one saved is not to replace it.
            self._parts.learner.is_whole = not self._is_taken_back
            raise DeviceMemoryError(
                f"There is not enough memory for a training step, even with {self.rung}; end other "
                "programs that use it, or choose a smaller model.preset, and resume; a smaller "
                "data.cache_gib and, on a GPU, training.precision=bf16 help as well.",
                field="model.preset",
            )
        before, self.rung = self.rung, lower
        self._has_fitted = self._is_repeated = False
        self._apply()
        self._report(
            f"Memory ran out with {before}; training goes on with {lower}{_explain(lower, before)}"
        )

    def _apply(self) -> None:
        """Let everything but the loader, which goes back to the step, use the rung."""
        parts, patch_size = self._parts, self.rung.patch_size
        parts.learner.patches_at_once = self.rung.patches_at_once
        parts.checkpoints.patch_size = patch_size
        parts.previewer.use_window(patch_size)
        if parts.scoring is not None:
            parts.scoring.validator.use_window(patch_size)

    def _report_window(self, before: Size3, now: Size3) -> None:
        self._report(
            f"Memory ran out with windows of {format_size(before)} voxels; validation and previews "
            f"use windows of {format_size(now)} from now on."
        )

    def _report(self, message: str) -> None:
        self._reporter.report(
            MemoryExceeded(
                message=message,
                patch_size=self.rung.patch_size,
                patches_at_once=self.rung.patches_at_once,
                window=self._parts.limit.window,
            )
        )


def _explain(lower: Rung, before: Rung) -> str:
    if lower.patch_size == before.patch_size:
        return ", the others of a batch after them: it learns from as many as before."
    return "."
