"""The medial surface of a mask of any size, block by block and as exact as of the whole at once.

What decides about a voxel is how long the three runs of mask voxels through it are, and they may
be as long as the volume. So the mask is passed in twice::

    first   of each face of a block: how far the runs that touch it reach into the block;
            then, along each row of blocks, added up where a run fills a block
    then    each block by itself, told how far the runs at its faces go on beyond it

What is kept between the two are two numbers for each voxel of a face, compressed, on the disk.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_surfseg.cancelling import raise_if_stopped
from napari_surfseg.geometry import (
    box_shape,
    box_slices,
    grow_box,
    iterate_blocks,
    to_index,
    whole_box,
)
from napari_surfseg.surfaces.medial import compute_medial_surface

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_surfseg.geometry import Box, Size3, Spacing3
    from napari_surfseg.surfaces.medial import Beyond
    from napari_surfseg.surfaces.voxel_stores import VoxelReader

__all__ = ["compute_medial_surface_by_blocks"]


def compute_medial_surface_by_blocks(
    mask: VoxelReader,
    write: Callable[[Box, NDArray[np.bool_]], None],
    spacing: Spacing3 = (1.0, 1.0, 1.0),
    *,
    block: Size3,
    scratch: Path,
    report: Callable[[str, float], None] = lambda _stage, _share: None,
) -> None:
    """Reduce sheets to their middle; as :func:`~.medial.compute_medial_surface`.

    Parameters
    ----------
    mask : array-like
        Read by slices; non-zero is surface.
    write : callable
        Takes each box and what is kept of its voxels.
    spacing : tuple of float
        Voxel size.
    block : tuple of int
        Voxels done at once; the result does not depend on it.
    scratch : Path
        A folder for what is kept between the two passes; removed by whoever calls.
    report : callable
        Called with the stage and its share, 0 to 1.
    """
    whole = whole_box(mask.shape)
    blocks = list(iterate_blocks(whole, block))
    faces = [_Faces(box_shape(whole), axis, block, scratch) for axis in range(3)]
    for done, box in enumerate(blocks):
        report("following runs", done / len(blocks))
        raise_if_stopped()
        values = np.asarray(mask[box_slices(box)]) != 0
        for axis in faces:
            axis.add(box, values)
    for axis in faces:
        axis.add_up()
    for done, box in enumerate(blocks):
        report("thinning", done / len(blocks))
        raise_if_stopped()
        # One voxel more: steps between the middles of neighbouring runs are closed.
        seen = grow_box(box, 1, whole)
        values = np.asarray(mask[box_slices(seen)]) != 0
        beyond = [axis.beyond(box, seen) for axis in faces]
        found = compute_medial_surface(values, spacing, beyond=beyond)
        write(box, found[box_slices(box, seen[0])])


class _Faces:
    """How far runs along an axis reach on both sides of the borders between blocks.

    Parameters
    ----------
    shape : tuple of int
        The whole mask.
    axis : int
        Along which runs are followed.
    block : tuple of int
        Voxels of a block.
    scratch : Path
        Where the numbers are kept.
    """

    def __init__(self, shape: Size3, axis: int, block: Size3, scratch: Path) -> None:
        self._axis, self._edge = axis, block[axis]
        self._across = tuple(size for i, size in enumerate(shape) if i != axis)
        self._tile = tuple(
            min(edge, size)
            for i, (edge, size) in enumerate(zip(block, shape, strict=True))
            if i != axis
        )
        self._count = -(-shape[axis] // self._edge) - 1
        self._before = self._make(scratch / f"before{axis}.zarr")
        self._behind = self._make(scratch / f"behind{axis}.zarr")

    def _make(self, path: Path) -> Any:
        if not self._count:
            return None
        import zarr
        from zarr.codecs import BloscCodec

        return zarr.create_array(
            str(path),
            shape=(self._count, *self._across),
            chunks=(1, *self._tile),
            dtype=np.int32,
            fill_value=0,
            compressors=BloscCodec(cname="zstd", clevel=1, shuffle="bitshuffle"),
        )

    def _lateral(self, box: Box) -> tuple[slice, slice]:
        first, second = (part for i, part in enumerate(box_slices(box)) if i != self._axis)
        return first, second

    def add(self, box: Box, mask: NDArray[np.bool_]) -> None:
        """Take how far the runs at both faces of a block reach into it."""
        place, index = self._lateral(box), box[0][self._axis] // self._edge
        lines = np.moveaxis(mask, self._axis, 0)
        if index < self._count:
            self._before[(index, *place)] = _count_first(lines[::-1])
        if index > 0:
            self._behind[(index - 1, *place)] = _count_first(lines)

    def add_up(self) -> None:
        """Let runs that fill a block go on in the next."""
        if not self._count:
            return
        tile = to_index((1, *self._tile))
        for box in iterate_blocks(whole_box((1, *self._across)), tile):
            raise_if_stopped()
            place = box_slices(box)[1:]
            for at in range(1, self._count):
                here = self._before[(at, *place)]
                full = here == self._edge
                if full.any():
                    self._before[(at, *place)] = here + full * self._before[(at - 1, *place)]
            for at in range(self._count - 2, -1, -1):
                here = self._behind[(at, *place)]
                # The last block may be shorter, but nothing comes after it.
                full = here == self._edge
                if full.any():
                    self._behind[(at, *place)] = here + full * self._behind[(at + 1, *place)]

    def beyond(self, box: Box, seen: Box) -> Beyond:
        """Give by how much the runs at the faces of a block, seen with its margin, go on."""
        place = self._lateral(seen)
        shape = tuple(part.stop - part.start for part in place)
        index = box[0][self._axis] // self._edge
        margin = [abs(a[self._axis] - b[self._axis]) for a, b in zip(box, seen, strict=True)]
        found: list[NDArray[np.int32]] = []
        for store, at, step in (
            (self._before, index - 1, margin[0]),
            (self._behind, index, margin[1]),
        ):
            if 0 <= at < self._count:
                # The margin is seen already: where it holds mask, it is the first of the run.
                found.append(np.maximum(store[(at, *place)] - np.int32(step), 0))
            else:
                found.append(np.zeros(shape, np.int32))
        return found[0], found[1]


def _count_first(lines: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Count, along the first axis, the mask voxels before the first that is none."""
    empty = ~lines
    first: NDArray[np.int32] = empty.argmax(axis=0).astype(np.int32)
    full = ~empty.any(axis=0)
    first[full] = len(lines)
    return first
