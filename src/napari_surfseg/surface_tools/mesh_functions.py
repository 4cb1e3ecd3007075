"""Tools that make meshes: one of a surface, or a file for each sheet.

``spacing`` is the voxel size along Z, Y, X, in one unit.
"""

# Annotations are looked at when the program runs: they make the form and the options.
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from napari_surfseg.cancelling import raise_if_stopped
from napari_surfseg.errors import CancelledError, LabelError, SurfsegError
from napari_surfseg.surface_tools.membranes import HALF
from napari_surfseg.surface_tools.results import FolderContents, Table
from napari_surfseg.surface_tools.setting import Setting
from napari_surfseg.surfaces.mesh import Mesh, find_level
from napari_surfseg.surfaces.voxel_stores import VoxelReader

__all__ = ["iterate_meshes", "sheet_grids", "sheet_meshes", "surface_mesh"]

UNIT_SPACING = (1.0, 1.0, 1.0)

#: Above so many values uint8 is probabilities; fewer, none of them above one half, are labels.
MANY_VALUES = 100
#: Planes that are looked through at a time.
PLANES = 32

#: Voxels around a sheet that its mesh is made with.
MARGIN = 3

#: Of a large volume about so many parts of this size say how much its sheets are smoothed.
SAMPLE_BLOCK = (192, 192, 192)
NUM_SAMPLES = 6

#: So many files become layers; more would fill the list of layers.
MANY_LAYERS = 30

Kind = Annotated[
    str,
    Setting(
        "Sheet: one layer through the middle; closed: the skin around it, without an opening",
        choices=("sheet", "closed"),
    ),
]
Smoothing = Annotated[
    int, Setting("Rounds of smoothing, which do not shrink it", 0, 200, 5, "rounds")
]
MinArea = Annotated[float, Setting("Smaller pieces are left out", 0, step=10, unit="voxel faces")]
Triangles = Annotated[
    float,
    Setting(
        "Share of the triangles that is to stay; below 1 needs the extra napari-surfseg[mesh]",
        0.01,
        1,
        0.1,
    ),
]
MaxError = Annotated[
    float,
    Setting("Leaving out triangles moves the mesh no further than this", 0.01, 100, 0.1, "voxels"),
]
Colour = Annotated[
    str,
    Setting(
        "What is measured at each vertex, for its colour and as a property in PLY",
        choices=("none", "thickness", "curvature", "gap"),
    ),
]


@dataclass(frozen=True)
class _Wanted:
    kind: str
    smoothing: int
    min_area: float
    triangles: float
    max_error: float
    colour: str


def surface_mesh(
    surface: VoxelReader,
    *,
    spacing: tuple[float, float, float] = UNIT_SPACING,
    kind: Kind = "sheet",
    smoothing: Smoothing = 10,
    min_area: MinArea = 25.0,
    triangles: Triangles = 1.0,
    max_error: MaxError = 0.5,
    colour: Colour = "none",
) -> Mesh:
    """Make a mesh of a surface, in the units of the voxel size.

    Parameters
    ----------
    surface : array-like (Z, Y, X)
        Read by blocks. A mask or labels, or probabilities as uint8 of 0 to 255 or as real
        numbers of 0 to 1.
    spacing : tuple of float
        Voxel size.
    kind : str
        ``sheet`` or ``closed``.
    smoothing : int
        Rounds of Taubin's smoothing.
    min_area : float
        In faces of the finest voxel.
    triangles : float
        Share that is to stay.
    max_error : float
        In the finest voxels; more triangles stay where the share takes more.
    colour : str
        ``none``, ``thickness``, ``curvature`` or ``gap``.

    Returns
    -------
    Mesh
        Vertices Z, Y, X, faces, normals, and what was measured.
    """
    wanted = _Wanted(kind, smoothing, min_area, triangles, max_error, colour)
    return _make(_as_one_surface(surface), spacing, wanted)


