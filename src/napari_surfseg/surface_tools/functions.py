"""The tools: what is in an array goes in; an array, a mesh or a table comes out.

A surface is a mask (any value but 0), a map of membranes is a uint8 probability of 0 to 255.
``spacing`` is the voxel size along Z, Y, X, in one unit.
"""

# Annotations are looked at when the program runs: they make the form and the options.
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from napari_surfseg.errors import LabelError
from napari_surfseg.surface_tools.cell_scores import count_pairs, score_counts
from napari_surfseg.surface_tools.membranes import HALF, build_cell_settings, to_probabilities
from napari_surfseg.surface_tools.results import Table
from napari_surfseg.surface_tools.setting import Setting

__all__ = [
    "cells_from_membranes",
    "fill_holes",
    "label_pieces",
    "measure_sheets",
    "medial_surface",
    "remove_small_pieces",
    "score_against_labels",
    "score_cells",
    "threshold_surface",
]

UNIT_SPACING = (1.0, 1.0, 1.0)

#: Of labels that are scored: not annotated.
IGNORED = 2


def threshold_surface(surface: NDArray[Any]) -> NDArray[np.uint8]:
    """Cut probabilities at a threshold.

    Parameters
    ----------
    surface : array (Z, Y, X)
        A mask: the command line and the window cut probabilities before a tool gets them.

    Returns
    -------
    uint8 array
        1 where there is surface.
    """
    return np.asarray(surface != 0, np.uint8)


def medial_surface(
    surface: NDArray[Any], *, spacing: tuple[float, float, float] = UNIT_SPACING
) -> NDArray[np.uint8]:
    """Reduce sheets to their middle, about one voxel thick.

    Parameters
    ----------
    surface : array (Z, Y, X)
        A mask.
    spacing : tuple of float
        Voxel size.

    Returns
    -------
    uint8 array
        1 on the middle of the sheets.
    """
    from napari_surfseg.surfaces.medial import compute_medial_surface

    return compute_medial_surface(surface != 0, spacing).astype(np.uint8)


def remove_small_pieces(
    surface: NDArray[Any],
    *,
    spacing: tuple[float, float, float] = UNIT_SPACING,
    min_voxels: Annotated[
        int, Setting("Connected pieces smaller than this are left out", 1, 10**9, 50, "voxels")
    ] = 500,
    min_area: Annotated[
        float,
        Setting(
            "Connected pieces with less area of one side than this are left out, in the square of "
            "the unit of the voxel size",
            0,
            10**12,
            50,
        ),
    ] = 0.0,
) -> NDArray[Any]:
    """Leave out connected pieces that are too small.

    Parameters
    ----------
    surface : array (Z, Y, X)
        A mask, or labels, whose values stay.
    spacing : tuple of float
        Voxel size.
    min_voxels : int
        The smallest piece that stays. Voxels that touch at a corner are connected.
    min_area : float
        The least area of a piece that stays: a sheet has more than a blob of as many voxels.

    Returns
    -------
    array
        The same, 0 where a piece was.
    """
    from napari_surfseg.surfaces.cleaning import remove_small_components

    kept = remove_small_components(surface != 0, min_voxels)
    if min_area > 0:
        from napari_surfseg.surfaces.sheet_area import remove_small_sheets

        kept = remove_small_sheets(kept, min_area, spacing=spacing)
    return np.where(kept, surface, surface.dtype.type(0))


