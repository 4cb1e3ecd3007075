"""Membranes of whatever kind as uint8 probabilities of 0 to 255, at once or part by part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_surfseg.surfaces.cells import CellSettings

__all__ = [
    "HALF",
    "TWO_VALUES",
    "Membranes",
    "build_cell_settings",
    "find_membranes",
    "scale_probabilities",
    "to_probabilities",
]


def build_cell_settings(
    min_wall: float, smoothing: float, min_voxels: int, **_others: Any
) -> CellSettings:
    """Give the settings of cells as those who find them take them."""
    from napari_surfseg.surfaces.cells import CellSettings

    return CellSettings(threshold=min_wall, smoothing=smoothing, min_voxels=min_voxels)


HALF = 127
#: A mask has no more.
TWO_VALUES = 2

#: What membranes are: ``real`` of 0 to 1, ``bytes`` of 0 to 255, or a ``mask``.
Membranes: TypeAlias = Literal["real", "bytes", "mask"]


def to_probabilities(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Return membranes as uint8 probabilities of 0 to 255, a mask as 0 and 255."""
    present = np.unique(values).tolist() if values.dtype == np.uint8 else []
    return scale_probabilities(values, find_membranes(values.dtype, present))


def find_membranes(dtype: np.dtype[Any], present: list[int]) -> Membranes:
    """Find out what membranes are, by their type and, of bytes, some of their values."""
    if dtype.kind == "f":
        return "real"
    return "bytes" if dtype == np.uint8 and len(present) > TWO_VALUES else "mask"


def scale_probabilities(values: NDArray[Any], kind: Membranes) -> NDArray[np.uint8]:
    """Return membranes of a kind as uint8 probabilities of 0 to 255."""
    if kind == "real":
        scaled = np.round(np.clip(np.nan_to_num(values), 0, 1) * 255)
        return np.asarray(scaled, np.uint8)
    if kind == "bytes":
        return np.asarray(values)
    return np.where(values != 0, np.uint8(255), np.uint8(0))
