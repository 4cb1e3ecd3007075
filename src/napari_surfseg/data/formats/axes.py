"""Which axes of a stored array are Z, Y and X, so that a volume is transposed as it is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from napari_surfseg.data.volume import require_volume_shape
from napari_surfseg.errors import DataError
from napari_surfseg.geometry import box_slices
from napari_surfseg.wording import format_shape, list_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_surfseg.data.volume import VoxelArray
    from napari_surfseg.geometry import Box

    T = TypeVar("T")

__all__ = ["AxisOrder", "find_axis_order"]

#: What sentences call axes that are not of space, by their short names.
AXIS_NAMES = {"c": "channels", "t": "points of time", "b": "batches"}

#: Names of the axes of space.
SPACE = frozenset("xyz")


@dataclass(frozen=True)
class AxisOrder:
    """The stored axes that are Z, Y and X; of any other only the first entry is read.

    Attributes
    ----------
    zyx : tuple of int
        Positions of Z, Y and X among the stored axes.
    num_axes : int
        Number of stored axes.
    """

    zyx: tuple[int, int, int]
    num_axes: int

    @property
    def stored_axes(self) -> str:
        """Letters of the axes of space in the order in which they are stored: ``xyz``."""
        return "".join("zyx"[self.zyx.index(axis)] for axis in sorted(self.zyx))

    def pick(self, values: Sequence[T]) -> tuple[T, T, T]:
        """Give the values of Z, Y and X, of one for each stored axis."""
        z, y, x = self.zyx
        return values[z], values[y], values[x]

    def read(self, array: Any, box: Box) -> VoxelArray:
        """Read a Z, Y, X box of an array that is indexed as it is stored."""
        index: list[Any] = [0] * self.num_axes
        for axis, part in zip(self.zyx, box_slices(box), strict=True):
            index[axis] = part
        stored = sorted(self.zyx)
        piece: VoxelArray = np.asarray(array[tuple(index)])
        return piece.transpose([stored.index(axis) for axis in self.zyx])


def find_axis_order(shape: Sequence[int], names: Sequence[str] | None, source: str) -> AxisOrder:
    """Find Z, Y and X by the names of the axes; without names they are the last three.

    Parameters
    ----------
    shape : sequence of int
        As stored.
    names : sequence of str, optional
        One for each stored axis; ``x``, ``y`` and ``z`` are the axes of space.
    source : str
        For sentences.

    Raises
    ------
    DataError
        If an axis of space is missing, or another one is longer than one.
    """
    num_axes = len(shape)
    if names is None:
        require_volume_shape(shape, source)
        return AxisOrder((num_axes - 3, num_axes - 2, num_axes - 1), num_axes)
    lower = [name.lower() for name in names]
    if sorted(name for name in lower if name in SPACE) != ["x", "y", "z"]:
        raise DataError(
            f"{source} has shape {format_shape(shape)} with the axes {list_words(list(names))}; "
            "a volume has Z, Y and X once each."
        )
    for name, size in zip(lower, shape, strict=True):
        if name not in SPACE and size != 1:
            what = AXIS_NAMES.get(name, f"entries along its axis {name!r}")
            raise DataError(
                f"{source} holds {size} {what} (shape {format_shape(shape)}, axes "
                f"{list_words(list(names))}); save the one to use as a Z, Y, X volume."
            )
    return AxisOrder((lower.index("z"), lower.index("y"), lower.index("x")), num_axes)
