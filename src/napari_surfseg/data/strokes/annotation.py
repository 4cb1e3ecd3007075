"""Annotated voxels as points: gathered from the labels of any volume, dense or strokes.

Only the blocks that the census found annotated are read, so that three strokes in a volume of
any size cost what three blocks cost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from napari_surfseg.cancelling import raise_if_stopped
from napari_surfseg.data.labels import BACKGROUND, FOREGROUND, IGNORE
from napari_surfseg.errors import ChunkError
from napari_surfseg.geometry import to_index

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_surfseg.data.census import LabelCensus
    from napari_surfseg.data.volume import Volume
    from napari_surfseg.geometry import Index3, Spacing3

__all__ = ["AnnotatedBlock", "find_beside", "gather_annotation", "list_points"]

#: Blocks read at most: enough for a classifier, and a bound on the time that it takes.
MAX_BLOCKS = 48
#: Distances from a painted surface, in voxels of the finest axis, between which what is not
#: annotated counts as background: nearer, the brush may have missed a part of the sheet.
BESIDE_FROM, BESIDE_TO = 1.0, 2.5
#: A stroke of more planes than these, and than this share of its next extent, was painted with a
#: ball.
FEW_PLANES, BALL_SHARE = 2, 0.7


@dataclass(frozen=True)
class AnnotatedBlock:
    """What is annotated in one block of a volume.

    Attributes
    ----------
    source : int
        Which of the volumes.
    start : tuple of int
        Z, Y, X voxel of the volume at which ``targets`` begins.
    targets : ndarray, shape (Z, Y, X)
        uint8: 0 background, 1 surface, 2 not annotated.
    """

    source: int
    start: Index3
    targets: NDArray[np.uint8]


def gather_annotation(
    targets: Sequence[Volume], censuses: Sequence[LabelCensus], *, seed: int = 0
) -> list[AnnotatedBlock]:
    """Read the annotated blocks of some volumes, or where there are many, some of them.

    Parameters
    ----------
    targets : sequence of Volume
        Labels as 0, 1 and 2.
    censuses : sequence of LabelCensus
        Where each of them is annotated.
    seed : int
        Of the choice among more than :data:`MAX_BLOCKS` blocks.
    """
    places = [
        (source, to_index(place))
        for source, census in enumerate(censuses)
        for place in census.blocks.without_empty().indices.tolist()
    ]
    if len(places) > MAX_BLOCKS:
        rng = np.random.default_rng([seed, 0xA220])
        chosen = np.sort(rng.choice(len(places), MAX_BLOCKS, replace=False))
        places = [places[i] for i in chosen]
    blocks = []
    for source, index in places:
        raise_if_stopped()
        start, stop = censuses[source].block_box(index)
        try:
            values = targets[source].read(start, stop)
        except ChunkError:  # reported where it is met by a patch
            continue
        blocks.append(AnnotatedBlock(source, start, values))
    return blocks


def find_beside(targets: NDArray[np.uint8], spacing: Spacing3) -> NDArray[np.bool_]:
    """Find what lies just beside painted surface and was not annotated.

    A person paints along a sheet and seldom right beside it. That a thin sheet ends there is
    known all the same, and without it a classifier takes sheets for slabs. The voxels are
    looked for in the plane a stroke was painted in, where its border was seen; above and below
    it the sheet continues.

    Parameters
    ----------
    targets : ndarray, shape (Z, Y, X)
        uint8: 0 background, 1 surface, 2 not annotated.
    spacing : tuple of float
        Z, Y, X voxel size.
    """
    surface = targets == FOREGROUND
    strokes, _ = ndimage.label(surface, np.ones((3, 3, 3), bool))
    # A straight line may lie in planes of two axes; what else was painted decides which it was.
    used = [len(np.unique(along)) for along in np.nonzero(targets != IGNORE)]
    groups: dict[int | None, list[int]] = {}
    for number, place in enumerate(ndimage.find_objects(strokes), start=1):
        if place is not None:
            groups.setdefault(_painted_axis(place, used), []).append(number)
    beside = np.zeros(targets.shape, bool)
    finest = min(spacing)
    sampling = [size / finest for size in spacing]
    for axis, numbers in groups.items():
        painted = surface & np.isin(strokes, numbers)
        for plane in _planes(painted, axis):
            distance = ndimage.distance_transform_edt(
                ~painted[plane],
                sampling=sampling if axis is None else np.delete(sampling, axis).tolist(),
            )
            beside[plane] |= (distance > BESIDE_FROM) & (distance <= BESIDE_TO)
    beside &= targets == IGNORE
    return beside


def _painted_axis(place: tuple[Any, ...], used: Sequence[int]) -> int | None:
    """Return the axis across which a stroke is thin; None for one painted with a ball."""
    extents = [part.stop - part.start for part in place]
    axis, second, _ = sorted(range(3), key=lambda each: (extents[each], used[each]))
    is_ball = extents[axis] > max(FEW_PLANES, BALL_SHARE * extents[second])
    return None if is_ball else axis


def _planes(painted: NDArray[np.bool_], axis: int | None) -> list[Any]:
    if axis is None:
        return [...]
    rest = tuple(other for other in range(3) if other != axis)
    used = np.flatnonzero(painted.any(axis=rest))
    return [tuple(int(i) if a == axis else slice(None) for a in range(3)) for i in used]


def list_points(
    targets: NDArray[np.uint8], spacing: Spacing3
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Points to learn from: their places and what they are.

    Returns
    -------
    places : ndarray, shape (N, 3)
        Z, Y, X voxels of the block.
    kinds : ndarray, shape (N,)
        0 background, 1 surface, 2 beside the surface and not annotated.
    """
    kinds = np.where(find_beside(targets, spacing), np.uint8(2), np.uint8(3))
    kinds[targets == BACKGROUND] = 0
    kinds[targets == FOREGROUND] = 1
    places = np.argwhere(kinds < 3)
    return places, kinds[tuple(places.T)].astype(np.int64)
