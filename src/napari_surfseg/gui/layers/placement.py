"""Where a layer lies: over a part of another layer, or as a file says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from napari.layers import Layer
    from numpy.typing import NDArray

    from napari_surfseg.geometry import Index3, Spacing3

__all__ = ["compute_placement", "place_of"]


def compute_placement(source: Layer | None, origin: Index3) -> dict[str, Any]:
    """Compute where a layer lies that begins at a voxel of another one.

    Parameters
    ----------
    source : Layer or None
        The layer it belongs to; None for a volume that is no layer.
    origin : tuple of int
        Z, Y, X voxel of the source.

    Returns
    -------
    dict
        ``scale``, ``translate``, ``rotate``, ``shear``, ``affine``, ``units`` and
        ``axis_labels`` of the new layer.
    """
    if source is None:
        return {"scale": np.ones(3), "translate": np.asarray(origin, float)}
    # A time point or channel before Z, Y, X is left out: napari lines layers up by the last axes.
    start = np.zeros(source.ndim)
    voxel = np.concatenate([start[3:], origin])
    shift = np.asarray(source.data_to_world(voxel)) - np.asarray(source.data_to_world(start))
    # The shift was measured in the world; translate applies before the layer's affine.
    linear = np.asarray(source.affine.linear_matrix)
    shift = np.linalg.solve(linear, shift)
    return {
        "scale": np.asarray(source.scale)[-3:],
        "translate": (np.asarray(source.translate) + shift)[-3:],
        "rotate": np.asarray(source.rotate)[-3:, -3:],
        "shear": _take_last_shear(np.asarray(source.shear), source.ndim),
        "affine": np.asarray(source.affine.affine_matrix)[-4:, -4:],
        "units": source.units[-3:],
        "axis_labels": source.axis_labels[-3:],
    }


def _take_last_shear(shear: NDArray[Any], ndim: int) -> NDArray[Any]:
    """Shear among the last three axes, as napari lists it: the upper triangle, row by row."""
    full = np.zeros((ndim, ndim))
    full[np.triu_indices(ndim, 1)] = shear
    return full[-3:, -3:][np.triu_indices(3, 1)]


def place_of(
    spacing: Spacing3,
    translate: Spacing3 = (0.0, 0.0, 0.0),
    units: str | None = None,
) -> dict[str, Any]:
    """Options of a layer that say where it lies; a unit napari does not know is left out."""
    place: dict[str, Any] = {"scale": spacing, "translate": translate}
    if units is not None and _is_unit(units):
        place["units"] = units
    return place


def _is_unit(name: str) -> bool:
    from pint import PintError, get_application_registry

    try:
        get_application_registry().Unit(name)
    except (PintError, ValueError, TypeError, AttributeError):
        return False
    return True
