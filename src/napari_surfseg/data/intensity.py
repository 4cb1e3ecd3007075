"""Grey values to uint8, and the mean and deviation of those.

Every patch travels as uint8; the network sees ``(uint8 / 255 - mean) / std``.
The four numbers go into the checkpoint, so that prediction repeats them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from napari_surfseg.cancelling import raise_if_stopped
from napari_surfseg.data.targets import RescaledVolume
from napari_surfseg.data.volume import grow_chunks
from napari_surfseg.errors import ChunkError, DataError
from napari_surfseg.geometry import block_box, blocks_under, box_shape, count_voxels, to_index
from napari_surfseg.model.grey_values import (
    AS_THEY_ARE,
    fit_grey_values,
    leave_out_void,
    measure_grey_values,
)
from napari_surfseg.model.intensity import Intensity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_surfseg.data.checked_pair import CheckedPair
    from napari_surfseg.data.volume import Volume, VoxelArray
    from napari_surfseg.geometry import Box, Size3
    from napari_surfseg.model.grey_values import FitMode, GreyFit, GreyValues

__all__ = ["compute_intensity", "fit_intensity", "fit_pairs", "sample_grey_values"]

#: Percentiles that become 0 and 255: bright grains and dead voxels are few.
LOW_PERCENTILE, HIGH_PERCENTILE = 0.5, 99.5
#: Voxels of a piece that is sampled, where the storage chunks are not larger.
SAMPLE_VOXELS = 64**3
#: Share of the pieces that hold more than one value, below which a volume counts as nearly empty.
TELLING_SHARE = 0.1
#: Pieces that are enough to see of which kind grey values are.
FEW_SAMPLES = 16


def compute_intensity(
    volumes: Sequence[Volume],
    *,
    boxes: Sequence[Box] | None = None,
    void_value: float | None = None,
    without_void: bool = False,
    max_samples: int = 64,
    seed: int = 0,
    places: Sequence[Sequence[Box]] | None = None,
) -> Intensity:
    """Measure grey values on boxes spread over the volumes.

    Parameters
    ----------
    volumes : sequence of Volume
        Images of one kind.
    boxes : sequence of (start, stop), optional
        The part of each that counts; by default all of it.
    void_value : float, optional
        Value that means "outside the scan"; left out.
    without_void : bool
        Also leave out a value that so many voxels have that it must mean that.
    max_samples : int
        Pieces of about 64^3 voxels read in all; volumes that are not larger are
        read whole.
    seed : int
        Of the places chosen.
    places : sequence of sequence of (start, stop), optional
        For each volume where to look if it is nearly everywhere of one value, and it is not known
        what of it is stored.

    Returns
    -------
    Intensity
        The identity (0, 255) for uint8 volumes, else robust percentiles.

    Raises
    ------
    DataError
        If the volumes hold one value only.
    """
    boxes = [volume.box for volume in volumes] if boxes is None else boxes
    sample = _sample_values(volumes, boxes, void_value, max_samples, seed, places)
    if without_void:
        sample = leave_out_void(sample)
    if all(volume.dtype == np.uint8 for volume in volumes):
        low, high = 0.0, 255.0
    else:
        low, high = (float(q) for q in np.percentile(sample, [LOW_PERCENTILE, HIGH_PERCENTILE]))
        if low == high:
            low, high = float(sample.min()), float(sample.max())
    if sample.min() == sample.max():
        raise DataError(
            f"{_names(volumes)} holds the one value {sample[0]:g} only; there is nothing to see."
        )
    scaled = Intensity(low, high, 0.0, 1.0).to_uint8(sample).astype(np.float64) / 255
    values = measure_grey_values(sample, np.result_type(*(volume.dtype for volume in volumes)))
    return Intensity(low, high, float(scaled.mean()), max(float(scaled.std()), 1 / 255), values)


def sample_grey_values(
    volume: Volume, *, box: Box | None = None, void_value: float | None = None
) -> GreyValues:
    """Measure which grey values a volume holds, on a few pieces of it.

    Raises
    ------
    DataError
        If it holds no finite values other than the void value.
    """
    boxes = [volume.box if box is None else box]
    sample = _sample_values([volume], boxes, void_value, FEW_SAMPLES, 0)
    return measure_grey_values(sample, volume.dtype)


def fit_intensity(
    volume: Volume, intensity: Intensity | None, mode: FitMode = "auto", *, box: Box | None = None
) -> tuple[Intensity, GreyFit]:
    """Find how a network that was trained on other volumes sees this one.

    Parameters
    ----------
    volume : Volume
        The image.
    intensity : Intensity, optional
        Of the network's training; without its grey values nothing can be compared. None where
        each volume is normalised by its own: that of the whole volume is measured.
    mode : str
        As in :func:`~napari_surfseg.model.grey_values.fit_grey_values`.
    box : (start, stop), optional
        The part that is predicted.

    Returns
    -------
    intensity : Intensity
        With the rescaling in it.
    fit : GreyFit
        What was done and what is to be said.
    """
    if intensity is None:
        return compute_intensity([volume], without_void=True), AS_THEY_ARE
    if intensity.values is None or mode == "as_is":
        return intensity, AS_THEY_ARE
    found = sample_grey_values(volume, box=box)
    if found.low == found.high:  # an empty part: nothing to compare
        return intensity, AS_THEY_ARE
    fit = fit_grey_values(found, intensity.values, mode, name=volume.name)
    return intensity.after(fit), fit


def fit_pairs(
    pairs: Sequence[CheckedPair], mode: FitMode = "auto"
) -> tuple[list[CheckedPair], list[GreyFit]]:
    """Bring the grey values of all volumes of a run to those of the first.

    One translation to uint8 serves the whole run, so an 8-bit volume beside one of 16 bits
    would be black.

    Returns
    -------
    pairs : list of CheckedPair
        Some of them with another image.
    fits : list of GreyFit
        What is to be said, a volume once.
    """
    first = pairs[0]
    fits: dict[int, GreyFit] = {id(first.image): AS_THEY_ARE}
    known = None
    fitted = []
    for pair in pairs:
        fit = fits.get(id(pair.image))
        if fit is None:
            known = known or sample_grey_values(
                first.image, box=first.roi, void_value=first.void_value
            )
            found = sample_grey_values(pair.image, box=pair.roi, void_value=pair.void_value)
            fit = fit_grey_values(
                found,
                known,
                mode,
                name=pair.name,
                known=f"those of {first.name}",
                setting="data.intensity",
            )
            fits[id(pair.image)] = fit
        if not fit.is_identity:
            image = RescaledVolume(pair.image, fit, first.image.dtype, void_value=pair.void_value)
            pair = replace(pair, image=image)
        fitted.append(pair)
    return fitted, list(fits.values())


def _sample_values(
    volumes: Sequence[Volume],
    boxes: Sequence[Box],
    void_value: float | None,
    max_samples: int,
    seed: int,
    places: Sequence[Sequence[Box]] | None = None,
) -> VoxelArray:
    """Read finite grey values, void ones left out, of pieces spread over volumes."""
    sizes = [count_voxels(box) for box in boxes]
    rng = np.random.default_rng([seed, 0x17E5])
    values: list[VoxelArray] = []
    known: Sequence[Sequence[Box]] = [()] * len(volumes) if places is None else places
    for volume, box, size, near in zip(volumes, boxes, sizes, known, strict=True):
        share = max(1, round(max_samples * size / sum(sizes)))
        pieces = _read_pieces(volume, _sample_boxes(box, volume.chunks, share, rng))
        num_telling = sum(piece.size > 0 and piece.min() < piece.max() for piece in pieces)
        if num_telling < TELLING_SHARE * len(pieces):
            # Most of it may never have been written: look where something was.
            stored = _choose_stored(volume, box, share, rng)
            if stored is not None:
                pieces = _read_pieces(volume, stored)
            elif near and not num_telling:
                pieces = _read_pieces(volume, near)
        for taken in pieces:
            good = np.isfinite(taken) if taken.dtype.kind == "f" else np.ones(taken.shape, bool)
            if void_value is not None:
                good &= taken != void_value
            values.append(taken[good])
    sample = np.concatenate(values) if values else np.zeros(0)
    if not sample.size:
        raise DataError(f"{_names(volumes)} holds no finite values other than the void value.")
    return sample


def _names(volumes: Sequence[Volume]) -> str:
    return ", ".join(volume.source for volume in volumes[:3])


def _read_pieces(volume: Volume, boxes: Sequence[Box]) -> list[VoxelArray]:
    """Read some voxels of each box, as many of a large one as of a small one."""
    pieces = []
    for start, stop in boxes:
        raise_if_stopped()
        try:
            taken = volume.read(start, stop).ravel()
        except ChunkError:  # reported where it is met by a patch
            continue
        # A prime step, so that no column of voxels is taken again and again.
        pieces.append(taken[:: 1 if taken.size <= 2 * SAMPLE_VOXELS else 61])
    return pieces


def _choose_stored(
    volume: Volume, box: Box, count: int, rng: np.random.Generator
) -> list[Box] | None:
    """Choose pieces of what is stored; None where that is not known, or it is everything."""
    stored = volume.stored_chunks(box)
    if stored is None or not len(stored):
        return None
    parts = stored.boxes(box)
    if sum(map(count_voxels, parts)) == count_voxels(box):
        return None
    picks = np.sort(rng.choice(len(parts), min(count, len(parts)), replace=False))
    return [_sample_boxes(parts[i], volume.chunks, 1, rng)[0] for i in picks]


def _sample_boxes(box: Box, chunks: Size3, count: int, rng: np.random.Generator) -> list[Box]:
    """Up to ``count`` pieces of a box, spread at random, each of whole storage chunks.

    Cubes would be fairer where slices are stored whole, but each would decode
    all slices it touches.
    """
    unit = grow_chunks(chunks, box, SAMPLE_VOXELS)
    grid = blocks_under(box, unit)
    total = count_voxels(grid)
    picks = rng.choice(total, size=count, replace=False) if total > count else np.arange(total)
    places = np.stack(np.unravel_index(np.sort(picks), box_shape(grid)), axis=1) + grid[0]
    return [block_box(to_index(place), unit, box) for place in places]
