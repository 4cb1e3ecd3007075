"""Shapes of synthetic volumes: where surfaces lie, and what lies between them.

A scene is geometry only; :mod:`appearance` turns it into grey values. What counts as a surface
depends on the kind, as it does in real data: between the cells of tissue it is the border of the
cells and not that of their organelles; in a tomogram it is every membrane; in a roll every sheet.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from fields import (
    Floats,
    compete,
    divide,
    measure_slope,
    place_blobs,
    random_rotation,
    smooth_noise,
)

from napari_surfseg.config import Labels
from napari_surfseg.data.instances import compute_boundaries

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_surfseg.geometry import Size3, Spacing3

__all__ = ["SCENES", "Scene", "draw_spacing"]

#: Label of instances' borders, as ``find_boundaries(mode="thick")`` makes them.
BORDERS = Labels.model_validate({"instances": "boundaries", "thickness": 2})
FAR = np.float32(99)


@dataclass
class Scene:
    """The geometry of a synthetic volume.

    Attributes
    ----------
    kind : str
        ``tissue`` (electron microscopy), ``walls`` (plants), ``membranes`` (tomograms) or
        ``sheets`` (rolls).
    labels : numpy.ndarray
        uint8: 0, 1 on the surface, 2 not known.
    distance : numpy.ndarray
        To the middle of the nearest surface, in units of the finest axis; not negative.
    cells : numpy.ndarray of int32
        What a voxel belongs to; 0 between cells.
    spacing : tuple of float
        Z, Y, X voxel size; the finest 1.
    bodies : list
        Organelles: a name, the depth below their outline and the number of each.
    """

    kind: str
    labels: np.ndarray[Any, np.dtype[np.uint8]]
    distance: Floats
    cells: np.ndarray[Any, np.dtype[np.int32]]
    spacing: Spacing3
    bodies: list[tuple[str, Floats, Any]] = field(default_factory=list)


def draw_spacing(rng: np.random.Generator, coarse: float) -> Spacing3:
    """Draw a voxel size: as often as not the same along all axes, else coarser along Z."""
    if rng.random() < 0.6:
        return 1.0, 1.0, 1.0
    return float(rng.uniform(1.0, coarse)), 1.0, 1.0


def _places(shape: Size3, spacing: Spacing3) -> Floats:
    axes = [np.arange(n, dtype=np.float32) * s for n, s in zip(shape, spacing, strict=True)]
    return np.stack(np.meshgrid(*axes, indexing="ij"))


def _noise(rng: np.random.Generator, shape: Size3, spacing: Spacing3, scale: float) -> Floats:
    return smooth_noise(rng, shape, tuple(scale / step for step in spacing))


def _warped(
    rng: np.random.Generator, shape: Size3, spacing: Spacing3, scale: float, strength: float
) -> Floats:
    """Places of voxels, bent; ``strength`` is the move as a share of the features' size."""
    places = _places(shape, spacing)
    for axis in range(3):
        places[axis] += strength * scale * _noise(rng, shape, spacing, scale)
    return places


def _cells(
    rng: np.random.Generator, shape: Size3, spacing: Spacing3, size: float, *, neurites: bool
) -> tuple[np.ndarray[Any, np.dtype[np.int32]], Floats]:
    """One generation of cells of about this size, in voxels of the finest axis."""
    if neurites and rng.random() < 0.4:
        count = int(rng.integers(5, 10))
        scale = size * 0.6
        fields = np.stack([_noise(rng, shape, spacing, scale) for _ in range(count)])
        if rng.random() < 0.5:
            fields += 0.3 * np.stack(
                [_noise(rng, shape, spacing, max(4.0, scale / 3)) for _ in range(count)]
            )
        fields += rng.normal(0, 0.3, (count, 1, 1, 1)).astype(np.float32)
        return compete(np.ascontiguousarray(fields, np.float32))
    stretch = rng.uniform(1.0, 3.5 if neurites else 2.2, 3)
    stretch /= float(np.prod(stretch)) ** (1 / 3)
    matrix = np.diag(1 / (size * stretch)) @ random_rotation(rng)
    bend = _warped(
        rng, shape, spacing, float(rng.uniform(0.5, 1.5)) * size, float(rng.uniform(0.02, 0.16))
    )
    if neurites or rng.random() < 0.3:
        small = max(5.0, size * 0.3)
        for axis in range(3):
            bend[axis] += float(rng.uniform(0, 0.14)) * small * _noise(rng, shape, spacing, small)
    return divide(
        rng,
        bend,
        matrix,
        unevenness=float(rng.uniform(0, 0.9)),
        missing=float(rng.uniform(0, 0.35)),
        joined=float(rng.uniform(0.3, 0.9)) if neurites else float(rng.uniform(0, 0.1)),
    )


