"""A volume that is read box by box, wherever its voxels lie.

::

    Volume ──┬── ArrayVolume     an array in memory, or mapped into it
             ├── formats/ …      a file, of which only what is read is decoded
             ├── TransposedVolume  one stored as X, Y, Z, turned as it is read
             └── DerivedVolume   another volume, changed as it is read (cached, mapped, …)

Whoever reads needs to know only :class:`Volume`; :func:`napari_surfseg.data.open.open_volume`
makes one of a path. Reads are thread-safe and return arrays of the caller's own. No format is
known here.
"""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from napari_surfseg.data.holes import find_written_rows
from napari_surfseg.data.source import parse_source
from napari_surfseg.data.units import standard_unit
from napari_surfseg.errors import ChunkError, DataError, SurfsegError
from napari_surfseg.geometry import (
    block_box,
    blocks_under,
    box_shape,
    box_slices,
    contains_box,
    count_voxels,
    iterate_indices,
    to_box,
    to_index,
    to_spacing,
    whole_box,
)
from napari_surfseg.wording import format_shape

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from napari_surfseg.data.stored_chunks import StoredChunks
    from napari_surfseg.geometry import Box, Index3, Size3, Spacing3

__all__ = [
    "CONTENT_KEY",
    "ArrayVolume",
    "DerivedVolume",
    "TransposedVolume",
    "Volume",
    "VoxelArray",
    "find_storage_dtype",
    "grow_chunks",
    "require_volume_shape",
]

VoxelArray: TypeAlias = np.ndarray[Any, np.dtype[Any]]

#: Chunk given to volumes that are not stored in chunks: a 64^3 patch then
#: touches at most eight, and the bookkeeping per chunk stays well below its copy.
VIRTUAL_CHUNK = 64

#: Chunks that are read again to find a damaged one.
MAX_TRIED = 64

#: Under which our own files say what they hold: "labels" or "probabilities".
CONTENT_KEY = "napari_surfseg"

_keys = itertools.count()


