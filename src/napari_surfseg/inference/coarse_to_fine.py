"""A coarse look first: blocks in which it sees nothing at all are left out.

::

    volume, 2 to 8 times coarser ──> same network ──> coarse probabilities (coarse/ in the folder)
       blocks whose coarse voxels all stay below EMPTY ──> left out
       a few of those ──> predicted all the same ──> how much surface was missed

A network that was trained on fine voxels sees thin sheets poorly in coarse ones. What that costs
is therefore measured in every prediction, not assumed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_surfseg.data.resampling import Resampling
from napari_surfseg.errors import OutputError
from napari_surfseg.geometry import (
    clip_box,
    grow_box,
    shift_box,
    to_index,
    to_spacing,
    whole_box,
)
from napari_surfseg.inference.predict_blocks import (
    BlockWorker,
    find_live,
    order_blocks,
    see_volume,
    settings_of,
)
from napari_surfseg.inference.prediction_folder import (
    PredictionFolder,
    StoredProbabilities,
    describe_unfit,
)
from napari_surfseg.wording import format_percent

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from napari_surfseg.data.volume import Volume
    from napari_surfseg.geometry import Box, Index3, Size3
    from napari_surfseg.inference.prediction_folder import PredictionPlan
    from napari_surfseg.inference.sliding_window import Model, WindowCounter

__all__ = ["FACTORS", "CoarseLook", "LeftOut", "check_factor"]

#: By what the voxels of the coarse look may be longer.
FACTORS = (2, 4, 8)
#: A block is left out where no coarse probability is above this, of 255.
EMPTY = 25
#: Coarse voxels around a block that count too.
MARGIN = 2
#: Of the blocks left out, this share is predicted all the same, and at least and at most so many.
SAMPLE_SHARE, FEWEST_SAMPLES, MOST_SAMPLES = 0.02, 4, 32
#: Coarse voxels along an axis, of which there must be so many.
LEAST_EXTENT = 16


def check_factor(shape: Size3, factor: int, name: str) -> None:
    """Refuse a volume that is too thin to be seen coarsely.

    Raises
    ------
    OutputError
        In one sentence.
    """
    if min(shape) // factor < LEAST_EXTENT:
        raise OutputError(
            f"{name} has {min(shape)} voxels along its shortest axis, too few to be seen "
            f"{factor} times coarser first; leave out --coarse-to-fine."
        )


@dataclass(frozen=True)
class LeftOut:
    """What was left out of a prediction.

    Attributes
    ----------
    empty : ndarray of bool
        Blocks in which the coarse look saw nothing.
    sample : ndarray of bool
        Those of them that are predicted all the same.
    """

    empty: NDArray[np.bool_]
    sample: NDArray[np.bool_]

    def describe(
        self,
        probabilities: StoredProbabilities,
        plan: PredictionPlan,
        threshold: float,
        found: float,
    ) -> str:
        """Say how much surface is missing, by the sample.

        Parameters
        ----------
        probabilities : StoredProbabilities
            In the network's grid.
        plan : PredictionPlan
            Of it.
        threshold : float
            Probability above which a voxel is surface.
        found : float
            Share of the volume that was found to be surface.
        """
        num_empty, num_sample = (int(np.count_nonzero(each)) for each in (self.empty, self.sample))
        if not num_sample:
            return "The coarse look saw no block without surface; nothing was left out."
        seen = surface = 0
        for index in order_blocks(self.sample, plan):
            box = _own_box(plan, index)
            values = probabilities.read(*box)
            seen += values.size
            surface += int(np.count_nonzero(values > threshold * 255))
        left_out = (num_empty - num_sample) / plan.blocks.num_blocks
        missed = surface / max(seen, 1) * left_out
        lost = missed / (missed + found) if missed else 0.0
        return (
            f"The coarse look left out {num_empty - num_sample} of {plan.blocks.num_blocks} "
            f"blocks. In {num_sample} like them that were predicted all the same, "
            f"{format_percent(surface / max(seen, 1))} of the voxels are surface: about "
            f"{format_percent(lost)} of all surface is missing."
        )


class CoarseLook:
    """Predicts a volume coarsely, and finds the blocks in which nothing is.

    Parameters
    ----------
    volume : Volume
        The image.
    model : callable
        The network.
    device : str or torch.device
        Where it is.
    folder : PredictionFolder
        Of the whole prediction; the coarse one lies in it, and is gone on with as well.
    """

    def __init__(
        self, volume: Volume, model: Model, device: str | torch.device, folder: PredictionFolder
    ) -> None:
        self._volume, self._model, self._device = volume, model, device
        self._folder = PredictionFolder(folder.path / "coarse")

    def plan(self, plan: PredictionPlan, factor: int) -> PredictionPlan:
        """Plan the coarse prediction of a plan, or read the one that is under way."""
        known = self._folder.read_plan()
        if known is not None:
            differences = known.find_differences(plan.request)
            if differences:
                raise OutputError(describe_unfit(self._folder, differences))
            return known
        scale = plan.scale or (1.0, 1.0, 1.0)
        coarse = to_spacing(each / factor for each in scale)
        shape = Resampling(coarse).shape(self._volume.shape)
        made = replace(plan, scale=coarse, shape=shape)
        return self._folder.create(made, find_live(self._volume, made))

    def count_windows(self, coarse: PredictionPlan) -> tuple[int, int]:
        """Count the windows of a coarse plan, and those that are done."""
        live = self._folder.read_live(coarse)
        finished = self._folder.read_finished(coarse) & live
        return coarse.blocks.count_marked(live), coarse.blocks.count_marked(finished)

    def look(
        self,
        plan: PredictionPlan,
        coarse: PredictionPlan,
        live: NDArray[np.bool_],
        counter: WindowCounter,
        part: tuple[int, int] | None = None,
    ) -> LeftOut:
        """Predict coarsely what is left of that, and choose what is left out.

        Parameters
        ----------
        plan : PredictionPlan
            Of the fine prediction.
        coarse : PredictionPlan
            From :meth:`plan`.
        live : ndarray of bool
            Fine blocks in which there may be anything.
        counter : WindowCounter
            Counts coarse windows.
        part : tuple of int, optional
            Several processes that look at once begin at different places.
        """
        folder = self._folder
        coarse_live = folder.read_live(coarse)
        left = order_blocks(coarse_live & ~folder.read_finished(coarse), coarse)
        if part is not None:
            first = len(left) * (part[0] - 1) // part[1]
            left = left[first:] + left[:first]
        if left:
            settings = settings_of(coarse, self._device)
            BlockWorker(folder, coarse, self._volume, self._model, settings).predict(left, counter)
        seen = see_volume(self._volume, coarse)
        probabilities = StoredProbabilities(seen, folder, coarse, coarse_live)
        empty = np.zeros(live.shape, bool)
        for index in order_blocks(live, plan):
            counter.raise_if_stopped()
            box = _in_grid(_own_box(plan, index), plan.shape, coarse.shape)
            empty[index] = probabilities.read(*box).max(initial=0) <= EMPTY
        return LeftOut(empty, _choose_sample(empty))


def _own_box(plan: PredictionPlan, index: Index3) -> Box:
    """Give the voxels that the windows of a block see, without mirrored ones."""
    extent = shift_box(plan.blocks.extent_of(index), to_index(-each for each in plan.offset))
    return clip_box(extent, whole_box(plan.shape))


def _in_grid(box: Box, shape: Size3, new_shape: Size3) -> Box:
    """Give the voxels of another grid that a box touches, with a margin."""
    sizes = list(zip(shape, new_shape, strict=True))
    low = to_index(at * new // size for at, (size, new) in zip(box[0], sizes, strict=True))
    high = to_index(-(-at * new // size) for at, (size, new) in zip(box[1], sizes, strict=True))
    return grow_box((low, high), MARGIN, whole_box(new_shape))


def _choose_sample(empty: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Choose some of the marked blocks, spread evenly."""
    places = np.flatnonzero(empty)
    count = int(np.clip(SAMPLE_SHARE * len(places), FEWEST_SAMPLES, MOST_SAMPLES))
    sample = np.zeros(empty.shape, bool)
    if len(places):
        picks = np.linspace(0, len(places) - 1, min(count, len(places))).astype(int)
        sample.ravel()[places[picks]] = True
    return sample
