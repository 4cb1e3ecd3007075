"""What label values mean: 0 background, 1 surface, 2 not annotated.

A file may use other numbers. ``{foreground: [255], background: [0], ignore: []}``
reads a mask of 0 and 255; ``{foreground: [1], background: [2], ignore: [0]}``
reads strokes painted on an empty layer, where 0 means "not painted yet".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_surfseg.errors import LabelError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from napari_surfseg.config import Labels
    from napari_surfseg.data.volume import VoxelArray

__all__ = [
    "BACKGROUND",
    "FOREGROUND",
    "IGNORE",
    "UNKNOWN",
    "build_label_table",
    "describe_two_meanings",
    "looks_like_instances",
    "looks_like_probabilities",
    "map_labels",
    "suggest_two_meanings",
]

BACKGROUND = 0
FOREGROUND = 1
IGNORE = 2
#: Not in the mapping. Only :mod:`~napari_surfseg.data.census` works with it, to say what it found.
UNKNOWN = 3
#: Values other than the usual ones up to which each may have a meaning.
MANY_VALUES = 8

#: Bytes of more values than this are grey, not labels.
MANY_BYTES = 200


def build_label_table(mapping: Labels) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Meaning of every uint8 value.

    Returns
    -------
    numpy.ndarray
        Shape (256,), uint8: 0 background, 1 surface, 2 ignore, 3 not in the mapping.
    """
    table = np.full(256, UNKNOWN, dtype=np.uint8)
    for meaning, values in _meanings(mapping):
        table[[value for value in values if 0 <= value <= 255]] = meaning
    return table


def classify_labels(values: VoxelArray, mapping: Labels) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Meaning of every voxel, with 3 where the value is not in the mapping.

    Parameters
    ----------
    values : numpy.ndarray
        Whole numbers or booleans, any shape.
    mapping : Labels
        The values and their meanings.

    Returns
    -------
    numpy.ndarray
        uint8, the shape of ``values``.
    """
    if values.dtype == np.uint8 or values.dtype == np.bool_:
        return build_label_table(mapping)[values.view(np.uint8)]
    classes = np.full(values.shape, UNKNOWN, dtype=np.uint8)
    limits = np.iinfo(values.dtype)
    for meaning, wanted in _meanings(mapping):
        for value in wanted:
            if limits.min <= value <= limits.max:
                classes[values == value] = meaning
    return classes


def map_labels(
    values: VoxelArray, mapping: Labels, *, source: str = "the labels"
) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Translate label values to 0 background, 1 surface and 2 ignore.

    Parameters
    ----------
    values : numpy.ndarray
        Whole numbers or booleans, any shape.
    mapping : Labels
        The values and their meanings.
    source : str
        What a sentence calls the labels.

    Returns
    -------
    numpy.ndarray
        uint8, the shape of ``values``.

    Raises
    ------
    LabelError
        If the labels hold something other than whole numbers, or a value that
        is not in the mapping.
    """
    require_label_dtype(values.dtype, source)
    classes = classify_labels(values, mapping)
    unknown = classes == UNKNOWN
    if unknown.any():
        found, counts = np.unique(values[unknown], return_counts=True)
        counted = {int(value): int(count) for value, count in zip(found, counts, strict=True)}
        raise LabelError(describe_unknown(source, counted, mapping), field="data.labels")
    return classes


def require_label_dtype(dtype: np.dtype[Any], source: str) -> None:
    """Refuse labels that are not whole numbers."""
    if dtype.kind not in "uib":
        raise LabelError(
            f"{source} holds {dtype} values; labels must be whole numbers, so save them as uint8."
        )


def describe_unknown(source: str, counts: dict[int, int], mapping: Labels) -> str:
    """Sentence that names values outside the mapping, the most frequent first.

    It ends with the setting that suits what the values look like.
    """
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    shown = ", ".join(f"{value} ({_voxels(count)})" for value, count in ordered[:5])
    more = f" and {len(ordered) - 5} more" if len(ordered) > 5 else ""
    values = "value" if len(ordered) == 1 else "values"
    known = ", ".join(
        f"{name} {list(getattr(mapping, name))}" for name in ("foreground", "background", "ignore")
    )
    return (
        f"{source} holds the {values} {shown}{more}, not listed in data.labels ({known}); "
        f"{_advise(list(counts))}."
    )


def looks_like_instances(values: Iterable[int]) -> bool:
    """Whether there are so many values that each is rather an object than a meaning.

    Values of 0 to 2 and 255 are usual meanings; more than :data:`MANY_VALUES` others are not.
    """
    return len(set(values) - {0, 1, 2, 255}) > MANY_VALUES


def looks_like_probabilities(values: VoxelArray) -> bool:
    """Whether voxels are rather probabilities than 0 and 1 or the numbers of objects.

    Fractions between 0 and 1, or nearly every value that a byte can have.
    """
    if values.dtype.kind == "f":
        return bool(((values > 0) & (values < 1)).any())
    return values.dtype == np.uint8 and len(np.unique(values)) > MANY_BYTES


def suggest_two_meanings(counts: Mapping[int, int]) -> dict[int, str] | None:
    """Guess what two values mean: 0 is background, else the more frequent is.

    Surfaces are thin, so there is less of them than of what lies between.

    Returns
    -------
    dict or None
        Value to ``"background"`` and ``"foreground"``; None where there are not two values.
    """
    if len(counts) != 2:
        return None
    low, high = sorted(counts)
    background = low if low == 0 or counts[low] >= counts[high] else high
    return {value: "background" if value == background else "foreground" for value in (low, high)}


def describe_two_meanings(counts: Mapping[int, int]) -> str:
    """Write the setting that :func:`suggest_two_meanings` means, or an empty text."""
    meanings = suggest_two_meanings(counts)
    if meanings is None:
        return ""
    by_meaning = {meaning: value for value, meaning in meanings.items()}
    return (
        f"{{foreground: [{by_meaning['foreground']}], background: [{by_meaning['background']}], "
        "ignore: []}"
    )


def _advise(values: list[int]) -> str:
    if looks_like_instances(values):
        return (
            "these look like instances, one value an object: set data.labels.instances to "
            "boundaries to learn the boundaries between them, or list the values that are surface"
        )
    them = "it" if len(values) == 1 else "them"
    if values == [255]:
        return (
            f"add {them} to the meaning wanted: a mask of 0 and 255 is read with data.labels "
            "{foreground: [255], background: [0], ignore: []}"
        )
    return f"add {them} to the meaning wanted"


def _meanings(mapping: Labels) -> tuple[tuple[int, tuple[int, ...]], ...]:
    return (
        (FOREGROUND, mapping.foreground),
        (BACKGROUND, mapping.background),
        (IGNORE, mapping.ignore),
    )


def _voxels(count: int) -> str:
    return "1 voxel" if count == 1 else f"{count:,} voxels"
