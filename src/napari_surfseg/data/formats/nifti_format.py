"""NIfTI volumes of medical scanners: X is stored fastest, sizes and place in the header.

::

    .nii     ── mapped into memory, transposed to Z, Y, X, scaled as it is read
    .nii.gz  ── unpacked whole when the first box is read (whole.py)

Voxels keep the order in which they are stored. An affine that only scales and shifts gives the
voxel size and the place; of one that also mirrors, exchanges or rotates axes, the voxel size.
"""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Any

import nibabel
import numpy as np
from nibabel.openers import ImageOpener

from napari_surfseg.data.formats.whole import WholeVolume
from napari_surfseg.data.units import UNKNOWN_SIZE, read_voxel_size
from napari_surfseg.data.volume import Volume, VoxelArray, find_storage_dtype
from napari_surfseg.errors import DataError, SurfsegError
from napari_surfseg.geometry import box_slices, to_index
from napari_surfseg.wording import format_shape

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_surfseg.data.source import Source
    from napari_surfseg.data.units import VoxelSize
    from napari_surfseg.geometry import Index3, Size3, Spacing3

__all__ = ["open_nifti"]

#: How far a voxel size of the affine may lie from that of ``pixdim`` before a note says so.
SIZE_TOLERANCE = 1e-3

# What matters of its remarks on headers is said in notes.
logging.getLogger("nibabel.global").setLevel(logging.CRITICAL)


def open_nifti(source: Source) -> Volume:
    """Open a NIfTI-1 or NIfTI-2 file.

    Raises
    ------
    DataError
        If it is damaged, or holds several volumes.
    """
    try:
        image: Any = nibabel.load(source.path, mmap="r")
        if not isinstance(image, nibabel.Nifti1Pair):
            raise DataError(
                f"{source.text} is no NIfTI file but a {type(image).__name__}; save it as NIfTI."
            )
        return _build(image, source)
    except SurfsegError:
        raise
    except Exception as error:
        # nibabel meets damaged files with many kinds of exceptions.
        raise DataError(
            f"{source.text} is not a readable NIfTI file; it seems to be damaged or incomplete."
        ) from error


def _build(image: Any, source: Source) -> Volume:
    shape, dtype = _volume_shape(image, source.text), image.header.get_data_dtype()
    if dtype.kind == "V" and dtype.names and {"R", "G", "B"} <= set(dtype.names):
        raise DataError(
            f"{source.text} is a colour image; one grey channel with axes Z, Y, X is needed."
        )
    find_storage_dtype(dtype, source.text)
    size, place, note = _read_place(image, source.text)
    about: dict[str, Any] = {
        "name": source.path.name,
        "source": source.text,
        "shape": shape,
        "spacing": size.spacing,
        "units": size.unit,
        "translate": place,
        "notes": [size.note, note],
    }
    scale = _Scale(image)
    if source.path.name.lower().endswith(".gz"):

        def load() -> VoxelArray:
            return scale.apply(_stored(image, shape))

        return WholeVolume(load, dtype=scale.dtype, **about)
    needed = math.prod(shape) * dtype.itemsize
    if source.path.stat().st_size < image.dataobj.offset + needed:
        raise DataError(f"{source.text} is cut short: it ends before the last slice.")
    return _NiftiVolume(_stored(image, shape), scale.apply, dtype=scale.dtype, **about)


def _volume_shape(image: Any, source: str) -> Size3:
    """Z, Y, X; axes after the third may have length one."""
    shape = tuple(int(size) for size in image.shape)
    if len(shape) < 3:
        raise DataError(
            f"{source} has shape {format_shape(shape)} (X first), which is not a volume; three "
            "axes are needed."
        )
    if math.prod(shape[3:]) != 1:
        what = "points of time" if len(shape) == 4 else "volumes"
        raise DataError(
            f"{source} holds {math.prod(shape[3:])} {what} (shape {format_shape(shape)}, X first); "
            "save the one to use as a file of its own."
        )
    return to_index(shape[2::-1])


