"""MRC and CCP4 volumes of electron tomography, mapped into memory; voxel size in angstrom.

The header decides what the bytes mean, and programs differ in what they write there::

    mode 0 ──────────── signed or not: IMOD's stamp and flag, else the range of values
    MAPC, MAPR, MAPS ── which of X, Y, Z the columns, rows and sections are
    CELLA / MX, MY, MZ  voxel size along X, Y, Z; zero where it is not known
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import mrcfile
import numpy as np

from napari_surfseg.data.units import UNKNOWN_SIZE, VoxelSize, read_voxel_size
from napari_surfseg.data.volume import (
    ArrayVolume,
    TransposedVolume,
    VoxelArray,
    require_volume_shape,
)
from napari_surfseg.errors import DataError
from napari_surfseg.geometry import to_index

if TYPE_CHECKING:
    from napari_surfseg.data.source import Source
    from napari_surfseg.data.volume import Volume

__all__ = ["open_mrc"]

#: Where IMOD leaves its stamp and flags: the header's bytes 152 to 160, of which ``extra2``
#: begins with byte 112.
IMOD_STAMP, IMOD_STAMP_AT, SIGNED_FLAG = 1146047817, 152 - 112, 1

#: Modes whose voxels are numbers; 3 and 4 are complex.
MODES = (0, 1, 2, 3, 4, 6, 12)

HEADER_BYTES = 1024


def open_mrc(source: Source) -> Volume:
    """Map an MRC file.

    A voxel size of 0 means that the file does not say. A stack of single images
    is taken as the volume it is stored as, a stack of one volume as that volume.

    Raises
    ------
    DataError
        If it is damaged, or its mode is not that of numbers.
    """
    damaged = f"{source.text} is not a readable mrc file; it seems to be damaged or incomplete."
    try:
        with warnings.catch_warnings():
            # Many programs write headers that are slightly off; mrcfile warns, the data are fine.
            warnings.simplefilter("ignore")
            mrc = mrcfile.mmap(source.path, mode="r", permissive=True)
    except (OSError, ValueError) as error:
        raise DataError(damaged) from error
    header, array = mrc.header, mrc.data
    if header is None:
        raise DataError(damaged)
    mode = int(header.mode)
    if array is None:
        if mode not in MODES:
            raise DataError(
                f"{source.text} holds voxels of mrc mode {mode}; the modes 0, 1, 2, 6 and 12 can "
                "be read."
            )
        raise DataError(damaged)
    notes = []
    array = array.reshape(require_volume_shape(array.shape, source.text))
    if mode == 0:
        array, note = _read_signs(header, array, source.text)
        notes.append(note)
    axes, note = _read_axes(header, source.text)
    notes.append(note)
    size = _read_size(header, source.text)
    notes += [size.note, _find_rest(header, array, source)]
    # The size is that of X, Y and Z, wherever they are stored; the base has it as it is stored.
    spacing = None if size.spacing is None else [size.spacing["zyx".index(axis)] for axis in axes]
    base = ArrayVolume(
        array,
        name=source.path.name,
        source=source.text,
        spacing=spacing,
        units=size.unit,
        notes=notes,
    )
    return base if axes == "zyx" else TransposedVolume(base, axes)


def _read_signs(header: Any, array: VoxelArray, source: str) -> tuple[VoxelArray, str]:
    """Bytes as signed or unsigned numbers: by IMOD's flag, else by the range in the header."""
    extra = header.extra2.tobytes()[IMOD_STAMP_AT:]
    for order in ("<", ">"):
        stamp, flags = (int(value) for value in np.frombuffer(extra[:8], f"{order}i4"))
        if stamp == IMOD_STAMP:
            return (array if flags & SIGNED_FLAG else array.view(np.uint8)), ""
    low, high = float(header.dmin), float(header.dmax)
    if low >= 0 and high > np.iinfo(np.int8).max:
        return array.view(np.uint8), ""
    # A minimum above the maximum, or both zero, means that nobody looked.
    says_range = low < high
    if says_range or int(header.nversion) >= 20140:  # the standard of 2014: bytes are signed
        return array, ""
    return array, (
        f"{source} does not say whether its bytes are signed; they are read as -128..127, as the "
        "mrc standard has it."
    )


def _read_axes(header: Any, source: str) -> tuple[str, str]:
    """Which of x, y, z the sections, rows and columns are; standard where the file is silent."""
    numbers = to_index((header.maps, header.mapr, header.mapc))
    if numbers in {(3, 2, 1), (0, 0, 0)}:  # programs of before 2000 left them out
        return "zyx", ""
    if sorted(numbers) != [1, 2, 3]:
        return "zyx", (
            f"{source} numbers its axes {numbers[::-1]} (MAPC, MAPR, MAPS), which makes no sense; "
            "its sections are taken as Z, its rows as Y and its columns as X."
        )
    return "".join("xyz"[number - 1] for number in numbers), ""


def _read_size(header: Any, source: str) -> VoxelSize:
    """Z, Y, X voxel size: the cell's edges, divided by the samples along them."""
    samples = [int(header[name]) for name in ("mz", "my", "mx")]
    edges = [float(header.cella[axis]) for axis in "zyx"]
    if any(count <= 0 for count in samples):
        return UNKNOWN_SIZE
    angles = [float(header.cellb[name]) for name in ("alpha", "beta", "gamma")]
    if any(angle not in (0.0, 90.0) for angle in angles):
        return VoxelSize(
            None,
            None,
            f"{source} has a cell with the angles {', '.join(f'{a:g}' for a in angles)} degrees; "
            "voxels at right angles are needed, so its voxel size counts as unknown.",
        )
    # Edges are single precision: seven digits, of which the last is rounded.
    sizes = [float(f"{edge / count:.6g}") for edge, count in zip(edges, samples, strict=True)]
    return read_voxel_size(sizes, ["angstrom"] * 3, source)


def _find_rest(header: Any, array: VoxelArray, source: Source) -> str:
    """Say so where the file is longer than its header has it."""
    used = HEADER_BYTES + int(header.nsymbt) + array.nbytes
    rest = source.path.stat().st_size - used
    plane = array.nbytes // array.shape[0]
    if rest < plane:
        return ""
    return (
        f"{source.text} holds {rest // plane:,} more sections than the {array.shape[0]:,} that its "
        "header counts; they are left out."
    )
