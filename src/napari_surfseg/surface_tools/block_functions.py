"""The tools of :mod:`~.functions` on volumes of any size; each gives the same voxels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_surfseg.cancelling import is_stop_wanted
from napari_surfseg.geometry import box_at, box_slices, to_index

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from napari_surfseg.geometry import Box, Size3, Slices3
    from napari_surfseg.surface_tools.block_work import BlockWork
    from napari_surfseg.surfaces.postprocess import PostProcess
    from napari_surfseg.surfaces.voxel_stores import VoxelReader

__all__ = ["fill_holes", "remove_small_pieces"]

#: What post-processing takes for surface, and for what may become surface.
IS_SURFACE, MAY_BECOME = np.uint8(255), np.uint8(1)


class _AsProbabilities:
    """A mask as probabilities that are certain, but leave every gap to be closed."""

    def __init__(self, values: VoxelReader) -> None:
        self._values = values
        self.shape: Size3 = to_index(values.shape)

    def __getitem__(self, box: Slices3) -> NDArray[np.uint8]:
        return np.where(np.asarray(self._values[box]) != 0, IS_SURFACE, MAY_BECOME)


def remove_small_pieces(work: BlockWork) -> None:
    """Leave out connected pieces that are too small."""
    from napari_surfseg.surfaces.postprocess import PostProcess

    surface = work.first
    target = work.create(surface.dtype)
    settings = PostProcess(min_voxels=work.settings["min_voxels"])
    for box, mask in _postprocess(work, settings, "looking for pieces"):
        if mask.any():
            place = box_slices(box)
            target[place] = np.where(mask, surface[place], surface.dtype.type(0))


def fill_holes(work: BlockWork) -> None:
    """Close holes through sheets and fill cavities within them."""
    from napari_surfseg.surfaces.postprocess import PostProcess

    target = work.create(np.uint8)
    settings = PostProcess(
        closing_radius=work.settings["radius"], fill_holes=work.settings["max_voxels"]
    )
    for box, mask in _postprocess(work, settings, "filling holes"):
        if mask.any():
            target[box_slices(box)] = mask


def _postprocess(
    work: BlockWork, settings: PostProcess, stage: str
) -> Iterator[tuple[Box, NDArray[Any]]]:
    from napari_surfseg.surfaces.postprocess_blocks import PostProcessPasses

    passes = PostProcessPasses(
        _AsProbabilities(work.first),
        settings,
        block_shape=work.block,
        scratch=work.scratch / "postprocess",
        progress=lambda done, total: work.report(stage, done / total),
        should_stop=is_stop_wanted,
        num_threads=1,
    )
    for start, mask in passes:
        yield box_at(start, mask.shape), mask
