"""MRC volumes of electron tomography, mapped into memory; voxel size in angstrom."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import mrcfile

from napari_surfseg.data.volume import ArrayVolume
from napari_surfseg.errors import DataError

if TYPE_CHECKING:
    from napari_surfseg.data.source import Source
    from napari_surfseg.data.volume import Volume

__all__ = ["open_mrc"]


def open_mrc(source: Source) -> Volume:
    """Map an MRC file.

    A voxel size of 0 means that the file does not say. A stack of single images
    is taken as the volume it is stored as, a stack of one volume as that volume.
    """
    try:
        with warnings.catch_warnings():
            # Many programs write headers that are slightly off; mrcfile warns, the data are fine.
            warnings.simplefilter("ignore")
            mrc = mrcfile.mmap(source.path, mode="r", permissive=True)
            array = mrc.data
            voxel = mrc.voxel_size
            sizes = (float(voxel.z), float(voxel.y), float(voxel.x)) if voxel is not None else None
    except (OSError, ValueError) as error:
        raise DataError(
            f"{source.text} is not a readable mrc file; it seems to be damaged or incomplete."
        ) from error
    if array is None:
        raise DataError(
            f"{source.text} is not a readable mrc file; it seems to be damaged or incomplete."
        )
    known = sizes is not None and all(size > 0 for size in sizes)
    return ArrayVolume(
        array,
        name=source.path.name,
        source=source.text,
        spacing=sizes if known else None,
        units="angstrom" if known else None,
    )
