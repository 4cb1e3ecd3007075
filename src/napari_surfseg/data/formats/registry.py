"""The formats that can be opened: one entry each, in the order in which sentences list them.

To add a format, write ``NAME_format.py`` with a function that takes a
:class:`~napari_surfseg.data.source.Source` and returns a volume, and add an entry here. The
module is imported only when such a file is opened: zarr and tifffile take a while to import,
and a window is to open at once.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_surfseg.wording import list_words

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari_surfseg.data.source import Source
    from napari_surfseg.data.volume import Volume

__all__ = [
    "FOLDER_OF_SLICES",
    "FORMATS",
    "ZARR",
    "Format",
    "find_container",
    "find_file_format",
    "is_zarr",
    "list_formats",
]


@dataclass(frozen=True)
class Format:
    """One file format.

    Attributes
    ----------
    name : str
        As sentences list it.
    opener : str
        ``module:function`` of this folder; the function takes a source and returns a volume.
    suffixes : tuple of str
        Endings of single files of this format, in lower case; empty for folders.
    is_container : callable, optional
        Whether a folder holds arrays of this format, so that ``PATH::KEY`` and paths that
        lead into it pick one.
    """

    name: str
    opener: str
    suffixes: tuple[str, ...] = ()
    is_container: Callable[[Path], bool] | None = None

    def open(self, source: Source) -> Volume:
        """Open a volume of this format.

        Raises
        ------
        DataError
            If it is damaged, or no volume.
        """
        module, _, function = self.opener.partition(":")
        opener = getattr(importlib.import_module(f"{__package__}.{module}"), function)
        volume: Volume = opener(source)
        return volume


ZARR_FILES = ("zarr.json", ".zarray", ".zgroup", ".zattrs")


def is_zarr(folder: Path) -> bool:
    """Whether a folder is an array or a group of a zarr."""
    return any((folder / name).is_file() for name in ZARR_FILES)


ZARR = Format("zarr, OME-Zarr", "zarr_format:open_zarr", is_container=is_zarr)
FOLDER_OF_SLICES = Format("a folder of TIFF, PNG or JPEG 2000 slices", "slices_format:open_slices")
FORMATS = (
    ZARR,
    Format("TIFF", "tiff_format:open_tiff", (".tif", ".tiff", ".btf", ".tf8")),
    FOLDER_OF_SLICES,
    Format("npy", "npy_format:open_npy", (".npy",)),
    Format("mrc", "mrc_format:open_mrc", (".mrc", ".rec", ".map", ".st", ".ali", ".ccp4")),
)


def list_formats() -> str:
    """List the known formats, for a sentence."""
    return list_words([known.name for known in FORMATS], "or")


def find_file_format(suffix: str) -> Format | None:
    """Find the format of a single file by its suffix."""
    suffix = suffix.lower()
    return next((known for known in FORMATS if suffix in known.suffixes), None)


def find_container(path: Path) -> tuple[Format, Path] | None:
    """Find the container, and its format, that a path is or leads into without being there."""
    folder: Path | None = path
    if not path.exists():
        # scroll.zarr/7 with no level 7: the format's reader knows what there is instead.
        folder = next((parent for parent in path.parents if parent.exists()), None)
    if folder is None or not folder.is_dir():
        return None
    for known in FORMATS:
        if known.is_container is not None and known.is_container(folder):
            return known, folder
    return None
