"""Connected components of a mask, by joining runs of voxels instead of voxels.

A run is a stretch of equal voxels along X. Surfaces fill a row with a few runs,
so joining runs (union-find over those of neighbouring rows that touch) visits
far fewer things than joining voxels, and the result needs no label volume.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from napari_surfseg.compiling import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_surfseg.geometry import Size3

__all__ = [
    "Components",
    "component_boxes",
    "component_sizes",
    "count_enclosed",
    "enclosed_labels",
    "label_components",
    "paint_labels",
]


class Components(NamedTuple):
    """The connected components of one mask, run by run.

    Rows are numbered ``z * shape[1] + y``; the runs of row ``r`` are
    ``row_start[r]:row_start[r + 1]``.
    """

    shape: Size3
    row_start: NDArray[np.int64]
    start: NDArray[np.int32]
    stop: NDArray[np.int32]
    label: NDArray[np.int32]  #: component of each run, from 0, in order of first voxel
    num: int


@compiled
def _find_runs(
    rows: NDArray[np.uint8], value: int
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int32]]:
    num_rows, length = rows.shape
    row_start = np.zeros(num_rows + 1, np.int64)
    total = 0
    for r in range(num_rows):
        row = rows[r]
        previous = False
        for x in range(length):
            current = row[x] == value
            if current and not previous:
                total += 1
            previous = current
        row_start[r + 1] = total
    start = np.empty(total, np.int32)
    stop = np.empty(total, np.int32)
    for r in range(num_rows):
        i = row_start[r]
        if i == row_start[r + 1]:
            continue
        row = rows[r]
        previous = False
        for x in range(length):
            current = row[x] == value
            if current and not previous:
                start[i] = x
            elif previous and not current:
                stop[i] = x
                i += 1
            previous = current
        if previous:
            stop[i] = length
    return row_start, start, stop


@compiled
def _join_runs(
    row_start: NDArray[np.int64],
    start: NDArray[np.int32],
    stop: NDArray[np.int32],
    rows_per_plane: int,
    diagonal: bool,
) -> tuple[NDArray[np.int32], int]:
    num_runs = start.size
    parent = np.arange(num_runs).astype(np.int32)
    num_rows = row_start.size - 1
    slack = 1 if diagonal else 0
    for r in range(num_rows):
        y = r % rows_per_plane
        for neighbour in range(4):
            if neighbour == 0:
                if y == 0:
                    continue
                other = r - 1
            else:
                # Rows of the plane before: y - 1, y, y + 1; only y without diagonals.
                step = neighbour - 2
                if (step != 0 and not diagonal) or y + step < 0 or y + step >= rows_per_plane:
                    continue
                other = r - rows_per_plane + step
                if other < 0:
                    continue
            i, i_end = row_start[r], row_start[r + 1]
            j, j_end = row_start[other], row_start[other + 1]
            while i < i_end and j < j_end:
                if start[i] < stop[j] + slack and start[j] < stop[i] + slack:
                    a = i
                    while parent[a] != a:
                        parent[a] = parent[parent[a]]
                        a = parent[a]
                    b = j
                    while parent[b] != b:
                        parent[b] = parent[parent[b]]
                        b = parent[b]
                    if a < b:
                        parent[b] = a
                    else:
                        parent[a] = b
                if stop[i] < stop[j]:
                    i += 1
                else:
                    j += 1
    # The root of a component is its first run, so one pass in order numbers them.
    num = 0
    for i in range(num_runs):
        p = parent[i]
        if p == i:
            parent[i] = num
            num += 1
        else:
            parent[i] = parent[p]
    return parent, num


@compiled
def _flag_boundary(
    row_start: NDArray[np.int64],
    start: NDArray[np.int32],
    stop: NDArray[np.int32],
    label: NDArray[np.int32],
    num: int,
    rows_per_plane: int,
    length: int,
) -> NDArray[np.bool_]:
    touches = np.zeros(num, np.bool_)
    num_rows = row_start.size - 1
    for r in range(num_rows):
        y = r % rows_per_plane
        outer = (
            y == 0
            or y == rows_per_plane - 1
            or r < rows_per_plane
            or r >= num_rows - rows_per_plane
        )
        for i in range(row_start[r], row_start[r + 1]):
            if outer or start[i] == 0 or stop[i] == length:
                touches[label[i]] = True
    return touches


@compiled
def _paint(
    row_start: NDArray[np.int64],
    start: NDArray[np.int32],
    stop: NDArray[np.int32],
    values: NDArray[np.int32],
    out: NDArray[np.int32],
) -> None:
    for r in range(row_start.size - 1):
        for i in range(row_start[r], row_start[r + 1]):
            for x in range(start[i], stop[i]):
                out[r, x] = values[i]


def label_components(
    mask: NDArray[np.uint8], *, connectivity: int, background: bool = False
) -> Components:
    """Find the connected components of a mask.

    Parameters
    ----------
    mask : uint8 array, shape (Z, Y, X)
        0 and 1, C-ordered.
    connectivity : {6, 26}
        Neighbours over faces only, or over edges and corners too.
    background : bool
        Label the zeros instead of the ones.

    Returns
    -------
    Components
    """
    depth, height, width = mask.shape
    rows = mask.reshape(depth * height, width)
    row_start, start, stop = _find_runs(rows, 0 if background else 1)
    label, num = _join_runs(row_start, start, stop, height, connectivity == 26)
    return Components((depth, height, width), row_start, start, stop, label, num)


def component_sizes(components: Components) -> NDArray[np.int64]:
    """Count the voxels of each component."""
    lengths = components.stop - components.start
    sizes = np.bincount(components.label, weights=lengths, minlength=components.num)
    return sizes.astype(np.int64)


def component_boxes(components: Components) -> NDArray[np.int64]:
    """Find the first voxel and the one past the last along Z, Y and X: shape (num, 2, 3)."""
    c = components
    row = np.repeat(np.arange(c.row_start.size - 1), np.diff(c.row_start))
    z, y = np.divmod(row, c.shape[1])
    boxes = np.empty((c.num, 2, 3), np.int64)
    boxes[:, 0], boxes[:, 1] = c.shape, 0
    for axis, (first, stop) in enumerate(((z, z + 1), (y, y + 1), (c.start, c.stop))):
        np.minimum.at(boxes[:, 0, axis], c.label, first)
        np.maximum.at(boxes[:, 1, axis], c.label, stop)
    return boxes


def enclosed_labels(components: Components) -> NDArray[np.bool_]:
    """Say of each component whether it stays clear of all six faces of the volume."""
    c = components
    touches = _flag_boundary(c.row_start, c.start, c.stop, c.label, c.num, c.shape[1], c.shape[2])
    inside: NDArray[np.bool_] = ~touches
    return inside


def count_enclosed(components: Components) -> int:
    """Count the components that touch no face of the volume."""
    return int(enclosed_labels(components).sum())


def paint_labels(components: Components, first: int = 1) -> NDArray[np.int32]:
    """Make the label volume: `first` for the first component, 0 where there is none."""
    c = components
    out = np.zeros((c.shape[0] * c.shape[1], c.shape[2]), np.int32)
    _paint(c.row_start, c.start, c.stop, c.label + np.int32(first), out)
    return out.reshape(c.shape)