def fill_holes(
    surface: NDArray[Any],
    *,
    radius: Annotated[
        int, Setting("Holes through a sheet up to about this radius are closed", 0, 10, 1, "voxels")
    ] = 1,
    max_voxels: Annotated[
        int,
        Setting(
            "Cavities up to this size, closed in on all sides, are filled", 0, 10**9, 50, "voxels"
        ),
    ] = 500,
    method: Annotated[
        str,
        Setting(
            "How holes through a sheet are closed: sheet joins nothing, each patch closes a hole; "
            "course does so only where the sheet around would go on, and takes longer; ball "
            "closes gaps between sheets as well",
            choices=("sheet", "course", "ball"),
        ),
    ] = "sheet",
) -> NDArray[np.uint8]:
    """Close holes through sheets and fill cavities within them.

    Parameters
    ----------
    surface : array (Z, Y, X)
        A mask.
    radius : int
        Holes twice as wide are closed, or that of the ball; 0 closes none.
    max_voxels : int
        Largest cavity that is filled; 0 fills none.
    method : {"sheet", "course", "ball"}
        ``"sheet"`` closes holes by patches a voxel thick and joins nothing; ``"course"`` does so
        where a map of the sheet's height, interpolated over the hole, goes; ``"ball"`` closes
        whatever a ball does not fit into, and joins neighbouring sheets with less than twice the
        radius between them.

    Returns
    -------
    uint8 array
        A mask.
    """
    from napari_surfseg.surfaces.cleaning import close_gaps, fill_small_holes

    if method == "ball":
        closed = close_gaps(surface, radius)
    else:
        from napari_surfseg.surfaces.local_topology import fill_tears

        allowed = np.ones(surface.shape, bool)
        if method == "course":
            allowed = find_course(surface, radius)
        closed = fill_tears(surface, allowed, radius)
    return fill_small_holes(closed, max_voxels).astype(np.uint8)


def find_course(surface: NDArray[Any], radius: int) -> NDArray[np.bool_]:
    """Find where sheets would go on over holes of twice a radius: *Fill holes* by course."""
    from napari_surfseg.surfaces.sheet_heights import find_missing_parts

    return find_missing_parts(surface, course_margin(radius))


def course_margin(radius: int) -> int:
    """How far :func:`find_course` looks: across the hole and at some of the sheet beyond."""
    return 2 * radius + 2 if radius else 0


def label_pieces(
    surface: NDArray[Any],
    *,
    min_voxels: Annotated[
        int, Setting("Smaller connected pieces get no number", 1, 10**9, 50, "voxels")
    ] = 1,
) -> NDArray[np.int32]:
    """Give each connected piece a number, the largest first.

    Parameters
    ----------
    surface : array (Z, Y, X)
        A mask. Voxels that touch at a corner are connected.
    min_voxels : int
        The smallest piece that gets a number.

    Returns
    -------
    int32 array
        0 where there is no piece, 1 the largest, 2 the next.
    """
    from napari_surfseg.surfaces.cleaning import label_sheets

    return label_sheets(surface, min_voxels=min_voxels)


def cells_from_membranes(
    membranes: NDArray[Any],
    *,
    spacing: tuple[float, float, float] = UNIT_SPACING,
    min_wall: Annotated[
        float,
        Setting(
            "Neighbours whose membrane is weaker than this on the average are one cell; "
            "higher joins more",
            0,
            1,
            0.05,
        ),
    ] = 0.6,
    smoothing: Annotated[
        float,
        Setting(
            "How far the depth of a cell is smoothed; more makes fewer pieces to join",
            0,
            20,
            0.5,
            "voxels",
        ),
    ] = 1.0,
    min_voxels: Annotated[
        int, Setting("A smaller cell is given to a neighbour", 0, 10**9, 10, "voxels")
    ] = 50,
    keep_walls: Annotated[bool, Setting("Membranes belong to no cell (0)")] = False,
) -> NDArray[np.int32]:
    """Find the cells that membranes enclose and give each a number.

    Parameters
    ----------
    membranes : array (Z, Y, X)
        Probability of membrane, uint8 of 0 to 255 or real numbers of 0 to 1; or a mask.
    spacing : tuple of float
        Voxel size.
    min_wall : float
        Where the mean probability on a contact is below it, the two are one cell.
    smoothing : float
        Standard deviation, in the finest voxels.
    min_voxels : int
        A smaller cell is given to a neighbour.
    keep_walls : bool
        Voxels of a probability above one half are 0.

    Returns
    -------
    int32 array
        1, 2, ...
    """
    from napari_surfseg.surfaces.cells import find_cells

    probs = to_probabilities(membranes)
    cells = find_cells(probs, spacing, build_cell_settings(min_wall, smoothing, min_voxels))
    if keep_walls:
        cells[probs > HALF] = 0
    return cells


