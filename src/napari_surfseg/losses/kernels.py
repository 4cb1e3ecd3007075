"""Compiled loops for a CPU: 3x3x3 extrema, cell counts, the best of a neighbourhood.

They give the numbers of the tensor versions beside which they are used, and of
their gradients, in a tenth to a thirtieth of the time: rows stay in the cache
through all passes, and every inner loop runs in vectors. To that end each has one
output array, loads what it may not need before it decides, and counts from 0; the
compiler gives up otherwise.

Volumes are float32 of ``(N, Z, Y, X)``. The loops run without the interpreter's
lock, so that loader threads keep loading.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from napari_surfseg.compiling import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array: TypeAlias = NDArray[Any]

__all__ = ["best_within", "count_cells", "keep", "pool", "route_level", "spread_cells"]

#: Columns kept free on either side of a row in the scratch slices.
_EDGE = 2


@compiled
def _pool_slice(
    volume: Array, z: int, sign: np.float32, along_z: Array, along_y: Array, along_x: Array
) -> None:
    """Take the maximum of ``sign * volume`` around one z-slice, after each of three axes.

    ``along_y`` and ``along_x`` have ``_EDGE`` more columns on either side; those
    of ``along_y`` hold what never wins.
    """
    Z, Y, X = volume.shape
    below, above = max(z - 1, 0), min(z + 1, Z - 1)
    for y in range(Y):
        a, b, c, out = volume[below, y], volume[z, y], volume[above, y], along_z[y]
        for i in range(X):
            out[i] = max(max(a[i] * sign, b[i] * sign), c[i] * sign)
    for y in range(Y):
        a, b, c = along_z[max(y - 1, 0)], along_z[y], along_z[min(y + 1, Y - 1)]
        middle, out = along_y[y], along_x[y]
        for i in range(X):
            middle[i + _EDGE] = max(max(a[i], b[i]), c[i])
        for i in range(X):
            j = i + _EDGE
            out[j] = max(max(middle[j - 1], middle[j]), middle[j + 1])


@compiled
def _scratch(volumes: Array) -> tuple[Array, Array, Array]:
    _, _, Y, X = volumes.shape
    along_z = np.empty((Y, X), np.float32)
    along_y = np.full((Y, X + 2 * _EDGE), np.float32(-np.inf), np.float32)
    along_x = np.zeros((Y, X + 2 * _EDGE), np.float32)
    return along_z, along_y, along_x


@compiled
def pool(volumes: Array, sign: np.float32, out: Array) -> None:
    """Fill ``out`` with the 3x3x3 maximum (``sign`` 1) or minimum (-1); borders hold nothing."""
    N, Z, Y, X = volumes.shape
    along_z, along_y, along_x = _scratch(volumes)
    for n in range(N):
        for z in range(Z):
            _pool_slice(volumes[n], z, sign, along_z, along_y, along_x)
            for y in range(Y):
                row, pooled = out[n, z, y], along_x[y]
                for i in range(X):
                    row[i] = sign * pooled[i + _EDGE]


@compiled
def keep(smaller: Array, eroded: Array, before: Array, after: Array) -> None:
    """Fill ``after`` with ``before * (1 - (eroded - dilated smaller))``."""
    N, Z, Y, X = smaller.shape
    along_z, along_y, along_x = _scratch(smaller)
    one = np.float32(1)
    for n in range(N):
        for z in range(Z):
            _pool_slice(smaller[n], z, one, along_z, along_y, along_x)
            for y in range(Y):
                e, k, opened, out = eroded[n, z, y], before[n, z, y], along_x[y], after[n, z, y]
                for i in range(X):
                    out[i] = k[i] * (one - (e[i] - opened[i + _EDGE]))


@compiled
def _route_slice(
    volume: Array,
    z: int,
    sign: np.float32,
    along_z: Array,
    along_y: Array,
    along_x: Array,
    gradient: Array,
    after_x: Array,
    after_y: Array,
    out: Array,
) -> None:
    """Add to ``out`` (Z, Y, X) the gradient of one pooled z-slice.

    ``gradient`` has ``_EDGE`` more columns on either side, which are 0;
    ``after_x`` (X,) and ``after_y`` (Y, X) are scratch.
    """
    Z, Y, X = volume.shape
    zero = np.float32(0)
    after_y[:] = zero
    for y in range(Y):
        g, v, p = gradient[y], along_y[y], along_x[y]
        # Gathered: the next voxel took mine; I took my own, my predecessor not being
        # equal; my predecessor took mine, neither it nor its predecessor being equal.
        for i in range(X):
            j = i + _EDGE
            g0, g1, g2 = g[j - 1], g[j], g[j + 1]
            v0, v1, v2 = v[j - 2], v[j - 1], v[j]
            p0, p1, p2 = p[j - 1], p[j], p[j + 1]
            first = g2 if v2 == p2 else zero
            own = g1 if (v2 == p1) & (v1 != p1) else zero
            last = g0 if (v1 != p0) & (v0 != p0) else zero
            after_x[i] = first + own + last
        before, after = max(y - 1, 0), min(y + 1, Y - 1)
        a, b, t = along_z[before], along_z[y], after_y[before]
        for i in range(X):
            r = after_x[i]
            t[i] += r if a[i] == v[i + _EDGE] else zero
        t = after_y[y]
        for i in range(X):
            r = after_x[i]
            t[i] += r if (a[i] != v[i + _EDGE]) & (b[i] == v[i + _EDGE]) else zero
        t = after_y[after]
        for i in range(X):
            r = after_x[i]
            t[i] += r if (a[i] != v[i + _EDGE]) & (b[i] != v[i + _EDGE]) else zero
    below, above = max(z - 1, 0), min(z + 1, Z - 1)
    for y in range(Y):
        a, b, v = volume[below, y], volume[z, y], along_z[y]
        g, t = after_y[y], out[below, y]
        for i in range(X):
            r = g[i]
            t[i] += r if a[i] * sign == v[i] else zero
        t = out[z, y]
        for i in range(X):
            r = g[i]
            t[i] += r if (a[i] * sign != v[i]) & (b[i] * sign == v[i]) else zero
        t = out[above, y]
        for i in range(X):
            r = g[i]
            t[i] += r if (a[i] * sign != v[i]) & (b[i] * sign != v[i]) else zero


@compiled
def route_level(
    eroded: Array, smaller: Array, before: Array, running: Array, outer: Array, inner: Array
) -> None:
    """Take one level of the skeleton's gradient back to ``eroded``.

    Each extremum passes its gradient to the voxel it was taken from; of equal
    voxels to the first along X, then Y, then Z.

    Parameters
    ----------
    eroded, smaller : arrays
        The level's input and its erosion.
    before : array
        What the levels before leave over, as :func:`keep` was given it.
    running : array
        Gradient of the skeleton up to this level; becomes that up to the level before.
    outer : array
        Filled with the gradient of ``eroded``.
    inner : array
        Gradient of ``smaller`` from the levels after; the dilation's is added.
    """
    N, Z, Y, X = eroded.shape
    along_z, along_y, along_x = _scratch(eroded)
    gradient = np.zeros((Y, X + 2 * _EDGE), np.float32)
    after_x, after_y = np.empty(X, np.float32), np.empty((Y, X), np.float32)
    one = np.float32(1)
    for n in range(N):
        # The dilation, then the erosion: in one loop, so that its body is compiled once.
        for step in range(2 * Z):
            z = step % Z
            dilating = step < Z
            sign = one if dilating else -one
            volume, out = (smaller[n], inner[n]) if dilating else (eroded[n], outer[n])
            _pool_slice(volume, z, sign, along_z, along_y, along_x)
            for y in range(Y):
                g = gradient[y]
                if not dilating:
                    r = inner[n, z, y]
                    for i in range(X):
                        g[i + _EDGE] = r[i]
                    continue
                e, k, r, o = eroded[n, z, y], before[n, z, y], running[n, z, y], outer[n, z, y]
                opened = along_x[y]
                for i in range(X):
                    o[i] = r[i] * k[i]
                for i in range(X):
                    g[i + _EDGE] = -r[i] * k[i]
                for i in range(X):
                    r[i] *= one - (e[i] - opened[i + _EDGE])
            _route_slice(
                volume, z, sign, along_z, along_y, along_x, gradient, after_x, after_y, out
            )


@compiled
def _fill_cells(values: Array, z: int, y: int, cells: Array) -> None:
    """Fill rows with the products along Y and Z that begin in row (z, y).

    ``cells`` (7, X+1): the voxels, their pairs along Y, their pairs along Z,
    their squares, then the next row along Y, along Z and along both. Rows
    beyond the border count as 0; the last column stays 0.
    """
    Z, Y, X = values.shape
    # A factor instead of a branch: rows chosen by a condition are counted references, and
    # counting them takes longer than the row.
    more_y, more_z = np.float32(y + 1 < Y), np.float32(z + 1 < Z)
    up, right = min(z + 1, Z - 1), min(y + 1, Y - 1)
    a, b, c, d = values[z, y], values[z, right], values[up, y], values[up, right]
    for i in range(X):
        cells[0, i] = a[i]
    for i in range(X):
        cells[4, i] = b[i] * more_y
    for i in range(X):
        cells[5, i] = c[i] * more_z
    for i in range(X):
        cells[6, i] = d[i] * more_y * more_z
    for i in range(X):
        cells[1, i] = cells[0, i] * cells[4, i]
    for i in range(X):
        cells[2, i] = cells[0, i] * cells[5, i]
    for i in range(X):
        cells[3, i] = cells[1, i] * cells[5, i] * cells[6, i]


@compiled
def count_cells(values: Array, window: int, sums: Array) -> None:
    """Add each row's ``V - E + F - C`` to ``sums`` (N, z windows, y windows, X).

    A cell counts in the column, row and slice of its first voxel.
    """
    N, Z, Y, X = values.shape
    cells = np.zeros((7, X + 1), np.float32)
    for n in range(N):
        volume = values[n]
        for z in range(Z):
            for y in range(Y):
                _fill_cells(volume, z, y, cells)
                out = sums[n, z // window, y // window]
                for i in range(X):
                    k = i + 1
                    faces = cells[0, i] - cells[1, i] - cells[2, i] + cells[3, i]
                    crossing = cells[0, i] * cells[0, k] - cells[1, i] * cells[1, k]
                    crossing += cells[3, i] * cells[3, k] - cells[2, i] * cells[2, k]
                    out[i] += faces - crossing


@compiled
def spread_cells(values: Array, window: int, weights: Array, out: Array) -> None:
    """Add to ``out`` the gradient of :func:`count_cells`, given ``weights``, that of its sums."""
    N, Z, Y, X = values.shape
    cells = np.zeros((7, X + 1), np.float32)
    weight = np.zeros(X + 1, np.float32)
    slopes = np.zeros((4, X), np.float32)
    one = np.float32(1)
    for n in range(N):
        volume = values[n]
        for z in range(Z):
            more_z, up = np.float32(z + 1 < Z), min(z + 1, Z - 1)
            for y in range(Y):
                more_y, right = np.float32(y + 1 < Y), min(y + 1, Y - 1)
                _fill_cells(volume, z, y, cells)
                given = weights[n, z // window, y // window]
                for i in range(X):
                    weight[i + 1] = given[i]
                # A cell is counted by itself, and with either neighbour along X.
                for part in range(4):
                    for i in range(X):
                        slopes[part, i] = weight[i + 1] * (one - cells[part, i + 1])
                    for i in range(X - 1):
                        slopes[part, i + 1] -= weight[i + 1] * cells[part, i]
                t = out[n, z, y]
                for i in range(X):
                    pairs = slopes[1, i] * cells[4, i] + slopes[2, i] * cells[5, i]
                    square = cells[4, i] * cells[5, i] * cells[6, i]
                    t[i] += slopes[0, i] - pairs + slopes[3, i] * square
                t = out[n, z, right]
                for i in range(X):
                    square = slopes[3, i] * cells[5, i] * cells[6, i]
                    t[i] += more_y * cells[0, i] * (square - slopes[1, i])
                t = out[n, up, y]
                for i in range(X):
                    square = slopes[3, i] * cells[4, i] * cells[6, i]
                    t[i] += more_z * cells[0, i] * (square - slopes[2, i])
                t = out[n, up, right]
                for i in range(X):
                    t[i] += more_y * more_z * slopes[3, i] * cells[1, i] * cells[5, i]


@compiled
def best_within(values: Array, voxels: Array, offsets: Array, where: Array) -> None:
    """Fill ``where`` with the flat index of the greatest value at any offset from each voxel."""
    for i in range(voxels.size):
        here = voxels[i]
        best, found = values[here], here
        for offset in offsets:
            value = values[here + offset]
            if value > best:
                best, found = value, here + offset
        where[i] = found
