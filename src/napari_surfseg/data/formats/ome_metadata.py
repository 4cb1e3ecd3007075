"""Levels of an OME-Zarr group and their voxel sizes (versions 0.1 to 0.5)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from napari_surfseg.data.volume import CONTENT_KEY

__all__ = ["Level", "read_content", "read_levels"]


@dataclass(frozen=True)
class Level:
    """One resolution of a multiscale image.

    Attributes
    ----------
    path : str
        Of the array inside the group.
    scale : tuple of float or None
        Voxel size along every axis of the array; None where it is not given.
    units : str or None
        Unit of the last axis.
    translation : tuple of float or None
        Place of the first voxel along every axis; None where it is not given.
    """

    path: str
    scale: tuple[float, ...] | None
    units: str | None
    translation: tuple[float, ...] | None = None

    @property
    def spacing(self) -> tuple[float, ...] | None:
        """Size along the last three axes; None where it is not given, or given as ones of nothing.

        Writers that know no voxel size must write a scale all the same, and write ones.
        """
        if self.scale is None or len(self.scale) < 3:
            return None
        last = self.scale[-3:]
        return None if self.units is None and set(last) == {1.0} else last

    @property
    def place(self) -> tuple[float, ...] | None:
        """Place of the first voxel along the last three axes; None where it is not given."""
        given = self.translation is not None and len(self.translation) >= 3
        return self.translation[-3:] if given and self.translation is not None else None


def read_levels(attributes: dict[str, Any]) -> list[Level]:
    """Levels named in a group's attributes, finest first; empty if it is no OME-Zarr.

    Damaged or missing parts are passed over: a wrong scale must not keep the
    voxels from being read.
    """
    ome = attributes.get("ome")
    holder = ome if isinstance(ome, dict) else attributes
    multiscales = holder.get("multiscales")
    if not isinstance(multiscales, list) or not multiscales or not isinstance(multiscales[0], dict):
        return []
    image = multiscales[0]
    common = _scale(image.get("coordinateTransformations"))
    levels = []
    for dataset in image.get("datasets") or []:
        if not isinstance(dataset, dict) or not isinstance(dataset.get("path"), str):
            continue
        own = _scale(dataset.get("coordinateTransformations"))
        levels.append(
            Level(
                dataset["path"].strip("/"),
                _product(common, own),
                _unit(image),
                _translation(
                    dataset.get("coordinateTransformations"),
                    image.get("coordinateTransformations"),
                ),
            )
        )
    return levels


def read_content(attributes: dict[str, Any]) -> str | None:
    """Read what an OME-Zarr group holds: ``"labels"``, ``"probabilities"`` or None."""
    ours = attributes.get(CONTENT_KEY)
    if isinstance(ours, str):
        return ours
    ome = attributes.get("ome")
    is_labels = "image-label" in attributes or (isinstance(ome, dict) and "image-label" in ome)
    return "labels" if is_labels else None


def _scale(transformations: Any) -> tuple[float, ...] | None:
    """Product of all scale transformations in a list."""
    total: tuple[float, ...] | None = None
    for one in transformations if isinstance(transformations, list) else []:
        if isinstance(one, dict) and one.get("type") == "scale":
            values = one.get("scale")
            if isinstance(values, list) and all(_is_positive(value) for value in values):
                total = _product(total, tuple(float(value) for value in values))
    return total


def _translation(*lists: Any) -> tuple[float, ...] | None:
    """Where transformations, carried out one after the other, put the first voxel."""
    place: tuple[float, ...] | None = None
    for one in (one for some in lists if isinstance(some, list) for one in some):
        if not isinstance(one, dict):
            continue
        kind = one.get("type")
        values = one.get(kind) if kind in ("scale", "translation") else None
        if not isinstance(values, list) or not all(_is_number(value) for value in values):
            continue
        if kind == "translation" and place is None:
            place = tuple(float(value) for value in values)
        elif place is not None and len(place) == len(values):
            pairs = zip(place, values, strict=True)
            place = tuple(a + b if kind == "translation" else a * b for a, b in pairs)
    return place


def _product(
    first: tuple[float, ...] | None, second: tuple[float, ...] | None
) -> tuple[float, ...] | None:
    if first is None or second is None:
        return first or second
    if len(first) != len(second):
        return second
    return tuple(a * b for a, b in zip(first, second, strict=True))


def _is_positive(value: Any) -> bool:
    return _is_number(value) and bool(value > 0)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _unit(image: dict[str, Any]) -> str | None:
    axes = image.get("axes")
    if isinstance(axes, list) and axes and isinstance(axes[-1], dict):
        unit = axes[-1].get("unit")
        return unit if isinstance(unit, str) else None
    return None
