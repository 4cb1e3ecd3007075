"""What a written volume says about itself: OME-Zarr attributes, OME-XML, ImageJ's description."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from napari_surfseg.data.units import UNIT_SYMBOLS, standard_unit
from napari_surfseg.data.volume import CONTENT_KEY

if TYPE_CHECKING:
    from napari_surfseg.geometry import Spacing3

__all__ = ["VolumeMetadata", "imagej_metadata", "ome_xml_metadata", "ome_zarr_attributes"]


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
    """

    spacing: Spacing3 | None = None
    units: str | None = None
    translate: Spacing3 | None = None
    content: str | None = None
    axes: str = "zyx"

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


def ome_zarr_attributes(written: VolumeMetadata, name: str) -> dict[str, Any]:
    """Attributes of an OME-NGFF 0.4 image, or of labels, with one level named ``0``."""
    units = written.full_units
    axis = {"type": "space", **({"unit": units} if units else {})}
    order = ["zyx".index(letter) for letter in written.axes]
    spacing, translate = written.spacing or (1, 1, 1), written.translate
    transformations: list[dict[str, Any]] = [
        {"type": "scale", "scale": [float(spacing[axis]) for axis in order]}
    ]
    if translate is not None and any(translate):
        transformations.append(
            {"type": "translation", "translation": [float(translate[axis]) for axis in order]}
        )
    attributes: dict[str, Any] = {}
    if written.content is not None:
        attributes[CONTENT_KEY] = written.content
    if written.content == "labels":
        attributes["image-label"] = {"version": "0.4"}
    return {
        **attributes,
        "multiscales": [
            {
                "version": "0.4",
                "name": name,
                "axes": [{"name": letter, **axis} for letter in written.axes],
                "datasets": [{"path": "0", "coordinateTransformations": transformations}],
            }
        ],
    }