def sheet_meshes(
    surface: VoxelReader,
    folder: Path,
    *,
    spacing: tuple[float, float, float] = UNIT_SPACING,
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0),
    units: str | None = None,
    report: Callable[[str, float], None] = lambda _stage, _share: None,
    file_format: Annotated[str, Setting("Of the files", choices=("ply", "obj", "stl"))] = "ply",
    kind: Kind = "sheet",
    smoothing: Smoothing = 10,
    min_area: MinArea = 25.0,
    triangles: Triangles = 1.0,
    max_error: MaxError = 0.5,
    colour: Colour = "none",
) -> FolderContents:
    """Make a mesh of each sheet, each a file named by its label.

    Many parameters: the settings of :func:`surface_mesh`, and where the files go and lie.

    Parameters
    ----------
    surface : array (Z, Y, X)
        A value for each sheet.
    folder : Path
        Where ``sheet_0001.ply`` and so on are written; it exists.
    spacing, origin : tuple of float
        Voxel size, and place of the centre of voxel (0, 0, 0).
    units : str, optional
        Of them.
    report : callable
        Called with the stage and its share.
    file_format : str
        ``ply``, ``obj`` or ``stl``.
    kind, smoothing, min_area, triangles, max_error, colour
        As of :func:`surface_mesh`.

    Returns
    -------
    FolderContents
        Names of the files, and a row for each: its label, file, triangles and area.
    """
    from napari_surfseg.surfaces.measures import compute_area
    from napari_surfseg.surfaces.mesh_writing import write_mesh

    wanted = _Wanted(kind, smoothing, min_area, triangles, max_error, colour)
    names: list[str] = []
    rows: Table = []
    left_out: list[str] = []
    for label, box, mesh in _iterate(surface, spacing, wanted, report):
        if isinstance(mesh, SurfsegError):
            left_out.append(str(label))
            continue
        shift = [origin[k] + box[k].start * spacing[k] for k in range(3)]
        name = f"sheet_{label:04d}.{file_format}"
        write_mesh(folder / name, mesh.with_vertices(mesh.vertices + shift), units=units)
        names.append(name)
        area = compute_area(mesh)
        rows.append({"label": label, "file": name, "triangles": len(mesh.faces), "area": area})
    if not names:
        raise LabelError("There is no sheet large enough for a mesh.", field="surface")
    notes = [f"Too small for a mesh: {', '.join(left_out)}."] if left_out else []
    if len(names) > MANY_LAYERS:
        notes.append(f"{len(names)} files; the first {MANY_LAYERS} became layers.")
    return FolderContents(tuple(names[:MANY_LAYERS]), rows, tuple(notes))


