"""Write a predicted volume piece by piece: OME-Zarr or TIFF, whole or not at all.

A TIFF is written page after page, straight from the prediction where the
planes come in order. Where they do not (a volume predicted in columns) or
where small components have to be removed first, a scratch zarr beside the
output holds the pieces meanwhile. See ``files.written_aside`` for how nothing
half-written is left.
"""

from __future__ import annotations

import itertools
import math
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import tifffile
import zarr

from napari_surfseg.errors import OutputError
from napari_surfseg.files import explain_write_error, written_aside
from napari_surfseg.geometry import box_slices, iterate_blocks, to_index, whole_box
from napari_surfseg.inference.output_metadata import (
    imagej_metadata,
    ome_xml_metadata,
    ome_zarr_attributes,
)
from napari_surfseg.inference.pyramid import TurnedArray, create_array, fill_level, plan_levels
from napari_surfseg.surfaces.block_components import BlockComponents, at_least

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

    from napari_surfseg.geometry import Index3, Size3
    from napari_surfseg.inference.output_metadata import VolumeMetadata

    Piece = tuple[Index3, NDArray[np.uint8]]

__all__ = ["SUFFIXES", "VolumeWriter", "check_output", "scratch_folder"]

SUFFIXES = (".zarr", ".tif", ".tiff")

#: Block in which components are looked for: whole chunks, some 100 MB of labels.
COMPONENT_BLOCK = (128, 512, 512)

#: Beyond this a classic TIFF cannot address its pages.
CLASSIC_TIFF_BYTES = 2**32 - 2**25

#: Bytes of planes read back at once when a scratch array becomes a TIFF.
PAGES_BYTES = 512_000_000


def check_output(output: str | Path, *, overwrite: bool = False, source: str | None = None) -> Path:
    """Refuse, before any work, an output that cannot be written.

    Parameters
    ----------
    output : str or Path
        Where the prediction should go.
    overwrite : bool
        Whether an existing prediction may be replaced.
    source : str, optional
        The image, which must not be overwritten.

    Returns
    -------
    Path

    Raises
    ------
    OutputError
        In one sentence.
    """
    path = Path(output)
    if path.suffix.lower() not in SUFFIXES:
        raise OutputError(
            f"The output {path} ends in {path.suffix or 'nothing'!r}; it must end in "
            f"{', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}."
        )
    parent = path.resolve().parent
    if not parent.is_dir():
        raise OutputError(f"The folder {parent} of the output {path.name} does not exist.")
    if not os.access(parent, os.W_OK):
        raise OutputError(f"The folder {parent} of the output {path.name} is not writable.")
    if source is not None and "://" not in source:
        image = Path(source.partition("::")[0]).resolve()
        ours = path.resolve()
        if ours == image or image in ours.parents or ours in image.parents:
            raise OutputError(
                f"The output {path} would overwrite the image {source} it is made from; "
                "choose another name."
            )
    if not path.exists():
        return path
    if not overwrite:
        raise OutputError(
            f"The output {path} exists already; choose another name or allow overwriting."
        )
    if path.is_dir() != (path.suffix.lower() == ".zarr") or (path.is_dir() and not _is_zarr(path)):
        kind = "folder that is no zarr" if path.is_dir() else "file"
        raise OutputError(f"The output {path} is a {kind} and is not overwritten; remove it first.")
    return path


def _is_zarr(path: Path) -> bool:
    names = {entry.name for entry in path.iterdir()}
    return not names or bool(names & {".zgroup", ".zarray", "zarr.json"})


