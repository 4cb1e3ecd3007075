"""Grey values of synthetic volumes: what a microscope or a scanner makes of a scene."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from fields import Floats, normalise, smooth_noise
from scipy import ndimage

if TYPE_CHECKING:
    from scenes import Scene

__all__ = ["degrade", "paint", "to_uint8"]


def paint(rng: np.random.Generator, scene: Scene) -> Floats:
    """Draw a scene without any fault of the imaging: surfaces are dark, the rest near 0.

    The contrast of a surface to what surrounds it is about 1.
    """
    return _PAINTERS[scene.kind](rng, scene)


def _fade(depth: Floats, softness: float = 0.6) -> Floats:
    """1 deep inside, 0 far outside, in between where the depth is near 0."""
    return np.clip(0.5 + depth / (2 * softness), 0, 1)


def _noise(rng: np.random.Generator, scene: Scene, scale: float) -> Floats:
    return smooth_noise(rng, scene.cells.shape, tuple(scale / step for step in scene.spacing))


def _per_cell(rng: np.random.Generator, scene: Scene, deviation: float) -> Floats:
    cells = scene.cells - scene.cells.min()
    return rng.normal(0, deviation, int(cells.max()) + 1).astype(np.float32)[cells]


def _membrane(rng: np.random.Generator, scene: Scene, thickness: float, *, double: float) -> Floats:
    """Draw the darkness of surfaces: 1 in the middle of most, here and there fainter, thinner."""
    half = thickness / 2 * (1 + float(rng.uniform(0, 0.3)) * _noise(rng, scene, 20.0))
    half = np.clip(half, 0.35, None)
    if rng.random() < double:  # two lines beside each other
        apart = float(rng.uniform(1.2, 3.0)) * (1 + 0.25 * _noise(rng, scene, 15.0))
        line = _fade(half * 0.55 - np.abs(scene.distance - apart))
        line = np.maximum(line, float(rng.uniform(0, 0.5)) * _fade(apart - scene.distance))
    else:
        line = _fade(half - scene.distance)
    strength = 1 + float(rng.uniform(0, 0.25)) * _noise(rng, scene, float(rng.uniform(8, 30)))
    if rng.random() < 0.35:  # nearly gone in places
        strength *= 1 - float(rng.uniform(0.3, 0.9)) * _fade(
            _noise(rng, scene, float(rng.uniform(6, 25))) - float(rng.uniform(0.8, 1.8)), 0.3
        )
    return line * np.clip(strength, 0.05, 1.8)


def _texture(rng: np.random.Generator, scene: Scene, strength: float) -> Floats:
    """Grains and clouds inside cells."""
    total = np.zeros(scene.cells.shape, np.float32)
    for scale in (1.6, 3.0, 6.0, 12.0):
        weight = float(rng.uniform(0, 1))
        grain = _noise(rng, scene, scale)
        if rng.random() < 0.4:  # dots rather than clouds
            grain = normalise(np.clip(grain - 0.8, 0, None))
        total += weight * grain
    return strength * normalise(total)


def _paint_tissue(rng: np.random.Generator, scene: Scene) -> Floats:
    cell_grey = _per_cell(rng, scene, float(rng.uniform(0.0, 0.22)))
    mottled = _texture(rng, scene, float(rng.uniform(0.04, 0.28)))
    # The inside of some cells is much coarser than that of others.
    mottled *= np.exp(_per_cell(rng, scene, float(rng.uniform(0, 0.6))))
    image = cell_grey + mottled
    if (scene.cells == 0).any():
        image = np.where(scene.cells == 0, float(rng.uniform(-0.4, 0.4)), image)
    rim = float(rng.uniform(0.5, 1.1))
    for name, depth, which in scene.bodies:
        inside = _fade(depth)
        edge = _fade(float(rng.uniform(0.5, 1.3)) - np.abs(depth - 0.8))
        offset = rng.normal(0, 0.1, int(which.max()) + 1).astype(np.float32)[which]
        if name == "mitochondrion":
            body = -float(rng.uniform(0.15, 0.9)) + offset
            if rng.random() < 0.7:  # cristae
                waves = np.sin(
                    _noise(rng, scene, float(rng.uniform(8, 20))) * float(rng.uniform(4, 10))
                )
                body = body + float(rng.uniform(0, 0.3)) * waves
            image = image * (1 - inside) + inside * (body + mottled)
            image -= edge * rim * float(rng.uniform(0, 0.9))
        elif name == "vesicle":
            image = image * (1 - inside) + inside * float(rng.uniform(-0.6, 0.3))
            image -= edge * float(rng.uniform(0.0, 0.7))
        elif name == "vacuole":
            image = image * (1 - inside) + inside * (float(rng.uniform(-0.3, 0.5)) + offset)
            image -= edge * rim * float(rng.uniform(0.2, 1.0))
        elif name == "nucleus":
            image = image * (1 - inside) + inside * (
                float(rng.uniform(-0.4, 0.3)) + 2 * _texture(rng, scene, 0.12)
            )
            image -= edge * rim * float(rng.uniform(0.3, 1.0))
        elif name == "reticulum":
            image -= inside * float(rng.uniform(0.2, 0.7))
        else:
            image -= inside * float(rng.uniform(0.2, 1.2))
    thickness = float(np.exp(rng.uniform(np.log(1.4), np.log(7.0))))
    line = _membrane(rng, scene, thickness, double=0.2)
    image = image * (1 - np.clip(line, 0, 1)) - line
    if rng.random() < 0.5:  # synapses: dark stuff along one side of a border
        spots = _fade(_noise(rng, scene, 12.0) - float(rng.uniform(1.0, 2.0)), 0.2)
        image -= (
            float(rng.uniform(0.3, 1.0))
            * spots
            * _fade(float(rng.uniform(1.5, 4)) - scene.distance, 1.0)
            * (_per_cell(rng, scene, 1.0) > 0)
        )
    return image.astype(np.float32)


def _paint_walls(rng: np.random.Generator, scene: Scene) -> Floats:
    image = _per_cell(rng, scene, float(rng.uniform(0, 0.12)))
    image += _texture(rng, scene, float(rng.uniform(0.0, 0.15)))
    image = np.where(scene.cells == 0, float(rng.uniform(-0.1, 0.2)), image)
    for name, depth, which in scene.bodies:
        offset = rng.normal(0, 0.1, int(which.max()) + 1).astype(np.float32)[which]
        strength = float(rng.uniform(-0.6, 0.3)) if name == "nucleus" else -float(rng.random())
        image += _fade(depth, 1.0) * (strength + offset)
    thickness = float(np.exp(rng.uniform(np.log(1.5), np.log(8.0))))
    line = _membrane(rng, scene, thickness, double=0.08)
    wall_grey = 1 + float(rng.uniform(0, 0.35)) * _noise(rng, scene, float(rng.uniform(15, 60)))
    image = image * (1 - np.clip(line, 0, 1)) - line * np.clip(wall_grey, 0.1, 2)
    if rng.random() < 0.4:  # glow around bright walls
        glow = ndimage.gaussian_filter(line, [4 / s for s in scene.spacing], truncate=2.5)
        image -= float(rng.uniform(0.2, 1.2)) * glow
    return image.astype(np.float32)


def _paint_membranes(rng: np.random.Generator, scene: Scene) -> Floats:
    image = _per_cell(rng, scene, float(rng.uniform(0, 0.2)))
    image += _texture(rng, scene, float(rng.uniform(0.05, 0.35)))
    for name, depth, _ in scene.bodies:
        strength = 2.5 if name == "speck" else float(rng.uniform(0.3, 1.2))
        image -= strength * _fade(depth, 0.8)
    thickness = float(rng.uniform(1.5, 4.5))
    line = _membrane(rng, scene, thickness, double=0.35)
    if rng.random() < 0.4:  # proteins in the membrane
        line *= np.clip(1 + 0.35 * _noise(rng, scene, 3.0), 0.1, 2)
    return (image * (1 - np.clip(line, 0, 1)) - line).astype(np.float32)


def _paint_sheets(rng: np.random.Generator, scene: Scene) -> Floats:
    thickness = float(np.exp(rng.uniform(np.log(1.6), np.log(9.0))))
    half = thickness / 2 * (1 + float(rng.uniform(0, 0.35)) * _noise(rng, scene, 18.0))
    body = _fade(np.clip(half, 0.5, None) - scene.distance, float(rng.uniform(0.5, 1.2)))
    grain = _texture(rng, scene, float(rng.uniform(0, 0.3)))
    if rng.random() < 0.6:  # fibres
        scales = [1.8, 1.8, 1.8]
        scales[int(rng.integers(3))] = 25.0
        grain += float(rng.uniform(0.1, 0.4)) * smooth_noise(rng, body.shape, tuple(scales))
    if rng.random() < 0.35:  # denser faces
        grain += float(rng.uniform(0.1, 0.5)) * _fade(1.0 - np.abs(scene.distance - half))
    shade = 1 + _per_cell(rng, scene, float(rng.uniform(0, 0.15))) + 0.15 * _noise(rng, scene, 40.0)
    gaps = _texture(rng, scene, float(rng.uniform(0, 0.2)))
    image = gaps * (1 - body) - body * np.clip(shade + grain, 0.1, 2)
    if rng.random() < 0.25:  # dust between sheets
        dust = _noise(rng, scene, float(rng.uniform(4, 12))) - float(rng.uniform(1.0, 2.0))
        image -= float(rng.uniform(0.2, 0.8)) * _fade(dust, 0.3)
    for _, depth, _ in scene.bodies:
        image -= float(rng.uniform(0.5, 2.0)) * _fade(depth)
    return image.astype(np.float32)


_PAINTERS: dict[str, Any] = {
    "tissue": _paint_tissue,
    "walls": _paint_walls,
    "membranes": _paint_membranes,
    "sheets": _paint_sheets,
}


def degrade(
    rng: np.random.Generator, image: Floats, kind: str, spacing: tuple[float, ...]
) -> Floats:
    """Blur, drift, stripes, rings and noise, as strong as the kind of imaging has them.

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws which and how strong.
    image : numpy.ndarray
        Contrast of surfaces about 1.
    kind : str
        As of a scene, or ``real`` for a recorded volume, which has its own faults already.
    spacing : tuple of float
        Z, Y, X voxel size.
    """
    shape = image.shape
    gentle = kind == "real"
    sigma = float(rng.uniform(0.0, 0.6 if gentle else {"walls": 1.8}.get(kind, 1.1)))
    along_z = sigma
    if rng.random() < 0.3:
        along_z += float(rng.uniform(0, 0.8 if gentle else 2.0)) / spacing[0]
    if max(sigma, along_z) > 0.25:
        image = ndimage.gaussian_filter(image, (along_z, sigma, sigma), truncate=3)
    if kind == "membranes" and rng.random() < 0.6:
        image = _cut_wedge(rng, image)
    chance = 0.5 if gentle else 1.0
    if rng.random() < 0.5 * chance:  # drift of contrast and brightness
        drift = smooth_noise(rng, shape, float(rng.uniform(40, 120)))
        image = image * np.exp(float(rng.uniform(0, 0.35)) * drift)
        drift = smooth_noise(rng, shape, float(rng.uniform(40, 120)))
        image = image + float(rng.uniform(0, 0.35)) * drift
    if kind == "walls" and rng.random() < 0.5:  # light is lost with depth
        depth = np.linspace(0, 1, shape[0], dtype=np.float32)[:, None, None]
        image = image * np.exp(-float(rng.uniform(0, 1.2)) * depth)
    if rng.random() < 0.2 * chance:  # slices of their own brightness
        image = image + float(rng.uniform(0, 0.15)) * rng.standard_normal((shape[0], 1, 1)).astype(
            np.float32
        )
    if kind in ("tissue", "real") and rng.random() < 0.25:  # curtains of a milled face
        stripes = smooth_noise(rng, (shape[0], 1, shape[2]), (6.0, 1.0, 1.5))
        image = image + float(rng.uniform(0, 0.2)) * stripes
    if kind == "sheets" and rng.random() < 0.35:
        image = image + float(rng.uniform(0.02, 0.2)) * _rings(rng, shape)
    return _add_noise(rng, image, gentle=gentle, kind=kind)


def _add_noise(rng: np.random.Generator, image: Floats, *, gentle: bool, kind: str) -> Floats:
    # Most volumes are fairly clean, a few are hard.
    strength = (0.2 if gentle else 0.5) * float(rng.random()) ** 1.5
    if kind == "membranes":
        strength *= 1.8
    if kind == "walls":
        strength *= 0.8
    white = rng.standard_normal(image.shape, np.float32)
    if rng.random() < 0.5:  # correlated from voxel to voxel
        sigma = rng.uniform(0.4, 1.0, 3)
        white = normalise(ndimage.gaussian_filter(white, sigma, truncate=3))
    if rng.random() < 0.3:  # counts: more noise where it is bright
        bright = image - image.min()
        white = white * np.sqrt(bright / max(float(bright.mean()), 1e-3))
    return (image + strength * white).astype(np.float32)


def _cut_wedge(rng: np.random.Generator, image: Floats) -> Floats:
    """Take away what a tilt series does not see."""
    angle = np.deg2rad(rng.uniform(45, 72))
    spectrum = np.fft.rfftn(image)
    kz = np.abs(np.fft.fftfreq(image.shape[0]))[:, None, None]
    kx = np.abs(np.fft.rfftfreq(image.shape[2]))[None, None, :]
    seen = np.clip((kx * np.tan(angle) - kz) / 0.02 + 1, 0, 1)
    seen[0, 0, 0] = 1
    return np.fft.irfftn(spectrum * seen, image.shape, axes=(0, 1, 2)).astype(np.float32)


def _rings(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """Rings around an axis along Z, as of a detector with uneven pixels."""
    centre = rng.uniform(-1.5, 2.5, 2) * np.array(shape[1:])
    y = np.arange(shape[1])[:, None] - centre[0]
    x = np.arange(shape[2])[None, :] - centre[1]
    radius = np.hypot(y, x)
    radius = (radius - radius.min()).astype(int)
    profile = smooth_noise(rng, (shape[0], int(radius.max()) + 1), (30.0, float(rng.uniform(1, 3))))
    return profile[:, radius]


def to_uint8(rng: np.random.Generator, image: Floats) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Grey values 0 to 255, with more or less of the range used and cut off."""
    low, high = np.percentile(image, [rng.uniform(0, 1.0), 100 - rng.uniform(0, 1.0)])
    bottom, top = rng.uniform(0, 60), rng.uniform(170, 255)
    if rng.random() < 0.4:
        bottom, top = 0.0, 255.0
    scaled = (image - low) / max(float(high - low), 1e-6) * (top - bottom) + bottom
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
