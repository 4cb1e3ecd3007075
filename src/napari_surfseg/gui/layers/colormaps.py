"""The colours of the plugin's layers: probabilities, skeletons, strokes and dense labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.utils.colormaps import Colormap, CyclicLabelColormap

if TYPE_CHECKING:
    from napari.layers import Labels

__all__ = [
    "SURFACE_COLOR",
    "build_dense_colormap",
    "build_probability_colormap",
    "build_skeleton_colormap",
    "build_strokes_colormap",
    "color_of",
]

SURFACE_COLOR = (1.0, 0.25, 0.85, 1.0)
BACKGROUND_COLOR = (0.35, 0.55, 1.0, 1.0)
#: Faint: it may be most of the volume.
NOT_ANNOTATED_COLOR = (0.6, 0.6, 0.6, 0.25)


def build_probability_colormap() -> Colormap:
    """Clear at 0, then orange to pale yellow: grey CT below stays readable."""
    colors = [
        [0.0, 0.0, 0.0, 0.0],
        [0.45, 0.10, 0.02, 0.15],
        [0.90, 0.35, 0.05, 0.55],
        [1.0, 0.65, 0.15, 0.80],
        [1.0, 0.93, 0.60, 0.95],
    ]
    return Colormap(
        colors,
        name="surface_probability",
        display_name="surface probability",
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