class VolumeWriter:
    """Writes a uint8 volume that comes in pieces.

    Parameters
    ----------
    path : Path
        Checked by :func:`check_output`.
    shape : tuple of int
        Z, Y, X.
    metadata : VolumeMetadata
        What the file says about itself.
    overwrite : bool
        Replace what is there.
    in_order : bool
        The pieces are whole planes, from the first to the last.
    min_component : int
        Remove smaller 26-connected components.
    component_level : int
        Values above it make up the components.
    """

    def __init__(
        self,
        path: Path,
        shape: Size3,
        metadata: VolumeMetadata,
        *,
        overwrite: bool = False,
        in_order: bool = True,
        min_component: int = 0,
        component_level: int = 0,
    ) -> None:
        self._path, self._shape, self._metadata = path, shape, metadata
        self._overwrite, self._in_order = overwrite, in_order
        self._min_component, self._level = min_component, component_level

    def write(
        self, pieces: Iterable[Piece], *, should_stop: Callable[[], None] | None = None
    ) -> int:
        """Take all pieces and put the finished output in place.

        Parameters
        ----------
        pieces : iterable of (start, array)
            Adjoining along Z within a column.
        should_stop : callable, optional
            Raises to stop; asked while components are removed.

        Returns
        -------
        int
            Number of components removed.
        """
        check = should_stop or (lambda: None)
        with written_aside(self._path, overwrite=self._overwrite) as temporary:
            if self._path.suffix.lower() == ".zarr":
                levels = self._create_ome_zarr(temporary)
                removed = self._fill(levels[0], pieces, check)
                is_mask = self._metadata.content != "probabilities"
                for fine, coarse in itertools.pairwise(levels):
                    fill_level(fine, coarse, is_mask=is_mask, check=check)
                return removed
            if self._in_order and self._min_component <= 1:
                self._write_tiff(temporary, (page for _, slab in pieces for page in slab))
                return 0
            with scratch_folder(self._path) as folder:
                array = create_array(folder, None, self._shape)
                removed = self._fill(array, pieces, check)
                self._write_tiff(temporary, self._pages(array, check))
                return removed

    def _fill(self, array: Any, pieces: Iterable[Piece], check: Callable[[], None]) -> int:
        for (z, y, x), values in _join_to_chunks(pieces, array.unit[0], self._shape[0]):
            dz, dy, dx = values.shape
            if values.any():  # what is not written reads as 0
                array[box_slices(((z, y, x), (z + dz, y + dy, x + dx)))] = values
        if self._min_component <= 1:
            return 0
        return self._remove_small_components(array, check)

    def _remove_small_components(self, array: Any, check: Callable[[], None]) -> int:
        edges = (-(-b // c) * c for b, c in zip(COMPONENT_BLOCK, array.unit, strict=True))
        blocks = list(iterate_blocks(whole_box(self._shape), to_index(edges)))
        components = BlockComponents(self._shape, at_least(self._min_component))
        for box in blocks:
            check()
            components.add(box[0], array[box_slices(box)] > self._level)
        removed = components.num_dropped
        if not removed:
            return 0
        for box in blocks:
            check()
            values = array[box_slices(box)]
            mask = values > self._level
            drop = mask & ~components.keep(box[0], mask)
            if drop.any():
                values[drop] = 0
                array[box_slices(box)] = values
        return removed

    def _create_ome_zarr(self, path: Path) -> list[TurnedArray]:
        metadata = self._metadata
        levels = plan_levels(self._shape)
        zarr_format: Literal[2, 3] = 2 if metadata.version == "0.4" else 3
        group = zarr.open_group(str(path), mode="w", zarr_format=zarr_format)
        group.attrs.update(
            ome_zarr_attributes(metadata, self._path.stem, [factors for _, factors in levels])
        )
        order = to_index("zyx".index(axis) for axis in metadata.axes)
        return [
            create_array(path, str(number), shape, order, version=metadata.version)
            for number, (shape, _) in enumerate(levels)
        ]

    def _pages(self, array: Any, check: Callable[[], None]) -> Iterator[NDArray[np.uint8]]:
        size = self._shape[0]
        depth = max(1, PAGES_BYTES // math.prod(self._shape[1:]))
        depth = min(depth, array.unit[0])
        for start in range(0, size, depth):
            check()
            box = ((start, 0, 0), (min(start + depth, size), *self._shape[1:]))
            yield from array[box_slices(box)]

    def _write_tiff(self, path: Path, pages: Iterator[NDArray[np.uint8]]) -> None:
        num_bytes = math.prod(self._shape)
        big = num_bytes > CLASSIC_TIFF_BYTES
        ome = big or self._path.name.lower().endswith((".ome.tif", ".ome.tiff"))
        spacing = self._metadata.spacing
        resolution = None if spacing is None else (1 / spacing[2], 1 / spacing[1])
        # Opened here: tifffile leaves a file of its own open if writing its header fails.
        with (
            path.open("wb+") as file,
            tifffile.TiffWriter(file, bigtiff=big, ome=ome, imagej=not ome) as tiff,
        ):
            tiff.write(
                pages,
                shape=self._shape,
                dtype=np.uint8,
                photometric="minisblack",
                metadata=ome_xml_metadata(self._metadata, self._shape[0])
                if ome
                else imagej_metadata(self._metadata),
                resolution=resolution,
                resolutionunit="NONE",
            )


def _join_to_chunks(pieces: Iterable[Piece], depth: int, size: int) -> Iterator[Piece]:
    """Join slabs so that each ends where a chunk does: a chunk is then compressed once."""
    held: list[NDArray[np.uint8]] = []
    first: Index3 = (0, 0, 0)
    for start, values in pieces:
        if not held:
            first = start
        held.append(values)
        end = start[0] + len(values)
        border = end if end == size else end // depth * depth
        if border <= first[0]:
            continue
        joined = np.concatenate(held) if len(held) > 1 else held[0]
        done = border - first[0]
        yield first, joined[:done]
        held = [joined[done:].copy()] if done < len(joined) else []
        first = (border, start[1], start[2])


class scratch_folder:  # noqa: N801  a context manager
    """A folder beside the output, so that scratch needs no other disk; removed at the end.

    Gives the path of a zarr in it.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._folder = tempfile.TemporaryDirectory(
                prefix=f".{path.name}.", suffix=".scratch", dir=path.resolve().parent
            )
        except OSError as error:
            raise explain_write_error(path, error) from error

    def __enter__(self) -> Path:
        return Path(self._folder.name) / "scratch.zarr"

    def __exit__(self, *exception: object) -> None:
        self._folder.cleanup()