def measure_sheets(
    surface: NDArray[Any],
    *,
    spacing: tuple[float, float, float] = UNIT_SPACING,
    separate: Annotated[
        bool, Setting("Measure each connected piece, instead of each value of the labels")
    ] = False,
    min_voxels: Annotated[
        int, Setting("Smaller pieces are not measured", 1, 10**9, 50, "voxels")
    ] = 100,
) -> Table:
    """Measure sheets: area, thickness, rim, holes, curvature, contacts and the gap to the next.

    Parameters
    ----------
    surface : array (Z, Y, X)
        A value for each sheet, or a mask.
    spacing : tuple of float
        Voxel size; results are in its unit.
    separate : bool
        Number connected pieces first.
    min_voxels : int
        Smaller sheets are left out.

    Returns
    -------
    list of dict
        A row for each sheet, as :class:`~napari_surfseg.surfaces.measures.SheetMeasures`.
    """
    from napari_surfseg.surfaces import measures
    from napari_surfseg.surfaces.cleaning import label_sheets

    given = label_sheets(surface) if separate else surface
    refuse_negative(given.min(initial=0))
    # Numbered without gaps: a file may hold values of many millions for a few sheets.
    values, where, counts = np.unique(given, return_inverse=True, return_counts=True)
    kept = (values != 0) & (counts >= min_voxels)
    numbers = np.where(kept, np.cumsum(kept), 0).astype(np.int32)
    labels = numbers[where].reshape(given.shape)
    names = values[kept].tolist()
    return [found.to_row(names) for found in measures.measure_sheets(labels, spacing)]


def score_against_labels(
    surface: NDArray[Any],
    labels: NDArray[Any],
    *,
    tolerance: Annotated[
        float, Setting("Distance within which two surfaces agree", 0, 100, 0.5, "voxels")
    ] = 2.0,
) -> Table:
    """Score a surface against labels.

    Parameters
    ----------
    surface : array (Z, Y, X)
        A mask.
    labels : array (Z, Y, X)
        0 background, 2 not annotated, anything else surface.
    tolerance : float
        For surface Dice, precision and recall.

    Returns
    -------
    list of dict
        A row for each score: its name and value.
    """
    from napari_surfseg.metrics.score import compute_metrics

    # Any other value is surface, as in evaluate; as bytes 256 would be background.
    classes = np.where(labels == IGNORED, IGNORED, labels != 0).astype(np.uint8)
    scores = compute_metrics(surface != 0, classes, tolerance=tolerance)
    return [{"score": name, "value": value} for name, value in scores.items()]


def score_cells(cells: NDArray[Any], truth: NDArray[Any]) -> Table:
    """Score numbered cells against their truth.

    Parameters
    ----------
    cells : array (Z, Y, X)
        A value for each cell.
    truth : array (Z, Y, X)
        The same by hand; voxels of 0 are not scored.

    Returns
    -------
    list of dict
        ``adapted_rand_error``, 0 to 1, its ``adapted_rand_precision`` and ``_recall``; in bits
        ``voi_split``, H(cells | truth), ``voi_merge``, H(truth | cells), and ``voi``, their sum.

    Notes
    -----
    Arganda-Carreras et al., "Crowdsourcing the creation of image segmentation algorithms for
    connectomics", 2015; Meila, 2007.
    """
    return score_counts(count_pairs(cells, truth))


def refuse_negative(least: int) -> None:
    """Refuse labels with values below 0."""
    if least < 0:
        raise LabelError("The labels have values below 0; a sheet has one above.", field="surface")
