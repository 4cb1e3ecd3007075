"""What rank 0 does with the other processes: it prepares them, and gives orders for each step."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import torch

from napari_surfseg.errors import TrainingError
from napari_surfseg.losses.whole_batch import batch_divided
from napari_surfseg.training.ranks import WeightExchange

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from napari_surfseg.data.patches.loader import Batch, PatchLoader
    from napari_surfseg.data.strokes.stroke_files import StrokeBox
    from napari_surfseg.training.gradients import GradientComputer, StepLoss
    from napari_surfseg.training.plan import RunPlan
    from napari_surfseg.training.ranks import Ranks
    from napari_surfseg.training.run_data import RunData

__all__ = ["Lead", "compute_part"]


class Lead:
    """Leads the other processes of a run.

    Parameters
    ----------
    ranks : Ranks
        This process, the first of them.
    network : nn.Module
        What is trained.
    loader : PatchLoader
        Gives this process its patches; the others cut the rest of the same batches.
    """

    def __init__(self, ranks: Ranks, network: torch.nn.Module, loader: PatchLoader) -> None:
        self._ranks = ranks
        self._exchange = WeightExchange(ranks, network)
        self._loader = loader
        self._is_prepared = False

    @property
    def num_processes(self) -> int:
        """How many train together, this one included."""
        return self._ranks.place.count

    def prepare_others(self, plan: RunPlan, data: RunData) -> None:
        """Let the others open the volumes as this process did."""
        self._ranks.order(
            "prepare",
            experiment=data.experiment.model_dump(mode="json"),
            planned_patch_size=plan.experiment.data.patch_size,
            precision=plan.precision,
            intensity=data.intensity.as_dict(),
            cut=data.cut,
            resampling=data.resampling_scales,
            patch_size=self._loader.patch_size,
            workers=self._loader.num_workers,
            start_step=self._loader.step,
            foreground_shares=self._loader.foreground_shares,
        )

    def compute(
        self,
        gradients: GradientComputer,
        batches: Iterator[Batch],
        loss_weights: Mapping[str, float],
        step: int,
    ) -> StepLoss:
        """Leave the gradients of a step of all processes in the parameters.

        Raises
        ------
        CancelledError, DeviceMemoryError, TrainingError
            If this process or another one was stopped, had too little memory, or failed; the
            others wait for the next step then.
        """
        loader = self._loader
        self._await_others()
        self._ranks.order(
            "step",
            step=step,
            first=loader.step,
            patch_size=loader.patch_size,
            patches_at_once=gradients.patches_at_once,
            foreground_shares=loader.foreground_shares,
            loss_weights=dict(loss_weights),
            autotune=torch.backends.cudnn.benchmark,
        )
        return compute_part(self._ranks, self._exchange, gradients, batches, loss_weights, step)

    def _await_others(self) -> None:
        """Wait, before the first step, for the others to be ready."""
        if self._is_prepared:
            return
        for rank, message in enumerate(self._ranks.gather("ready"), start=1):
            if message:
                raise TrainingError(f"Rank {rank} cannot take part in the training: {message}")
        self._is_prepared = True

    @contextlib.contextmanager
    def strokes_written(self, source: str, boxes: Sequence[StrokeBox], step: int) -> Iterator[None]:
        """Let no other process read labels meanwhile, and let them learn the strokes after it."""
        self._await_others()
        self._ranks.order(
            "strokes",
            labels=source,
            boxes=[(start, torch.from_numpy(values.copy())) for start, values in boxes],
            step=step,
        )
        is_written = False
        try:
            for rank, message in enumerate(self._ranks.gather("held"), start=1):
                if message:
                    raise TrainingError(f"Rank {rank} cannot take the strokes in: {message}")
            is_written = True
            yield
        finally:
            self._ranks.order("strokes_written", is_written=is_written)

    def check(self) -> None:
        """Raise :class:`~napari_surfseg.training.ranks.RankLostError` if one is gone."""
        self._ranks.check()


def compute_part(
    ranks: Ranks,
    exchange: WeightExchange,
    gradients: GradientComputer,
    batches: Iterator[Batch],
    loss_weights: Mapping[str, float],
    step: int,
) -> StepLoss:
    """Take part in a step: on every rank, with the weights of rank 0, which has the sum."""
    exchange.share()
    with ranks.together():
        with batch_divided(ranks.add):
            loss = gradients.compute(batches, loss_weights, step)
        ranks.agree()
    exchange.collect()
    return loss
