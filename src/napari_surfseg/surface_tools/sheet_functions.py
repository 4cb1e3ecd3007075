"""The tools that tell sheets apart: arrays in, labels out."""

# Annotations are looked at when the program runs: they make the form and the options.
from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from napari_surfseg.surface_tools.membranes import to_probabilities
from napari_surfseg.surface_tools.setting import Setting

__all__ = ["order_sheets", "split_touching_sheets"]

UNIT_SPACING = (1.0, 1.0, 1.0)


def _keep_quiet(_stage: str, _share: float) -> None:
    """Report nothing."""


def split_touching_sheets(
    surface: NDArray[Any],
    *,
    spacing: tuple[float, float, float] = UNIT_SPACING,
    report: Callable[[str, float], None] = _keep_quiet,
    threshold: Annotated[
        float, Setting("Surface is where the probability is above this", 0, 1, 0.05)
    ] = 0.5,
    thickness: Annotated[
        float,
        Setting(
            "Of one sheet, in units of the voxel size; 0 measures it, which goes wrong where most "
            "sheets are pressed together",
            0,
            step=1,
            unit="units",
        ),
    ] = 0.0,
    min_voxels: Annotated[
        int,
        Setting(
            "A smaller sheet is given to one it touches, or left out",
            1,
            10**9,
            50,
            "voxels",
        ),
    ] = 200,
    roll: Annotated[
        bool,
        Setting("The sheets are a roll: cut it into its turns, numbered from the core outward"),
    ] = False,
    cut: Annotated[
        bool, Setting("Leave out voxels where two sheets touch, so that none do")
    ] = False,
) -> NDArray[np.int32]:
    """Give each sheet a number, also where sheets are pressed together or joined by bridges.

    Parameters
    ----------
    surface : array (Z, Y, X)
        Probability of surface, uint8 of 0 to 255 or real numbers of 0 to 1; or a mask.
    spacing : tuple of float
        Voxel size.
    report : callable
        Called with the stage and its share, 0 to 1.
    threshold : float
        Surface is above it.
    thickness : float
        Of one sheet, in the unit of the spacing; 0 measures it.
    min_voxels : int
        A smaller sheet is given to one it touches, or left out.
    roll : bool
        Cut a roll into its turns.
    cut : bool
        Leave out voxels where two sheets touch.

    Returns
    -------
    int32 array
        1 the largest sheet, or the innermost turn.
    """
    from napari_surfseg.surfaces.sheets import SheetSettings, cut_contacts, separate_sheets

    settings = SheetSettings(
        threshold=threshold, thickness=thickness, min_voxels=min_voxels, roll=roll
    )
    labels = separate_sheets(to_probabilities(surface), spacing, settings, report=report)
    if cut:
        labels[~cut_contacts(labels, labels)] = 0
    return labels


def order_sheets(
    sheets: NDArray[Any],
    *,
    spacing: tuple[float, float, float] = UNIT_SPACING,
    report: Callable[[str, float], None] = _keep_quiet,
    kind: Annotated[
        str,
        Setting(
            "Roll: turns around an axis; stack: layers one above the other; auto: a roll where "
            "its axis passes within the volume",
            choices=("auto", "roll", "stack"),
        ),
    ] = "auto",
    min_voxels: Annotated[
        int, Setting("Smaller turns or layers are left out", 1, 10**9, 50, "voxels")
    ] = 200,
) -> NDArray[np.int32]:
    """Give sheets numbers in their order: turns of a roll outward, or layers of a stack.

    Parameters
    ----------
    sheets : array (Z, Y, X)
        A number for each sheet; one that winds more than once is cut into its turns.
    spacing : tuple of float
        Voxel size.
    report : callable
        Called with the stage and its share, 0 to 1.
    kind : str
        Of what the sheets are.
    min_voxels : int
        Smaller turns or layers are left out.

    Returns
    -------
    int32 array
        1 the innermost turn, or the first layer.
    """
    from napari_surfseg.surfaces import winding

    return winding.order_sheets(
        sheets, spacing, kind=kind, min_voxels=min_voxels, report=report
    ).labels
