"""Places, sizes and boxes in a volume, and the arithmetic of boxes: once, for every folder.

All are ``(Z, Y, X)``. Plain tuples, so that they are written to YAML and JSON as they are,
compare by value and cost nothing::

    start ┌──────────────┐      a box: start inside, stop outside (half open)
          │   ┌──────┐   │
          │   │inner │   │      intersect_boxes, clip_box, grow_box, shift_box
          │   └──────┘   │      box_slices: the same box as an index of an array
          └──────────────┘ stop

    grid of blocks            blocks of one size from the volume's first voxel on:
    │ 0 │ 1 │ 2 │ 3 │         blocks_under(box) -> which of them a box touches,
      ├────box───┤            block_box(index) -> the voxels of one
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, SupportsFloat, SupportsInt, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = [
    "Box",
    "Index3",
    "Ranges3",
    "Size3",
    "Slices3",
    "Spacing3",
    "block_box",
    "blocks_under",
    "box_at",
    "box_shape",
    "box_slices",
    "boxes_overlap",
    "clip_box",
    "contains_box",
    "count_voxels",
    "from_ranges",
    "grow_box",
    "in_finest_voxels",
    "intersect_boxes",
    "iterate_blocks",
    "iterate_indices",
    "middle_of_box",
    "replace_extent",
    "shift_box",
    "split_box",
    "to_box",
    "to_index",
    "to_ranges",
    "to_spacing",
    "whole_box",
]

#: Place of a voxel, counted from the first one of its volume.
Index3: TypeAlias = tuple[int, int, int]
#: Numbers of voxels along the axes.
Size3: TypeAlias = tuple[int, int, int]
#: Voxel size, or a place, in the unit of the volume.
Spacing3: TypeAlias = tuple[float, float, float]
#: Start and stop corner, half open: ``start`` lies inside and ``stop`` does not.
Box: TypeAlias = tuple[Index3, Index3]
#: A box as a person writes it: start and stop along each axis.
Ranges3: TypeAlias = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
#: A box as an index of an array.
Slices3: TypeAlias = tuple[slice, slice, slice]


# ---- conversions


def to_index(values: Iterable[SupportsInt]) -> Index3:
    """Make a place or size of three numbers of any kind; fractions are cut off."""
    z, y, x = (int(value) for value in values)
    return z, y, x


def to_spacing(values: Iterable[SupportsFloat]) -> Spacing3:
    """Make a voxel size, or a place in units, of three numbers of any kind."""
    z, y, x = (float(value) for value in values)
    return z, y, x


def to_box(corners: Iterable[Iterable[SupportsInt]]) -> Box:
    """Make a box of two corners of any kind, as lists in a JSON file."""
    start, stop = corners
    return to_index(start), to_index(stop)


def from_ranges(ranges: Sequence[Sequence[int]]) -> Box:
    """Make a box of a start and a stop along each axis, as ``data.train.roi`` has them."""
    return to_index(first for first, _ in ranges), to_index(last for _, last in ranges)


def to_ranges(box: Box) -> Ranges3:
    """Give the start and stop of a box along each axis."""
    z, y, x = zip(*box, strict=True)
    return z, y, x


def whole_box(shape: Iterable[SupportsInt]) -> Box:
    """Give the box of a whole volume of a shape."""
    return (0, 0, 0), to_index(shape)


def box_at(start: Iterable[SupportsInt], shape: Iterable[SupportsInt]) -> Box:
    """Give the box of a shape that begins at a voxel."""
    first = to_index(start)
    return first, _plus(first, to_index(shape))


def in_finest_voxels(spacing: Spacing3) -> Spacing3:
    """Express a voxel size in the finest axis: tolerances count voxels, whatever the unit."""
    finest = min(spacing)
    return spacing[0] / finest, spacing[1] / finest, spacing[2] / finest


# ---- one box


def box_shape(box: Box) -> Size3:
    """Give the extent of a box along each axis; 0 where it stops before it starts."""
    return to_index(max(0, b - a) for a, b in zip(*box, strict=True))


def count_voxels(box: Box) -> int:
    """Count the voxels of a box; 0 for an empty one."""
    return math.prod(box_shape(box))


def box_slices(box: Box, origin: Index3 = (0, 0, 0)) -> Slices3:
    """Give a box as an index of an array whose first voxel lies at ``origin``.

    The part of the box before the array is cut off: a negative index would count from the
    array's end.
    """
    z, y, x = (slice(max(a - o, 0), max(b - o, 0)) for a, b, o in zip(*box, origin, strict=True))
    return z, y, x


def shift_box(box: Box, offset: Index3) -> Box:
    """Move a box by some voxels along each axis."""
    return _plus(box[0], offset), _plus(box[1], offset)


def grow_box(box: Box, margin: int | Sequence[int], bounds: Box | None = None) -> Box:
    """Add a margin on every side of a box; with ``bounds``, no further than these reach."""
    margins = (margin,) * 3 if isinstance(margin, int) else margin
    grown = (
        to_index(a - m for a, m in zip(box[0], margins, strict=True)),
        to_index(b + m for b, m in zip(box[1], margins, strict=True)),
    )
    return grown if bounds is None else clip_box(grown, bounds)


def replace_extent(box: Box, axis: int, start: int, stop: int) -> Box:
    """Replace the extent of a box along one axis."""
    first, last = list(box[0]), list(box[1])
    first[axis], last[axis] = start, stop
    return to_index(first), to_index(last)


def split_box(box: Box, axis: int, count: int) -> list[Box]:
    """Cut a box along one axis into ``count`` parts of nearly the same size, in order.

    Along an axis shorter than ``count`` there are only as many parts as it has voxels.
    """
    low, high = box[0][axis], box[1][axis]
    count = max(1, min(count, high - low))
    cuts = [low + (high - low) * i // count for i in range(count + 1)]
    return [replace_extent(box, axis, a, b) for a, b in itertools.pairwise(cuts)]


# ---- two boxes


def middle_of_box(box: Box, voxels: int) -> Box:
    """Give the middle of a box, of so many voxels at most; a small box is given whole.

    Short edges stay whole and long ones share the rest, so that a few slices stay a few slices.
    """
    if count_voxels(box) <= voxels:
        return box
    shape = box_shape(box)
    left, edges = voxels, list(shape)
    for place, axis in enumerate(sorted(range(3), key=shape.__getitem__)):
        edges[axis] = min(shape[axis], int(left ** (1 / (3 - place)) + 1e-6))
        left //= max(1, edges[axis])
    return box_at((a + (n - k) // 2 for a, n, k in zip(box[0], shape, edges, strict=True)), edges)


def contains_box(outer: Box, inner: Box) -> bool:
    """Whether a box lies within another one; it may be empty but not turned around."""
    return all(low <= a <= b <= high for low, high, a, b in zip(*outer, *inner, strict=True))


def boxes_overlap(first: Box, second: Box) -> bool:
    """Whether two boxes have a voxel in common."""
    return all(max(a, c) < min(b, d) for a, b, c, d in zip(*first, *second, strict=True))


def intersect_boxes(first: Box, second: Box) -> Box | None:
    """Give the voxels that two boxes have in common, or None if there are none."""
    return clip_box(first, second) if boxes_overlap(first, second) else None


def clip_box(box: Box, bounds: Box) -> Box:
    """Move the corners of a box into bounds; a box that lies outside becomes an empty one."""
    start, stop = (
        to_index(
            min(max(place, low), high) for place, low, high in zip(corner, *bounds, strict=True)
        )
        for corner in box
    )
    return start, stop


# ---- blocks of one size


def block_box(index: Index3, block: Size3, bounds: Box) -> Box:
    """Give the voxels within ``bounds`` of a block of the grid that begins at voxel 0, 0, 0."""
    start = to_index(i * size for i, size in zip(index, block, strict=True))
    return clip_box(box_at(start, block), bounds)


def blocks_under(box: Box, block: Size3) -> Box:
    """Give the box, counted in blocks of the grid that begins at voxel 0, 0, 0, under a box."""
    return (
        to_index(a // size for a, size in zip(box[0], block, strict=True)),
        to_index(-(-b // size) for b, size in zip(box[1], block, strict=True)),
    )


def iterate_blocks(box: Box, block: Size3) -> Iterator[Box]:
    """Cut a box into the blocks of a grid, in the order of storage; together they cover it once.

    The grid begins at voxel 0, 0, 0, wherever the box begins.
    """
    if not count_voxels(box):
        return
    for index in iterate_indices(blocks_under(box, block)):
        yield block_box(index, block, box)


def iterate_indices(box: Box) -> Iterator[Index3]:
    """Iterate over all places in a box, in the order of storage."""
    yield from itertools.product(*(range(a, b) for a, b in zip(*box, strict=True)))


def _plus(first: Index3, second: Index3) -> Index3:
    return first[0] + second[0], first[1] + second[1], first[2] + second[2]
