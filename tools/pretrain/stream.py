"""The endless stream of volumes: number ``n`` of a seed is always the same."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile
from appearance import degrade, paint, to_uint8
from fields import random_rotation, resample, smooth_noise
from scenes import BORDERS, SCENES, draw_spacing
from scipy import ndimage

from napari_surfseg.data.instances import compute_boundaries
from napari_surfseg.data.phantom.scroll import ScrollPhantom
from napari_surfseg.data.phantom.settings import PhantomSettings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from napari_surfseg.geometry import Size3

__all__ = ["Stream", "VolumePair"]


#: Shares of surface between which a volume teaches something.
MIN_SHARE, MAX_SHARE = 0.01, 0.4


@dataclass(frozen=True)
class VolumePair:
    """A volume to learn from: uint8 grey values, and labels 0, 1, 2 (not known)."""

    kind: str
    image: np.ndarray[Any, np.dtype[np.uint8]]
    labels: np.ndarray[Any, np.dtype[np.uint8]]

    @cached_property
    def histogram(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Share of each grey value in the whole volume."""
        return np.bincount(self.image.ravel(), minlength=256) / self.image.size


class Stream:
    """Makes volumes.

    Parameters
    ----------
    seed : int
        Everything random follows from it and the volume's number.
    shape : tuple of int
        Z, Y, X voxels of each.
    shares : mapping
        How often each kind comes: names of :data:`scenes.SCENES`, ``roll`` and ``real``.
    recorded : sequence of (image, instances)
        Paths of recorded volumes for ``real``.
    """

    def __init__(
        self,
        seed: int,
        shape: Size3,
        shares: Mapping[str, float],
        recorded: Sequence[tuple[Path, Path]] = (),
    ) -> None:
        self._seed, self._shape = seed, shape
        wanted = {kind: share for kind, share in shares.items() if share > 0}
        if not recorded:
            wanted.pop("real", None)
        total = sum(wanted.values())
        self._kinds = list(wanted)
        self._shares = [share / total for share in wanted.values()]
        self._recorded = [_read_recorded(*paths) for paths in recorded]

    def make(self, number: int) -> VolumePair:
        """Make volume ``number``."""
        rng = np.random.default_rng([self._seed, number])
        kind = str(rng.choice(self._kinds, p=self._shares))
        if kind == "real":
            return self._make_real(rng)
        if kind == "roll":
            return self._make_roll(rng)
        scene = SCENES[kind](rng, self._shape)
        while not MIN_SHARE < (scene.labels == 1).mean() < MAX_SHARE:
            scene = SCENES[kind](rng, self._shape)
        image = degrade(rng, paint(rng, scene), kind, scene.spacing)
        if rng.random() < 0.5:
            image = -image
        pair = to_uint8(rng, image), scene.labels
        if kind != "membranes" and rng.random() < 0.08:
            _cut_out(rng, *pair)
        return VolumePair(kind, *pair)

    def _make_roll(self, rng: np.random.Generator) -> VolumePair:
        """Cut a box of the project's own synthetic scroll."""
        thickness = rng.uniform(6, 10)
        settings = PhantomSettings(
            shape=(200, 320, 320),
            seed=int(rng.integers(2**31)),
            sheet_thickness=(thickness, thickness + rng.uniform(0, 6)),
            gap=float(rng.uniform(3, 12)),
            contrast=float(rng.uniform(25, 60)),
            noise=float(rng.uniform(5, 22)),
            blur=float(rng.uniform(0.5, 1.6)),
            unannotated=0.0,
        )
        free = np.array(settings.shape) - self._shape
        start = (rng.random(3) * np.maximum(free, 0)).astype(int)
        box = ScrollPhantom(settings).compute_box(
            tuple(int(n) for n in start), tuple(int(n) for n in start + self._shape)
        )
        return VolumePair("roll", box.image, box.labels)

    def _make_real(self, rng: np.random.Generator) -> VolumePair:
        """Turn, scale, bend and disturb a recorded volume, as if another device had taken it."""
        image, instances, filled = self._recorded[int(rng.integers(len(self._recorded)))]
        shape = self._shape
        spacing = draw_spacing(rng, 3.0)
        # So many voxels of the record are one of the new one.
        scale = float(np.exp(rng.uniform(np.log(0.33), np.log(2.0))))
        if rng.random() < 0.3:
            scale = 1.0
        turned = random_rotation(rng)
        if rng.random() < 0.5:
            turned = np.eye(3)[rng.permutation(3)]
        axes = np.meshgrid(
            *[
                (np.arange(n, dtype=np.float32) - n / 2) * s * scale
                for n, s in zip(shape, spacing, strict=True)
            ],
            indexing="ij",
        )
        places = np.tensordot(turned.astype(np.float32), np.stack(axes), 1)
        centre = rng.random(3) * np.array(image.shape)
        places += centre[:, None, None, None].astype(np.float32)
        if rng.random() < 0.6:
            wide = float(rng.uniform(15, 40))
            for axis in range(3):
                places[axis] += float(rng.uniform(0, 0.1)) * wide * smooth_noise(rng, shape, wide)
        source = image
        if scale > 1.15:
            source = ndimage.gaussian_filter(image, 0.35 * scale, truncate=3)
        # Enlarged, the gaps between instances would be as thick as no border is.
        ids = filled if scale < 0.8 or rng.random() < 0.4 else instances
        seen, cells = resample(source, ids, np.ascontiguousarray(places, np.float32))
        labels = compute_boundaries(cells, BORDERS, spacing)
        seen = seen / max(2.2 * float(image.std()), 1e-6)
        seen = degrade(rng, seen, "real", spacing)
        if rng.random() < 0.2:
            seen = -seen
        return VolumePair("real", to_uint8(rng, seen), labels)


def _read_recorded(image: Path, instances: Path) -> tuple[Any, Any, Any]:
    values = tifffile.imread(image).astype(np.float32)
    cells = tifffile.imread(instances).astype(np.int32)
    nearest = ndimage.distance_transform_edt(
        cells == 0, return_distances=False, return_indices=True
    )
    return values, cells, cells[tuple(nearest)]


def _cut_out(rng: np.random.Generator, image: Any, labels: Any) -> None:
    """Make everything outside a rounded part exactly 0, as in masked scans."""
    level = smooth_noise(rng, image.shape, float(rng.uniform(60, 120)))
    outside = level > rng.uniform(0.8, 1.8)
    image[outside] = 0
    labels[outside] = 0
