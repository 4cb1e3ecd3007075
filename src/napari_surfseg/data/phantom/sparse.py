"""A pair of zarr stores that span terabytes and hold a few cubes.

Only the metadata and the chunks of those cubes are written, so that what a run costs can be
measured at the size of a whole scroll on any disk.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from napari_surfseg.geometry import box_at, box_slices, to_index

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_surfseg.geometry import Size3

__all__ = ["make_cube", "spread_corners", "write_sparse_pair"]


def make_cube(edge: int, seed: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Make grey values and labels of a cube of bent sheets: 1 surface, 2 background."""
    rng = np.random.default_rng([seed, 0x5A])
    z, y, x = np.ogrid[:edge, :edge, :edge]
    depth = z + 4 * np.sin(y / 11 + rng.random()) + 3 * np.cos(x / 13 + rng.random())
    surface = np.abs((depth + rng.integers(16)) % 16 - 8) < 1.5
    grey = np.where(surface, 170, 80) + rng.normal(0, 12, surface.shape)
    return grey.clip(1, 255).astype(np.uint8), np.where(surface, 1, 2).astype(np.uint8)


def write_sparse_pair(
    folder: Path,
    *,
    shape: Size3,
    corners: NDArray[np.int64],
    edge: int,
    chunk: int = 128,
    shard: int | None = None,
    zarr_format: Literal[2, 3] = 3,
) -> tuple[Path, Path]:
    """Write ``image.zarr`` and ``labels.zarr``, in which 0 means not annotated.

    Parameters
    ----------
    folder : Path
        Where.
    shape : tuple of int
        Z, Y, X voxels of each.
    corners : numpy.ndarray
        Shape (n, 3): first voxels of the cubes.
    edge : int
        Of a cube; eight different ones are repeated.
    chunk : int
        Edge of a chunk.
    shard : int, optional
        Edge of a shard.
    zarr_format : int
        2 or 3.
    """
    import zarr

    paths = folder / "image.zarr", folder / "labels.zarr"
    arrays = [
        zarr.create_array(
            str(path),
            shape=shape,
            chunks=(chunk,) * 3,
            shards=None if shard is None else (shard,) * 3,
            dtype="u1",
            zarr_format=zarr_format,
            fill_value=0,
            # Every chunk a file in a folder for each plane and row, as large stores are kept.
            chunk_key_encoding={"name": "v2" if zarr_format == 2 else "default", "separator": "/"},
        )
        for path in paths
    ]
    cubes = [make_cube(edge, seed) for seed in range(min(8, len(corners)))]
    for number, corner in enumerate(corners.tolist()):
        place = box_slices(box_at(to_index(corner), (edge,) * 3))
        for array, cube in zip(arrays, cubes[number % len(cubes)], strict=True):
            array[place] = cube[tuple(slice(0, s.stop - s.start) for s in place)]
    return paths


def spread_corners(
    shape: Size3, edge: int, count: int, *, align: int = 1, seed: int = 0
) -> NDArray[np.int64]:
    """Draw first voxels of cubes anywhere in a volume, on multiples of ``align``."""
    rng = np.random.default_rng([seed, 0xC0])
    last = (np.array(shape) - edge) // align
    return rng.integers(0, last + 1, (count, 3)) * align
