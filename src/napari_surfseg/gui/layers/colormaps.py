"""The colours of the plugin's layers: probabilities, skeletons, strokes and dense labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.utils.colormaps import Colormap, CyclicLabelColormap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Labels

__all__ = [
    "SURFACE_COLOR",
    "build_dense_colormap",
    "build_found_colormap",
    "build_probability_colormap",
    "build_skeleton_colormap",
    "build_strokes_colormap",
    "color_of",
]

SURFACE_COLOR = (1.0, 0.25, 0.85, 1.0)
BACKGROUND_COLOR = (0.35, 0.55, 1.0, 1.0)
#: Faint: it may be most of the volume.
NOT_ANNOTATED_COLOR = (0.6, 0.6, 0.6, 0.25)
#: Of probabilities, from low to high.
ALPHAS = (0.15, 0.55, 0.80, 0.95)


def build_probability_colormap() -> Colormap:
    """Clear at 0, then orange to pale yellow: grey CT below stays readable."""
    colors = ((0.45, 0.10, 0.02), (0.90, 0.35, 0.05), (1.0, 0.65, 0.15), (1.0, 0.93, 0.60))
    return _build_ramp("surface probability", colors)


def build_found_colormap() -> Colormap:
    """Clear at 0, then green: what a network of the package finds is no live layer and no label."""
    colors = ((0.02, 0.30, 0.10), (0.15, 0.75, 0.25), (0.35, 0.95, 0.40), (0.75, 1.0, 0.70))
    return _build_ramp("found surface", colors)


def _build_ramp(name: str, colors: Sequence[tuple[float, float, float]]) -> Colormap:
    """Build a colormap of four colours, each less clear than the one before."""
    ramp = [(*color, alpha) for color, alpha in zip(colors, ALPHAS, strict=True)]
    return Colormap(
        [(0.0, 0.0, 0.0, 0.0), *ramp],
        name=name.replace(" ", "_"),
        display_name=name,
        controls=[0.0, 0.2, 0.5, 0.75, 1.0],
    )


def build_skeleton_colormap() -> CyclicLabelColormap:
    """Cyan: nothing else in a grey volume with an orange prediction has it.

    Of one colour, since there is one label. Naming the colour of each label would have napari
    compile for two seconds, in the middle of the first look.
    """
    return CyclicLabelColormap(colors=[(0.0, 0.0, 0.0, 0.0), (0.0, 0.95, 0.95, 1.0)])


def build_strokes_colormap() -> CyclicLabelColormap:
    """Magenta for surface, blue for background: neither is grey, nor in a live layer.

    The colours after them, for other values, differ clearly from both. Naming the colour
    of each label instead would have napari compile for two seconds before the first stroke.
    """
    return CyclicLabelColormap(
        colors=[
            (0.0, 0.0, 0.0, 0.0),
            SURFACE_COLOR,
            BACKGROUND_COLOR,
            (0.65, 1.0, 0.4, 1.0),
            (1.0, 1.0, 1.0, 1.0),
        ]
    )


def build_dense_colormap() -> CyclicLabelColormap:
    """Magenta for surface, as in strokes, and a veil over what is not annotated."""
    return CyclicLabelColormap(
        colors=[(0.0, 0.0, 0.0, 0.0), SURFACE_COLOR, NOT_ANNOTATED_COLOR],
    )


def color_of(layer: Labels | None, value: int) -> tuple[float, float, float, float] | None:
    """Return the colour a labels layer gives a value, or None where it draws nothing."""
    rgba = layer.get_color(value) if layer is not None else None
    if rgba is None:
        return None
    red, green, blue, alpha = (float(part) for part in rgba)
    return red, green, blue, alpha
