"""Which pages of a TIFF file make up the volume.

::

    one series of all pages ─────────────────────────── it is the volume
    pages or pieces appended one after the other ────── joined, in the order of the file
    a thumbnail before the stack, a pyramid as pages ── the largest, the others in a note
    several OME images (positions) ──────────────────── the largest, the others in a note
    C, Y, X ─────────────────────────────────────────── refused: channels are no slices

A reader that takes the first series for the whole file reads the first piece alone.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import tifffile

from napari_surfseg.data.volume import require_volume_shape
from napari_surfseg.errors import DataError
from napari_surfseg.wording import format_shape, list_words

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from napari_surfseg.geometry import Size3

__all__ = ["Page", "Stack", "find_stack"]

#: Kinds of series whose pages stand one after the other, in no order of their own.
PLAIN_KINDS = ("shaped", "generic", "uniform", "imagej")

#: Axes that stand for slices where nothing else is said, and axes of length one to leave out.
SLICES, SINGLE_AXES = "ZIQ", "TCSHR"

#: What a file calls axes that are read as slices all the same.
AXIS_NAMES = {"T": "time points", "R": "tiles", "H": "phases", "L": "exposures", "A": "angles"}


@dataclass(frozen=True)
class Page:
    """Where the segments of one slice lie, and the page that says how they are coded."""

    keyframe: Any
    offsets: tuple[int, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True)
class Stack:
    """The part of a file that is the volume.

    Attributes
    ----------
    series : tifffile.TiffPageSeries
        The first of its series: what it says of itself holds for all.
    number : int
        Of that series among those of the file.
    shape : tuple of int
        As stored.
    axes : str
        Order in which it is stored, such as ``zyx``.
    pages : list of Page or None
        Where it was joined of several; None where it is the series as it is.
    notes : list of str
        What was joined or left out.
    """

    series: Any
    number: int
    shape: Size3
    axes: str
    pages: list[Page] | None
    notes: list[str]


def find_stack(tiff: Any, path: Path, source: str) -> Stack:
    """Find the pages of the volume.

    Raises
    ------
    DataError
        If there are none, or they are no Z, Y, X volume.
    """
    all_series = tiff.series
    if not all_series:
        raise DataError(f"{source} holds no images.")
    if all(series.kind in PLAIN_KINDS for series in all_series) and (
        len(all_series) > 1 or len(all_series[0].pages) < len(tiff.pages)
    ):
        return _join_pages(all_series, path, source)
    grey = [series for series in all_series if not _is_colour(series)]
    series = max(grey or all_series, key=lambda one: one.size)  # the first of equal ones
    notes = []
    if len(all_series) > 1:
        others = [format_shape(one.shape) for one in all_series if one is not series]
        notes.append(
            f"{source} holds {len(all_series)} images; number {all_series.index(series) + 1} of "
            f"{format_shape(series.shape)} is read, and what is left out is of "
            f"{_list_few(others)}."
        )
    shape, axes, note = _read_axes(series, source)
    notes += [note, _note_unused(tiff, source)]
    return Stack(series, all_series.index(series), shape, axes, None, notes)


def _note_unused(tiff: Any, source: str) -> str:
    """Say so where an OME-TIFF holds pages that its metadata do not name."""
    if not tiff.is_ome:
        return ""
    levels = [level for series in tiff.series for level in series.levels]
    if any(page is None or page.parent is not tiff for one in levels for page in one.pages):
        return ""  # of several files, or incomplete: said elsewhere
    num_unused = len(tiff.pages) - sum(len(one.pages) for one in levels)
    if num_unused <= 0:
        return ""
    return (
        f"{source} holds {num_unused:,} more pages than its OME metadata name; they are left out."
    )


def _read_axes(series: Any, source: str) -> tuple[Size3, str, str]:
    """Shape and order of the axes of a series, with axes of length one left out."""
    if _is_colour(series):
        raise DataError(
            f"{source} is a colour image with shape {format_shape(series.shape)}; one grey "
            "channel with axes Z, Y, X is needed."
        )
    pairs = list(zip(series.axes, series.shape, strict=True))
    kept = [(axis, size) for axis, size in pairs if not (axis in SINGLE_AXES and size == 1)]
    if len(kept) < 3:
        return require_volume_shape(series.shape, source), "zyx", ""
    shape = require_volume_shape([size for _, size in kept], source)
    axes = "".join(axis for axis, _ in kept[-3:])
    if sorted(axes) == ["X", "Y", "Z"]:
        return shape, axes.lower(), ""
    first = axes[0]
    if first == "C" and shape[0] > 1:
        raise DataError(
            f"{source} holds {shape[0]} channels of one plane (its axes are C, Y, X), which are no "
            "volume; axes Z, Y, X are needed, so save the slices of one channel as Z."
        )
    if axes[1:] != "YX":
        raise DataError(
            f"{source} has the axes {', '.join(axes)}; axes Z, Y, X are needed, in any order."
        )
    if first in SLICES or shape[0] == 1:
        return shape, "zyx", ""
    named = AXIS_NAMES.get(first, f"positions along an axis {first}")
    return (
        shape,
        "zyx",
        f"{source} calls its {shape[0]} planes {named}; they are read as the slices of a volume.",
    )


def _join_pages(all_series: Sequence[Any], path: Path, source: str) -> Stack:
    """Join the pages of one size and type, in the order of the file."""
    with tifffile.TiffFile(path) as tiff:
        # Every page for itself: a frame takes size and type from a page that may not be like it.
        tiff.pages.useframes = False
        pages = list(tiff.pages)
        groups: dict[tuple[Any, ...], list[Page]] = {}
        for page in pages:
            key = (*page.shape, page.dtype, page.samplesperpixel, bool(page.is_mask))
            groups.setdefault(key, []).extend(_unfold(page))
    # Two axes, type, samples and mask: grey planes that are no masks of others.
    grey = {key: group for key, group in groups.items() if len(key) == 5 and key[-2:] == (1, False)}
    if not grey:
        return _refuse_colour(all_series[0], source)
    key = max(grey, key=lambda one: len(grey[one]) * math.prod(one[:-3]))
    joined = grey[key]
    first = joined[0].keyframe.index
    number = next(
        (i for i, one in enumerate(all_series) if any(page.index == first for page in one.pages)),
        0,
    )
    series = all_series[number]
    height, width = key[:2]
    alike = [one for one in all_series if _plane(one) == (height, width) and one.dtype == key[-3]]
    axes = "zyx"
    note = ""
    for one in alike:
        if len(one.axes) > 2:
            _, axes, note = _read_axes(one, source)
    if axes != "zyx":
        raise DataError(
            f"{source} holds several pieces with the axes {', '.join(axes.upper())}; only slices "
            "Z can be joined, so save the volume in one piece."
        )
    return Stack(
        series,
        number,
        (len(joined), height, width),
        axes,
        joined,
        [note, _note_pieces(alike, len(joined), source), _note_rest(groups, key, source)],
    )


def _unfold(page: Any) -> list[Page]:
    """List the slices of a page: some writers state the first of many and leave the others out."""
    offsets, counts = tuple(page.dataoffsets), tuple(page.databytecounts)
    hidden = 1
    if page.is_shaped and page.is_contiguous:
        try:
            about = json.loads(page.shaped_description)
            if about.get("truncated"):
                hidden = math.prod(about["shape"]) // math.prod(page.shape)
        except (ValueError, TypeError, KeyError, AttributeError):
            hidden = 1
    return [
        Page(page, tuple(offset + number * sum(counts) for offset in offsets), counts)
        for number in range(max(hidden, 1))
    ]


def _refuse_colour(series: Any, source: str) -> Stack:
    _read_axes(series, source)  # says so in its own words
    raise DataError(f"{source} holds masks only; one grey channel with axes Z, Y, X is needed.")


def _note_pieces(alike: Sequence[Any], num_slices: int, source: str) -> str:
    """Say what was joined, where it is not just slices that were appended one by one."""
    depths = [math.prod(one.shape[:-2]) for one in alike]
    if max(depths, default=1) == 1 or (len(depths) == 1 and depths[0] == num_slices):
        return ""
    if len(depths) == 1:
        return f"{source} states {depths[0]} slices and holds {num_slices}; all of them are read."
    counts = _list_few([str(depth) for depth in depths])
    return (
        f"{source} holds {len(depths)} pieces of {counts} slices one after the other; they are "
        f"read as one volume of {num_slices} slices."
    )


def _note_rest(groups: dict[tuple[Any, ...], list[Page]], key: tuple[Any, ...], source: str) -> str:
    rest = [
        f"{len(group)} of {format_shape(other[:-3])} {other[-3]}"
        for other, group in groups.items()
        if other != key
    ]
    if not rest:
        return ""
    return (
        f"{source} holds other images beside its {len(groups[key])} slices of "
        f"{format_shape(key[:-3])}, which are left out: {_list_few(rest)}."
    )


def _plane(series: Any) -> tuple[int, ...]:
    return tuple(series.keyframe.shape)


def _is_colour(series: Any) -> bool:
    return int(series.keyframe.samplesperpixel) > 1 or series.axes.endswith("S")


def _list_few(words: Sequence[str]) -> str:
    shown = [*words[:6], *([f"{len(words) - 6:,} more"] if len(words) > 6 else [])]
    return list_words(shown, "and")
