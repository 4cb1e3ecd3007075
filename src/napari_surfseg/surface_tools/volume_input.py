"""A volume as a tool takes it: looked through once, then read by boxes, whatever its size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from napari_surfseg.cancelling import raise_if_stopped
from napari_surfseg.errors import DataError
from napari_surfseg.geometry import box_slices, iterate_blocks, to_index
from napari_surfseg.surface_tools.block_work import BLOCK

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from napari_surfseg.data.volume import Volume
    from napari_surfseg.geometry import Box, Size3
    from napari_surfseg.surface_tools.registry import InputKind

__all__ = ["VolumeInput", "open_input"]

#: Above this many values uint8 is taken for probabilities, unless its file says otherwise.
MANY_VALUES = 100

#: A mask has no more.
FEW_VALUES = 2

#: A network's probabilities may pass 0 and 1 by rounding.
SLACK = 0.01

#: A volume that takes no more is read once and kept.
KEPT_BYTES = 2**27

Report: TypeAlias = "Callable[[str, float], None]"


class VolumeInput:
    """The voxels of a volume, indexed by slices like an array.

    Parameters
    ----------
    volume : Volume
        What it reads.

    Attributes
    ----------
    name : str
        For sentences.
    shape, dtype, ndim, size
        As those of an array.
    """

    ndim = 3

    def __init__(self, volume: Volume) -> None:
        self._volume = volume
        self._level: float | None = None
        self._is_mask = False
        self._left_out: tuple[int, ...] = ()
        self.name = volume.name
        self.shape: Size3 = volume.shape
        self.size = volume.num_voxels
        self.dtype: np.dtype[Any] = volume.dtype
        self._kept: NDArray[Any] | None = None
        if self.size * volume.dtype.itemsize <= KEPT_BYTES:
            self._kept = volume.read(*volume.box)

    def __getitem__(self, key: Any) -> NDArray[Any]:
        parts = key if isinstance(key, tuple) else (key,)
        if parts == (Ellipsis,):
            parts = ()
        parts = (*parts, *(slice(None),) * (3 - len(parts)))
        ranges = [part.indices(size) for part, size in zip(parts, self.shape, strict=True)]
        start = to_index(low for low, _, _ in ranges)
        stop = to_index(max(low, high) for low, high, _ in ranges)
        return self.read((start, stop))

    def read(self, box: Box) -> NDArray[Any]:
        """Read a box; an array of the caller's own."""
        kept = self._kept
        values = self._volume.read(*box) if kept is None else kept[box_slices(box)].copy()
        if self._left_out:
            values[np.isin(values, self._left_out)] = 0
        if self._is_mask:
            return np.asarray(values != 0)
        return values if self._level is None else np.asarray(values > self._level)

    def leave_out(self, values: Sequence[int]) -> None:
        """Read from now on 0 where a voxel has one of these values."""
        self._left_out = tuple(values)

    def cut_at(self, level: float | None) -> None:
        """Read from now on whether a voxel is above a level; None: whether it is not 0."""
        self._level, self._is_mask, self.dtype = level, level is None, np.dtype(bool)


