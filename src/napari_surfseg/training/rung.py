"""What a training step takes at once, and the next that takes less."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from napari_surfseg.model.presets import find_smaller_patch
from napari_surfseg.wording import format_size

if TYPE_CHECKING:
    from napari_surfseg.geometry import Size3

__all__ = ["Rung"]


@dataclass(frozen=True)
class Rung:
    """What goes through the network at once.

    Attributes
    ----------
    patch_size : tuple of int
        Z, Y, X voxels.
    patches_at_once : int
        Patches of a batch.
    """

    patch_size: Size3
    patches_at_once: int

    def lower(self, divisor: int | None) -> Rung | None:
        """Return the next lower rung; None below the lowest.

        Without a ``divisor`` the network takes patches of one size only.
        """
        if self.patches_at_once > 1:
            return replace(self, patches_at_once=(self.patches_at_once + 1) // 2)
        if divisor is None:
            return None
        smaller = find_smaller_patch(self.patch_size, divisor)
        return None if smaller is None else replace(self, patch_size=smaller)

    def __str__(self) -> str:
        many = self.patches_at_once
        what = "1 patch" if many == 1 else f"{many} patches"
        return f"{what} of {format_size(self.patch_size)} voxels at once"
