"""What is known about a region without labels, in one form for everything that looks for places.

A probability says how sure the network is only in relation to the threshold that will cut it.
`Evidence.chance` is that relation: 0 at probability 0, 1/2 at the threshold, 1 at probability 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from napari_surfseg.errors import DataError
from napari_surfseg.geometry import in_finest_voxels
from napari_surfseg.wording import format_size

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_surfseg.geometry import Size3, Spacing3

__all__ = ["FULL", "Evidence", "build_evidence", "to_bytes", "to_finest_voxels"]

#: Distance within which a sheet's middle is found, in finest voxels.
ACROSS = 2.0
#: A voxel belongs to the middle of a sheet if its probability is at least this share of it.
MIDDLE = 0.75
#: The uint8 that stands for probability 1.
FULL = 255


@dataclass(frozen=True)
class Evidence:
    """One region: its probabilities and what they are compared with.

    Attributes
    ----------
    probs : uint8 array, shape (Z, Y, X)
        Probability of surface, 0 to 255.
    level : float
        Surface is what lies above it, 0 to 255.
    spacing : tuple of float
        Z, Y, X voxel size, in voxels of the finest axis.
    earlier, other : uint8 array, optional
        Probabilities of the same region, of an earlier state and of another network.
    annotated : bool array, optional
        What a person has labelled already.
    """

    probs: NDArray[np.uint8]
    level: float
    spacing: Spacing3
    earlier: NDArray[np.uint8] | None = None
    other: NDArray[np.uint8] | None = None
    annotated: NDArray[np.bool_] | None = None

    @cached_property
    def mask(self) -> NDArray[np.bool_]:
        """The surface."""
        return np.asarray(self.probs > self.level)

    @cached_property
    def chance_table(self) -> NDArray[np.float32]:
        """The chance of surface for each of the 256 probabilities."""
        value = np.arange(FULL + 1, dtype=np.float32)
        below = value / max(2 * self.level, 1e-6)
        above = 1 - (FULL - value) / max(2 * (FULL - self.level), 1e-6)
        chance: NDArray[np.float32] = np.where(value <= self.level, below, above)
        return np.clip(chance, 0, 1).astype(np.float32)

    @cached_property
    def middle(self) -> NDArray[np.uint8]:
        """The largest probability within two finest voxels: at a face, that of the sheet."""
        found: NDArray[np.uint8] = ndimage.maximum_filter(
            self.probs, [2 * step + 1 for step in self.steps(ACROSS)]
        )
        return found

    @cached_property
    def is_middle(self) -> NDArray[np.bool_]:
        """Where the probability is not that of a face, which means nothing by being lower."""
        return np.asarray(self.probs >= MIDDLE * self.middle)

    def error_chance(self, value: float) -> float:
        """Give the chance that a decision that hangs on a probability (0 to 255) is wrong."""
        chance = float(self.chance_table[min(FULL, max(0, round(value)))])
        return min(chance, 1 - chance)

    def steps(self, reach: float) -> Size3:
        """Count the voxels along each axis within a reach in finest voxels, at least 1."""
        z, y, x = (max(1, round(reach / step)) for step in self.spacing)
        return z, y, x


def build_evidence(
    probs: NDArray[Any],
    threshold: float | None,
    spacing: Spacing3,
    *,
    earlier: NDArray[Any] | None = None,
    other: NDArray[Any] | None = None,
    annotated: NDArray[Any] | None = None,
) -> Evidence:
    """Check arrays that come from anywhere and bring them into one form.

    Parameters
    ----------
    probs : array, shape (Z, Y, X)
        Probabilities: 0 to 1 of a float type, 0 to 255 of uint8. With ``threshold=None`` a mask,
        of which non-zero is surface.
    threshold : float or None
        Probability, 0 to 1, above which is surface.
    spacing : tuple of float
        Z, Y, X voxel size.
    earlier, other, annotated : array, optional
        As in :class:`Evidence`, each like `probs`; non-zero is annotated.

    Raises
    ------
    DataError
        If one is no volume, or not of the shape of `probs`.
    """
    if probs.ndim != 3:
        raise DataError(
            f"The prediction has the shape {format_size(probs.shape)}, but a volume (Z, Y, X) is "
            "needed."
        )
    if threshold is not None and not 0 <= threshold <= 1:
        raise DataError(f"The threshold is {threshold}, but must be from 0 to 1.")
    named = {"earlier prediction": earlier, "other prediction": other, "annotation": annotated}
    for name, array in named.items():
        if array is not None and array.shape != probs.shape:
            raise DataError(
                f"The {name} has {format_size(array.shape)} voxels, but the prediction has "
                f"{format_size(probs.shape)}; they must be of one shape."
            )
    return Evidence(
        to_bytes(probs, as_mask=threshold is None),
        FULL / 2 if threshold is None else FULL * threshold,
        to_finest_voxels(spacing),
        None if earlier is None else to_bytes(earlier, as_mask=threshold is None),
        None if other is None else to_bytes(other, as_mask=threshold is None),
        None if annotated is None else np.asarray(annotated != 0),
    )


def to_finest_voxels(spacing: Spacing3) -> Spacing3:
    """Express a voxel size that comes from anywhere in the finest axis.

    Raises
    ------
    DataError
        If it is not three numbers above 0.
    """
    if len(spacing) != 3 or not all(math.isfinite(step) and step > 0 for step in spacing):
        raise DataError(f"The voxel size is {list(spacing)}, but must be three numbers above 0.")
    return in_finest_voxels(spacing)


def to_bytes(probs: NDArray[Any], *, as_mask: bool = False) -> NDArray[np.uint8]:
    """Bring probabilities of any type to 0 to 255.

    Parameters
    ----------
    probs : array
        0 to 255 of an integer type, or 0 to 1 of a float type.
    as_mask : bool
        It is a mask: 0 or anything else.

    Raises
    ------
    DataError
        If it holds something else.
    """
    if probs.dtype.kind == "f" and (bad := int(np.count_nonzero(np.isnan(probs)))):
        raise DataError(f"The prediction holds {bad:,} NaN voxels; numbers are needed everywhere.")
    if as_mask or probs.dtype == bool:
        return np.where(probs != 0, np.uint8(FULL), np.uint8(0))
    if probs.dtype == np.uint8:
        return np.ascontiguousarray(probs)
    top = FULL if probs.dtype.kind in "iu" else 1
    least, most = (probs.min(), probs.max()) if probs.size else (0, 0)
    if least < -1e-3 or most > top * 1.001:
        raise DataError(
            f"The prediction reaches from {least:g} to {most:g}, but probabilities are 0 to {top} "
            f"in the type {probs.dtype}."
        )
    scaled: NDArray[np.float32] = np.rint(np.clip(probs.astype(np.float32) * (FULL / top), 0, FULL))
    return scaled.astype(np.uint8)
