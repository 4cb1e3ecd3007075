"""How grey values become the network's input: part of what a checkpoint holds.

Every patch travels as uint8; the network sees ``(uint8 / 255 - mean) / std``. Nothing here imports
torch.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from napari_surfseg.model.grey_values import GreyValues

if TYPE_CHECKING:
    from napari_surfseg.model.grey_values import GreyFit

__all__ = ["Intensity"]

ByteArray: TypeAlias = np.ndarray[Any, np.dtype[np.uint8]]


@dataclass(frozen=True)
class Intensity:
    """How grey values become network input.

    Attributes
    ----------
    low, high : float
        Grey values that become 0 and 255; values beyond are clipped.
    mean, std : float
        Of the uint8 values divided by 255.
    values : GreyValues, optional
        What the training volumes held; unknown in checkpoints of earlier versions.
    """

    low: float
    high: float
    mean: float
    std: float
    values: GreyValues | None = None

    @property
    def is_identity(self) -> bool:
        """Whether uint8 values stay as they are."""
        return self.low == 0 and self.high == 255

    def to_uint8(self, values: np.ndarray[Any, np.dtype[Any]]) -> ByteArray:
        """Grey values as uint8.

        Parameters
        ----------
        values : numpy.ndarray
            Any shape, integers or real numbers; NaN becomes 0.

        Returns
        -------
        numpy.ndarray
            uint8, the same shape; the input itself where nothing changes.
        """
        if values.dtype == np.uint8:
            if self.is_identity:
                return values
            return self._look_up(values, 2**8)
        if values.dtype == np.uint16 and values.size > 2**18:
            return self._look_up(values, 2**16)
        return self._convert(values)

    def _look_up(self, values: np.ndarray[Any, np.dtype[Any]], num_levels: int) -> ByteArray:
        """Convert every level once: quicker than every voxel where there are few levels."""
        found: ByteArray = self._convert(np.arange(num_levels, dtype=np.float32))[values]
        return found

    def _convert(self, values: np.ndarray[Any, np.dtype[Any]]) -> ByteArray:
        # float32 holds 24 bits: enough for 8, except for large offsets with a narrow range.
        wide = values.dtype.itemsize > 4 or max(abs(self.low), abs(self.high)) > 2**20
        scaled: np.ndarray[Any, np.dtype[np.floating[Any]]]
        scaled = values.astype(np.float64 if wide else np.float32)
        scaled -= self.low
        scaled *= 255.0 / (self.high - self.low)
        np.rint(scaled, out=scaled)
        np.nan_to_num(scaled, copy=False, nan=0.0, posinf=255.0, neginf=0.0)
        np.clip(scaled, 0, 255, out=scaled)
        return scaled.astype(np.uint8)

    def after(self, fit: GreyFit) -> Intensity:
        """Give the one for values that are to be scaled first."""
        if fit.is_identity:
            return self
        low, high = ((edge - fit.offset) / fit.scale for edge in (self.low, self.high))
        return replace(self, low=low, high=high)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for checkpoints."""
        numbers = {"low": self.low, "high": self.high, "mean": self.mean, "std": self.std}
        if self.values is None:
            return numbers
        return {**numbers, "values": self.values.as_dict()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Intensity:
        """From what :meth:`as_dict` gave."""
        numbers = {name: float(values[name]) for name in ("low", "high", "mean", "std")}
        known = values.get("values")
        return cls(**numbers, values=None if known is None else GreyValues.from_dict(known))
