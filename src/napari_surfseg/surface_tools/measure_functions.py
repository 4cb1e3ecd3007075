"""Tools that measure: histograms of what a mesh is coloured by, over all sheets.

``spacing`` is the voxel size along Z, Y, X, in one unit.
"""

# Annotations are looked at when the program runs: they make the form and the options.
from collections.abc import Callable
from typing import Annotated

import numpy as np

from napari_surfseg.cancelling import raise_if_stopped
from napari_surfseg.errors import LabelError, SurfsegError
from napari_surfseg.surface_tools.mesh_functions import UNIT_SPACING, iterate_meshes
from napari_surfseg.surface_tools.results import Table
from napari_surfseg.surface_tools.setting import Setting
from napari_surfseg.surfaces.voxel_stores import VoxelReader

__all__ = ["sheet_histogram"]

#: Length of the longest bar of a histogram that is a table.
BAR = 10


def sheet_histogram(
    surface: VoxelReader,
    *,
    spacing: tuple[float, float, float] = UNIT_SPACING,
    report: Callable[[str, float], None] = lambda _stage, _share: None,
    what: Annotated[
        str,
        Setting(
            "Measured at each place of the sheets; gap up to 64 voxels",
            choices=("thickness", "gap", "curvature"),
        ),
    ] = "thickness",
    bins: Annotated[int, Setting("Number of bins", 2, 200, 5)] = 20,
) -> Table:
    """Count how much area of the sheets has which thickness, gap or curvature.

    Parameters
    ----------
    surface : array-like (Z, Y, X)
        A value for each sheet.
    spacing : tuple of float
        Voxel size; results are in its unit.
    report : callable
        Called with the stage and its share.
    what : str
        ``thickness``, ``gap`` or ``curvature``.
    bins : int
        Between the hundredth and the last hundredth of the area; what lies beyond is in the first
        and the last.

    Returns
    -------
    list of dict
        A row for each bin: ``thickness_from`` and ``thickness_to``, a bar, the area and its share
        of all.
    """
    from napari_surfseg.surfaces.measures import measure_areas

    found, areas = [np.zeros(0)], [np.zeros(0)]
    number = 0
    for _label, _box, mesh in iterate_meshes(surface, spacing, what, report):
        raise_if_stopped()
        if isinstance(mesh, SurfsegError):
            continue
        values = mesh.values[what]
        known = np.isfinite(values)
        found.append(values[known].astype(np.float64))
        areas.append(measure_areas(mesh)[known])
        number += 1
    values, area = np.concatenate(found), np.concatenate(areas)
    if not len(values) or not area.sum() > 0:
        sentence = "no sheet is large enough" if not number else "no other sheet is within reach"
        raise LabelError(f"There is no {what} to count: {sentence}.", field="surface")
    order = np.argsort(values)
    passed = np.cumsum(area[order]) / area.sum()
    low, high = (values[order][np.searchsorted(passed, share)] for share in (0.01, 0.99))
    if not high > low:
        low, high = low - 0.5 * max(abs(low), 1e-6), high + 0.5 * max(abs(high), 1e-6)
    edges = np.linspace(low, high, bins + 1)
    counts, _ = np.histogram(np.clip(values, low, high), edges, weights=area)
    return [
        {
            f"{what}_from": float(start),
            f"{what}_to": float(stop),
            "histogram": "█" * round(BAR * count / counts.max()),
            "area": float(count),
            "share": float(count / area.sum()),
        }
        for start, stop, count in zip(edges[:-1], edges[1:], counts, strict=True)
    ]
