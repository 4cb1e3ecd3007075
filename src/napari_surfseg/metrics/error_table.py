"""One topology error as a record, its name, and a table of errors as a CSV file."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar, get_args

from napari_surfseg.errors import DataError
from napari_surfseg.geometry import box_shape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from napari_surfseg.geometry import Index3, Size3

__all__ = [
    "ERROR_NAMES",
    "KINDS",
    "TopologyError",
    "count_errors",
    "read_error_table",
    "read_table",
    "read_triple",
    "write_error_table",
]

_RecordT = TypeVar("_RecordT")

Kind = Literal[
    "extra_component",
    "missing_component",
    "extra_tunnel",
    "missing_tunnel",
    "extra_cavity",
    "missing_cavity",
]
Cause = Literal["", "hole", "bridge"]
#: Every kind of error, in the order in which they are shown.
KINDS: tuple[Kind, ...] = get_args(Kind)
#: The name that is shown for each kind and cause, and the dimension it is counted in.
ERROR_NAMES: dict[tuple[str, str], tuple[str, int]] = {
    ("extra_component", ""): ("extra component", 0),
    ("missing_component", ""): ("missing component", 0),
    ("extra_tunnel", "hole"): ("hole", 1),
    ("extra_tunnel", "bridge"): ("bridge", 1),
    ("missing_tunnel", "hole"): ("filled hole", 1),
    ("missing_tunnel", "bridge"): ("missing bridge", 1),
    ("extra_cavity", ""): ("extra cavity", 2),
    ("missing_cavity", ""): ("missing cavity", 2),
}
COLUMNS = (
    *("error", "kind", "cause", "dimension", "z", "y", "x", "size"),
    *("z_start", "y_start", "x_start", "z_stop", "y_stop", "x_stop"),
)


@dataclass(frozen=True)
class TopologyError:
    """One feature of the prediction or the labels that the other does not have there.

    Attributes
    ----------
    kind : str
        One of `KINDS`; "extra" is in the prediction only, "missing" in the labels only.
    cause : {"", "hole", "bridge"}
        Of tunnels: "hole" if the other mask fills it, "bridge" if a ring closes
        around background that both masks have. A sheet with a false hole has an
        extra tunnel by a hole; two sheets joined in two places have one by a bridge.
    location : tuple of int
        A voxel at which it can be seen, (Z, Y, X) in the whole volume: of the component or
        cavity; of a tunnel, among the voxels that would have to change.
    size : int
        Voxels of the component or cavity in its octant; of a tunnel, voxels of
        the patch at `location` that would have to change.
    start, stop : tuple of int
        The box around those voxels, (Z, Y, X) in the whole volume.
    """

    kind: Kind
    cause: Cause
    location: Index3
    size: int
    start: Index3
    stop: Index3

    @property
    def name(self) -> str:
        """The name that is shown."""
        return ERROR_NAMES[self.kind, self.cause][0]

    @property
    def dimension(self) -> int:
        """0 of components, 1 of tunnels, 2 of cavities."""
        return ERROR_NAMES[self.kind, self.cause][1]

    @property
    def extent(self) -> Size3:
        """Edges of the box, in voxels."""
        return box_shape((self.start, self.stop))


def count_errors(errors: Iterable[TopologyError]) -> dict[str, int]:
    """Count errors by name, in the order in which they are shown; absent ones are left out."""
    counts = {name: 0 for name, _ in ERROR_NAMES.values()}
    for error in errors:
        counts[error.name] += 1
    return {name: count for name, count in counts.items() if count}


def write_error_table(path: Path, errors: Sequence[TopologyError]) -> None:
    """Write a table, one row an error in the order given."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for e in errors:
            what = (e.name, e.kind, e.cause, e.dimension)
            writer.writerow((*what, *e.location, e.size, *e.start, *e.stop))


def read_error_table(path: Path) -> list[TopologyError]:
    """Read what :func:`write_error_table` wrote.

    Raises
    ------
    DataError
        If it is damaged or something else.
    """
    return read_table(path, _read_row, "topology errors")


def read_table(
    path: Path, read_row: Callable[[dict[str, str]], _RecordT], what: str
) -> list[_RecordT]:
    """Read a CSV file with a row for each record.

    Parameters
    ----------
    path : Path
        The file.
    read_row : callable
        Makes a record of a row; raises `KeyError`, `ValueError` or `TypeError` of a bad one.
    what : str
        What the records are, for the sentence that refuses something else.

    Raises
    ------
    DataError
        If the table is damaged or something else.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return [read_row(row) for row in csv.DictReader(file)]
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from None
    except (KeyError, ValueError, TypeError, csv.Error):
        raise DataError(f"{path} is no table of {what}, or a damaged one.") from None


def read_triple(row: dict[str, str], ending: str = "") -> Index3:
    """Read a place of the columns ``z``, ``y`` and ``x``, with an ending such as ``_start``."""
    return int(row[f"z{ending}"]), int(row[f"y{ending}"]), int(row[f"x{ending}"])


def _read_row(row: dict[str, str]) -> TopologyError:
    if (row["kind"], row["cause"]) not in ERROR_NAMES:
        raise ValueError(row["kind"])
    return TopologyError(
        row["kind"],  # type: ignore[arg-type]
        row["cause"],  # type: ignore[arg-type]
        read_triple(row),
        int(row["size"]),
        read_triple(row, "_start"),
        read_triple(row, "_stop"),
    )
