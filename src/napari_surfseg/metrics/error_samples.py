"""The largest topology errors and pictures of some of them, kept for the report.

``topology_errors.json`` lists them, ``topology_errors.npz`` holds a slice
through the largest few of each name: image, labels and prediction.
"""

from __future__ import annotations

import json
import zipfile
from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from napari_surfseg.files import written_aside
from napari_surfseg.metrics.error_table import ERROR_NAMES, TopologyError, count_errors

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_surfseg.geometry import Index3

__all__ = [
    "ErrorPicture",
    "ErrorRow",
    "ErrorSamples",
    "ScoredRegion",
    "cut_picture",
    "read_error_samples",
    "write_error_samples",
]

ROWS_NAME, PICTURES_NAME = "topology_errors.json", "topology_errors.npz"
#: A poor network makes tens of thousands; a reader looks at the largest.
MAX_ROWS = 50
PICTURES_PER_NAME = 3
#: Edge of a picture in voxels: what is wrong and its surroundings.
PICTURE_EDGE = 64


@dataclass(frozen=True, eq=False)
class ScoredRegion:
    """A box of a volume with the topology errors in it.

    Attributes
    ----------
    image_name : str
        Name of the volume.
    origin : tuple of int
        The box's first voxel in the volume, Z, Y, X.
    image, labels, prediction : array, shape (Z, Y, X)
        uint8; labels 0, 1 and 2 (not annotated), the prediction 0 and 1.
    errors : list of TopologyError
        In voxels of the box.
    """

    image_name: str
    origin: Index3
    image: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    prediction: NDArray[np.uint8]
    errors: list[TopologyError]


class ErrorPicture(NamedTuple):
    """A slice through an error.

    Attributes
    ----------
    axis : int
        Across which it is cut.
    mark : tuple of int
        The error's row and column in the picture.
    planes : uint8 array, shape (3, rows, columns)
        Image, labels and prediction.
    """

    axis: int
    mark: tuple[int, int]
    planes: NDArray[np.uint8]


class ErrorRow(NamedTuple):
    """One patch of wrong voxels.

    Attributes
    ----------
    error : TopologyError
        In voxels of the whole volume.
    image_name : str
        The volume's.
    num_features : int
        How many features are wrong by the same patch: several holes in a lost
        stretch of a sheet, say.
    picture : ErrorPicture or None
        Of the largest of each name.
    """

    error: TopologyError
    image_name: str
    num_features: int
    picture: ErrorPicture | None = None


class ErrorSamples(NamedTuple):
    """What was kept.

    Attributes
    ----------
    epoch : int
        Of the weights that predicted.
    counts : dict
        How many errors there were, by name, whether kept or not.
    rows : list of ErrorRow
        The largest first.
    """

    epoch: int
    counts: dict[str, int]
    rows: list[ErrorRow]


def write_error_samples(folder: Path, regions: Sequence[ScoredRegion], *, epoch: int) -> None:
    """Keep the largest errors of some regions, and a picture of the largest few of each name."""
    found = [
        (error, number, count)
        for number, region in enumerate(regions)
        for error, count in _merge(region.errors)
    ]
    found.sort(key=lambda item: -item[0].size)
    pictured = {
        id(item)
        for name, _ in ERROR_NAMES.values()
        for item in [item for item in found if item[0].name == name][:PICTURES_PER_NAME]
    }
    first = [item for item in found if id(item) in pictured]
    others = [item for item in found if id(item) not in pictured]
    num_left = max(MAX_ROWS - len(first), 0)
    chosen = sorted([*first, *others[:num_left]], key=lambda item: -item[0].size)
    rows, pictures = [], {}
    for place, (error, number, count) in enumerate(chosen):
        region = regions[number]
        row: dict[str, Any] = asdict(error)
        for key in ("location", "start", "stop"):
            row[key] = [a + b for a, b in zip(row[key], region.origin, strict=True)]
        row |= {"image": region.image_name, "num_features": count}
        if id(chosen[place]) in pictured:
            cut = cut_picture(region, error)
            pictures[str(place)] = cut.planes
            row |= {"axis": cut.axis, "mark": list(cut.mark)}
        rows.append(row)
    counts = count_errors(error for region in regions for error in region.errors)
    stored = {"epoch": epoch, "counts": counts, "errors": rows}
    folder.mkdir(parents=True, exist_ok=True)
    with written_aside(folder / PICTURES_NAME) as aside, aside.open("wb") as file:
        np.savez_compressed(file, **pictures)  # type: ignore[arg-type]
    with written_aside(folder / ROWS_NAME) as aside:
        aside.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")


