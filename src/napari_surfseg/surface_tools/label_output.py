"""Labels of any size as a file: OME-Zarr with a pyramid, OME-TIFF or npy, filled box by box."""

from __future__ import annotations

import contextlib
import itertools
import math
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr

from napari_surfseg.cancelling import raise_if_stopped
from napari_surfseg.errors import OutputError
from napari_surfseg.geometry import box_slices, to_index
from napari_surfseg.inference.label_writer import write_ome_tiff
from napari_surfseg.inference.output_metadata import ome_zarr_attributes
from napari_surfseg.inference.pyramid import create_array, fill_level, plan_levels
from napari_surfseg.wording import format_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import DTypeLike, NDArray

    from napari_surfseg.geometry import Size3
    from napari_surfseg.inference.output_metadata import VolumeMetadata
    from napari_surfseg.inference.pyramid import TurnedArray
    from napari_surfseg.surfaces.voxel_stores import VoxelStore

__all__ = ["LabelOutput", "require_disk"]

#: Labels of surfaces are compressed at least by this factor.
SHRINK = 4

#: Bytes of planes that are read back at once when a scratch array becomes a TIFF.
PAGES_BYTES = 2**28

#: A TIFF has no integers of 64 bits.
TIFF_BYTES = 4


class LabelOutput:
    """A file of labels that is made first, filled in any order of boxes, and finished.

    Parameters
    ----------
    name : str
        Of the finished file; its ending says as what it is written.
    aside : Path
        Where it is written; renamed by whoever calls.
    scratch : Path
        A folder for what is kept meanwhile; removed by whoever calls.
    shape : tuple of int
        Z, Y, X.
    metadata : VolumeMetadata
        Size and place of the voxels.
    """

    def __init__(
        self, name: str, aside: Path, scratch: Path, shape: Size3, metadata: VolumeMetadata
    ) -> None:
        self._name, self._aside, self._scratch = name, aside, scratch
        self._shape, self._metadata = shape, metadata
        self._kind = name.lower().rpartition(".")[2]
        self._levels: list[TurnedArray] = []
        self._mapped: np.memmap[Any, Any] | None = None

    def create(self, dtype: DTypeLike) -> VoxelStore:
        """Make the array, all 0; once."""
        if self._kind == "npy":
            with self._aside.open("wb"):  # open_memmap adds an ending of its own to other names
                self._mapped = np.lib.format.open_memmap(
                    self._aside, mode="w+", dtype=np.dtype(dtype), shape=self._shape
                )
            return self._mapped
        if self._kind == "zarr":
            self._levels = self._create_levels(dtype)
            return self._levels[0]
        self._require_tiff(np.dtype(dtype))
        self._levels = [create_array(self._scratch / "pages.zarr", None, self._shape, dtype=dtype)]
        return self._levels[0]

    def write(self, values: NDArray[Any]) -> None:
        """Take the whole at once."""
        if self._kind in {"tif", "tiff"}:
            values = _shrink(values)
            self._write_tiff(iter(values), values.dtype)
            return
        array = self.create(values.dtype)
        array[(slice(None),) * 3] = values
        self.finish(lambda _stage, _share: None)

    def finish(self, report: Callable[[str, float], None]) -> None:
        """Make what is made of the filled array: coarser levels, or the pages of a TIFF."""
        if self._mapped is not None:
            self._mapped.flush()
            self._mapped = None
        elif self._kind == "zarr":
            for number, (fine, coarse) in enumerate(itertools.pairwise(self._levels)):
                report("writing coarser levels", number / (len(self._levels) - 1))
                fill_level(fine, coarse, is_mask=True, check=raise_if_stopped)
        elif self._levels:
            self._write_tiff(self._pages(report), self._levels[0].dtype)

    def _create_levels(self, dtype: DTypeLike) -> list[TurnedArray]:
        levels = plan_levels(self._shape)
        group = zarr.open_group(str(self._aside), mode="w", zarr_format=3)
        plain = self._name.removesuffix(".zarr").removesuffix(".ome")
        factors = [factor for _, factor in levels]
        group.attrs.update(ome_zarr_attributes(self._metadata, plain, factors))
        return [
            create_array(self._aside, str(number), shape, dtype=dtype)
            for number, (shape, _) in enumerate(levels)
        ]

    def _pages(self, report: Callable[[str, float], None]) -> Iterator[NDArray[Any]]:
        array = self._levels[0]
        size = self._shape[0]
        plane = math.prod(self._shape[1:]) * array.dtype.itemsize
        depth = min(max(1, PAGES_BYTES // plane), array.unit[0])
        for start in range(0, size, depth):
            raise_if_stopped()
            report("writing the result", start / size)
            stop = to_index((min(start + depth, size), *self._shape[1:]))
            yield from array[box_slices(((start, 0, 0), stop))]

    def _write_tiff(self, pages: Iterator[NDArray[Any]], dtype: np.dtype[Any]) -> None:
        self._require_tiff(dtype)
        write_ome_tiff(self._aside, pages, self._shape, dtype, self._metadata)

    def _require_tiff(self, dtype: np.dtype[Any]) -> None:
        if dtype.itemsize > TIFF_BYTES:
            raise OutputError(
                f"{self._name} would hold whole numbers of 64 bits, which a TIFF does not; write "
                "a .zarr instead."
            )


def require_disk(folder: Path, what: str, shape: Size3, suffix: str) -> None:
    """Refuse labels that surely do not fit on the disk.

    Raises
    ------
    OutputError
        In a sentence that names what is needed and what is there.
    """
    num_bytes = math.prod(shape) * 4
    needed = num_bytes if suffix.lower() == ".npy" else num_bytes // SHRINK
    with contextlib.suppress(OSError):
        free = shutil.disk_usage(folder).free
        if free < needed:
            raise OutputError(
                f"{what} needs about {format_bytes(needed)} on the disk of {folder}, of which "
                f"{format_bytes(free)} are free; free some space or choose another folder."
            )


def _shrink(values: NDArray[Any]) -> NDArray[Any]:
    """Give whole numbers of 64 bits in 32, where these are enough."""
    if values.dtype.kind not in "iu" or values.dtype.itemsize <= TIFF_BYTES:
        return values
    low, high = int(values.min(initial=0)), int(values.max(initial=0))
    for dtype in (np.uint32, np.int32):
        limits = np.iinfo(dtype)
        if limits.min <= low and high <= limits.max:
            return values.astype(dtype)
    return values
