"""A mesh's measured values as colours of a Surface layer, with limits in their unit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_surfseg.data.units import UNIT_SYMBOLS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["MeshData", "colour_mesh"]

MeshData = tuple["NDArray[Any]", ...]

#: Few vertices lie beyond the limits; those at a rim and in a corner would take all the colours.
SHOWN = (2, 98)

PLAIN = "copper"
COLOURS = {"thickness": "viridis", "gap": "plasma", "curvature": "PiYG"}


def colour_mesh(
    vertices: NDArray[Any],
    faces: NDArray[Any],
    values: Mapping[str, NDArray[np.float32]],
    units: str | None,
) -> tuple[MeshData, dict[str, Any], str]:
    """Choose how a mesh is shown.

    Parameters
    ----------
    vertices, faces : array
        Of the mesh.
    values : mapping
        Of its vertices; the first is shown.
    units : str, optional
        Of length, in which they were measured.

    Returns
    -------
    data : tuple
        For a Surface layer.
    about : dict
        Colormap, limits and metadata of it.
    said : str
        What the colours are, for the layer's name or a sentence: ``thickness, 2.1 to 8.3 µm``;
        empty without values.
    """
    what = next((name for name in values if name in COLOURS), None)
    if what is None:
        return (vertices, faces), {"colormap": PLAIN, "shading": "smooth"}, ""
    shown = np.asarray(values[what], np.float32)
    finite = shown[np.isfinite(shown)]
    low, high = np.percentile(finite, SHOWN) if len(finite) else (0.0, 1.0)
    if what == "curvature":
        high = max(abs(low), abs(high))
        low = -high
    if not high > low:
        high = low + max(abs(low) * 1e-3, 1e-6)
    symbol = UNIT_SYMBOLS.get(units or "", "")
    unit = f" {symbol}{'⁻¹' if what == 'curvature' else ''}" if symbol else ""
    said = f"{what}, {low:.3g} to {high:.3g}{unit}"
    about = {
        "colormap": COLOURS[what],
        "contrast_limits": (float(low), float(high)),
        "shading": "none",  # a shaded colour is another one
        "metadata": {"surfseg_values": what, "surfseg_values_unit": unit.strip()},
    }
    # No other surface within reach: shown as the farthest there is.
    filled = np.where(np.isfinite(shown), shown, finite.max() if len(finite) else high)
    return (vertices, faces, filled), about, said