def sheet_grids(
    surface: VoxelReader,
    folder: Path,
    *,
    spacing: tuple[float, float, float] = UNIT_SPACING,
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0),
    units: str | None = None,
    report: Callable[[str, float], None] = lambda _stage, _share: None,
    step: Annotated[
        float, Setting("Between neighbours of the grid, along the sheet", 1, 1000, 1, "voxels")
    ] = 5.0,
    smoothing: Smoothing = 10,
    min_points: Annotated[
        int, Setting("Sheets with fewer points are left out", 1, 10**9, 10, "points")
    ] = 16,
) -> FolderContents:
    """Lay each sheet flat as an ordered grid of points with normals, as VC3D reads it (tifxyz).

    Many parameters: three settings, and where the files go and lie.

    Parameters
    ----------
    surface : array-like (Z, Y, X)
        A value for each sheet.
    folder : Path
        Where ``sheet_0001.tifxyz`` and so on are written; it exists.
    spacing, origin : tuple of float
        Voxel size, and place of the centre of voxel (0, 0, 0).
    units : str, optional
        Of them.
    report : callable
        Called with the stage and its share.
    step : float
        In the finest voxels.
    smoothing : int
        Rounds of Taubin's smoothing, before.
    min_points : int
        Smaller grids are left out.

    Returns
    -------
    FolderContents
        Names of the folders, and a row for each: its label, rows, columns, points, and the area
        that they stand for.
    """
    from napari_surfseg.surfaces.sheet_grid import sample_grid
    from napari_surfseg.surfaces.tifxyz import GRID_SUFFIX, GridFile, write_tifxyz

    finest = min(spacing)
    wanted = _Wanted("sheet", smoothing, 25.0, 1.0, 0.5, "none")
    names: list[str] = []
    rows: Table = []
    left_out: list[str] = []
    for label, box, mesh in _iterate(surface, spacing, wanted, report):
        try:
            if isinstance(mesh, SurfsegError):
                raise mesh
            grid = sample_grid(mesh, step * finest)
        except SurfsegError as error:
            left_out.append(f"{label}: {error}")
            continue
        number = int(np.count_nonzero(grid.valid))
        if number < min_points:
            left_out.append(f"{label}: only {number} points.")
            continue
        name = f"sheet_{label:04d}{GRID_SUFFIX}"
        start = [side.start for side in box]
        points = (grid.points / np.asarray(spacing) + start).astype(np.float32)
        file = GridFile(points, grid.normals, step, spacing, origin, units)
        write_tifxyz(folder / name, file)
        names.append(name)
        high, wide = grid.valid.shape
        area = number * grid.step**2
        rows.append({"label": label, "rows": high, "columns": wide, "points": number, "area": area})
    if not names:
        raise LabelError(f"No sheet could be laid flat. {' '.join(left_out[:3])}", field="surface")
    notes = [f"Left out: sheet {text}" for text in left_out]
    if len(names) > MANY_LAYERS:
        notes.append(f"{len(names)} grids; the first {MANY_LAYERS} became layers.")
    return FolderContents(tuple(names[:MANY_LAYERS]), rows, tuple(notes))


def iterate_meshes(
    surface: VoxelReader,
    spacing: tuple[float, float, float],
    what: str,
    report: Callable[[str, float], None],
) -> Iterator[tuple[int, tuple[slice, slice, slice], Mesh | SurfsegError]]:
    """Make the mesh of each sheet with what is measured at its vertices.

    Parameters
    ----------
    surface : array-like (Z, Y, X)
        A value for each sheet.
    spacing : tuple of float
        Voxel size.
    what : str
        ``thickness``, ``curvature`` or ``gap``.
    report : callable
        Called with the stage and its share.

    Yields
    ------
    label : int
        Of the sheet.
    box : tuple of slice
        Around it; the mesh has the centre of its first voxel at 0.
    mesh : Mesh or SurfsegError
        What was wrong with a sheet that has none.
    """
    return _iterate(surface, spacing, _Wanted("sheet", 10, 25.0, 1.0, 0.5, what), report)


def _iterate(
    surface: VoxelReader,
    spacing: tuple[float, float, float],
    wanted: _Wanted,
    report: Callable[[str, float], None],
) -> Iterator[tuple[int, tuple[slice, slice, slice], Mesh | SurfsegError]]:
    from napari_surfseg.surfaces.mesh_values import GAP_REACH

    # The next sheet may lie this far from the one that is measured.
    reach = [int(np.ceil(GAP_REACH * min(spacing) / step)) for step in spacing]
    sheets = find_sheets(surface, reach if wanted.colour == "gap" else MARGIN)
    for done, (label, box) in enumerate(sheets):
        raise_if_stopped()
        report("making meshes", done / len(sheets))
        part = np.asarray(surface[box])
        found: Mesh | SurfsegError
        try:
            found = _make((part == label).astype(np.uint8), spacing, wanted, others=part != 0)
        except CancelledError:
            raise
        except SurfsegError as error:
            found = error
        yield label, box, found


def find_sheets(
    labels: VoxelReader, margin: int | Sequence[int] = MARGIN
) -> list[tuple[int, tuple[slice, slice, slice]]]:
    """Find each value of labels and the box around it, with a margin.

    Raises
    ------
    LabelError
        If there is none, or one below 0.
    """
    from napari_surfseg.geometry import box_slices, grow_box, iterate_blocks, whole_box
    from napari_surfseg.surface_tools.block_work import BLOCK
    from napari_surfseg.surfaces.label_boxes import find_label_places

    whole = whole_box(labels.shape)
    places = find_label_places(labels, iterate_blocks(whole, BLOCK))
    if places and places[0].value < 0:
        raise LabelError("The labels have values below 0; a sheet has one above.", field="surface")
    if not places:
        raise LabelError("The labels are 0 everywhere, so there is no sheet.", field="surface")
    return [(int(place.value), box_slices(grow_box(place.box, margin, whole))) for place in places]