def _subdivide(
    rng: np.random.Generator,
    cells: np.ndarray[Any, np.dtype[np.int32]],
    distance: Floats,
    finer: tuple[np.ndarray[Any, np.dtype[np.int32]], Floats],
    share: float,
) -> tuple[np.ndarray[Any, np.dtype[np.int32]], Floats]:
    """Divide some of the cells into small ones: thick processes lie beside bundles of thin."""
    split = rng.random(int(cells.max()) + 1) < share
    inside = split[cells]
    cells = np.where(inside, cells * 4096 + 2048 + finer[0] % 2048, cells * 4096).astype(np.int32)
    _, dense = np.unique(cells, return_inverse=True)
    return (
        (dense.reshape(cells.shape) + 1).astype(np.int32),
        np.where(inside, np.minimum(distance, finer[1]), distance).astype(np.float32),
    )


def _mark_borders(
    cells: np.ndarray[Any, np.dtype[np.int32]], spacing: Spacing3
) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return compute_boundaries(np.ascontiguousarray(cells), BORDERS, spacing)


def make_tissue(rng: np.random.Generator, shape: Size3) -> Scene:
    """Make cells that touch: neurites of very different calibre, with organelles."""
    spacing = draw_spacing(rng, 4.0)
    size = float(np.exp(rng.uniform(np.log(13), np.log(60))))
    cells, distance = _cells(rng, shape, spacing, size, neurites=True)
    if rng.random() < 0.6:
        finer = _cells(
            rng, shape, spacing, max(9.0, size * float(rng.uniform(0.25, 0.5))), neurites=True
        )
        cells, distance = _subdivide(rng, cells, distance, finer, float(rng.uniform(0.15, 0.7)))
    if rng.random() < 0.12:  # cells that were shrunk by fixation: space between them
        gap = float(rng.uniform(2, 6)) * np.clip(
            0.5 + 0.7 * _noise(rng, shape, spacing, 25.0), 0, 1.5
        )
        open_space = distance < gap / 2
        cells = np.where(open_space & (gap > 1.5), 0, cells).astype(np.int32)
        distance = np.where(gap > 1.5, np.abs(distance - gap / 2), distance).astype(np.float32)
    scene = Scene("tissue", _mark_borders(cells, spacing), distance, cells, spacing)
    _add_organelles(rng, scene, size)
    return scene


def make_walls(rng: np.random.Generator, shape: Size3) -> Scene:
    """Make plant cells: convex, few long ones, nothing much inside."""
    spacing = draw_spacing(rng, 3.5)
    size = float(np.exp(rng.uniform(np.log(12), np.log(60))))
    cells, distance = _cells(rng, shape, spacing, size, neurites=False)
    if rng.random() < 0.3:
        finer = _cells(rng, shape, spacing, size * float(rng.uniform(0.4, 0.6)), neurites=False)
        cells, distance = _subdivide(rng, cells, distance, finer, float(rng.uniform(0.1, 0.4)))
    if rng.random() < 0.35:  # the outside of the organ, or a hollow in it
        level = _noise(rng, shape, spacing, float(rng.uniform(50, 150)))
        outside = level > rng.uniform(0.2, 1.5)
        owned = np.bincount(cells.ravel(), outside.ravel())
        total = np.maximum(np.bincount(cells.ravel()), 1)
        gone = (owned / total > 0.5)[cells]
        inside_wall = compute_boundaries(
            np.ascontiguousarray(gone.astype(np.int32)), BORDERS, spacing
        )
        distance = np.where(gone & (inside_wall == 0), FAR, distance).astype(np.float32)
        cells = np.where(gone, 0, cells).astype(np.int32)
    scene = Scene("walls", _mark_borders(cells, spacing), distance, cells, spacing)
    if rng.random() < 0.6:
        blobs = _Blobs(rng, scene)
        blobs.add("nucleus", int(rng.integers(1, 30)), (0.12 * size, 0.3 * size), 2.0)
        blobs.add("speck", int(rng.integers(0, 60)), (0.7, 2.5), 0.0)
    return scene


