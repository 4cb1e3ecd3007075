"""What a written volume says about itself: OME-Zarr attributes, OME-XML, ImageJ's description."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from napari_surfseg.data.units import UNIT_SYMBOLS, standard_unit
from napari_surfseg.data.volume import CONTENT_KEY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_surfseg.geometry import Size3, Spacing3

__all__ = ["VolumeMetadata", "imagej_metadata", "ome_xml_metadata", "ome_zarr_attributes"]


#: Under which a prediction says how it was made.
FACTS_KEY = "napari_surfseg_prediction"


class PlacedVolume(Protocol):
    """What is taken from a volume, whether it is a file or a layer."""

    @property
    def spacing(self) -> Spacing3: ...
    @property
    def spacing_known(self) -> bool: ...
    @property
    def units(self) -> str | None: ...
    @property
    def translate(self) -> Spacing3 | None: ...


@dataclass(frozen=True)
class VolumeMetadata:
    """Size and place of the voxels, and what they are.

    Attributes
    ----------
    spacing : tuple of float, optional
        Voxel size; None where it is not known.
    units : str, optional
        Unit of the spacing.
    translate : tuple of float, optional
        Place of the first voxel, in units.
    content : str, optional
        What the file says it holds: ``"labels"`` or ``"probabilities"``.
    axes : str
        Order in which an OME-Zarr stores its axes, such as ``xyz``; a TIFF's pages are Z.
    version : str
        Of OME-Zarr: ``0.4`` or ``0.5``.
    facts : dict, optional
        Plain values on how it was made.
    """

    spacing: Spacing3 | None = None
    units: str | None = None
    translate: Spacing3 | None = None
    content: str | None = None
    axes: str = "zyx"
    version: str = "0.4"
    facts: dict[str, Any] | None = None

    @classmethod
    def like(cls, volume: PlacedVolume, content: str | None) -> VolumeMetadata:
        """Take size and place from a volume."""
        spacing = volume.spacing if volume.spacing_known else None
        return cls(spacing, volume.units, volume.translate, content)

    @property
    def full_units(self) -> str | None:
        """The unit by its full name, ``micrometer`` for ``um``; None for what is no length."""
        return standard_unit(self.units)


def imagej_metadata(written: VolumeMetadata) -> dict[str, Any]:
    """Metadata that tifffile writes as ImageJ's description."""
    metadata: dict[str, Any] = {"axes": "ZYX"}
    if written.content is not None:
        metadata[CONTENT_KEY] = written.content
    if written.spacing is None:
        return metadata
    metadata["spacing"] = written.spacing[0]
    units = written.full_units
    if units:
        # ImageJ's description is ASCII.
        symbol = UNIT_SYMBOLS.get(units, units).replace("µ", "u")
        metadata["unit"] = symbol if symbol.isascii() else units
    if written.translate is not None and any(written.translate):
        for axis, place, size in zip("zyx", written.translate, written.spacing, strict=True):
            metadata[f"{axis}origin"] = -place / size  # ImageJ counts in voxels, from there
    return metadata


def ome_xml_metadata(written: VolumeMetadata, num_planes: int) -> dict[str, Any]:
    """Metadata that tifffile writes as OME-XML, the place of the first voxel with each plane."""
    metadata: dict[str, Any] = {"axes": "ZYX"}
    if written.content is not None:
        metadata["Description"] = f"{CONTENT_KEY}={written.content}"
    spacing, translate = written.spacing, written.translate
    if spacing is None:
        return metadata
    unit = UNIT_SYMBOLS.get(written.full_units or "", "pixel")
    for axis, size in zip("ZYX", spacing, strict=True):
        metadata[f"PhysicalSize{axis}"] = size
        metadata[f"PhysicalSize{axis}Unit"] = unit
    if translate is not None and any(translate):
        z, y, x = translate
        metadata["Plane"] = {
            "PositionZ": [z + plane * spacing[0] for plane in range(num_planes)],
            "PositionY": [y] * num_planes,
            "PositionX": [x] * num_planes,
            **{f"Position{axis}Unit": [unit] * num_planes for axis in "ZYX"},
        }
    return metadata


def ome_zarr_attributes(
    written: VolumeMetadata, name: str, factors: Sequence[Size3] = ((1, 1, 1),)
) -> dict[str, Any]:
    """Attributes of an OME-NGFF image, or of labels.

    Parameters
    ----------
    written : VolumeMetadata
        Size and place of the finest voxels.
    name : str
        Of the image.
    factors : sequence of tuple of int
        Of each level, by what its voxels are longer than the finest; levels are named by their
        number.
    """
    units = written.full_units
    axis = {"type": "space", **({"unit": units} if units else {})}
    attributes: dict[str, Any] = {}
    if written.content is not None:
        attributes[CONTENT_KEY] = written.content
    if written.facts is not None:
        attributes[FACTS_KEY] = written.facts
    image: dict[str, Any] = {
        "name": name,
        "axes": [{"name": letter, **axis} for letter in written.axes],
        "datasets": [
            {
                "path": str(number),
                "coordinateTransformations": _place_level(written, factor),
            }
            for number, factor in enumerate(factors)
        ],
    }
    if len(factors) > 1:
        image["type"] = "mode" if written.content == "labels" else "mean"
    if written.version == "0.4":
        if written.content == "labels":
            attributes["image-label"] = {"version": "0.4"}
        return {**attributes, "multiscales": [{"version": "0.4", **image}]}
    ome: dict[str, Any] = {"version": written.version, "multiscales": [image]}
    if written.content == "labels":
        ome["image-label"] = {}
    return {**attributes, "ome": ome}


def _place_level(written: VolumeMetadata, factors: Size3) -> list[dict[str, Any]]:
    """Say how large the voxels of a level are and where the middle of the first one lies."""
    spacing = written.spacing or (1.0, 1.0, 1.0)
    translate = written.translate or (0.0, 0.0, 0.0)
    order = ["zyx".index(letter) for letter in written.axes]
    scale = [float(spacing[axis] * factors[axis]) for axis in order]
    place = [float(translate[axis] + (factors[axis] - 1) / 2 * spacing[axis]) for axis in order]
    placed: list[dict[str, Any]] = [{"type": "scale", "scale": scale}]
    if any(place):
        placed.append({"type": "translation", "translation": place})
    return placed
