"""Which grey values a network was trained on, and whether those of another volume fit them.

The same scan comes as 16 bits, as an 8-bit copy or as 0 to 1, and a network finds nothing where
the numbers are others. Where a change of type explains the difference it is undone, and said;
otherwise it is only said. Nothing here imports torch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "AS_THEY_ARE",
    "FitMode",
    "GreyFit",
    "GreyValues",
    "fit_grey_values",
    "leave_out_void",
    "measure_grey_values",
]

FitMode = Literal["auto", "as_is", "match"]

#: What :attr:`GreyValues.percentiles` are.
PERCENTILES = (0.5, 5.0, 25.0, 50.0, 75.0, 95.0, 99.5)
#: Share of the voxels at one end from which they are the void around a masked scan.
VOID_SHARE = 0.2
#: Ranges that real numbers are usually scaled to; the smallest that holds them is theirs.
FLOAT_RANGES = ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0), (0.0, 65535.0))
#: Two volumes of one kind differ in contrast by less than this, two types by more.
CONTRAST_RATIO = 5.0
#: Of the contrast: how far apart the middles of two volumes of one kind may lie.
SHIFT = 1.0
#: A change of type is undone only where the values fit so much better with it.
CLEARLY = 0.5


@dataclass(frozen=True)
class GreyValues:
    """The grey values of volumes, in a few numbers.

    Attributes
    ----------
    dtype : str
        Such as ``uint16``.
    low, high : float
        The smallest and the largest seen.
    percentiles : tuple of float
        At :data:`PERCENTILES`, the void around a masked scan left out.
    """

    dtype: str
    low: float
    high: float
    percentiles: tuple[float, ...]

    @property
    def central(self) -> tuple[float, float]:
        """The range of nearly all voxels."""
        return self.percentiles[0], self.percentiles[-1]

    @property
    def median(self) -> float:
        """The value in the middle."""
        return self.percentiles[len(PERCENTILES) // 2]

    def describe(self) -> str:
        """Say the range and the type, for sentences."""
        low, high = self.central
        return f"{low:.5g} to {high:.5g} ({self.dtype})"

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for checkpoints."""
        return {
            "dtype": self.dtype,
            "low": self.low,
            "high": self.high,
            "percentiles": list(self.percentiles),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> GreyValues:
        """From what :meth:`as_dict` gave."""
        return cls(
            dtype=str(values["dtype"]),
            low=float(values["low"]),
            high=float(values["high"]),
            percentiles=tuple(float(value) for value in values["percentiles"]),
        )


@dataclass(frozen=True)
class GreyFit:
    """How grey values become those that a network knows: ``scale * value + offset``.

    Attributes
    ----------
    scale, offset : float
        1 and 0 where they stay.
    note : str
        A sentence on what was changed; empty where nothing was.
    warning : str
        A sentence where they do not fit and stay; else empty.
    """

    scale: float = 1.0
    offset: float = 0.0
    note: str = ""
    warning: str = ""

    @property
    def is_identity(self) -> bool:
        """Whether the values stay as they are."""
        return self.scale == 1 and self.offset == 0


#: Nothing is changed, and there is nothing to say.
AS_THEY_ARE = GreyFit()


def measure_grey_values(sample: NDArray[Any], dtype: np.dtype[Any]) -> GreyValues:
    """Put a sample of finite grey values into a few numbers.

    Parameters
    ----------
    sample : numpy.ndarray
        At least one value.
    dtype : numpy.dtype
        Of the volume.
    """
    low, high = float(sample.min()), float(sample.max())
    found = np.percentile(leave_out_void(sample), PERCENTILES)
    return GreyValues(str(dtype), low, high, tuple(float(value) for value in found))


def leave_out_void(sample: NDArray[Any]) -> NDArray[Any]:
    """Leave out the least and the greatest value where so many have it that it is no tissue.

    Parameters
    ----------
    sample : numpy.ndarray
        At least one value.
    """
    inside = sample
    for end in (sample.min(), sample.max()):
        rest = inside[inside != end]
        if rest.size and rest.min() != rest.max() and rest.size < (1 - VOID_SHARE) * inside.size:
            inside = rest
    return inside


def fit_grey_values(
    found: GreyValues,
    trained: GreyValues,
    mode: FitMode = "auto",
    *,
    name: str,
    known: str = "those the network was trained on",
    setting: str = "inference.intensity",
) -> GreyFit:
    """Find how a volume's grey values become those that a network was trained on.

    Parameters
    ----------
    found, trained : GreyValues
        Of the volume, and of those trained on.
    mode : str
        ``auto``: undo a change of type where only that makes them fit, else warn. ``as_is``:
        leave them. ``match``: map nearly all values onto the range of those trained on.
    name : str
        Of the volume, for sentences.
    known : str
        How sentences name the other values.
    setting : str
        The setting that is advised.
    """
    if mode == "as_is":
        return AS_THEY_ARE
    if mode == "match":
        scale, offset = _map_range(found.central, trained.central)
        note = (
            f"The grey values of {name}, {found.describe()}, were matched with {known}, "
            f"{trained.describe()}."
        )
        return AS_THEY_ARE if (scale, offset) == (1, 0) else GreyFit(scale, offset, note)
    as_stored = _misfit(found, trained, 1.0, 0.0)
    theirs, wanted = _nominal_range(found), _nominal_range(trained)
    if theirs is not None and wanted is not None and theirs != wanted:
        scale, offset = _map_range(theirs, wanted)
        rescaled = _misfit(found, trained, scale, offset)
        if rescaled <= 1 and rescaled < as_stored * CLEARLY:
            shifted = f" and {offset:.5g} was added" if offset else ""
            note = (
                f"The grey values of {name}, {found.describe()}, were multiplied by "
                f"{scale:.5g}{shifted} to fit {known}, {trained.describe()}: "
                f"the range of the one type was taken for that of the other."
            )
            return GreyFit(scale, offset, note)
    if as_stored <= 1:
        return AS_THEY_ARE
    return GreyFit(
        warning=f"The grey values of {name} are {found.describe()}, but {known} are "
        f"{trained.describe()}, and no change of type explains that, so surfaces may be missed: "
        f"set {setting} to match to map the one range onto the other, or to as_is if they are "
        "right."
    )


def _map_range(theirs: tuple[float, float], wanted: tuple[float, float]) -> tuple[float, float]:
    """Give the scale and the offset that take one range to another."""
    (low, high), (to_low, to_high) = theirs, wanted
    if high == low or to_high == to_low:
        return 1.0, 0.0
    scale = (to_high - to_low) / (high - low)
    return scale, to_low - low * scale


def _nominal_range(values: GreyValues) -> tuple[float, float] | None:
    """Give the range that a type is usually filled over; None where there is no usual one."""
    dtype = np.dtype(values.dtype)
    if dtype.kind == "f":
        # Resampling with splines overshoots a little.
        for low, high in FLOAT_RANGES:
            slack = 0.05 * (high - low)
            if low - slack <= values.low and values.high <= high + slack:
                return low, high
        return None
    if dtype.itemsize > 2:
        return None
    limits = np.iinfo(dtype)
    # Signed values that are all positive come from programs that use the positive half only.
    return float(limits.min if values.low < 0 else 0), float(limits.max)


def _misfit(found: GreyValues, trained: GreyValues, scale: float, offset: float) -> float:
    """Measure how unlike those trained on values are once scaled; above 1 they do not fit."""
    low, high = (scale * value + offset for value in found.central)
    to_low, to_high = trained.central
    widths = high - low, to_high - to_low
    if min(widths) <= 0:
        return 0.0 if max(widths) <= 0 else math.inf
    # Half of the voxels lie below the middle: a few bright grains say nothing.
    middle = scale * found.median + offset
    shift = abs(middle - trained.median) / (SHIFT * max(widths))
    return max(shift, abs(math.log(widths[0] / widths[1])) / math.log(CONTRAST_RATIO))
