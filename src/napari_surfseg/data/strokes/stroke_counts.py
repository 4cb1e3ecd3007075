"""Labels that were painted on under a running training: count again only what changed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from napari_surfseg.data.census import take_census
from napari_surfseg.data.checks import check_census
from napari_surfseg.data.volume import DerivedVolume
from napari_surfseg.geometry import box_at, box_slices, intersect_boxes, iterate_indices

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_surfseg.data.checked_pair import CheckedPair
    from napari_surfseg.data.stored_chunks import StoredChunks
    from napari_surfseg.data.strokes.stroke_files import StrokeBox
    from napari_surfseg.data.volume import Volume, VoxelArray
    from napari_surfseg.geometry import Box, Index3

__all__ = ["StrokedVolume", "count_strokes"]


class StrokedVolume(DerivedVolume):
    """Labels with painted boxes laid over them, as they will be once these are written."""

    def __init__(self, labels: Volume, boxes: Sequence[StrokeBox]) -> None:
        super().__init__(labels)
        self._labels = labels
        self._boxes = list(boxes)

    def stored_chunks(self, box: Box | None = None) -> StoredChunks | None:
        """List the chunks that are stored of the labels, and those that were painted on."""
        found = self._labels.stored_chunks(box)
        if found is None:
            return None
        return found.joined(box_at(start, values.shape) for start, values in self._boxes)

    def _read_box(self, start: Index3, stop: Index3) -> VoxelArray:
        values = self._labels.read(start, stop)
        for corner, painted in self._boxes:
            part = intersect_boxes((start, stop), box_at(corner, painted.shape))
            if part is not None:
                values[box_slices(part, start)] = painted[box_slices(part, corner)]
        return values


def count_strokes(pair: CheckedPair, boxes: Sequence[StrokeBox]) -> CheckedPair:
    """Check a pair as at the start of a run, with painted boxes laid over its labels.

    Only the blocks that they touch are read and counted. The returned pair reads
    the labels as they are on disk; write the boxes to make it true.

    Raises
    ------
    LabelError
        If a value has no meaning, or no surface or background would be left.
    """
    painted = pair.hide(StrokedVolume(pair.labels, boxes))
    census = pair.census
    counts = {}
    unknown: dict[int, int] = {}
    touched = {
        index
        for start, values in boxes
        for index in iterate_indices(census.blocks_touched(box_at(start, values.shape)))
    }
    for index in sorted(touched):
        part = take_census(
            painted,
            pair.mapping,
            image=pair.image,
            void_value=pair.void_value,
            box=census.block_box(index),
        )
        counts[index] = part.blocks.total
        for value, count in part.unknown.items():
            unknown[value] = unknown.get(value, 0) + count
    counted = census.recounted(counts)
    counted = replace(
        counted,
        unknown=unknown,
        num_visited=max(census.num_visited, counted.num_supervised),
    )
    check_census(
        counted,
        pair.image,
        pair.labels,
        pair.mapping,
        f"data.{pair.role}",
        may_be_empty=pair.parent is not None,
    )
    return replace(pair, census=counted)