def open_input(
    volume: Volume, kind: InputKind, threshold: float, report: Report, content: str | None = None
) -> tuple[VolumeInput, str]:
    """Take a volume as a tool wants it; also a sentence on what was made of it, or an empty one.

    Parameters
    ----------
    volume : Volume
        Opened.
    kind : str
        What the tool wants.
    threshold : float
        Where a mask is made of probabilities.
    report : callable
        Called with the stage and its share.
    content : str, optional
        What it holds, where somebody knows better than its file: ``"labels"``,
        ``"probabilities"`` or ``"image"``.

    Raises
    ------
    DataError
        If it holds NaN, or nothing that such a tool works on.
    """
    if content != "labels":
        content = volume.content or content
    is_real = volume.dtype.kind == "f"
    if kind == "labels" and (is_real or content == "probabilities"):
        raise DataError(
            f"{volume.source} holds probabilities or real numbers, but labels are needed: whole "
            "numbers, 0 where there is nothing; Number pieces makes them of a surface."
        )
    values = VolumeInput(volume)
    if content == "labels" and not is_real:
        if kind == "grey":
            values.cut_at(None)
        return values, ""
    if kind == "labels":
        return values, ""
    seen = _look_through(volume, values, kind, report)
    if is_real or kind == "grey":
        _refuse_intensities(volume, seen, kind)
    elif content == "image" and volume.dtype != np.uint8 and seen.is_many:
        raise DataError(
            f"{volume.source} holds more than {MANY_VALUES} values of type {volume.dtype}: "
            "intensities, it seems. A surface is probabilities (0 to 255 as uint8, or 0 to 1), or "
            "a labels layer."
        )
    if kind == "grey":
        # A mesh is made where a value crosses one half, whatever a mask's second value is.
        if seen.num_values <= FEW_VALUES and (not is_real or seen.high > 1 + SLACK):
            values.cut_at(None)
        return values, ""
    if content != "probabilities" and not seen.is_probability:
        return values, ""
    values.cut_at(threshold * (1.0 if is_real else 255.0))
    return values, f"{volume.name} holds probabilities; surface is above {threshold:g}."


@dataclass(frozen=True)
class _Seen:
    """What was seen of a volume.

    Attributes
    ----------
    low, high : float
        Its least and greatest value; of whole numbers, of those that were looked at.
    is_between : bool
        Whether some real number lies between 0 and 1.
    num_values : int
        Different values; no more are counted than it takes.
    is_bytes : bool
        Whether it is uint8.
    """

    low: float
    high: float
    is_between: bool
    num_values: int
    is_bytes: bool

    @property
    def is_many(self) -> bool:
        """Whether there are more values than labels of sheets have."""
        return self.num_values > MANY_VALUES

    @property
    def is_probability(self) -> bool:
        """Whether they look like probabilities."""
        return self.is_between or (self.is_bytes and self.is_many)


def _look_through(volume: Volume, values: VolumeInput, kind: InputKind, report: Report) -> _Seen:
    """Refuse NaN, and find out what a volume holds; no further than is needed."""
    is_real = volume.dtype.kind == "f"
    enough = FEW_VALUES if kind == "grey" else MANY_VALUES
    found: NDArray[Any] = np.zeros(0, volume.dtype)
    bad, low, high, is_between = 0, np.inf, -np.inf, False
    boxes = list(iterate_blocks(volume.box, BLOCK))
    for done, box in enumerate(boxes):
        raise_if_stopped()
        report(f"reading {volume.name}", done / len(boxes))
        part = values.read(box)
        if is_real:
            is_finite = np.isfinite(part)
            if not is_finite.all():
                bad += part.size - int(np.count_nonzero(is_finite))
                part = part[is_finite]
            is_between = is_between or bool(((part > 0) & (part < 1)).any())
        if part.size:
            low, high = min(low, float(part.min())), max(high, float(part.max()))
        if len(found) <= enough:
            found = np.union1d(found, np.unique(part)[: enough + 1])
        elif not is_real:
            break
    if bad:
        raise DataError(f"{volume.source} holds {bad:,} voxels that are NaN or infinite.")
    is_bytes = volume.dtype == np.uint8
    return _Seen(low, high, is_between, len(found), is_bytes)


def _refuse_intensities(volume: Volume, seen: _Seen, kind: InputKind) -> None:
    """Refuse numbers that are neither probabilities nor a mask."""
    if seen.is_bytes or seen.num_values <= FEW_VALUES:
        return
    is_share = seen.low >= -SLACK and seen.high <= 1 + SLACK
    if volume.dtype.kind == "f" and is_share:
        return
    what = "Membranes are" if kind == "grey" else "A surface is"
    kind_of = "real" if volume.dtype.kind == "f" else "whole"
    raise DataError(
        f"{volume.source} holds {kind_of} numbers of {seen.low:g} to {seen.high:g}. {what} "
        "probabilities (0 to 255 as uint8, or 0 to 1), or a mask of two values."
    )
