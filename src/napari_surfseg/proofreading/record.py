"""What a person decided at each place, line by line in a file that outlives the window.

::

    mends.jsonl     {"id": …, "time": …, "choice": "mend", "place": {…}, "edit": {…}}
                    {"id": …, "time": …, "choice": "accept", "place": {…}}
                    {"undo": id of a line above, "time": …}

Each line is appended whole. A half line of a program that was killed is passed over, and so is
what a later version may add.
"""

from __future__ import annotations

import base64
import json
import time
import uuid
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_surfseg.errors import DataError
from napari_surfseg.files import explain_write_error
from napari_surfseg.geometry import boxes_overlap, to_index
from napari_surfseg.lines import append_line, iterate_lines
from napari_surfseg.proofreading.edit import MEND_KINDS, Edit

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_surfseg.geometry import Box, Index3

__all__ = ["RECORD_NAME", "DecidedPlace", "Decision", "MendRecord", "note_place"]

#: Beside a prediction, or in a run folder.
RECORD_NAME = "mends.jsonl"
#: A place is the same one as before if its location moved no further (voxels).
SAME_PLACE = 4

Choice = Literal["accept", "mend"]


@dataclass(frozen=True)
class DecidedPlace:
    """A place as it is recorded.

    Attributes
    ----------
    kind : str
        The name under which it was shown.
    location, start, stop : tuple of int
        Of the place, (Z, Y, X) in the whole volume.
    size : int
        Voxels in doubt.
    """

    kind: str
    location: Index3
    start: Index3
    stop: Index3
    size: int = 0

    @property
    def box(self) -> Box:
        """The box around it."""
        return self.start, self.stop

    def is_same(self, other: DecidedPlace) -> bool:
        """Whether another one, perhaps found again after a mend nearby, is this place."""
        moved = max(abs(a - b) for a, b in zip(self.location, other.location, strict=True))
        return self.kind == other.kind and (
            moved == 0 or (moved <= SAME_PLACE and boxes_overlap(self.box, other.box))
        )


def note_place(place: Any) -> DecidedPlace:
    """Take what is recorded of a doubtful place or a topology error."""
    return DecidedPlace(place.name, place.location, place.start, place.stop, place.size)


@dataclass(frozen=True, eq=False)
class Decision:
    """What a person decided at a place.

    Attributes
    ----------
    place : DecidedPlace
        Where.
    choice : {"accept", "mend"}
        It is right as it is, or it was mended; a mend can be "mark unsure".
    edit : Edit, optional
        Of a mend.
    id : str
        By which it is taken back.
    time : float
        When, in seconds.
    """

    place: DecidedPlace
    choice: Choice
    edit: Edit | None = None
    id: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    time: float = field(default_factory=time.time)

    @property
    def is_unsure(self) -> bool:
        """Whether nobody can say what is right there."""
        return self.edit is not None and self.edit.kind == "mark unsure"


class MendRecord:
    """The decisions on one prediction, in the order in which they were made.

    Parameters
    ----------
    path : Path
        ``mends.jsonl``; it and its folder need not exist yet. What it holds is read at once.

    Raises
    ------
    DataError
        If there is such a file that cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._decisions: dict[str, Decision] = {}
        try:
            for line in iterate_lines(path):
                self._take(line)
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error.strerror or error}.") from None

    @property
    def decisions(self) -> Sequence[Decision]:
        """Those that were not taken back."""
        return list(self._decisions.values())

    def find(self, place: DecidedPlace) -> Decision | None:
        """Return the newest decision on a place."""
        found = (one for one in reversed(self._decisions.values()) if one.place.is_same(place))
        return next(found, None)

    def add(self, decision: Decision) -> None:
        """Write a decision; when this returns, the system has it.

        Raises
        ------
        OutputError
            If the disk does not take it.
        """
        self._write(_write_decision(decision))
        self._decisions[decision.id] = decision

    def undo(self, decision: Decision) -> None:
        """Write that a decision was taken back.

        Raises
        ------
        OutputError
            If the disk does not take it.
        """
        self._write({"undo": decision.id, "time": time.time()})
        self._decisions.pop(decision.id, None)

    def _write(self, values: dict[str, Any]) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            append_line(self.path, json.dumps(values).encode() + b"\n")
        except OSError as error:
            raise explain_write_error(self.path, error) from None

    def _take(self, line: bytes) -> None:
        try:
            values = json.loads(line)
            if "undo" in values:
                self._decisions.pop(values["undo"], None)
            else:
                decision = _read_decision(values)
                self._decisions[decision.id] = decision
        except (ValueError, KeyError, TypeError, zlib.error):
            return  # half a line, or of another version


def _write_decision(decision: Decision) -> dict[str, Any]:
    place, edit = decision.place, decision.edit
    values: dict[str, Any] = {
        "id": decision.id,
        "time": decision.time,
        "choice": decision.choice,
        "place": {
            "kind": place.kind,
            "location": place.location,
            "start": place.start,
            "stop": place.stop,
            "size": place.size,
        },
    }
    if edit is not None:
        changed = np.flatnonzero(edit.changed)
        values["edit"] = {
            "kind": edit.kind,
            "start": edit.start,
            "shape": edit.before.shape,
            "dtype": edit.before.dtype.str,
            # Of the box only what changes, each as base64 of zlib.
            "voxels": _pack(changed.astype("<u4")),
            "before": _pack(edit.before.ravel()[changed]),
            "after": _pack(edit.after.ravel()[changed]),
        }
    return values


def _read_decision(values: dict[str, Any]) -> Decision:
    if values["choice"] not in ("accept", "mend"):
        raise ValueError(values["choice"])
    noted = values["place"]
    place = DecidedPlace(
        str(noted["kind"]),
        to_index(noted["location"]),
        to_index(noted["start"]),
        to_index(noted["stop"]),
        int(noted["size"]),
    )
    edit = _read_edit(values["edit"], place.location) if "edit" in values else None
    return Decision(place, values["choice"], edit, str(values["id"]), float(values["time"]))


def _read_edit(values: dict[str, Any], location: Index3) -> Edit:
    if values["kind"] not in MEND_KINDS:
        raise ValueError(values["kind"])
    shape, dtype = to_index(values["shape"]), np.dtype(values["dtype"])
    voxels = _unpack(values["voxels"], np.dtype("<u4"))
    before, after = np.zeros(shape, dtype), np.zeros(shape, dtype)
    # What does not change counts as not known; only what changes is ever written.
    before.ravel()[voxels] = _unpack(values["before"], dtype)
    after.ravel()[voxels] = _unpack(values["after"], dtype)
    return Edit(values["kind"], location, to_index(values["start"]), before, after)


def _pack(values: NDArray[Any]) -> str:
    return base64.b64encode(zlib.compress(np.ascontiguousarray(values).tobytes())).decode()


def _unpack(text: str, dtype: np.dtype[Any]) -> NDArray[Any]:
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype)
