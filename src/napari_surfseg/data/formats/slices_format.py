"""A folder of slices, one image file each, in the natural order of their names.

What the names say of gaps and of several stacks in one folder is in ``slice_names``.
"""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

import imagecodecs
import numpy as np
import tifffile

from napari_surfseg.data.formats.slice_names import check_slice_names, natural_key
from napari_surfseg.data.volume import Volume, VoxelArray
from napari_surfseg.errors import DataError, SurfsegError
from napari_surfseg.geometry import box_shape
from napari_surfseg.wording import format_shape

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from napari_surfseg.data.source import Source
    from napari_surfseg.geometry import Index3

__all__ = ["open_slices"]

TIFF = (".tif", ".tiff")
CODECS = {".png": "png_decode", ".jp2": "jpeg2k_decode", ".j2k": "jpeg2k_decode"}


def open_slices(source: Source) -> Volume:
    """Open a folder whose image files are the slices of one volume.

    Hidden files and files that are not images are left out.

    Raises
    ------
    DataError
        If there are no images, images of several formats or stacks, or images
        that differ in size or type.
    """
    paths = sorted(
        (
            path
            for path in source.path.iterdir()
            if path.suffix.lower() in (*TIFF, *CODECS)
            and not path.name.startswith(".")
            and path.is_file()
        ),
        key=lambda path: natural_key(path.name),
    )
    if not paths:
        raise DataError(
            f"The folder {source.text} holds no TIFF, PNG or JPEG 2000 slices and is no zarr; "
            "there is nothing to open."
        )
    kinds = Counter(_kind(path) for path in paths)
    if len(kinds) > 1:
        found = " and ".join(f"{count} {kind} files" for kind, count in sorted(kinds.items()))
        raise DataError(
            f"The folder {source.text} holds {found}; its slices must be of one format."
        )
    notes = check_slice_names([path.stem for path in paths], source.text)
    with ThreadPoolExecutor(4, thread_name_prefix="headers") as pool:
        headers = list(pool.map(_read_header, paths))
    common = Counter((header.shape, header.dtype) for header in headers).most_common(1)[0][0]
    for path, header in zip(paths, headers, strict=True):
        if (header.shape, header.dtype) != common:
            raise DataError(
                f"The slice {path} is {_about(*header[:2])}, but the others in its folder are "
                f"{_about(*common)}; all must be the same."
            )
    num_more = sum(header.has_more for header in headers)
    if num_more:
        notes.append(
            f"{num_more:,} of the slices in {source.text} hold smaller images beside the slice, "
            "which are left out."
        )
    return _SlicesVolume(paths, *common, source=source.text, notes=notes)


class _Header(NamedTuple):
    """What a slice is, and whether its file holds smaller images as well."""

    shape: tuple[int, ...]
    dtype: str
    has_more: bool = False


class _SlicesVolume(Volume):
    """Slices decoded one by one."""

    def __init__(
        self,
        paths: Sequence[Path],
        shape: tuple[int, ...],
        dtype: str,
        *,
        source: str,
        notes: Sequence[str],
    ) -> None:
        super().__init__(
            source=source,
            shape=(len(paths), *shape),
            dtype=dtype,
            chunks=(1, *shape),
            notes=notes,
        )
        self._paths = paths
        self._lock = threading.Lock()

    def _read_box(self, start: Index3, stop: Index3) -> VoxelArray:
        out = np.empty(box_shape((start, stop)), dtype=self.dtype)
        for z in range(start[0], stop[0]):
            page = _decode(self._paths[z])
            if page.shape != self.shape[1:]:
                raise DataError(f"The slice {self._paths[z]} changed its shape to {page.shape}.")
            out[z - start[0]] = page[start[1] : stop[1], start[2] : stop[2]]
        return out


def _kind(path: Path) -> str:
    suffix = path.suffix.lower()
    return "TIFF" if suffix in TIFF else "PNG" if suffix == ".png" else "JPEG 2000"


def _decode(path: Path) -> VoxelArray:
    try:
        if path.suffix.lower() in TIFF:
            with tifffile.TiffFile(path) as tiff:
                page = _choose_image(tiff, path).asarray()
        else:
            page = getattr(imagecodecs, CODECS[path.suffix.lower()])(path.read_bytes())
    except SurfsegError:
        raise
    except Exception as error:
        # Decoders meet damaged files with exceptions of many kinds.
        raise DataError(
            f"The slice {path} cannot be read; it seems to be damaged or incomplete."
        ) from error
    return np.asarray(page)


def _choose_image(tiff: Any, path: Path) -> Any:
    """Choose the largest image of a slice's file: a thumbnail may stand before it."""
    largest = max(tiff.series, key=lambda one: one.size)
    alike = sum(one.shape == largest.shape for one in tiff.series)
    if alike > 1:
        raise DataError(
            f"The slice {path} holds {alike} images of {format_shape(largest.shape)}; a slice must "
            "be a single grey image."
        )
    return largest


def _read_header(path: Path) -> _Header:
    """Shape and type of a slice, without decoding it where that is possible."""
    has_more = False
    try:
        if path.suffix.lower() in TIFF:
            with tifffile.TiffFile(path) as tiff:
                series = _choose_image(tiff, path)
                has_more = len(tiff.series) > 1
                shape, dtype = tuple(series.shape), np.dtype(series.dtype)
        elif path.suffix.lower() == ".png":
            shape, dtype = _png_header(path)
        else:
            shape, dtype = _jpeg2000_header(path)
    except SurfsegError:
        raise
    except Exception as error:
        raise DataError(
            f"The slice {path} cannot be read; it seems to be damaged or incomplete."
        ) from error
    if len(shape) == 3 and shape[-1] in (2, 3, 4):
        raise DataError(f"The slice {path} is a colour image; one grey channel is needed.")
    if len(shape) != 2:
        raise DataError(
            f"The slice {path} has shape {format_shape(shape)}; a slice must be a single grey "
            "image."
        )
    return _Header(shape, dtype.str, has_more)


def _png_header(path: Path) -> tuple[tuple[int, ...], np.dtype[Any]]:
    with path.open("rb") as file:
        head = file.read(26)
    if head[:8] != b"\x89PNG\r\n\x1a\n" or len(head) < 26:
        raise ValueError("not a PNG file")
    wide, high = (int.from_bytes(head[i : i + 4], "big") for i in (16, 20))
    depth, colour = head[24], head[25]
    shape = (high, wide) if colour == 0 else (high, wide, 3)
    return shape, np.dtype(np.uint16 if depth == 16 else np.uint8)


def _jpeg2000_header(path: Path) -> tuple[tuple[int, ...], np.dtype[Any]]:
    with path.open("rb") as file:
        head = file.read(4096)
    # The codestream's start and size markers; before them may lie boxes of a JP2 file.
    begin = head.index(b"\xff\x4f\xff\x51") + 8
    wide, high, left, top = (
        int.from_bytes(head[begin + i : begin + i + 4], "big") for i in range(0, 16, 4)
    )
    colours = int.from_bytes(head[begin + 32 : begin + 34], "big")
    depth = head[begin + 34]
    bits, kind = (depth & 0x7F) + 1, "i" if depth & 0x80 else "u"
    shape = (high - top, wide - left) if colours == 1 else (high - top, wide - left, colours)
    return shape, np.dtype(f"{kind}{1 if bits <= 8 else 2 if bits <= 16 else 4}")


def _about(shape: tuple[int, ...], dtype: str) -> str:
    return f"{format_shape(shape)} {np.dtype(dtype).name}"
