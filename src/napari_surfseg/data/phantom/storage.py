"""The phantom as files: three OME-Zarr volumes in a folder."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_surfseg.data.phantom.scroll import ScrollPhantom
from napari_surfseg.data.volume import CONTENT_KEY
from napari_surfseg.errors import CancelledError, OutputError
from napari_surfseg.files import explain_write_error, written_aside
from napari_surfseg.geometry import box_slices, iterate_blocks, whole_box

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari_surfseg.data.phantom.settings import PhantomSettings
    from napari_surfseg.geometry import Index3

__all__ = ["PhantomPaths", "write_phantom"]


@dataclass(frozen=True)
class PhantomPaths:
    """Where a phantom was written.

    Attributes
    ----------
    folder : Path
        The folder that holds the others.
    image, labels, winding : Path
        OME-Zarr 0.4 volumes: uint8, uint8 and int16.
    """

    folder: Path
    image: Path
    labels: Path
    winding: Path


def write_phantom(
    folder: Path,
    settings: PhantomSettings,
    *,
    chunk: Index3 = (64, 64, 64),
    progress: Callable[[int, int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> PhantomPaths:
    """Make a phantom and store it chunk by chunk.

    Parameters
    ----------
    folder : Path
        Made if needed; volumes of these names in it are replaced.
    settings : PhantomSettings
        What to make.
    chunk : tuple of int
        Storage chunk, ZYX; the memory used is some twenty times that of a chunk,
        whatever the volume's size.
    progress : callable, optional
        Called with the number of chunks done and in all.
    should_stop : callable, optional
        Asked before each chunk.

    Returns
    -------
    PhantomPaths

    Raises
    ------
    OutputError
        If the folder cannot be written.
    CancelledError
        If ``should_stop`` said so; nothing is left behind then.
    """
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} is a file; the phantom needs a folder.")
    paths = PhantomPaths(
        folder, folder / "image.zarr", folder / "labels.zarr", folder / "winding.zarr"
    )
    is_new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise explain_write_error(folder, error) from error
    try:
        _write_volumes(paths, settings, chunk, progress, should_stop)
    except BaseException:
        if is_new:
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise
    return paths


def _write_volumes(
    paths: PhantomPaths,
    settings: PhantomSettings,
    chunk: Index3,
    progress: Callable[[int, int], None] | None,
    should_stop: Callable[[], bool] | None,
) -> None:
    with (
        written_aside(paths.image) as image_path,
        written_aside(paths.labels) as labels_path,
        written_aside(paths.winding) as winding_path,
    ):
        image = _create_volume(image_path, "image", np.uint8, settings, chunk)
        labels = _create_volume(labels_path, "labels", np.uint8, settings, chunk)
        winding = _create_volume(winding_path, "winding", np.int16, settings, chunk)
        phantom = ScrollPhantom(settings)
        boxes = list(iterate_blocks(whole_box(settings.shape), chunk))
        for done, (start, stop) in enumerate(boxes):
            if should_stop is not None and should_stop():
                raise CancelledError(f"Making the phantom {paths.folder} was stopped.")
            if progress is not None:
                progress(done, len(boxes))
            box = phantom.compute_box(start, stop)
            place = box_slices((start, stop))
            image[place], labels[place], winding[place] = box.image, box.labels, box.winding
        if progress is not None:
            progress(len(boxes), len(boxes))


def _create_volume(
    path: Path, name: str, dtype: Any, settings: PhantomSettings, chunk: Index3
) -> Any:
    # zarr takes a while to import, and the phantom's arrays alone do not need it.
    import zarr

    group = zarr.open_group(str(path), mode="w", zarr_format=2)
    if name != "image":
        group.attrs[CONTENT_KEY] = "labels"
    group.attrs["multiscales"] = [
        {
            "version": "0.4",
            "name": name,
            "axes": [{"name": axis, "type": "space", "unit": "micrometer"} for axis in "zyx"],
            "datasets": [
                {
                    "path": "0",
                    "coordinateTransformations": [
                        {"type": "scale", "scale": [float(s) for s in settings.spacing]}
                    ],
                }
            ],
        }
    ]
    return zarr.create_array(
        str(path),
        name="0",
        shape=settings.shape,
        chunks=tuple(min(edge, size) for edge, size in zip(chunk, settings.shape, strict=True)),
        dtype=dtype,
        fill_value=0,
        zarr_format=2,
        chunk_key_encoding={"name": "v2", "separator": "/"},
    )
