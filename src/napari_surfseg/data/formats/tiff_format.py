"""TIFF stacks: mapped into memory where they lie in one piece, else decoded strip by strip.

::

    stack ──┬── uncompressed, contiguous ── numpy.memmap ── ArrayVolume
            └── compressed, tiled, spread, ─ _TiffVolume: only the strips or
                joined of several pieces     tiles under a box are decoded

Which pages make up the volume is decided in ``tiff_stack``, its voxel size in ``tiff_metadata``.
"""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import tifffile

from napari_surfseg.data.formats.tiff_metadata import (
    is_chain_cut,
    read_tiff_content,
    read_tiff_place,
    read_tiff_spacing,
)
from napari_surfseg.data.formats.tiff_stack import Page, find_stack
from napari_surfseg.data.volume import ArrayVolume, TransposedVolume, Volume, VoxelArray
from napari_surfseg.errors import DataError, SurfsegError
from napari_surfseg.geometry import box_shape

if TYPE_CHECKING:
    from pathlib import Path

    from napari_surfseg.data.source import Source
    from napari_surfseg.geometry import Index3, Size3

__all__ = ["open_tiff"]

#: Strips and small pages are decoded together until a chunk has about this size:
#: below it the bookkeeping per chunk costs more than the decoding.
CHUNK_BYTES = 2**18

# What is wrong with a file is said once, in our sentence, not also in tifffile's log.
logging.getLogger("tifffile").setLevel(logging.CRITICAL)


def open_tiff(source: Source) -> Volume:
    """Open a TIFF stack; spacing from ImageJ, OME or resolution metadata.

    Raises
    ------
    DataError
        If the file is damaged or does not hold one Z, Y, X volume.
    """
    try:
        with tifffile.TiffFile(source.path) as tiff:
            if is_chain_cut(source.path):
                raise DataError(
                    f"{source.text} is cut short: its list of slices ends in the middle."
                )
            return _open_stack(tiff, source.path, source.text)
    except SurfsegError:
        raise
    except Exception as error:
        # tifffile meets damaged files with many kinds of exceptions.
        raise DataError(
            f"{source.text} is not a readable TIFF file; it seems to be damaged or incomplete."
        ) from error


def _open_stack(tiff: Any, path: Path, source: str) -> Volume:
    stack = find_stack(tiff, path, source)
    series, shape = stack.series, stack.shape
    size = read_tiff_spacing(tiff, series, stack.axes, source)
    about: dict[str, Any] = {
        "name": path.name,
        "source": source,
        "spacing": size.spacing,
        "units": size.unit,
        "translate": read_tiff_place(tiff, size.spacing),
        "content": read_tiff_content(tiff),
        "notes": [*stack.notes, size.note],
    }
    pages = stack.pages
    if pages is None:
        offset = series.dataoffset
        if offset is not None and series.keyframe.is_memmappable:
            dtype = np.dtype(tiff.byteorder + series.dtype.char)
            if path.stat().st_size < offset + math.prod(shape) * dtype.itemsize:
                raise DataError(f"{source} is cut short: it ends before the last slice.")
            array = np.memmap(path, dtype=dtype, mode="r", offset=offset, shape=shape)
            return _turn(ArrayVolume(array, **about), stack.axes)
        pages = _list_pages(tiff, series, shape, source)
    return _turn(_TiffVolume(path, pages, shape, **about), stack.axes)


def _turn(base: Volume, axes: str) -> Volume:
    return base if axes == "zyx" else TransposedVolume(base, axes)


def _list_pages(tiff: Any, series: Any, shape: Size3, source: str) -> list[Page]:
    """List the pages of a series, one a slice.

    Raises
    ------
    DataError
        If they lie in other files, or are no slices.
    """
    keyframe = series.keyframe
    pages = [page for page in series.pages if page is not None]
    if any(page.parent is not tiff for page in pages):
        raise DataError(
            f"{source} is one of several OME-TIFF files that hold one volume; save the volume as "
            "a single file."
        )
    if len(pages) != shape[0] or tuple(keyframe.shape) != shape[1:]:
        if len(pages) == 1 and keyframe.imagedepth == shape[0]:
            raise DataError(
                f"{source} stores its volume as one three-dimensional page, which cannot be read "
                "in parts; save it as one page a slice."
            )
        raise DataError(
            f"{source} has {len(series.pages)} readable pages of {tuple(keyframe.shape)} for a "
            f"volume of shape {shape}; one page a slice is needed."
        )
    return [
        # Copied out of the pages: a page is a large object, and its tags are not needed any more.
        Page(keyframe, tuple(page.dataoffsets), tuple(page.databytecounts))
        for page in pages
    ]