def _stored(image: Any, shape: Size3) -> VoxelArray:
    """Values as stored, Z, Y, X: mapped into memory, or unpacked."""
    values: VoxelArray = np.asanyarray(image.dataobj.get_unscaled())
    return values.reshape(shape[::-1], order="F").transpose(2, 1, 0)


class _Scale:
    """Slope and intercept of the header; none where they change nothing, so that labels stay so.

    Attributes
    ----------
    dtype : numpy.dtype
        Of scaled values: a real number that holds each stored one.
    """

    def __init__(self, image: Any) -> None:
        self._slope, self._inter = float(image.dataobj.slope), float(image.dataobj.inter)
        self._is_needed = (self._slope, self._inter) != (1.0, 0.0)
        stored: np.dtype[Any] = image.header.get_data_dtype()
        real: Any = np.float32 if stored.itemsize <= 2 or stored.kind == "f" else np.float64
        self.dtype = np.promote_types(stored, real) if self._is_needed else stored

    def apply(self, values: VoxelArray) -> VoxelArray:
        """Scale stored values."""
        if not self._is_needed:
            return values
        scaled: VoxelArray = values.astype(self.dtype)
        scaled *= self._slope
        scaled += self._inter
        return scaled


def _read_place(image: Any, source: str) -> tuple[VoxelSize, Spacing3 | None, str]:
    """Voxel size, place of the first voxel, and a note about an affine that cannot be followed."""
    header = image.header
    zooms = _read_zooms(image)
    unit = header.get_xyzt_units()[0]
    # Without a code, the affine is a guess of nibabel's: centred, and mirrored along X.
    if not (_code(header, "sform_code") or _code(header, "qform_code")):
        return _voxel_size(zooms, unit, source), None, ""
    affine = np.asarray(image.affine, float)
    if not np.isfinite(affine).all():
        return _voxel_size(zooms, unit, source), None, ""
    columns = affine[:3, :3]
    sizes = [float(size) for size in np.linalg.norm(columns, axis=0)]
    size = _voxel_size(sizes, unit, source)
    if size.spacing is None:
        return size, None, ""
    note = ""
    if all(zooms) and not np.allclose(sizes, zooms, rtol=SIZE_TOLERANCE):
        note = (
            f"{source} states two voxel sizes, {_xyz(sizes)} in its affine and {_xyz(zooms)} in "
            "pixdim (X, Y, Z); that of the affine is used."
        )
    if not np.allclose(columns, np.diag(sizes), atol=SIZE_TOLERANCE * min(sizes)):
        turned = (
            f"The affine of {source} mirrors, exchanges or rotates axes; its voxels are taken in "
            "the order in which they are stored, with their sizes, and its place is left out."
        )
        return size, None, f"{note} {turned}".strip()
    z, y, x = (float(value) for value in affine[2::-1, 3])
    return size, (z, y, x), note


def _read_zooms(image: Any) -> list[float]:
    """X, Y, Z voxel size of ``pixdim`` as stored; nibabel makes a size of 0 one of 1."""
    with ImageOpener(image.get_filename()) as file:
        header = type(image.header).from_fileobj(file, check=False)
    return [abs(float(size)) for size in header["pixdim"][1:4]]


def _code(header: Any, name: str) -> int:
    return int(header[name]) if name in header.keys() else 0  # noqa: SIM118 - no mapping


def _voxel_size(sizes: list[float], unit: str, source: str) -> VoxelSize:
    if unit == "unknown":
        unit = ""
    return read_voxel_size(sizes[::-1], [unit] * 3, source) if len(sizes) == 3 else UNKNOWN_SIZE


def _xyz(sizes: list[float]) -> str:
    return " x ".join(f"{size:.4g}" for size in sizes)


class _NiftiVolume(Volume):
    """Stored values, mapped into memory and scaled as they are read."""

    _gives_copies = False

    def __init__(
        self, array: VoxelArray, scale: Callable[[VoxelArray], VoxelArray], **about: Any
    ) -> None:
        super().__init__(**about)
        self._array, self._scale = array, scale

    def _read_box(self, start: Index3, stop: Index3) -> VoxelArray:
        return self._scale(self._array[box_slices((start, stop))])
