"""The formats that can be opened: one entry each, in the order in which sentences list them.

Whatever chooses or lists formats asks here: :func:`~napari_surfseg.data.open.open_volume`, the
sentences of errors and the file dialogs of the window.

To add a format, write ``NAME_format.py`` with a function that takes a
:class:`~napari_surfseg.data.source.Source` and returns a volume, and add an entry here. The
module is imported only when such a file is opened: zarr and tifffile take a while to import,
and a window is to open at once.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_surfseg.errors import DataError
from napari_surfseg.wording import list_words

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari_surfseg.data.source import Source
    from napari_surfseg.data.volume import Volume

__all__ = [
    "FOLDER_OF_SLICES",
    "FORMATS",
    "N5",
    "ZARR",
    "Format",
    "find_container",
    "find_file_format",
    "is_in_zarr",
    "is_n5",
    "is_zarr",
    "list_containers",
    "list_formats",
    "list_patterns",
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
    has_parts : bool
        Whether a single file holds several arrays, of which ``PATH::KEY`` picks one.
    package : str
        What it needs that is not among the base requirements, as it is imported; empty
        where it needs nothing.
    extra : str
        The extra of this project that brings the package.
    """

    name: str
    opener: str
    suffixes: tuple[str, ...] = ()
    is_container: Callable[[Path], bool] | None = None
    has_parts: bool = False
    package: str = ""
    extra: str = ""

    def open(self, source: Source) -> Volume:
        """Open a volume of this format.

        Raises
        ------
        DataError
            If it is damaged, or no volume, or what it needs is not installed.
        """
        if self.package and importlib.util.find_spec(self.package) is None:
            raise DataError(
                f"{source.text} is of the format {self.name}, which needs {self.package}; install "
                f"it with 'pip install \"napari-surfseg[{self.extra}]\"'."
            )
        module, _, function = self.opener.partition(":")
        opener = getattr(importlib.import_module(f"{__package__}.{module}"), function)
        volume: Volume = opener(source)
        return volume


ZARR_FILES = ("zarr.json", ".zarray", ".zgroup", ".zattrs")


def is_zarr(folder: Path) -> bool:
    """Whether a folder is an array or a group of a zarr."""
    return any((folder / name).is_file() for name in ZARR_FILES)


def is_in_zarr(folder: Path) -> bool:
    """Whether a folder is, or lies in, a zarr: some writers leave out what names a group."""
    return is_zarr(folder) or any(
        one.suffix.lower() == ".zarr" for one in (folder, *folder.parents)
    )


def is_n5(folder: Path) -> bool:
    """Whether a folder is, or lies in, an N5: groups of it need no file of their own."""
    if folder.suffix.lower() == ".n5" or _has_n5_attributes(folder):
        return True
    return any(above.suffix.lower() == ".n5" or _names_n5(above) for above in folder.parents)


def _has_n5_attributes(folder: Path) -> bool:
    return bool({"n5", "dimensions"} & _read_keys(folder / "attributes.json"))


def _names_n5(folder: Path) -> bool:
    return "n5" in _read_keys(folder / "attributes.json")


def _read_keys(path: Path) -> set[str]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return set()
    return set(found) if isinstance(found, dict) else set()


ZARR = Format("zarr, OME-Zarr", "zarr_format:open_zarr", is_container=is_in_zarr)
N5 = Format("N5", "n5_format:open_n5", is_container=is_n5, package="tensorstore", extra="n5")
FOLDER_OF_SLICES = Format("a folder of TIFF, PNG or JPEG 2000 slices", "slices_format:open_slices")
FORMATS = (
    ZARR,
    Format("zipped zarr", "zarr_format:open_zarr", (".zip", ".ozx"), has_parts=True),
    N5,
    Format("TIFF", "tiff_format:open_tiff", (".tif", ".tiff", ".btf", ".tf8")),
    FOLDER_OF_SLICES,
    Format("npy", "npy_format:open_npy", (".npy",)),
    Format("mrc", "mrc_format:open_mrc", (".mrc", ".rec", ".map", ".st", ".ali", ".ccp4")),
    Format(
        "HDF5",
        "hdf5_format:open_hdf5",
        (".h5", ".hdf5", ".hdf"),
        has_parts=True,
        package="h5py",
        extra="hdf5",
    ),
    Format(
        "BigDataViewer",
        "hdf5_format:open_bigdataviewer",
        (".xml",),
        has_parts=True,
        package="h5py",
        extra="hdf5",
    ),
    Format(
        "NIfTI", "nifti_format:open_nifti", (".nii", ".nii.gz"), package="nibabel", extra="nifti"
    ),
    Format("NRRD", "nrrd_format:open_nrrd", (".nrrd", ".nhdr"), package="nrrd", extra="nrrd"),
)


def list_formats() -> str:
    """List the known formats, for a sentence."""
    return list_words([known.name for known in FORMATS], "or")


def list_containers() -> str:
    """List what ``PATH::KEY`` picks an array of, for a sentence."""
    files = [f"{known.name} files" for known in FORMATS if known.has_parts]
    return list_words(["zarr groups", "N5 groups", *files])


def list_patterns() -> list[str]:
    """List patterns of the names of files that can be opened, for file dialogs."""
    endings = [f"*{suffix}" for known in FORMATS for suffix in known.suffixes]
    return [*endings, "*.zarr", *ZARR_FILES]


def find_file_format(name: str) -> Format | None:
    """Find the format of a single file by the ending of its name, ``scan.nii.gz``."""
    name = name.lower()
    return next((known for known in FORMATS if name.endswith(known.suffixes)), None)


def find_container(path: Path) -> tuple[Format, Path] | None:
    """Find the container, and its format, that a path is or leads into without being there."""
    folder: Path | None = path
    if not path.exists():
        # scroll.zarr/7 with no level 7: the format's reader knows what there is instead.
        folder = next((parent for parent in path.parents if parent.exists()), None)
    if folder is None:
        return None
    if folder.is_file():  # scan.h5, or scan.h5/exported_data
        known_file = find_file_format(folder.name)
        return (known_file, folder) if known_file is not None and known_file.has_parts else None
    for known in FORMATS:
        if known.is_container is not None and known.is_container(folder):
            return known, folder
    return None