class Volume(ABC):
    """A three-dimensional array that is read in boxes.

    Many parameters: each is something a file may say about itself, and a format passes on
    those few that it knows.

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
        Unit of the spacing by its standard name, ``micrometer`` for ``um``; None where there
        is none, or it is no length.
    translate : tuple of float
        Z, Y, X place of the first voxel, in units; zeros where the file does not say.
    content : str or None
        ``"labels"`` or ``"probabilities"`` where the file says so.
    chunks : tuple of int
        Z, Y, X voxels that are decoded together.
    notes : list of str
        Sentences that whoever opens it is shown: what of the file was left out, or is stated
        in a way that makes no sense. None of them is an error.
    stored_axes : str
        Order of the axes in the file, such as ``xyz``; what is read is Z, Y, X all the same.
    key : hashable
        Identifies the volume in a cache; equal for two views of the same voxels.
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
        notes: Sequence[str] = (),
        stored_axes: str = "zyx",
    ) -> None:
        self.source = source
        self.name = name or parse_source(source).name
        self.shape: Size3 = to_index(shape)
        self.dtype: np.dtype[Any] = find_storage_dtype(dtype, source)
        self.spacing: Spacing3 = (1.0, 1.0, 1.0)
        self.spacing_known = False
        if spacing is not None:
            self.set_spacing(spacing)
        self.units = standard_unit(units)
        self.translate: Spacing3 = to_spacing(translate or (0.0, 0.0, 0.0))
        self.content = content
        if chunks is None:
            chunks = (VIRTUAL_CHUNK,) * 3
        self.chunks: Size3 = to_index(
            max(1, min(chunk, size)) for chunk, size in zip(chunks, self.shape, strict=True)
        )
        self.key: Hashable = next(_keys)
        self.notes = [note for note in notes if note]
        #: Chunks that are worth reading at the same time: many of a server, which answers late.
        self.reads_at_once = 1
        self.stored_axes = stored_axes
        if not all(self.shape):
            raise DataError(
                f"{source} has shape {format_shape(self.shape)} and so holds no voxels; every axis "
                "needs at least one."
            )

    @property
    def num_voxels(self) -> int:
        """Voxels in the whole volume."""
        return math.prod(self.shape)

    @property
    def box(self) -> Box:
        """The whole volume as a box."""
        return whole_box(self.shape)

    def set_spacing(self, spacing: Sequence[float]) -> None:
        """Replace the voxel size.

        Raises
        ------
        DataError
            If it is not three positive numbers.
        """
        values = list(spacing)
        if len(values) != 3 or not all(math.isfinite(size) and size > 0 for size in values):
            raise DataError(
                f"The spacing of {self.source} is {values}; it must be three positive numbers "
                "Z, Y, X."
            )
        self.spacing = to_spacing(values)
        self.spacing_known = True

    def require_inside(self, start: Index3, stop: Index3) -> None:
        """Raise ValueError for a box that does not lie inside the volume."""
        if not contains_box(self.box, (start, stop)):
            raise ValueError(f"box {start} to {stop} does not lie in {self.shape}")

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
        self.require_inside(start, stop)
        try:
            raw = self._read_box(start, stop)
        except SurfsegError:
            raise
        except Exception as error:
            # Every decoder has exceptions of its own; to the person they all mean one thing.
            raise self._explain_damage(error, start, stop) from error
        wanted = box_shape((start, stop))
        if raw.shape != wanted:
            raise DataError(
                f"{self.source} gave {format_shape(raw.shape)} voxels where {format_shape(wanted)} "
                "were asked for; the file seems to be damaged or incomplete."
            )
        return np.array(raw, dtype=self.dtype, order="C", copy=None if self._gives_copies else True)

    def _explain_damage(self, error: Exception, start: Index3, stop: Index3) -> DataError:
        """Make the sentence for a box that cannot be read; it names a chunk where there are some.

        A box of several chunks is read again, one by one, to find the first that is damaged.
        """
        kind, where, chunk = DataError, (start, stop), ""
        if self._is_chunked:
            kind = ChunkError
            under = blocks_under((start, stop), self.chunks)
            for index in itertools.islice(iterate_indices(under), MAX_TRIED):
                part = block_box(index, self.chunks, self.box)
                try:
                    if count_voxels(under) > 1:
                        self._read_box(*part)
                        continue
                except Exception as found:  # noqa: BLE001  as above
                    error = found
                where, chunk = part, f", its chunk {index}"
                break
        return kind(
            f"{self.source} cannot be read at voxels {where[0]} to {where[1]}{chunk}; the file "
            f"seems to be damaged or incomplete ({_reason(error)})."
        )

    def read_into(self, out: VoxelArray, start: Index3, stop: Index3) -> None:
        """Read a box inside the volume into an array of its shape; see :meth:`read`."""
        out[...] = self.read(start, stop)

    def stored_chunks(self, box: Box | None = None) -> StoredChunks | None:
        """List the chunks that are stored; all other voxels have one value, its ``fill``.

        For volumes that are mostly never written. It looks at names and sizes, not at voxels.

        Parameters
        ----------
        box : (start, stop), optional
            Only chunks that have a voxel of it are listed; others may be left out.

        Returns
        -------
        StoredChunks or None
            None where that cannot be found out, or not in reasonable time: then any voxel may
            be stored.
        """
        return None

    #: Whether its chunks are stored apart, so that one may be damaged and the others not.
    _is_chunked = False

    #: Whether :meth:`_read_box` returns a fresh array rather than a view of shared memory.
    _gives_copies = True

    @abstractmethod
    def _read_box(self, start: Index3, stop: Index3) -> VoxelArray:
        """Read a box known to lie inside; may raise anything."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.source!r}, shape={self.shape}, dtype={self.dtype})"