class _Blobs:
    """Adds organelles to a scene."""

    def __init__(self, rng: np.random.Generator, scene: Scene) -> None:
        self._rng, self._scene = rng, scene

    def add(
        self,
        name: str,
        count: int,
        radii: tuple[float, float],
        margin: float,
        *,
        longer: float = 1.6,
        clustered: bool = False,
    ) -> None:
        """Draw some organelles of a kind."""
        if count < 1:
            return
        rng, scene = self._rng, self._scene
        shape, spacing = scene.cells.shape, np.asarray(scene.spacing, np.float32)
        if clustered:
            hubs = rng.random((max(1, count // 30), 3)) * shape
            centres = hubs[rng.integers(len(hubs), size=count)]
            centres = centres + rng.normal(0, rng.uniform(4, 12), (count, 3)) / spacing
            keep = ((centres >= 0) & (centres < np.array(shape) - 1)).all(axis=1)
            centres = centres[keep]
        else:
            # The roomiest of a few places: organelles lie where there is room for them.
            tries = rng.random((count, 6, 3)) * (np.array(shape) - 1)
            room = scene.distance[tuple(np.moveaxis(tries.astype(int), -1, 0))]
            centres = tries[np.arange(count), np.argmax(room, axis=1)]
        count = len(centres)
        if not count:
            return
        sizes = rng.uniform(*radii, count)
        frames = np.stack(
            [
                np.diag(1 / (size * np.array([1.0, rng.uniform(0.8, 1.1), rng.uniform(1, longer)])))
                @ random_rotation(rng)
                for size in sizes
            ]
        )
        depth, which = place_blobs(
            scene.cells,
            scene.distance,
            centres.astype(np.float32),
            frames.astype(np.float32),
            np.full(count, margin, np.float32),
            spacing,
        )
        if name == "mitochondrion":
            bumps = smooth_noise(rng, shape, tuple(8 / s for s in spacing))
            depth = np.where(which > 0, depth + 0.7 * bumps, depth).astype(np.float32)
            depth = np.minimum(depth, scene.distance - margin)
        scene.bodies.append((name, depth, which))


def _add_organelles(rng: np.random.Generator, scene: Scene, size: float) -> None:
    """Mitochondria, vesicles, tubes of reticulum, nuclei: inside cells, and no surfaces."""
    blobs = _Blobs(rng, scene)
    volume = math.prod(scene.cells.shape) * scene.spacing[0]
    if rng.random() < 0.75:
        radius = float(rng.uniform(3.5, 13))
        count = rng.poisson(rng.uniform(0.1, 1.0) * min(14, 0.12 * volume / radius**3 / 5))
        blobs.add(
            "mitochondrion", int(count), (0.7 * radius, radius), float(rng.uniform(1.0, 3)),
            longer=3.0,
        )  # fmt: skip
    if rng.random() < 0.6:
        count = int(rng.integers(10, 250))
        radius = float(rng.uniform(1.0, 3.5))
        blobs.add(
            "vesicle", count, (0.8 * radius, 1.2 * radius), 1.5, longer=1.1,
            clustered=rng.random() < 0.7,
        )  # fmt: skip
    if rng.random() < 0.4:
        blobs.add("blob", int(rng.integers(1, 40)), (1.0, 5.0), 0.5)
    if rng.random() < 0.45:  # lysosomes, vacuoles: bright inside a dark rim
        blobs.add("vacuole", int(rng.integers(1, 12)), (2.5, 8.0), float(rng.uniform(1, 3)))
    if size > 35 and rng.random() < 0.3:
        radius = 0.35 * size
        blobs.add("nucleus", int(rng.integers(1, 3)), (0.8 * radius, radius), 3.0)
    if rng.random() < 0.4:  # sheets and tubes of reticulum: level sets inside the cells
        level = _noise(rng, scene.cells.shape, scene.spacing, float(rng.uniform(8, 20)))
        level += 0.5 * _noise(rng, scene.cells.shape, scene.spacing, 6.0)
        apart = np.abs(level - rng.uniform(-1, 1)) / np.maximum(
            measure_slope(level, scene.spacing), 0.02
        )
        depth = np.minimum(rng.uniform(0.6, 1.2) - apart, scene.distance - 4)
        allowed = rng.random(int(scene.cells.max()) + 1) < 0.5
        spots = _noise(rng, scene.cells.shape, scene.spacing, 15.0) > rng.uniform(0.0, 1.0)
        depth = np.where(allowed[scene.cells] & spots, depth, -FAR).astype(np.float32)
        scene.bodies.append(("reticulum", depth, scene.cells))


def make_membranes(rng: np.random.Generator, shape: Size3) -> Scene:
    """Make a tomogram: vesicles, tubes, cisternae and folded membranes, all of them surfaces."""
    spacing: Spacing3 = (1.0, 1.0, 1.0)
    signed = np.full(shape, FAR, np.float32)
    inside = np.zeros(shape, np.int32)
    vesicles = int(rng.integers(0, 30))
    if rng.random() < 0.7 or not vesicles:
        scale = float(np.exp(rng.uniform(np.log(14), np.log(45))))
        level = _noise(rng, shape, spacing, scale)
        slope = np.maximum(measure_slope(level, spacing), 0.5 / scale)
        middle = float(rng.normal(0, 0.5))
        gap = float(rng.uniform(4, 12)) if rng.random() < 0.35 else 0.0  # an envelope is double
        apart = np.abs((level - middle) / slope) - gap / 2 if gap else (level - middle) / slope
        if rng.random() < 0.3:  # sheets that end
            seen = _noise(rng, shape, spacing, 30.0) > rng.uniform(-1.0, 0.0)
            apart = np.where(seen, apart, FAR)
        signed = apart.astype(np.float32)
        inside += (level > middle).astype(np.int32) * 64
    places = _warped(rng, shape, spacing, float(rng.uniform(15, 50)), float(rng.uniform(0, 0.15)))
    for index in range(vesicles):
        radius = float(np.exp(rng.uniform(np.log(4), np.log(40))))
        axes = radius * np.array([1.0, rng.uniform(0.6, 1.2), rng.uniform(0.7, 3.5)])
        frame = np.diag(1 / axes) @ random_rotation(rng)
        moved = places - (rng.random(3) * shape)[:, None, None, None].astype(np.float32)
        scaled = np.tensordot(frame.astype(np.float32), moved, 1)
        r = np.sqrt((scaled**2).sum(axis=0))
        far = np.sqrt((moved**2).sum(axis=0))
        apart = far - far / np.maximum(r, 1e-3)
        if ((np.abs(apart) < 2) & (np.abs(signed) < 3)).any():
            continue  # membranes lie beside each other, they do not cross
        signed = np.where(np.abs(apart) < np.abs(signed), apart, signed).astype(np.float32)
        inside[apart < 0] = index + 1
    distance = np.abs(signed)
    half = float(rng.uniform(0.9, 1.6))
    labels = (distance < half).astype(np.uint8)
    scene = Scene("membranes", labels, distance, inside, spacing)
    blobs = _Blobs(rng, scene)
    if rng.random() < 0.8:
        # Ribosomes and other proteins know no cells.
        cells, scene.cells = scene.cells, np.zeros_like(scene.cells)
        blobs.add("blob", int(rng.integers(5, 200)), (0.8, 3.5), 1.5, longer=1.5)
        scene.cells = cells
    if rng.random() < 0.3:
        blobs.add("speck", int(rng.integers(1, 15)), (1.0, 2.5), 0.0, longer=1.1)
    return scene


def make_sheets(rng: np.random.Generator, shape: Size3) -> Scene:
    """Make wrapped, folded, broken and delaminated sheets."""
    spacing = draw_spacing(rng, 2.0)
    pitch = float(np.exp(rng.uniform(np.log(7), np.log(40))))
    places = _warped(rng, shape, spacing, float(rng.uniform(20, 80)), float(rng.uniform(0, 0.12)))
    extent = np.array(shape) * np.array(spacing)
    rotation = random_rotation(rng)
    axial = rng.random() < 0.5
    if axial:  # a roll lies along an axis more often than not
        rotation = np.eye(3)[rng.permutation(3)]
    moved = places - (extent * rng.uniform(-0.3, 1.3, 3))[:, None, None, None].astype(np.float32)
    along = np.tensordot(rotation.astype(np.float32), moved, 1)
    kind = rng.choice(["spiral", "folds", "planes", "single"], p=[0.4, 0.25, 0.25, 0.1])
    if kind == "spiral":
        squeeze = rng.uniform(0.5, 1.0)
        radius = np.hypot(along[1], along[2] * squeeze)
        turn = np.arctan2(along[2] * squeeze, along[1]) / (2 * np.pi)
        level = radius / pitch - turn * rng.choice([-1, 0, 1])
    else:
        level = along[0] / (pitch if kind != "single" else 200.0)
        if kind in ("folds", "single"):
            wide = float(rng.uniform(25, 60))
            bend = _noise(rng, shape, spacing, wide) * wide * float(rng.uniform(0.1, 0.35))
            level = level + bend / (pitch if kind != "single" else 200.0)
    # Neighbours come near and touch here and there.
    level = level + float(rng.uniform(0, 0.18)) * _noise(
        rng, shape, spacing, float(rng.uniform(20, 50))
    )
    level = (level + rng.random()).astype(np.float32)
    angle = 2 * np.pi * level
    slope = np.hypot(
        measure_slope(np.cos(angle), spacing), measure_slope(np.sin(angle), spacing)
    ) / (2 * np.pi)
    nearest = np.round(level)
    signed = (level - nearest) / np.maximum(slope, 0.25 / pitch)
    if rng.random() < 0.35:  # delaminated: one sheet becomes two
        part = np.clip(
            _noise(rng, shape, spacing, float(rng.uniform(20, 50))) - rng.uniform(0, 1), 0, None
        )
        signed = np.abs(signed) - part * float(rng.uniform(1, 4))
    distance = np.abs(signed).astype(np.float32)
    if rng.random() < 0.6:  # holes, tears and fragments
        holes = _noise(rng, shape, spacing, float(rng.uniform(6, 30)))
        holes += 0.3 * _noise(rng, shape, spacing, 5.0)
        distance = np.where(holes > rng.uniform(0.5, 2.2), FAR, distance).astype(np.float32)
    if kind != "spiral" and rng.random() < 0.3:  # some sheets are missing
        number = nearest.astype(int)
        here = rng.random(int(np.ptp(number)) + 1) < rng.uniform(0.4, 0.9)
        distance = np.where(here[number - number.min()], distance, FAR).astype(np.float32)
    half = float(rng.uniform(1.0, 1.6))
    labels = (distance < half).astype(np.uint8)
    # Both sides of a sheet are the same to `cells`; its number colours it.
    scene = Scene("sheets", labels, distance, nearest.astype(np.int32), spacing)
    if rng.random() < 0.4:
        cells, scene.cells = scene.cells, np.zeros_like(scene.cells)
        _Blobs(rng, scene).add("speck", int(rng.integers(1, 80)), (0.6, 2.5), 0.0)
        scene.cells = cells
    return scene


#: Every kind of scene by name.
SCENES: dict[str, Callable[[np.random.Generator, Size3], Scene]] = {
    "tissue": make_tissue,
    "walls": make_walls,
    "membranes": make_membranes,
    "sheets": make_sheets,
}
