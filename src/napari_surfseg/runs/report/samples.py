"""Pieces of validation data with their prediction, left in the run folder for the report."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["Sample", "SliceView", "read_samples"]


@dataclass(frozen=True)
class SliceView:
    """One slice through a sample."""

    name: str
    image: NDArray[Any]
    labels: NDArray[Any]
    probabilities: NDArray[Any]
    prediction: NDArray[np.bool_]


@dataclass(frozen=True)
class Sample:
    """A piece of a validation volume.

    Attributes
    ----------
    title : str
        Which volume and where.
    image, labels, probabilities : array, shape (Z, Y, X)
        uint8; labels 0 background, 1 surface, 2 ignore; probabilities 0..255.
    threshold : float
        That of the prediction.
    surfaces : array, shape (Z, Y, X), optional
        The prediction itself, where it is more than what lies above the threshold.
    """

    title: str
    image: NDArray[Any]
    labels: NDArray[Any]
    probabilities: NDArray[Any]
    threshold: float = 0.5
    surfaces: NDArray[Any] | None = None

    @property
    def prediction(self) -> NDArray[np.bool_]:
        """What counts as surface."""
        if self.surfaces is not None:
            return np.asarray(self.surfaces != 0)
        return np.asarray(self.probabilities > self.threshold * 255)

    def choose_slices(self) -> list[SliceView]:
        """Return the slices across the two axes that show most edges of the labelled surface.

        Edges, not area: a sheet that lies in the slice covers much of it and shows
        little.
        """
        counts = {axis: _count_edges(self.labels == 1, axis) for axis in range(3)}
        # Per edge of the slice: many lines in a small picture count less than in a large one.
        shown = {
            axis: count.max() * self.labels.shape[axis] ** 0.5 for axis, count in counts.items()
        }
        axes = sorted(sorted(shown, key=lambda axis: (-shown[axis], axis))[:2])
        views = []
        for axis in axes:
            edges = counts[axis]
            # Among equals the middle one: the first and last planes have less context.
            middle = np.abs(np.arange(len(edges)) - (len(edges) - 1) / 2)
            place = int(np.lexsort((middle, -edges))[0])
            planes = [
                np.take(array, place, axis)
                for array in (self.image, self.labels, self.probabilities, self.prediction)
            ]
            if planes[0].shape[0] > planes[0].shape[1]:  # pictures stand side by side: lay it down
                planes = [plane.T for plane in planes]
            views.append(SliceView(f"{'zyx'[axis]} = {place}", *planes))
        return views


def _count_edges(mask: NDArray[np.bool_], axis: int) -> NDArray[np.int64]:
    """Count the places in each slice across an axis where the mask begins or ends."""
    planes = np.moveaxis(mask, axis, 0)
    along = [np.count_nonzero(np.diff(planes, axis=way), axis=(1, 2)) for way in (1, 2)]
    return np.asarray(along[0] + along[1], dtype=np.int64)


def read_samples(folder: Path, threshold: float = 0.5) -> list[Sample]:
    """Read the samples of a run; damaged or incomplete ones are passed over.

    Parameters
    ----------
    folder : Path
        Where the trainer left them.
    threshold : float
        Of the predictions, where a sample does not say.
    """
    samples = []
    for path in sorted(folder.glob("validation_*_image.npy")):
        stem = path.name.removesuffix("_image.npy")
        try:
            arrays = [
                np.load(folder / f"{stem}_{part}.npy", allow_pickle=False)
                for part in ("image", "labels", "probabilities")
            ]
        except (OSError, ValueError, EOFError):
            continue
        shapes = {array.shape for array in arrays}
        if len(shapes) != 1 or arrays[0].ndim != 3 or 0 in arrays[0].shape:
            continue
        about = _read_about(folder / f"{stem}.json")
        image, labels, probabilities = arrays
        samples.append(
            Sample(
                _make_title(stem, about, image.shape),
                image,
                labels,
                probabilities,
                float(about.get("threshold") or threshold),
            )
        )
    return samples


def _read_about(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


def _make_title(stem: str, about: dict[str, Any], shape: tuple[int, ...]) -> str:
    where = about.get("image") or stem.replace("_", " ")
    place = f" from voxel {tuple(about['origin'])}" if about.get("origin") else ""
    return f"{where}{place}, {' × '.join(map(str, shape))} voxels"
