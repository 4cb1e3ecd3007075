"""A checked pair: an image and its labels that fit each other and can be learned from.

It is what sampling, validation and strokes work on. Opening and checking files is in
:mod:`napari_surfseg.data.checks`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from napari_surfseg.data.targets import HeldOutVolume, TargetVolume, UInt8Volume
from napari_surfseg.geometry import box_shape

if TYPE_CHECKING:
    from napari_surfseg.config import Labels
    from napari_surfseg.data.cache import VolumeCache
    from napari_surfseg.data.census import LabelCensus
    from napari_surfseg.data.resampling import Resampling
    from napari_surfseg.data.volume import Volume
    from napari_surfseg.geometry import Box, Size3, Spacing3
    from napari_surfseg.model.intensity import Intensity

__all__ = ["CheckedPair"]


@dataclass(frozen=True)
class CheckedPair:
    """An image and its labels that fit each other and can be learned from.

    Attributes
    ----------
    image, labels : Volume
        As stored.
    mapping : Labels
        Meaning of the label values.
    void_value : float or None
        Image value whose voxels are ignored.
    roi : (start, stop)
        The part to use, in voxels; nothing outside it is read.
    role : str
        ``train`` or ``validation``.
    census : LabelCensus
        Where its surface and background voxels lie.
    held_out : tuple of (start, stop)
        Boxes within the part whose labels are not used: they are kept for validation.
    parent : int or None
        Of a part kept for validation: the training pair it was cut from.
    notes : tuple of str
        Sentences a person should read; none of them is an error.
    remarks : tuple of str
        Sentences on what was settled by looking at the volume.
    weight : float or None
        How often patches are cut from it beside others; None for as often as it has annotated
        voxels.
    resampling : Resampling or None
        The network sees the pair in voxels of another size; all else here, boxes, counts and
        labels, is in the volume's own grid.
    """

    image: Volume
    labels: Volume
    mapping: Labels
    void_value: float | None
    roi: Box
    role: Literal["train", "validation"]
    census: LabelCensus = field(repr=False)
    held_out: tuple[Box, ...] = ()
    parent: int | None = None
    notes: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    resampling: Resampling | None = None
    weight: float | None = None

    @property
    def name(self) -> str:
        """The image's name."""
        return self.image.name

    @property
    def shape(self) -> Size3:
        """Extent of the part in use."""
        return box_shape(self.roi)

    @property
    def spacing(self) -> Spacing3:
        """Voxel size, the image's."""
        return self.image.spacing

    @property
    def seen_shape(self) -> Size3:
        """Extent of the part in use, in the voxels that the network sees."""
        return self.shape if self.resampling is None else self.resampling.shape(self.shape)

    @property
    def seen_spacing(self) -> Spacing3:
        """Size of the voxels that the network sees."""
        return self.spacing if self.resampling is None else self.resampling.spacing(self.spacing)

    @property
    def foreground_fraction(self) -> float:
        """Surface voxels among all voxels of the part in use."""
        return self.census.num_foreground / self.census.num_visited

    @property
    def ignored_fraction(self) -> float:
        """Voxels that are not supervised among all voxels of the part in use."""
        return self.census.num_ignored / self.census.num_visited

    def open_targets(self, cache: VolumeCache | None = None) -> TargetVolume:
        """Open the labels as 0, 1 and 2, void voxels ignored; the whole volume, not the part.

        With a cache, the image whose void voxels are ignored is read through it.
        """
        image = self.image
        if cache is not None and self.void_value is not None:
            image = cache.view(image)
        labels = self.hide(self.labels)
        return TargetVolume(
            labels,
            self.mapping,
            image=image,
            void_value=self.void_value,
            ignores_unknown=self.census.uncounted is not None,
        )

    def hide(self, labels: Volume) -> Volume:
        """Mark what is kept for validation as not annotated in labels of this pair."""
        if not self.held_out:
            return labels
        return HeldOutVolume(labels, self.held_out, self.mapping.ignore[0])

    def open_image(self, intensity: Intensity, cache: VolumeCache | None = None) -> Volume:
        """Open the image as uint8; the whole volume, not the part.

        With a cache, chunks that are also needed for void voxels are decoded once.
        """
        if self.image.dtype == "uint8" and intensity.is_identity:
            return self.image
        image = self.image
        if cache is not None and self.void_value is not None:
            image = cache.view(image)
        return UInt8Volume(image, intensity)

    def as_row(self) -> dict[str, Any]:
        """Describe the pair for the event that lists the volumes used."""
        return {
            "image": self.image.source,
            "labels": self.labels.source,
            "role": self.role,
            "shape": list(self.shape),
            "roi": [list(self.roi[0]), list(self.roi[1])],
            "spacing": list(self.spacing),
            "units": self.image.units,
            "num_surface": self.census.num_foreground,
            "num_background": self.census.num_background,
            "foreground_fraction": self.foreground_fraction,
            "ignored_fraction": self.ignored_fraction,
        }
