"""Which rows of an array mapped from a file take room on the disk; the others were never written.

A file system that knows holes (ext4, XFS, Btrfs, ZFS, APFS) says where they are.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_surfseg.data.stored_chunks import MAX_LISTED, StoredChunks
from napari_surfseg.geometry import to_index

if TYPE_CHECKING:
    from napari_surfseg.geometry import Size3

__all__ = ["find_written_rows"]

#: Rows along Y that are counted together.
ROWS = 64


def find_written_rows(array: np.ndarray[Any, Any]) -> StoredChunks | None:
    """List bands of :data:`ROWS` rows that were written; None for an array without holes.

    Parameters
    ----------
    array : numpy.ndarray
        Shape (Z, Y, X), perhaps a view of a :class:`numpy.memmap`.
    """
    mapped: Any = array
    while mapped is not None and not isinstance(mapped, np.memmap):
        mapped = getattr(mapped, "base", None)
    if mapped is None or not mapped.filename or not hasattr(os, "SEEK_DATA"):
        return None
    if not array.flags.c_contiguous:
        return None
    begin = mapped.offset + array.ctypes.data - mapped.ctypes.data
    row_bytes = array.shape[2] * array.itemsize
    shape: Size3 = to_index(array.shape)
    bands = -(-shape[1] // ROWS)
    found: set[int] = set()
    try:
        with open(mapped.filename, "rb", buffering=0) as file:  # noqa: PTH123  as it was opened
            about = os.fstat(file.fileno())
            if about.st_blocks * 512 >= about.st_size:
                return None
            at, stop = begin, begin + array.nbytes
            while at < stop:
                try:
                    data = os.lseek(file.fileno(), at, os.SEEK_DATA)
                except OSError:  # nothing but a hole up to the end
                    break
                at = os.lseek(file.fileno(), data, os.SEEK_HOLE)
                first = max(0, data - begin) // row_bytes
                last = (min(at, stop) - begin - 1) // row_bytes
                if data >= stop:
                    break
                if (last - first) // ROWS + len(found) > MAX_LISTED:
                    return None
                found.update(
                    plane * bands + band
                    for plane in range(first // shape[1], last // shape[1] + 1)
                    for band in range(
                        max(0, first - plane * shape[1]) // ROWS,
                        min(shape[1] - 1, last - plane * shape[1]) // ROWS + 1,
                    )
                )
    except OSError:
        return None
    numbers = np.array(sorted(found), np.int64)
    indices = np.stack([numbers // bands, numbers % bands, np.zeros_like(numbers)], axis=1)
    return StoredChunks.of(shape, (1, min(ROWS, shape[1]), shape[2]), indices)