class _Above:
    """Where the values of a volume of any size lie above a level, read by slices."""

    def __init__(self, values: Any, level: float) -> None:
        self._values, self._level = values, level
        self.shape: tuple[int, int, int] = values.shape
        self.dtype = np.dtype(bool)

    def __getitem__(self, key: Any) -> NDArray[np.bool_]:
        return np.asarray(self._values[key]) > self._level


def _as_one_surface(surface: Any) -> Any:
    """Take masks and labels as 0 and 1; probabilities stay."""
    kind = surface.dtype
    if kind.kind == "f":
        return surface
    if kind == np.uint8 and _are_probabilities(surface):
        return surface
    if not isinstance(surface, np.ndarray):
        return _Above(surface, 0)
    return np.asarray(surface != 0, np.uint8)


def _are_probabilities(surface: Any) -> bool:
    """Whether bytes are probabilities rather than labels; they are read in parts."""
    present = np.zeros(256, bool)
    for start in range(0, surface.shape[0], PLANES):
        raise_if_stopped()
        present[np.unique(surface[start : start + PLANES])] = True
    values = np.flatnonzero(present)
    return len(values) > 0 and bool(values[-1] > HALF or len(values) > MANY_VALUES)


def _choose_smoothing(mask: Any, spacing: tuple[float, float, float]) -> float | None:
    """Choose it on a few parts of a large volume, the least of them; None where they are empty."""
    from napari_surfseg.geometry import box_slices, iterate_blocks, whole_box
    from napari_surfseg.surfaces.sheet_mesh import choose_smoothing

    boxes = list(iterate_blocks(whole_box(mask.shape), SAMPLE_BLOCK))
    chosen = boxes[:: max(1, len(boxes) // NUM_SAMPLES)]
    parts = (np.asarray(mask[box_slices(box)]) for box in chosen)
    return min((choose_smoothing(part, spacing) for part in parts if part.any()), default=None)


def _make(
    values: Any,
    spacing: tuple[float, float, float],
    wanted: _Wanted,
    *,
    others: NDArray[Any] | None = None,
) -> Mesh:
    from napari_surfseg.surfaces.mesh import build_mesh
    from napari_surfseg.surfaces.mesh_decimation import decimate_mesh
    from napari_surfseg.surfaces.mesh_shape import keep_large_pieces, smooth_mesh
    from napari_surfseg.surfaces.mesh_values import measure_at_vertices
    from napari_surfseg.surfaces.sheet_mesh import build_sheet_mesh
    from napari_surfseg.surfaces.sheet_rim import trim_rim

    finest = min(spacing)
    least = wanted.min_area * finest**2
    level = find_level(values)
    is_whole = isinstance(values, np.ndarray)
    mask: Any = values > level if is_whole else _Above(values, level)
    if wanted.kind == "sheet":
        sigma = _choose_smoothing(mask, spacing)
        mesh = build_sheet_mesh(values, level=level, spacing=spacing, sigma=sigma, min_area=least)
        mesh = keep_large_pieces(trim_rim(mesh, mask, spacing), least)
    else:
        mesh = keep_large_pieces(build_mesh(values, level=level, spacing=spacing), least)
    mesh = smooth_mesh(mesh, wanted.smoothing)
    mesh = decimate_mesh(mesh, wanted.triangles, wanted.max_error * finest)
    if not len(mesh.faces):
        raise SurfsegError("There is no surface to mesh: all pieces are below the least area.")
    if wanted.colour == "none":
        return mesh
    return measure_at_vertices(mesh, wanted.colour, mask, spacing, others=others)
