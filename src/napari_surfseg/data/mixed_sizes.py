"""Volumes of one run whose voxels differ: resampled to one size, or refused; never mixed.

A run has one network, and its losses, its symmetries and its checkpoint have one voxel size. What
a volume does not say is taken from the others only where these agree, and said.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from napari_surfseg.data.resampling import resample_to_size
from napari_surfseg.data.units import compare_sizes, format_sizes, is_same_size
from napari_surfseg.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_surfseg.config import Data
    from napari_surfseg.data.checked_pair import CheckedPair
    from napari_surfseg.data.resampling import KnownVoxels
    from napari_surfseg.geometry import Spacing3

__all__ = ["RUN_SPACING_TOLERANCE", "check_sizes", "find_typical", "make_alike"]

#: Relative difference up to which the voxels of two volumes of a run, which may come from
#: different scans, count as the same.
RUN_SPACING_TOLERANCE = 0.1


def check_sizes(pairs: Sequence[CheckedPair], data: Data) -> list[CheckedPair]:
    """Settle the voxel size of every volume, and refuse what cannot share a run.

    Returns
    -------
    list of CheckedPair
        With a note for each whose size was taken from the others.

    Raises
    ------
    DataError
        Naming two volumes and their sizes, or one that says none.
    """
    known = [pair for pair in pairs if pair.image.spacing_known]
    if not known:
        return list(pairs)
    first = known[0]
    other = next((pair for pair in known if not _alike(first, pair)), None)
    if other is not None and data.resample == "none":
        raise DataError(
            f"{_say(first)} and {_say(other)}; the volumes of one run must agree to "
            f"{RUN_SPACING_TOLERANCE:.0%}, or be resampled (data.resample), or data.spacing must "
            "be set for all.",
            field="data.spacing",
        )
    if other is not None and not isinstance(data.resample, str):
        _require_one_unit(known)
    settled = []
    num_unknown = len(pairs) - len(known)
    for pair in pairs:
        if pair.image.spacing_known:
            settled.append(pair)
            continue
        if other is not None:
            raise DataError(
                f"{pair.image.source} says no voxel size, and those of the other volumes differ "
                f"({_say(first)}, {_say(other)}); give it one (spacing of the pair).",
                field="data.train" if pair.role == "train" else "data.validation",
            )
        settled.append(_with_size_of(pair, first, num_unknown))
        num_unknown = 0  # once is enough
    return settled


def _with_size_of(pair: CheckedPair, other: CheckedPair, num_unknown: int) -> CheckedPair:
    for volume in (pair.image, pair.labels):
        volume.spacing, volume.units = other.image.spacing, other.image.units
        volume.spacing_known = True
    if not num_unknown:
        return pair
    size = f"{other.name}, {format_sizes(other.image.spacing, other.image.units)}."
    note = f"{pair.image.source} says no voxel size; it is taken to have that of {size}"
    if num_unknown > 1:
        note = (
            f"{num_unknown} volumes, {pair.image.source} among them, say no voxel size; they are "
            f"taken to have that of {size}"
        )
    return replace(pair, notes=(*pair.notes, note))


def _require_one_unit(pairs: Sequence[CheckedPair]) -> None:
    """Refuse a size of ``data.resample`` where it would mean another length in each volume."""
    first = pairs[0]
    for pair in pairs[1:]:
        if pair.image.units != first.image.units:
            units = [one.image.units or "no unit" for one in (first, pair)]
            raise DataError(
                f"data.resample is a size in the unit of the files, but {first.image.source} is in "
                f"{units[0]} and {pair.image.source} in {units[1]}; let it be auto, or give the "
                "volumes the same unit.",
                field="data.resample",
            )


def make_alike(
    pairs: Sequence[CheckedPair], known: KnownVoxels | None
) -> tuple[list[CheckedPair], list[str]]:
    """Have the network see all pairs in voxels of one size.

    Parameters
    ----------
    pairs : sequence of CheckedPair
        As the network would see each for itself.
    known : KnownVoxels, optional
        What the network was trained on: where that has a size and the pairs differ, it is theirs.

    Returns
    -------
    pairs : list of CheckedPair
        Those that differ are resampled to the size that most annotated voxels have.
    notes : list of str
        What is done.

    Raises
    ------
    DataError
        If a size is too far from the others to be resampled.
    """
    first = pairs[0]
    if all(
        _is_alike(pair.seen_spacing, pair.image.units, first.seen_spacing, first.image.units)
        for pair in pairs
    ):
        return list(pairs), []
    if known is not None and known.is_sized:
        spacing, units, of = known.spacing, known.units, "the network to start from"
    else:
        model = find_typical(pairs)
        spacing, units, of = model.seen_spacing, model.image.units, model.name
    alike, notes = [], []
    for pair in pairs:
        if _is_alike(pair.seen_spacing, pair.image.units, spacing, units):
            alike.append(pair)
            continue
        ratios = compare_sizes(pair.spacing, pair.image.units, spacing, units)
        found, note = resample_to_size(pair.image, ratios, f"those of {of} {_size(spacing, units)}")
        if found is None:
            raise DataError(f"{note} The volumes of one run share one size.", field="data.train")
        alike.append(replace(pair, resampling=found))
        notes.append(note)
    return alike, notes


def find_typical(pairs: Sequence[CheckedPair]) -> CheckedPair:
    """Return the first training pair whose voxels, as seen, are those of most annotated voxels."""
    counts: dict[tuple[Spacing3, str | None], int] = {}
    firsts: dict[tuple[Spacing3, str | None], CheckedPair] = {}
    for pair in pairs:
        if pair.role == "train":
            size = pair.seen_spacing, pair.image.units
            firsts.setdefault(size, pair)
            counts[size] = counts.get(size, 0) + pair.census.num_supervised

    def count_alike(size: tuple[Spacing3, str | None]) -> int:
        spacing, units = size
        return sum(
            count
            for (other, other_units), count in counts.items()
            if _is_alike(spacing, units, other, other_units)
        )

    most = max(counts, key=count_alike)
    return firsts[most]


def _alike(pair: CheckedPair, other: CheckedPair) -> bool:
    return _is_alike(pair.spacing, pair.image.units, other.spacing, other.image.units)


def _is_alike(
    spacing: Spacing3, units: str | None, other: Spacing3, other_units: str | None
) -> bool:
    return is_same_size(spacing, units, other, other_units, tolerance=RUN_SPACING_TOLERANCE)


def _say(pair: CheckedPair) -> str:
    return f"{pair.image.source} has voxel size {_size(pair.spacing, pair.image.units)}"


def _size(spacing: Spacing3, units: str | None) -> str:
    return format_sizes(spacing, units)
