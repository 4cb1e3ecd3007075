"""What a phantom is made of."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from napari_surfseg.errors import ConfigError

if TYPE_CHECKING:
    from napari_surfseg.geometry import Size3, Spacing3

__all__ = ["LABEL_THICKNESS", "PhantomSettings"]


#: Thickness of the labelled inner face along its normal, in voxels: a band this
#: thick covers two or three voxel centres wherever it is cut.
LABEL_THICKNESS = 2.5

#: Smaller rolls have no room for a core and a few windings.
MIN_RADIUS = 80.0

#: Share of the shorter side of the volume that a roll's mean radius takes, so
#: that dents and bulges stay inside.
RADIUS_SHARE = 0.45


@dataclass(frozen=True)
class PhantomSettings:
    """Size, appearance and annotation of a synthetic scroll.

    Attributes
    ----------
    shape : tuple of int
        Z, Y, X voxels; the roll's axis runs along Z.
    seed : int
        Everything random follows from it.
    spacing : tuple of float
        Voxel size in micrometres, ZYX; only written into the files.
    radius : float, optional
        Mean radius of the roll in voxels. By default it fills the volume, and
        a volume too small for a whole roll shows a part of one.
    sheet_thickness : tuple of float
        Least and greatest thickness of the papyrus, in voxels.
    gap : float
        Mean width of the space between sheets, in voxels. The space varies from
        none at all, where neighbours are pressed together, to about three times this.
    contrast : float
        Papyrus minus gap, in grey values of 0 to 255.
    noise : float
        Standard deviation of the noise, in grey values.
    blur : float
        Standard deviation of the point spread function, in voxels.
    annotated : str
        ``dense``: everything is labelled but for some regions; ``strokes``: of
        the background, only what a few painted strokes cover.
    unannotated : float
        Share of the roll that is left without annotation, about.
    """

    shape: Size3 = (160, 192, 192)
    seed: int = 0
    spacing: Spacing3 = (7.91, 7.91, 7.91)
    radius: float | None = None
    sheet_thickness: tuple[float, float] = (6.0, 14.0)
    gap: float = 6.0
    contrast: float = 36.0
    noise: float = 15.0
    blur: float = 0.9
    annotated: Literal["dense", "strokes"] = "dense"
    unannotated: float = 0.08

    def __post_init__(self) -> None:
        """Refuse what no scroll can be made of."""
        _require(
            len(self.shape) == 3 and all(size >= 1 for size in self.shape),
            f"The phantom's shape is {self.shape}; it needs three sizes of at least 1 voxel.",
        )
        _require(
            len(self.spacing) == 3 and all(math.isfinite(s) and s > 0 for s in self.spacing),
            f"The phantom's spacing is {self.spacing}; it needs three numbers above 0.",
        )
        _require(
            0 <= self.seed < 2**32,
            f"The phantom's seed is {self.seed}; it must be from 0 to 4294967295.",
        )
        least, greatest = self.sheet_thickness
        _require(
            6 <= least <= greatest <= 40,
            f"The phantom's sheet thickness is {least} to {greatest} voxels; "
            "it must lie between 6 and 40, the lesser first.",
        )
        _require(
            self.radius is None or self.radius >= MIN_RADIUS,
            f"The phantom's radius is {self.radius} voxels; it must be at least {MIN_RADIUS:g}.",
        )
        _require(
            2 <= self.gap <= 40,
            f"The phantom's gap is {self.gap} voxels; it must be from 2 to 40.",
        )
        _require(
            0 <= self.contrast <= 100,
            f"The phantom's contrast is {self.contrast}; it must be from 0 to 100 grey values.",
        )
        _require(
            0 <= self.noise <= 60,
            f"The phantom's noise is {self.noise}; it must be from 0 to 60 grey values.",
        )
        _require(
            0.3 <= self.blur <= 3,
            f"The phantom's blur is {self.blur} voxels; it must be from 0.3 to 3.",
        )
        _require(
            self.annotated in ("dense", "strokes"),
            f"The phantom's annotation is {self.annotated!r}; it must be dense or strokes.",
        )
        _require(
            0 <= self.unannotated <= 0.9,
            f"The phantom's unannotated share is {self.unannotated}; it must be from 0 to 0.9.",
        )

    @property
    def mean_thickness(self) -> float:
        """Mean thickness of a free sheet, in voxels: most are nearer the least."""
        least, greatest = self.sheet_thickness
        return least + 0.36 * (greatest - least)

    @property
    def mean_pitch(self) -> float:
        """Mean distance from one winding to the next, in voxels."""
        return self.mean_thickness + self.gap

    @property
    def roll_radius(self) -> float:
        """Mean radius of the roll, in voxels."""
        if self.radius is not None:
            return self.radius
        return max(MIN_RADIUS, RADIUS_SHARE * min(self.shape[1:]))

    @property
    def axis_place(self) -> tuple[float, float]:
        """Where the roll's axis lies on average, Y and X in voxels.

        In the middle where the whole roll fits; beside it where only a part of
        the roll is seen, as the core alone would hold few sheets.
        """
        hidden = max(0.0, self.roll_radius - RADIUS_SHARE * min(self.shape[1:]))
        return (self.shape[1] - 1) / 2 + 0.2 * hidden, (self.shape[2] - 1) / 2 - 0.5 * hidden


def _require(condition: bool, sentence: str) -> None:
    if not condition:
        raise ConfigError(sentence)