class _TiffVolume(Volume):
    """A stack of pages of which only the strips or tiles under a box are decoded."""

    def __init__(
        self, path: Path, pages: list[Page], shape: Size3, *, source: str, **about: Any
    ) -> None:
        keyframe = pages[0].keyframe
        self._path = path
        self._pages = pages
        super().__init__(
            source=source,
            shape=shape,
            dtype=keyframe.dtype,
            chunks=_chunk_shape(
                shape, _segment_size(keyframe, shape), np.dtype(keyframe.dtype).itemsize
            ),
            **about,
        )
        for page in pages:
            high, wide = _segment_size(page.keyframe, shape)
            if len(page.offsets) != math.ceil(shape[1] / high) * math.ceil(shape[2] / wide):
                raise DataError(f"{source} seems to be damaged: a page lacks some of its strips.")

    def _read_box(self, start: Index3, stop: Index3) -> VoxelArray:
        out = np.zeros(box_shape((start, stop)), dtype=self.dtype)
        with self._path.open("rb") as file:  # opened for each read: threads share no position
            for z in range(start[0], stop[0]):
                self._read_page(file, z, (start[1:], stop[1:]), out[z - start[0]])
        return out

    def _read_page(
        self,
        file: BinaryIO,
        z: int,
        part: tuple[tuple[int, int], tuple[int, int]],
        out: VoxelArray,
    ) -> None:
        start, stop = part
        high, wide = _segment_size(self._pages[z].keyframe, self.shape)
        across = math.ceil(self.shape[2] / wide)
        for row in range(start[0] // high, math.ceil(stop[0] / high)):
            for column in range(start[1] // wide, math.ceil(stop[1] / wide)):
                piece = self._decode(file, z, row * across + column)
                if piece is not None:  # a sparse file: nothing stored means zero
                    _paste(piece, out, (row * high, column * wide), start)

    def _decode(self, file: BinaryIO, z: int, index: int) -> VoxelArray | None:
        page = self._pages[z]
        offset, count = page.offsets[index], page.counts[index]
        if count == 0:
            return None
        file.seek(offset)
        data = file.read(count)
        if len(data) != count:
            raise DataError(f"{self.source} is cut short: it ends within slice {z}.")
        keyframe = page.keyframe
        piece, _, shape = keyframe.decode(data, index, jpegtables=keyframe.jpegtables)
        if piece is None:
            return None
        # (depth, rows, columns, samples); strips at the lower edge are shorter.
        return np.asarray(piece).reshape(shape)[0, :, :, 0]


def _segment_size(keyframe: Any, shape: Size3) -> tuple[int, int]:
    """Rows and columns of a strip or tile."""
    if keyframe.is_tiled:
        return int(keyframe.tilelength), int(keyframe.tilewidth)
    return min(int(keyframe.rowsperstrip), shape[1]), shape[2]


def _chunk_shape(shape: Size3, segment: tuple[int, int], itemsize: int) -> Size3:
    """Whole segments, as many in a row, rows and pages as make a chunk of a useful size."""
    high, wide = segment
    depth = 1
    while wide < shape[2] and high * wide * itemsize < CHUNK_BYTES:
        wide *= 2
    while high < shape[1] and high * wide * itemsize < CHUNK_BYTES:
        high *= 2
    while depth < min(64, shape[0]) and depth * high * wide * itemsize < CHUNK_BYTES:
        depth *= 2
    return depth, high, wide


def _paste(
    piece: VoxelArray, page: VoxelArray, corner: tuple[int, int], origin: tuple[int, int]
) -> None:
    """Copy what a decoded piece at ``corner`` and the part of a page at ``origin`` share."""
    top, left = max(corner[0], origin[0]), max(corner[1], origin[1])
    bottom = min(corner[0] + piece.shape[0], origin[0] + page.shape[0])
    right = min(corner[1] + piece.shape[1], origin[1] + page.shape[1])
    if bottom > top and right > left:
        page[top - origin[0] : bottom - origin[0], left - origin[1] : right - origin[1]] = piece[
            top - corner[0] : bottom - corner[0], left - corner[1] : right - corner[1]
        ]
