"""A volume as a tool takes it: looked through once, then read by boxes, whatever its size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from napari_surfseg.cancelling import raise_if_stopped
from napari_surfseg.errors import DataError
from napari_surfseg.geometry import box_slices, count_voxels, iterate_blocks, to_index
from napari_surfseg.surface_tools.block_work import BLOCK

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from napari_surfseg.data.volume import Volume
    from napari_surfseg.geometry import Box, Size3
    from napari_surfseg.surface_tools.registry import InputKind

__all__ = ["VolumeInput", "open_input"]

#: Above this many values uint8 is taken for probabilities, unless its file says otherwise.
MANY_VALUES = 100

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
        return values if self._level is None else np.asarray(values > self._level)

    def cut_at(self, level: float) -> None:
        """Read from now on whether a voxel is above a level."""
        self._level, self.dtype = level, np.dtype(bool)


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
        What it holds, where somebody knows better than its file.

    Raises
    ------
    DataError
        If it holds NaN, or probabilities where labels are needed.
    """
    content = content or volume.content
    if kind == "labels" and (volume.dtype.kind == "f" or content == "probabilities"):
        raise DataError(
            f"{volume.source} holds probabilities or real numbers, but labels are needed: whole "
            "numbers, 0 where there is nothing; Number pieces makes them of a surface."
        )
    values = VolumeInput(volume)
    is_probability = _look_through(volume, values, kind, content, report)
    if kind != "mask" or not is_probability:
        return values, ""
    values.cut_at(threshold * (1.0 if volume.dtype.kind == "f" else 255.0))
    return values, f"{volume.name} holds probabilities; surface is above {threshold:g}."


def _look_through(
    volume: Volume, values: VolumeInput, kind: InputKind, content: str | None, report: Report
) -> bool:
    """Refuse NaN, and find out whether it holds probabilities; no further than is needed."""
    is_real = volume.dtype.kind == "f"
    undecided = kind == "mask" and content is None and volume.dtype == np.uint8
    found = content == "probabilities"
    if not is_real and not undecided:
        return found
    seen = np.zeros(256, bool)
    bad, between, top = 0, False, -np.inf
    boxes = list(iterate_blocks(volume.box, BLOCK))
    for done, box in enumerate(boxes):
        raise_if_stopped()
        report(f"reading {volume.name}", done / len(boxes))
        part = values.read(box)
        if undecided:
            seen |= np.bincount(part.ravel(), minlength=256) > 0
            if np.count_nonzero(seen) > MANY_VALUES:
                return True
            continue
        bad += count_voxels(box) - int(np.count_nonzero(np.isfinite(part)))
        top = max(top, float(part.max()))
        between = between or bool(((part > 0) & (part < 1)).any())
    if bad:
        raise DataError(f"{volume.source} holds {bad:,} voxels that are NaN or infinite.")
    return found or (is_real and content is None and between and top <= 1)
