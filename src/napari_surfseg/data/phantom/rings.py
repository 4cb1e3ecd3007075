"""Faint rings around the scanner's rotation axis."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_surfseg.data.phantom.noise import F32, compute_lattice_noise

if TYPE_CHECKING:
    from napari_surfseg.data.phantom.settings import PhantomSettings
    from napari_surfseg.geometry import Index3

__all__ = ["Rings"]

#: Amplitude as a part of the noise's deviation.
RING_SHARE = 0.55

#: Slices over which a ring fades into another; a detector row sees its own.
RING_HEIGHT = 24.0


class Rings:
    """Ring artefacts: the same all around, other ones in other slices.

    Parameters
    ----------
    settings : PhantomSettings
        Size, noise and seed. The rotation axis lies in the volume's middle.
    """

    def __init__(self, settings: PhantomSettings) -> None:
        self._centre = ((settings.shape[1] - 1) / 2, (settings.shape[2] - 1) / 2)
        self._gain = np.float32(RING_SHARE * settings.noise)
        self._salt = settings.seed * 64 + 40

    def compute(self, start: Index3, stop: Index3) -> F32:
        """Grey values that the rings add to a box."""
        y = np.arange(start[1], stop[1])[:, None] - self._centre[0]
        x = np.arange(start[2], stop[2])[None, :] - self._centre[1]
        radius = np.sqrt(y * y + x * x).astype(np.float32)
        z = np.arange(start[0], stop[0])
        low, high = int(np.floor(z[0] / RING_HEIGHT)), int(np.floor(z[-1] / RING_HEIGHT)) + 1
        layers = {}
        for layer in range(low, high + 1):
            key = np.full(radius.shape, layer)
            ring = compute_lattice_noise([radius / np.float32(1.6)], key, self._salt)
            # Only some radii ring: a few bad detector columns.
            strength = compute_lattice_noise([radius / np.float32(9)], key, self._salt + 1)
            layers[layer] = ring * np.clip(strength, 0, 1) * self._gain
        out = np.empty((len(z), *radius.shape), np.float32)
        for i, plane in enumerate(z):
            layer = int(np.floor(plane / RING_HEIGHT))
            t = np.float32(plane / RING_HEIGHT - layer)
            out[i] = layers[layer] * (1 - t) + layers[layer + 1] * t
        return out
