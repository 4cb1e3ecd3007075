"""How probabilities become a surface: the settings of post-processing.

They are found on validation data (:mod:`napari_surfseg.inference.postprocess_tuning`), travel
with the checkpoint as plain numbers, and are applied by
:mod:`napari_surfseg.surfaces.postprocess_blocks`.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from napari_surfseg.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PostProcess"]

#: Greatest closing radius, in voxels: wider gaps are for the network, not for morphology.
MAX_CLOSING_RADIUS = 16
#: Greatest smoothing, in voxels: more would blur the surface.
MAX_SMOOTHING = 4.0
#: Most layers by which tears are closed: each looks seventeen voxels further.
MAX_TEAR_LAYERS = 10


@dataclass(frozen=True)
class PostProcess:
    """How probabilities become a mask. The defaults are a plain threshold.

    Attributes
    ----------
    threshold : float
        Probability above which a voxel is surface.
    low_threshold : float or None
        Hysteresis: a voxel above this is surface too if it is connected
        (26 neighbours) to one above `threshold`. None for none.
    closing_radius : int
        Plug holes and slits up to about this many voxels wide, and gaps between
        sheets up to twice that; 0 for none.
    closing_floor : float
        Only voxels with a probability above this are plugged, so that a clear gap
        between two sheets stays open.
    fill_holes : int
        Fill cavities of at most this many voxels.
    min_voxels : int
        Drop components of fewer voxels.
    connectivity : {26, 6}
        Which voxels are connected when components are dropped. With 6, specks that
        touch a sheet at an edge or corner only are dropped too, which is how the challenge's
        topology counts them; a tilted sheet one voxel thick would be lost.
    smoothing : float
        Standard deviation, in voxels, of a Gaussian over the probabilities.
    sheet_smoothing : float
        Standard deviation, in voxels, of an average along the sheets and not across them
        (:func:`~napari_surfseg.surfaces.sheet_smoothing.smooth_along_sheets`).
    tear_layers : int
        Close holes through sheets up to about twice this many voxels wide, without joining
        anything (:func:`~napari_surfseg.surfaces.local_topology.fill_tears`); 0 for none.
    tear_floor : float
        Only voxels with a probability above this are part of what closes a hole.
    min_area : float
        Drop components with less area, in voxel faces
        (:func:`~napari_surfseg.surfaces.sheet_area.compute_sheet_area`).
    """

    threshold: float = 0.5
    low_threshold: float | None = None
    closing_radius: int = 0
    closing_floor: float = 0.0
    fill_holes: int = 0
    min_voxels: int = 0
    connectivity: int = 26
    smoothing: float = 0.0
    sheet_smoothing: float = 0.0
    tear_layers: int = 0
    tear_floor: float = 0.0
    min_area: float = 0.0

    def __post_init__(self) -> None:
        for name in ("threshold", "low_threshold", "closing_floor", "tear_floor"):
            value = getattr(self, name)
            if value is None and name == "low_threshold":
                continue
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
                raise ConfigError(
                    f"The post-processing setting {name} must be a probability of at least 0 and "
                    f"less than 1, found {value!r}."
                )
        if self.low_threshold is not None and self.low_threshold > self.threshold:
            raise ConfigError(
                f"The post-processing setting low_threshold must not be above threshold "
                f"({self.threshold}), found {self.low_threshold}."
            )
        most_of = {"closing_radius": MAX_CLOSING_RADIUS, "tear_layers": MAX_TEAR_LAYERS}
        for name in ("closing_radius", "fill_holes", "min_voxels", "tear_layers"):
            value = getattr(self, name)
            most = most_of.get(name)
            if (
                isinstance(value, bool)
                or not isinstance(value, int)
                or value < 0
                or (most is not None and value > most)
            ):
                limit = "at least 0" if most is None else f"between 0 and {most}"
                raise ConfigError(
                    f"The post-processing setting {name} must be a whole number {limit}, "
                    f"found {value!r}."
                )

        if self.connectivity not in (6, 26):
            raise ConfigError(
                f"The post-processing setting connectivity must be 6 or 26, "
                f"found {self.connectivity!r}."
            )
        for name in ("smoothing", "sheet_smoothing"):
            width = getattr(self, name)
            if not isinstance(width, int | float) or not 0 <= width <= MAX_SMOOTHING:
                raise ConfigError(
                    f"The post-processing setting {name} must be a number of voxels between 0 and "
                    f"{MAX_SMOOTHING}, found {width!r}."
                )
        area = self.min_area
        if isinstance(area, bool) or not isinstance(area, int | float) or not 0 <= area < math.inf:
            raise ConfigError(
                f"The post-processing setting min_area must be a number of voxel faces of at "
                f"least 0, found {area!r}."
            )

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for a checkpoint or a report."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> PostProcess:
        """Rebuild what :meth:`as_dict` gave.

        Raises
        ------
        ConfigError
            If a setting is unknown or out of range.
        """
        known = [item.name for item in fields(cls)]
        for name in values:
            if name not in known:
                raise ConfigError(
                    f"The post-processing setting {name} is unknown; there are {', '.join(known)}."
                )
        return cls(**values)
