"""BigDataViewer: where in an HDF5 file a volume lies, and what the XML beside it says of its place.

::

    t00000/s01/2/cells    point of time 0, setup 1 (a channel, tile or angle), level 2
    s01/resolutions       how many voxels of the finest level make one of each level (X, Y, Z)
    scan.xml              voxel size of each setup, and affines from its voxels to the world
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np

from napari_surfseg.data.units import UNKNOWN_SIZE, VoxelSize, read_voxel_size
from napari_surfseg.errors import DataError
from napari_surfseg.geometry import to_spacing
from napari_surfseg.wording import list_words

if TYPE_CHECKING:
    from pathlib import Path

    from napari_surfseg.geometry import Spacing3

__all__ = ["View", "choose_view", "find_data_file", "is_bigdataviewer", "read_view_place"]

#: ``t00000/s01/2/cells``, of which any part but the setup may be missing.
VIEW = re.compile(r"(?:t(\d+))?/?(?:s(\d+))?/?(?:(\d+))?(?:/cells)?")


@dataclass(frozen=True)
class View:
    """One volume of a BigDataViewer file.

    Attributes
    ----------
    time, setup, level : int
        Which one.
    factors : tuple of float
        Z, Y, X voxels of the finest level that make one of this level.
    """

    time: int
    setup: int
    level: int
    factors: Spacing3

    @property
    def path(self) -> str:
        """Of its dataset."""
        return f"t{self.time:05}/s{self.setup:02}/{self.level}/cells"


def is_bigdataviewer(file: Any) -> bool:
    """Whether an open HDF5 file has the layout of BigDataViewer."""
    return any(re.fullmatch(r"t\d{5}", name) for name in file) and any(
        re.fullmatch(r"s\d\d+", name) and "resolutions" in file[name] for name in file
    )


def choose_view(file: Any, key: str, source: str) -> View:
    """Choose the volume that a key names; the finest level where it names none.

    Parameters
    ----------
    file : h5py.File
        Open.
    key : str
        ``s01``, ``s01/2``, ``t00003/s01/2/cells``, or a level alone where there is one setup;
        empty where there is but one point of time and one setup.
    source : str
        For sentences.

    Raises
    ------
    DataError
        If there is no such volume, or the key does not choose between several.
    """
    times = [int(name[1:]) for name in file if re.fullmatch(r"t\d{5}", name)]
    setups = [int(name[1:]) for name in file if re.fullmatch(r"s\d\d+", name)]
    found = VIEW.fullmatch(key)
    parts = found.groups() if found is not None else (None,) * 3
    time, setup, level = (None if part is None else int(part) for part in parts)
    missing = (
        found is None
        or (time is not None and time not in times)
        or (setup is not None and setup not in setups)
    )
    if missing:
        raise DataError(f"There is no {key!r} in {source}; it holds {_listing(times, setups)}.")
    if (time is None and len(times) > 1) or (setup is None and len(setups) > 1):
        example = f"s{setups[0]:02}"
        if len(times) > 1:
            example = f"t{times[0]:05}/{example}"
        raise DataError(
            f"{source} holds {_listing(times, setups)}; say which one with '::{example}'."
        )
    time = times[0] if time is None else time
    setup = setups[0] if setup is None else setup
    factors = np.asarray(file[f"s{setup:02}/resolutions"], float).reshape(-1, 3)
    level = 0 if level is None else level
    if level >= len(factors):
        raise DataError(
            f"There is no level {level} of setup s{setup:02} in {source}; it has the levels 0 to "
            f"{len(factors) - 1}."
        )
    return View(time, setup, level, to_spacing(factors[level][::-1]))


def _listing(times: list[int], setups: list[int]) -> str:
    names = list_words([f"s{setup:02}" for setup in setups[:8]])
    more = f" and {len(setups) - 8} more" if len(setups) > 8 else ""
    what = f"the setup{'s' if len(setups) > 1 else ''} {names}{more}"
    if len(times) > 1:
        return f"{what} at {len(times)} points of time (t{times[0]:05} to t{times[-1]:05})"
    return what


def find_data_file(xml: Path, source: str) -> Path:
    """Find the HDF5 file that an XML of BigDataViewer describes.

    Raises
    ------
    DataError
        If it is no such XML, describes another storage, or the file is not there.
    """
    root = _parse(xml)
    loader = root.find("./SequenceDescription/ImageLoader") if root is not None else None
    if loader is None:
        raise DataError(f"{source} is no XML of BigDataViewer: it has no ImageLoader.")
    name = (loader.findtext("hdf5") or "").strip()
    if loader.get("format") != "bdv.hdf5" or not name:
        raise DataError(
            f"{source} describes voxels in the format {loader.get('format')!r}; of "
            "BigDataViewer's formats bdv.hdf5 can be opened."
        )
    path = xml.parent / name.replace("\\", "/")
    if not path.is_file():
        raise DataError(f"{source} names the file {name} for its voxels, which is not there.")
    return path


def read_view_place(xml: Path, view: View, source: str) -> tuple[VoxelSize, Spacing3 | None, str]:
    """Voxel size and place of a volume, and a note about what the XML says that is not followed."""
    root = _parse(xml)
    if root is None:
        note = f"{source} has no {xml.name} of BigDataViewer beside it; no voxel size is known."
        return UNKNOWN_SIZE, None, note
    setups = root.findall("./SequenceDescription/ViewSetups/ViewSetup")
    number = str(view.setup)
    setup = next((one for one in setups if (one.findtext("id") or "").strip() == number), None)
    stated = _numbers(setup.findtext("voxelSize/size") if setup is not None else None)
    if setup is None or len(stated) != 3:
        return UNKNOWN_SIZE, None, ""
    unit = (setup.findtext("voxelSize/unit") or "").strip()
    size = read_voxel_size(stated[::-1], [unit] * 3, source)
    if size.spacing is None:
        return size, None, ""
    origin, note = _read_origin(root, view, np.array(stated), source)
    pairs = zip(size.spacing, view.factors, strict=True)
    spacing = to_spacing(edge * factor for edge, factor in pairs)
    # A voxel of a coarser level has its middle between those it was made of.
    place = to_spacing(
        start + (factor - 1) / 2 * edge
        for start, factor, edge in zip(origin, view.factors, size.spacing, strict=True)
    )
    return VoxelSize(spacing, size.unit, size.note), place, note


def _read_origin(
    root: ElementTree.Element, view: View, size: Any, source: str
) -> tuple[Spacing3, str]:
    """Z, Y, X place of the finest level's first voxel, in the unit of the voxel size."""
    nothing = (0.0, 0.0, 0.0)
    registrations = root.findall("./ViewRegistrations/ViewRegistration")
    wanted = (str(view.time), str(view.setup))
    found = next((r for r in registrations if (r.get("timepoint"), r.get("setup")) == wanted), None)
    matrix = np.eye(4)
    for transform in found.findall("ViewTransform") if found is not None else ():
        numbers = _numbers(transform.findtext("affine"))
        if len(numbers) == 12:  # the one that is listed last is applied first
            matrix = matrix @ np.vstack([np.reshape(numbers, (3, 4)), (0, 0, 0, 1)])
    if found is None or np.array_equal(matrix, np.eye(4)):
        return nothing, ""
    # The world may be measured in the unit, or in voxels of one of the axes.
    diagonal = np.diag(matrix)[:3]
    scale = size / np.where(diagonal > 0, diagonal, np.nan)
    straight = np.allclose(matrix[:3, :3], np.diag(diagonal), atol=1e-3 * abs(diagonal).min())
    if not straight or not np.allclose(scale, scale[0], rtol=1e-3):
        note = (
            f"The transformation of setup s{view.setup:02} in the XML of {source} does more than "
            "shift; the voxels are taken as they are stored, and their place is left out."
        )
        return nothing, note
    x, y, z = (float(value) for value in matrix[:3, 3] * scale)
    return (z, y, x), ""


def _parse(xml: Path) -> ElementTree.Element | None:
    """Root of an XML of BigDataViewer; None where there is none that can be read."""
    try:
        text = xml.read_text(encoding="utf-8")
        # Entities could make a small file huge; BigDataViewer writes none.
        root = None if "<!" in text.replace("<!--", "") else ElementTree.fromstring(text)  # noqa: S314
    except (OSError, ValueError, ElementTree.ParseError):
        return None
    return root if root is not None and root.tag == "SpimData" else None


def _numbers(text: str | None) -> list[float]:
    try:
        return [float(part) for part in (text or "").split()]
    except ValueError:
        return []
