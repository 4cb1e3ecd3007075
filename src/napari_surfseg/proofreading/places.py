"""One doubtful place of a prediction as a record, and a table of them as a CSV file."""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, get_args

from napari_surfseg.geometry import box_shape, shift_box
from napari_surfseg.metrics.error_table import read_table, read_triple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from napari_surfseg.geometry import Index3, Size3

__all__ = [
    "PLACE_KINDS",
    "DoubtfulPlace",
    "count_places",
    "move_place",
    "read_places",
    "write_places",
]

PlaceKind = Literal[
    "hole", "bridge", "loose end", "small piece", "uncertain", "flickering", "disagreement"
]
#: Every kind of place, in the order in which they are shown.
PLACE_KINDS: tuple[PlaceKind, ...] = get_args(PlaceKind)
COLUMNS = (
    *("kind", "weight", "z", "y", "x", "size"),
    *("z_start", "y_start", "x_start", "z_stop", "y_stop", "x_stop", "reason"),
)


@dataclass(frozen=True)
class DoubtfulPlace:
    """Somewhere a prediction may be wrong, found without labels.

    Attributes
    ----------
    kind : str
        One of `PLACE_KINDS`.
    location : tuple of int
        The voxel to look at, (Z, Y, X) in the whole volume; it lies in the box.
    start, stop : tuple of int
        The box around the voxels in doubt, (Z, Y, X) in the whole volume.
    size : int
        Voxels that would change.
    weight : float
        How much it matters, 0 to 1; lists are sorted by it, the greatest first.
    reason : str
        One short sentence for a person.
    """

    kind: PlaceKind
    location: Index3
    start: Index3
    stop: Index3
    size: int
    weight: float
    reason: str

    @property
    def name(self) -> str:
        """The name that is shown, as `TopologyError` has it."""
        return self.kind

    @property
    def extent(self) -> Size3:
        """Edges of the box, in voxels."""
        return box_shape((self.start, self.stop))


def count_places(places: Iterable[DoubtfulPlace]) -> dict[str, int]:
    """Count places by kind, in the order in which they are shown; absent kinds are left out."""
    counts = dict.fromkeys(map(str, PLACE_KINDS), 0)
    for place in places:
        counts[place.kind] += 1
    return {kind: count for kind, count in counts.items() if count}


def move_place(place: DoubtfulPlace, offset: Index3) -> DoubtfulPlace:
    """Give a place of a part of a volume in voxels of the whole volume."""
    start, stop = shift_box((place.start, place.stop), offset)
    location, _ = shift_box((place.location, place.location), offset)
    return replace(place, location=location, start=start, stop=stop)


def write_places(path: Path, places: Sequence[DoubtfulPlace]) -> None:
    """Write a table, one row a place in the order given."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for p in places:
            what = (p.kind, f"{p.weight:.6g}", *p.location, p.size)
            writer.writerow((*what, *p.start, *p.stop, p.reason))


def read_places(path: Path) -> list[DoubtfulPlace]:
    """Read what :func:`write_places` wrote.

    Raises
    ------
    DataError
        If it is damaged or something else.
    """
    return read_table(path, _read_row, "doubtful places")


def _read_row(row: dict[str, str]) -> DoubtfulPlace:
    if row["kind"] not in PLACE_KINDS:
        raise ValueError(row["kind"])
    return DoubtfulPlace(
        row["kind"],
        read_triple(row),
        read_triple(row, "_start"),
        read_triple(row, "_stop"),
        int(row["size"]),
        float(row["weight"]),
        row["reason"],
    )
