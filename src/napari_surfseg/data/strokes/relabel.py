"""Labels that were painted on under a running training: count again only what changed."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

from napari_surfseg.data.census import BLOCK, take_census
from napari_surfseg.data.checks import check_census
from napari_surfseg.data.volume import Volume, VoxelArray

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from napari_surfseg.data.census import LabelCensus
    from napari_surfseg.data.checks import CheckedPair
    from napari_surfseg.data.strokes.painted import PaintedBox
    from napari_surfseg.geometry import Index3

__all__ = ["PaintedVolume", "relabel_pair"]


class PaintedVolume(Volume):
    """Labels with painted boxes laid over them, as they will be once these are written."""

    def __init__(self, labels: Volume, boxes: Sequence[PaintedBox]) -> None:
        super().__init__(
            source=labels.source,
            name=labels.name,
            shape=labels.shape,
            dtype=labels.dtype,
            spacing=labels.spacing if labels.spacing_known else None,
            units=labels.units,
            chunks=labels.chunks,
        )
        self._labels = labels
        self._boxes = list(boxes)

    def _read_box(self, start: Index3, stop: Index3) -> VoxelArray:
        values = self._labels.read(start, stop)
        for corner, painted in self._boxes:
            here, there = [], []
            for a, b, low, size in zip(start, stop, corner, painted.shape, strict=True):
                first, last = max(a, low), max(min(b, low + size), max(a, low))
                here.append(slice(first - a, last - a))
                there.append(slice(first - low, last - low))
            values[tuple(here)] = painted[tuple(there)]
        return values


def relabel_pair(pair: CheckedPair, boxes: Sequence[PaintedBox]) -> CheckedPair:
    """Check a pair as at the start of a run, with painted boxes laid over its labels.

    Only the blocks that they touch are read and counted. The returned pair reads
    the labels as they are on disk; write the boxes to make it true.

    Raises
    ------
    LabelError
        If a value has no meaning, or no surface or background would be left.
    """
    painted = pair.hide(PaintedVolume(pair.labels, boxes))
    census = pair.census
    blocks = census.blocks.copy()
    unknown: dict[int, int] = {}
    for index in sorted({index for box in boxes for index in _touched(census, box)}):
        part = take_census(
            painted,
            pair.mapping,
            image=pair.image,
            void_value=pair.void_value,
            box=census.block_box(index),
        )
        blocks[(slice(None), *index)] = part.blocks[:, 0, 0, 0]
        for value, count in part.unknown.items():
            unknown[value] = unknown.get(value, 0) + count
    counted = replace(
        census,
        blocks=blocks,
        unknown=unknown,
        num_visited=max(census.num_visited, int(blocks.sum())),
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


def _touched(census: LabelCensus, painted: PaintedBox) -> Iterator[Index3]:
    """Give the places, in the census's blocks, that a painted box touches."""
    corner, values = painted
    spans = []
    for a, size, low, high in zip(corner, values.shape, *census.box, strict=True):
        first, last = max(a, low), min(a + size, high)
        if first >= last:
            return
        spans.append(range(first // BLOCK - low // BLOCK, -(-last // BLOCK) - low // BLOCK))
    yield from itertools.product(*spans)
