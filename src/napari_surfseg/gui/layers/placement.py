"""Where a layer lies: over a part of another layer, as a file says, or for a file to say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.transforms import Affine

from napari_surfseg.data.units import VoxelSize, convert_length, read_voxel_size, standard_unit
from napari_surfseg.geometry import to_spacing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari.layers import Layer
    from numpy.typing import NDArray

    from napari_surfseg.geometry import Index3, Spacing3

__all__ = ["VoxelPlace", "compute_placement", "place_of", "read_place", "take_transforms"]

#: Below this a turned axis counts as straight: rotations are rounded.
STRAIGHT = 1e-6


@dataclass(frozen=True)
class VoxelPlace:
    """Where the voxels of a layer lie, as far as a file can say it.

    Attributes
    ----------
    size : VoxelSize
        Z, Y, X in one unit; unknown where the layer shows ones of no unit.
    translate : tuple of float
        Z, Y, X place of the first voxel, in that unit.
    turned : str
        What a file has no place for: ``"rotated"``, ``"sheared"``, ``"mirrored"`` or ``""``.
    """

    size: VoxelSize
    translate: Spacing3
    turned: str = ""


def read_place(options: Mapping[str, Any], name: str) -> VoxelPlace:
    """Read the size and place of voxels from all that moves a layer, its affine included.

    Parameters
    ----------
    options : mapping
        ``scale``, ``translate``, ``rotate``, ``shear``, ``affine`` and ``units``, as
        ``layer.as_layer_data_tuple`` gives them.
    name : str
        Of the layer, for the note about units.
    """
    inner, outer = take_transforms(options)
    # A column says how far one voxel reaches along each axis of the world.
    linear = (np.asarray(outer.linear_matrix) @ np.asarray(inner.linear_matrix))[-3:, -3:]
    diagonal = np.diag(linear)
    lengths = np.linalg.norm(linear, axis=0)
    aside = np.abs(linear - np.diag(diagonal)).max() > STRAIGHT * lengths.max()
    turned = ""
    if aside:
        between = (linear / lengths).T @ (linear / lengths) - np.eye(3)
        turned = "sheared" if np.abs(between).max() > STRAIGHT else "rotated"
    elif (diagonal < 0).any():
        turned = "mirrored"
    sizes = (lengths if aside else np.abs(diagonal)).tolist()
    given = options.get("units")
    each = given[-3:] if isinstance(given, tuple | list) else (given,) * 3
    units = [None if unit is None else str(unit) for unit in each]
    size = read_voxel_size(sizes, units, f"The layer {name!r}")
    origin = np.asarray(outer(inner(np.zeros(len(np.asarray(inner.scale))))))[-3:].tolist()
    names = [standard_unit(unit) for unit in units]
    translate = to_spacing(
        convert_length(at, unit, size.unit) if unit and size.unit else at
        for at, unit in zip(origin, names, strict=True)
    )
    return VoxelPlace(size, translate, turned)


def take_transforms(options: Mapping[str, Any]) -> tuple[Affine, Affine]:
    """Return the two transforms of a layer's coordinates: scale, shift and rotation; its affine."""
    scale = np.asarray(options.get("scale", np.ones(3)), float)
    given = {
        key: options[key]
        for key in ("translate", "rotate", "shear")
        if options.get(key) is not None
    }
    affine = options.get("affine")
    matrix = np.eye(len(scale) + 1) if affine is None else np.asarray(affine, float)
    return Affine(scale=scale, **given), Affine(affine_matrix=matrix)


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
