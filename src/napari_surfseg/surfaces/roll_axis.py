"""The axis of a roll: where it passes, and how it is found from normals of the sheets."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_surfseg.errors import LabelError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_surfseg.geometry import Spacing3

__all__ = ["Axis", "find_axis", "require_axis"]

TURN = 2 * np.pi

#: The axis is looked for in so many slabs.
SLABS = 8
#: Fewer normals tell nothing, and more than this are no better.
LEAST, MOST = 10, 50_000
#: A roll shows its sheets from all sides, a stack from one: least ratio of the second eigenvalue of
#: the normals' tensor to the first.
ROUND = 0.15
#: Rounds in which lines that miss the axis by far lose weight.
ROUNDS = 20


@dataclass(frozen=True)
class Axis:
    """The axis of a roll: for each slice across it, where it passes.

    Attributes
    ----------
    along : int
        The axis of the volume it runs along: 0, 1 or 2.
    at : float array, shape (K,)
        Places along it, rising.
    through : float array, shape (K, 2)
        Where it passes, in the other two coordinates. In voxels, like ``at``.
    """

    along: int
    at: NDArray[np.float64]
    through: NDArray[np.float64]

    @classmethod
    def from_points(cls, points: Any) -> Axis:
        """Make one from points (Z, Y, X) in voxels; one point is an axis along Z."""
        given = np.atleast_2d(np.asarray(points, float))
        along = int(np.argmax(np.ptp(given, axis=0))) if len(given) > 1 else 0
        given = given[np.argsort(given[:, along], kind="stable")]
        return cls(along, given[:, along], np.delete(given, along, axis=1))

    def is_within(self, shape: tuple[int, ...]) -> bool:
        """Whether it passes within a volume, on the average."""
        middle, limits = self.through.mean(0), np.delete(np.asarray(shape), self.along)
        return bool(((middle > 0) & (middle < limits - 1)).all())

    def measure(self, points: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the steps from the axis, shape (N, 2), and in 3-D, shape (N, 3), of points."""
        here = points[:, self.along]
        centre = np.stack([np.interp(here, self.at, self.through[:, i]) for i in range(2)], 1)
        flat = np.delete(points, self.along, axis=1) - centre
        return flat, np.insert(flat, self.along, 0.0, axis=1)

    def find_angles(self, points: NDArray[Any], size: Spacing3) -> NDArray[np.float64]:
        """Return the angle of points (in voxels) around it, 0 to 2 pi."""
        flat, _ = self.measure(points)
        first, second = np.delete(np.asarray(size), self.along)
        return np.asarray(np.mod(np.arctan2(flat[:, 0] * first, flat[:, 1] * second), TURN))

    def find_sides(self, points: NDArray[Any], size: Spacing3) -> NDArray[np.int32]:
        """Return 0 for points of the first half of a turn, and 1 for those of the second."""
        return (self.find_angles(points, size) >= np.pi).astype(np.int32)


def require_axis(points: NDArray[Any], normals: NDArray[Any], size: Spacing3, field: str) -> Axis:
    """Find the axis of a roll, as :func:`find_axis`, where there must be one.

    Parameters
    ----------
    points, normals, size
        As for :func:`find_axis`.
    field : str
        The setting that asks for it.

    Raises
    ------
    LabelError
        If the sheets show none.
    """
    found = find_axis(points, normals, size)
    if found is None:
        raise LabelError(
            "The sheets show no axis of a roll, as all of them lie much the same way; they are a "
            "stack.",
            field=field,
        )
    return found


def find_axis(points: NDArray[Any], normals: NDArray[Any], size: Spacing3) -> Axis | None:
    """Find the axis that the normals of a roll pass by.

    Parameters
    ----------
    points, normals : arrays, shape (N, 3)
        Places in voxels, and the normals of sheets there.
    size : tuple of float
        Voxel size.

    Returns
    -------
    Axis or None
        None of a stack: where the normals do not show the sheets from all sides.
    """
    chosen = slice(None, None, max(1, len(points) // MOST))
    points, normals = points[chosen], normals[chosen].astype(np.float64)
    if len(points) < LEAST:
        return None
    values, vectors = np.linalg.eigh(normals.T @ normals / len(normals))
    if values[1] < ROUND * values[2]:
        return None
    along = int(np.argmax(np.abs(vectors[:, 0])))
    scale = np.delete(np.asarray(size), along)
    where, across = np.delete(points, along, axis=1) * scale, np.delete(normals, along, axis=1)
    at = points[:, along]
    edges = np.linspace(at.min(), at.max() + 1, SLABS + 1)
    places, through = [], []
    for low, high in pairwise(edges):
        inside = (at >= low) & (at < high)
        if inside.sum() < LEAST:
            continue
        places.append(at[inside].mean())
        through.append(_meet(where[inside], across[inside]) / scale)
    if not places:
        return None
    return Axis(along, np.asarray(places), np.asarray(through))


def _meet(points: NDArray[Any], normals: NDArray[Any]) -> NDArray[np.float64]:
    """Find the point nearest to lines in a plane, those that miss it by far counting less."""
    tangents = np.stack([-normals[:, 1], normals[:, 0]], 1)
    offsets = (points * tangents).sum(1)
    weights = np.ones(len(points))
    centre = points.mean(0)
    for _ in range(ROUNDS):
        root = np.sqrt(weights)[:, None]
        centre = np.linalg.lstsq(tangents * root, offsets * root[:, 0], rcond=None)[0]
        weights = 1 / np.maximum(np.abs(tangents @ centre - offsets), 1.0)
    return np.asarray(centre)