def _merge(errors: Sequence[TopologyError]) -> list[tuple[TopologyError, int]]:
    """Join the features that are wrong by one patch of voxels into one, and count them."""

    def patch_of(error: TopologyError) -> tuple[object, ...]:
        return error.name, error.size, error.start, error.stop

    counts = Counter(map(patch_of, errors))
    first: dict[tuple[object, ...], TopologyError] = {}
    for error in errors:
        first.setdefault(patch_of(error), error)
    return [(error, counts[patch]) for patch, error in first.items()]


def cut_picture(region: ScoredRegion, error: TopologyError) -> ErrorPicture:
    """Cut the slice through an error that shows most edges of the surface around it.

    Edges, not area: a sheet that lies in the slice covers much of it and shows little.
    """
    best: tuple[int, ErrorPicture] | None = None
    for axis in range(3):
        planes = np.stack(
            [
                np.take(array, error.location[axis], axis).astype(np.uint8)
                for array in (region.image, region.labels, region.prediction)
            ]
        )
        at = [place for way, place in enumerate(error.location) if way != axis]
        window = []
        for place, size in zip(at, planes.shape[1:], strict=True):
            edge = min(PICTURE_EDGE, size)
            first = min(max(place - edge // 2, 0), size - edge)
            window.append(slice(first, first + edge))
        cut = np.ascontiguousarray(planes[:, window[0], window[1]])
        shown = (cut[1] == 1) | (cut[2] > 0)
        edges = sum(int(np.count_nonzero(np.diff(shown, axis=way))) for way in (0, 1))
        if best is None or edges > best[0]:
            mark = (at[0] - window[0].start, at[1] - window[1].start)
            best = edges, ErrorPicture(axis, mark, cut)
    if best is None:
        raise ValueError("a volume has three axes")
    return best[1]


def read_error_samples(folder: Path) -> ErrorSamples | None:
    """Read what :func:`write_error_samples` left; None if there is nothing, or it is damaged."""
    try:
        stored = json.loads((folder / ROWS_NAME).read_bytes())
        rows = [_read_row(row) for row in stored["errors"]]
        counts = {str(name): int(count) for name, count in stored["counts"].items()}
        epoch = int(stored["epoch"])
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
    try:
        with np.load(folder / PICTURES_NAME, allow_pickle=False) as pictures:
            for place, row in enumerate(stored["errors"]):
                if "axis" in row and str(place) in pictures:
                    mark = int(row["mark"][0]), int(row["mark"][1])
                    cut = ErrorPicture(int(row["axis"]), mark, pictures[str(place)])
                    rows[place] = rows[place]._replace(picture=cut)
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
        pass  # the table is of use without them
    return ErrorSamples(epoch, counts, rows)


def _read_row(row: dict[str, Any]) -> ErrorRow:
    location, start, stop = (tuple(map(int, row[key])) for key in ("location", "start", "stop"))
    if (row["kind"], row["cause"]) not in ERROR_NAMES or {len(location), len(start)} != {3}:
        raise ValueError(row)
    error = TopologyError(row["kind"], row["cause"], location, int(row["size"]), start, stop)  # type: ignore[arg-type]
    return ErrorRow(error, str(row["image"]), int(row["num_features"]))