class ArrayVolume(Volume):
    """An array in memory, or mapped into it, as a volume.

    Many parameters: besides the array, those of :class:`Volume` that a file states.

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
    notes : sequence of str
        Sentences that whoever opens it is shown.
    stored_axes : str
        Order of the axes in the file, where it is not that of the array.
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
        notes: Sequence[str] = (),
        stored_axes: str = "zyx",
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
            notes=notes,
            stored_axes=stored_axes,
        )
        self._array = np.asarray(array).reshape(self.shape)

    def stored_chunks(self, box: Box | None = None) -> StoredChunks | None:
        """List the rows that were written, of a mapped file with holes; else None."""
        return find_written_rows(self._array)

    def _read_box(self, start: Index3, stop: Index3) -> VoxelArray:
        return self._array[box_slices((start, stop))]


class DerivedVolume(Volume):
    """The voxels of another volume, changed as they are read; they lie where its voxels lie.

    Parameters
    ----------
    base : Volume
        The other volume.
    dtype : dtype-like, optional
        What is read; by default the base's.
    chunks : tuple of int, optional
        Z, Y, X voxels that are made together; by default the base's.
    """

    #: Whether a voxel depends on the same voxel of the base alone. Then what is stored of the
    #: base is what is stored; ``fill`` stays the base's value.
    _is_voxelwise = False

    def __init__(
        self, base: Volume, *, dtype: Any = None, chunks: Sequence[int] | None = None
    ) -> None:
        super().__init__(
            source=base.source,
            name=base.name,
            shape=base.shape,
            dtype=base.dtype if dtype is None else dtype,
            spacing=base.spacing if base.spacing_known else None,
            units=base.units,
            translate=base.translate,
            chunks=base.chunks if chunks is None else chunks,
            notes=base.notes,
            stored_axes=base.stored_axes,
        )
        self._derived_from = base
        self.reads_at_once = base.reads_at_once

    def stored_chunks(self, box: Box | None = None) -> StoredChunks | None:
        """List the chunks that are stored of the base, where voxels depend on its own alone."""
        return self._derived_from.stored_chunks(box) if self._is_voxelwise else None


class TransposedVolume(Volume):
    """A volume stored in another order of axes, read as Z, Y, X; nothing is read to turn it.

    Parameters
    ----------
    base : Volume
        Its shape, spacing, place and chunks are in the order in which it is stored.
    axes : str
        That order, such as ``xyz``.
    """

    _gives_copies = False

    def __init__(self, base: Volume, axes: str) -> None:
        self._base = base
        #: Of each of Z, Y, X its number among the stored axes, and the reverse.
        self._order = to_index(axes.index(axis) for axis in "zyx")
        self._stored = to_index("zyx".index(axis) for axis in axes)
        super().__init__(
            source=base.source,
            name=base.name,
            shape=[base.shape[axis] for axis in self._order],
            dtype=base.dtype,
            spacing=[base.spacing[axis] for axis in self._order] if base.spacing_known else None,
            units=base.units,
            translate=[base.translate[axis] for axis in self._order],
            content=base.content,
            chunks=[base.chunks[axis] for axis in self._order],
            notes=base.notes,
            stored_axes=axes,
        )
        self.reads_at_once = base.reads_at_once

    def stored_chunks(self, box: Box | None = None) -> StoredChunks | None:
        """List the chunks that are stored."""
        if box is not None:
            box = to_box([corner[axis] for axis in self._stored] for corner in box)
        found = self._base.stored_chunks(box)
        return None if found is None else found.transposed(self._order)

    def _read_box(self, start: Index3, stop: Index3) -> VoxelArray:
        low, high = (to_index(corner[axis] for axis in self._stored) for corner in (start, stop))
        return self._base.read(low, high).transpose(self._order)


def grow_chunks(chunks: Size3, box: Box, max_voxels: int) -> Size3:
    """Grow a storage chunk, doubling its shortest axis, to a piece of about ``max_voxels``.

    Returns
    -------
    tuple of int
        A multiple of ``chunks`` along each axis; along an axis that it covers
        it may be longer than the box.
    """
    extent = box_shape(box)
    unit = list(chunks)
    while math.prod(unit) * 2 <= max_voxels:
        growing = [axis for axis in range(3) if unit[axis] < extent[axis]]
        if not growing:
            break
        unit[min(growing, key=lambda axis: unit[axis])] *= 2
    return to_index(unit)


def require_volume_shape(shape: Sequence[int], source: str) -> Size3:
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
            f"{source} has shape {format_shape(shape)}, which is not a volume; three axes (Z, Y, "
            "X) are needed."
        )
    if rest[-1] in (3, 4):
        raise DataError(
            f"{source} has shape {format_shape(shape)}, which looks like a colour image; one grey "
            "channel with axes Z, Y, X is needed."
        )
    raise DataError(
        f"{source} has shape {format_shape(shape)}; only leading axes of length 1 (time, channel) "
        "can be left out, so save the one channel and time point to use as a Z, Y, X volume."
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


def _reason(error: BaseException) -> str:
    text = " ".join(str(error).split()).rstrip(".")
    if not text or len(text) > 160:
        return type(error).__name__
    return text
