"""Labels as files: an OME-Zarr filled in place, and an OME-TIFF written page by page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_surfseg.inference.output_metadata import ome_xml_metadata, ome_zarr_attributes

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import DTypeLike, NDArray

    from napari_surfseg.geometry import Size3
    from napari_surfseg.inference.output_metadata import VolumeMetadata

__all__ = ["create_ome_zarr", "write_array", "write_ome_tiff"]

#: Voxels along an edge of a chunk.
CHUNK = 64

#: Beyond this a classic TIFF is not safe to address its pages.
CLASSIC_BYTES = 2**31


def create_ome_zarr(
    path: Path, shape: Size3, dtype: DTypeLike, metadata: VolumeMetadata, *, name: str
) -> Any:
    """Make an OME-Zarr 0.4 with one level, and return its array, all 0.

    Parameters
    ----------
    path : Path
        The folder; written aside and renamed by whoever calls.
    shape : tuple of int
        Z, Y, X.
    dtype : dtype
        Of the labels.
    metadata : VolumeMetadata
        Size and place of the voxels.
    name : str
        What the file calls itself; endings are left out.
    """
    import zarr

    group = zarr.open_group(str(path), mode="w", zarr_format=2)
    plain = name.removesuffix(".zarr").removesuffix(".ome")
    group.attrs.update(ome_zarr_attributes(metadata, plain))
    return zarr.create_array(
        str(path),
        name="0",
        shape=shape,
        chunks=tuple(min(CHUNK, size) for size in shape),
        dtype=dtype,
        fill_value=0,
        zarr_format=2,
        chunk_key_encoding={"name": "v2", "separator": "/"},
    )


def write_ome_tiff(
    path: Path,
    pages: Iterable[NDArray[Any]],
    shape: Size3,
    dtype: DTypeLike,
    metadata: VolumeMetadata,
) -> None:
    """Write labels as a compressed OME-TIFF, a page at a time.

    Parameters
    ----------
    path : Path
        Written aside and renamed by whoever calls.
    pages : iterable of array (Y, X)
        From the first to the last.
    shape : tuple of int
        Z, Y, X.
    dtype : dtype
        Of the labels; a TIFF has no integers of 64 bits.
    metadata : VolumeMetadata
        Size and place of the voxels.
    """
    import tifffile

    num_bytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
    with (
        path.open("wb+") as file,
        tifffile.TiffWriter(file, bigtiff=num_bytes > CLASSIC_BYTES, ome=True) as tiff,
    ):
        tiff.write(
            iter(pages),
            shape=shape,
            dtype=dtype,
            photometric="minisblack",
            metadata=ome_xml_metadata(metadata, shape[0]),
            compression="zlib",
        )


def write_array(path: Path, values: NDArray[Any], metadata: VolumeMetadata, *, name: str) -> None:
    """Write labels that are in memory, as what the ending of ``name`` says.

    Parameters
    ----------
    path : Path
        Where they are written; its own ending does not count.
    values : array (Z, Y, X)
        Labels of at most 32 bits.
    metadata : VolumeMetadata
        Size and place of the voxels.
    name : str
        Ends in ``.zarr``, ``.tif``, ``.tiff`` or ``.npy``, which knows no voxel size.
    """
    shape = (values.shape[0], values.shape[1], values.shape[2])
    if name.lower().endswith(".zarr"):
        create_ome_zarr(path, shape, values.dtype, metadata, name=name)[...] = values
    elif name.lower().endswith(".npy"):
        with path.open("wb") as file:
            np.save(file, values, allow_pickle=False)
    else:
        write_ome_tiff(path, values, shape, values.dtype, metadata)
