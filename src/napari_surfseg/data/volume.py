"""A volume on disk, opened lazily and read box by box.

:func:`open_volume` finds the format; whoever reads needs to know only
:class:`Volume`. Reads are thread-safe and return arrays of the caller's own.
"""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from napari_surfseg.errors import DataError, SurfsegError

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from napari_surfseg.geometry import Box, Index3, Spacing3

__all__ = [
    "CONTENT_KEY",
    "ArrayVolume",
    "Volume",
    "VoxelArray",
    "find_storage_dtype",
    "grow_chunks",
    "open_volume",
    "split_source",
]

VoxelArray: TypeAlias = np.ndarray[Any, np.dtype[Any]]

#: Chunk given to volumes that are not stored in chunks: a 64^3 patch then
#: touches at most eight, and the bookkeeping per chunk stays well below its copy.
VIRTUAL_CHUNK = 64

#: Under which our own files say what they hold: "labels" or "probabilities".
CONTENT_KEY = "napari_surfseg"

_keys = itertools.count()


class Volume(ABC):
    """A three-dimensional array that is read in boxes.

    Attributes
    ----------
    source : str
        Path or URL, as given; used in sentences.
    name : str
        Short name for tables and logs.
    shape : tuple of int
        Z, Y, X voxels.
    dtype : numpy.dtype
        What :meth:`read` returns: native byte order, ``float16`` widened to
        ``float32``, ``bool`` as ``uint8``.
    spacing : tuple of float
        Z, Y, X voxel size; ones where the file does not say.
    spacing_known : bool
        Whether the file, or the caller, said.
    units : str or None
        Unit of the spacing.
    translate : tuple of float
        Z, Y, X place of the first voxel, in units; zeros where the file does not say.
    content : str or None
        ``"labels"`` or ``"probabilities"`` where the file says so.
    chunks : tuple of int
        Z, Y, X voxels that are decoded together.
    key : hashable
        Tells volumes apart in a cache; equal for two views of the same voxels.
    """

    def __init__(
        self,
        *,
        source: str,
        shape: Sequence[int],
        dtype: Any,
        name: str | None = None,
        spacing: Sequence[float] | None = None,
        units: str | None = None,
        translate: Sequence[float] | None = None,
        content: str | None = None,
        chunks: Sequence[int] | None = None,
    ) -> None:
        self.source = source
        self.name = name or _short_name(source)
        self.shape: Index3 = _index3(shape)
        self.dtype: np.dtype[Any] = find_storage_dtype(dtype, source)
        self.spacing_known = spacing is not None
        self.spacing: Spacing3 = _valid_spacing(spacing, source) if spacing else (1.0, 1.0, 1.0)
        self.units = units
        z, y, x = translate or (0.0, 0.0, 0.0)
        self.translate: Spacing3 = float(z), float(y), float(x)
        self.content = content
        if chunks is None:
            chunks = (VIRTUAL_CHUNK,) * 3
        self.chunks: Index3 = _index3(
            max(1, min(chunk, size)) for chunk, size in zip(chunks, self.shape, strict=True)
        )
        self.key: Hashable = next(_keys)
        if not all(self.shape):
            raise DataError(
                f"{source} has shape {_by(self.shape)} and so holds no voxels; every axis needs "
                "at least one."
            )

    @property
    def num_voxels(self) -> int:
        """Voxels in the whole volume."""
        return math.prod(self.shape)

    @property
    def box(self) -> Box:
        """The whole volume as a box."""
        return (0, 0, 0), self.shape

    def read(self, start: Index3, stop: Index3) -> VoxelArray:
        """Read a box that lies inside the volume.

        Parameters
        ----------
        start, stop : tuple of int
            Corners in voxels, ZYX, half open, ``0 <= start <= stop <= shape``.

        Returns
        -------
        numpy.ndarray
            Shape ``stop - start``, of :attr:`dtype`, C-contiguous, the caller's own.

        Raises
        ------
        DataError
            If the file is damaged there.
        ValueError
            If the box does not lie inside the volume.
        """
        if not all(0 <= a <= b <= n for a, b, n in zip(start, stop, self.shape, strict=True)):
            raise ValueError(f"box {start} to {stop} does not lie in {self.shape}")
        try:
            raw = self._read_box(start, stop)
        except SurfsegError:
            raise
        except Exception as error:
            # Every decoder has exceptions of its own; to the person they all mean one thing.
            raise DataError(
                f"{self.source} cannot be read at voxels {start} to {stop}; the file seems to be "
                f"damaged or incomplete ({_reason(error)})."
            ) from error
        wanted = tuple(b - a for a, b in zip(start, stop, strict=True))
        if raw.shape != wanted:
            raise DataError(
                f"{self.source} gave {_by(raw.shape)} voxels where {_by(wanted)} were asked for; "
                "the file seems to be damaged or incomplete."
            )
        return np.array(raw, dtype=self.dtype, order="C", copy=None if self._gives_copies else True)

    def read_into(self, out: VoxelArray, start: Index3, stop: Index3) -> None:
        """Read a box inside the volume into an array of its shape; see :meth:`read`."""
        out[...] = self.read(start, stop)

    #: Whether :meth:`_read_box` returns a fresh array rather than a view of shared memory.
    _gives_copies = True

    @abstractmethod
    def _read_box(self, start: Index3, stop: Index3) -> VoxelArray:
        """Read a box known to lie inside; may raise anything."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.source!r}, shape={self.shape}, dtype={self.dtype})"


class ArrayVolume(Volume):
    """An array in memory, or mapped into it, as a volume.

    Parameters
    ----------
    array : numpy.ndarray
        Shape (Z, Y, X); it is not copied.
    name, source : str
        For tables and for sentences.
    spacing : tuple of float, optional
        Z, Y, X voxel size.
    units : str, optional
        Unit of the spacing.
    translate : tuple of float, optional
        Z, Y, X place of the first voxel.
    content : str, optional
        ``"labels"`` or ``"probabilities"``.
    """

    _gives_copies = False

    def __init__(
        self,
        array: VoxelArray,
        *,
        name: str = "array",
        source: str | None = None,
        spacing: Sequence[float] | None = None,
        units: str | None = None,
        translate: Sequence[float] | None = None,
        content: str | None = None,
    ) -> None:
        source = source or name
        super().__init__(
            source=source,
            name=name,
            shape=require_volume_shape(array.shape, source),
            dtype=array.dtype,
            spacing=spacing,
            units=units,
            translate=translate,
            content=content,
        )
        self._array = np.asarray(array).reshape(self.shape)

    def _read_box(self, start: Index3, stop: Index3) -> VoxelArray:
        return self._array[_slices(start, stop)]


def open_volume(source: str | Path, *, spacing: Sequence[float] | None = None) -> Volume:
    """Open a volume of any known format without reading its voxels.

    Parameters
    ----------
    source : str or Path
        zarr (v2, v3), OME-Zarr (0.4, 0.5), TIFF, a folder of slices, npy or mrc,
        as a path or URL. ``PATH::KEY`` picks an array inside a zarr group; an
        OME-Zarr without a key gives its finest level.
    spacing : tuple of float, optional
        Z, Y, X voxel size that replaces what the file says.

    Returns
    -------
    Volume

    Raises
    ------
    DataError
        If there is nothing there, or it is not a volume of real numbers.
    """
    # Imported here: zarr and tifffile take a while to import, and a window wants to open at once.
    from napari_surfseg.data.formats import open_any

    volume = open_any(str(source))
    if spacing is not None:
        volume.spacing = _valid_spacing(spacing, volume.source)
        volume.spacing_known = True
    return volume


def grow_chunks(chunks: Index3, box: Box, max_voxels: int) -> Index3:
    """Grow a storage chunk, doubling its shortest axis, to a piece of about ``max_voxels``.

    Returns
    -------
    tuple of int
        A multiple of ``chunks`` along each axis; along an axis that it covers
        it may be longer than the box.
    """
    extent = [b - a for a, b in zip(*box, strict=True)]
    unit = list(chunks)
    while math.prod(unit) * 2 <= max_voxels:
        growing = [axis for axis in range(3) if unit[axis] < extent[axis]]
        if not growing:
            break
        unit[min(growing, key=lambda axis: unit[axis])] *= 2
    return _index3(unit)


def split_source(source: str) -> tuple[str, str]:
    """Split ``PATH::KEY`` into path and key; the key is empty where there is none."""
    if "::" in source and "://" not in source and Path(source).exists():
        return source, ""  # the characters belong to the file's name
    path, _, key = source.partition("::")
    return path, key.strip("/")


def require_volume_shape(shape: Sequence[int], source: str) -> Index3:
    """Drop leading axes of length one (time, channel) and require three to be left.

    Raises
    ------
    DataError
        If the array has too few axes, or axes that cannot be dropped.
    """
    shape = tuple(int(size) for size in shape)
    rest = shape
    while len(rest) > 3 and rest[0] == 1:
        rest = rest[1:]
    if len(rest) == 3:
        return rest
    if len(rest) < 3:
        raise DataError(
            f"{source} has shape {_by(shape)}, which is not a volume; three axes (Z, Y, X) are "
            "needed."
        )
    if rest[-1] in (3, 4):
        raise DataError(
            f"{source} has shape {_by(shape)}, which looks like a colour image; one grey channel "
            "with axes Z, Y, X is needed."
        )
    raise DataError(
        f"{source} has shape {_by(shape)}; only leading axes of length 1 (time, channel) can be "
        "left out, so save the one channel and time point to use as a Z, Y, X volume."
    )


def find_storage_dtype(dtype: Any, source: str) -> np.dtype[Any]:
    """Dtype in which a volume stored as ``dtype`` is read.

    Raises
    ------
    DataError
        If the values are not real numbers of a usual size.
    """
    found: np.dtype[Any] = np.dtype(dtype)
    native: np.dtype[Any] = found.newbyteorder("=")
    if found.kind == "b":
        return np.dtype(np.uint8)
    if found.kind in "ui":
        return native
    if found.kind == "f" and found.itemsize <= 8:
        return np.dtype(np.float32) if found.itemsize == 2 else native
    what = {"c": "complex numbers", "O": "Python objects", "V": "records"}.get(
        found.kind, f"values of type {found}"
    )
    raise DataError(f"{source} holds {what}; integers, real numbers or booleans are needed.")


def _index3(values: Any) -> Index3:
    z, y, x = (int(value) for value in values)
    return z, y, x


def _slices(start: Index3, stop: Index3) -> tuple[slice, slice, slice]:
    return slice(start[0], stop[0]), slice(start[1], stop[1]), slice(start[2], stop[2])


def _valid_spacing(spacing: Sequence[float], source: str) -> Spacing3:
    values = tuple(spacing)
    good = len(values) == 3 and all(math.isfinite(value) and value > 0 for value in values)
    if not good:
        raise DataError(
            f"The spacing of {source} is {list(values)}; it must be three positive numbers Z, Y, X."
        )
    return float(values[0]), float(values[1]), float(values[2])


def _short_name(source: str) -> str:
    path, key = split_source(source)
    name = path.replace("\\", "/").rstrip("/").rpartition("/")[2] or path
    return f"{name}::{key}" if key else name


def _by(shape: Sequence[int]) -> str:
    return " x ".join(str(size) for size in shape) or "()"


def _reason(error: BaseException) -> str:
    text = " ".join(str(error).split()).rstrip(".")
    if not text or len(text) > 160:
        return type(error).__name__
    return text
