"""Whether labels lie over their volume in the viewer, as they do voxel by voxel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_surfseg.data.units import convert_length, standard_unit
from napari_surfseg.gui.layers.label_regions import region_of
from napari_surfseg.gui.layers.layer_volume import shape_of, take_layer
from napari_surfseg.wording import format_shape

if TYPE_CHECKING:
    from napari.layers import Layer
    from numpy.typing import NDArray

__all__ = ["describe_misplaced", "find_shift"]

#: Voxels by which labels may lie aside: half of one is how the corner of a voxel is rounded.
TOLERANCE = 0.51


def describe_misplaced(image: Layer, labels: Layer, what: str = "volume") -> str:
    """Say where labels lie beside their volume in the viewer; empty where they cover it.

    A network learns voxel by voxel, so labels that a person sees beside their volume, larger or
    mirrored would be learned from where nobody sees them.

    Parameters
    ----------
    image, labels : Layer
        Both volumes. Labels of which the viewer knows no voxel size are over the volume if
        their first voxel is.
    what : str
        What a sentence calls the image.
    """
    region = region_of(labels)
    start = np.asarray(region[0][0] if region else (0, 0, 0), float)
    shape = region[1] if region else shape_of(labels)
    if shape != shape_of(image):
        return ""  # refused for that, wherever they lie
    last = np.asarray(shape_of(labels), float) - 1
    first_shift = _find_voxel(image, labels, np.zeros(3)) - start
    last_shift = _find_voxel(image, labels, last) - start - last
    has_size = take_layer(labels).spacing_known
    if np.abs(first_shift).max() < TOLERANCE and (
        not has_size or np.abs(last_shift).max() < TOLERANCE
    ):
        return ""
    names = f"The labels {labels.name!r}", f"the {what} {image.name!r}"
    if np.abs(first_shift - last_shift).max() < TOLERANCE or not has_size:
        shift = [f"{value:.3g}" for value in first_shift]
        return (
            f"{names[0]} lie {', '.join(shift)} voxels (Z, Y, X) beside {names[1]} in the viewer; "
            "they are taken voxel by voxel, without that shift."
        )
    return (
        f"{names[0]} are scaled, turned or mirrored against {names[1]} in the viewer, where their "
        f"last voxel lies over the place {format_shape(_rounded(last_shift + start + last))}; they "
        "are taken voxel by voxel, as if they covered it."
    )


def find_shift(image: Layer, labels: Layer) -> tuple[int, ...] | None:
    """Find the voxel of a layer over which the first voxel of another one lies.

    Both are taken as they are in the viewer. None where their voxels are not the same there: of
    another size, turned, or aside by parts of a voxel.
    """
    last = np.asarray(shape_of(labels), float) - 1
    first_shift = _find_voxel(image, labels, np.zeros(3))
    last_shift = _find_voxel(image, labels, last) - last
    whole = np.rint(first_shift)
    if max(np.abs(first_shift - whole).max(), np.abs(last_shift - whole).max()) > TOLERANCE / 2:
        return None
    return _rounded(whole)


def _find_voxel(image: Layer, labels: Layer, voxel: NDArray[np.float64]) -> NDArray[np.float64]:
    """Find the voxel of the image over which a voxel of the labels lies."""
    world = np.asarray(labels.data_to_world([*[0.0] * (labels.ndim - 3), *voxel]), float)
    units = zip(labels.units[-3:], image.units[-3:], strict=True)
    world[-3:] *= [_compare_units(str(unit), str(other)) for unit, other in units]
    # napari lines layers up by their last axes.
    padded = np.concatenate([np.zeros(image.ndim), world])[-image.ndim :]
    return np.asarray(image.world_to_data(padded), float)[-3:]


def _compare_units(unit: str, other: str) -> float:
    """How many of the other unit one is; 1 where either is no length."""
    unit_name, other_name = standard_unit(unit), standard_unit(other)
    return convert_length(1.0, unit_name, other_name) if unit_name and other_name else 1.0


def _rounded(values: NDArray[np.float64]) -> tuple[int, ...]:
    return tuple(int(value) for value in np.rint(values))
