"""Files that are compressed as one piece: nothing of them can be read without all before it."""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_surfseg.data.volume import Volume, VoxelArray
from napari_surfseg.errors import DataError
from napari_surfseg.geometry import box_slices
from napari_surfseg.process_memory import find_free_memory
from napari_surfseg.wording import format_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_surfseg.geometry import Index3, Size3

__all__ = ["WholeVolume"]

#: Share of the memory free at the time of opening that one volume may take: image and labels are
#: opened together, and training needs memory besides.
MEMORY_SHARE = 0.4

#: A volume of this size takes long enough to unpack that a note says so.
NOTED_BYTES = 2**30


class WholeVolume(Volume):
    """A volume that is unpacked whole when its first box is read, and kept in memory.

    Parameters
    ----------
    load : callable
        Reads all voxels, Z, Y, X; called once, and not before a box is read.
    shape : tuple of int
        Z, Y, X.
    dtype : dtype-like
        As stored.
    source : str
        For sentences.
    **about
        See :class:`~napari_surfseg.data.volume.Volume`.

    Raises
    ------
    DataError
        If it would not fit into memory.
    """

    _gives_copies = False

    def __init__(
        self, load: Callable[[], VoxelArray], *, shape: Size3, dtype: Any, source: str, **about: Any
    ) -> None:
        needed = math.prod(shape) * np.dtype(dtype).itemsize
        free = find_free_memory()
        if needed > free * MEMORY_SHARE:
            raise DataError(
                f"{source} is compressed as one piece, so all of its {format_bytes(needed)} would "
                f"have to be read into memory, of which {format_bytes(free)} are free; save it "
                "uncompressed, or as zarr."
            )
        notes = list(about.pop("notes", ()))
        if needed >= NOTED_BYTES:
            notes.append(
                f"{source} is compressed as one piece: all of its {format_bytes(needed)} are read "
                "into memory at once. Uncompressed, it is read in parts."
            )
        super().__init__(source=source, shape=shape, dtype=dtype, notes=notes, **about)
        self._load = load
        self._array: VoxelArray | None = None
        self._lock = threading.Lock()

    def _read_box(self, start: Index3, stop: Index3) -> VoxelArray:
        with self._lock:
            if self._array is None:
                self._array = self._load()
        return self._array[box_slices((start, stop))]
