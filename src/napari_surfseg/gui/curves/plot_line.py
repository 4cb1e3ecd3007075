"""One line of the plot, and its picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from napari.utils.colormaps import Colormap
from qtpy.QtGui import QColor

from napari_surfseg.gui.curves.plot_range import thin_by_pixel
from napari_surfseg.gui.curves.raster import rasterize_line

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_surfseg.gui.curves.plot_range import PlotRange

__all__ = ["Line", "build_line_colormap", "draw_line"]


@dataclass
class Line:
    """One line of the plot.

    Attributes
    ----------
    title : str
        The layer's name.
    x, y : arrays of shape (N,)
        Values; a NaN breaks the line.
    color : str
        As ``#rrggbb``.
    width : float
        In pixels.
    vertical : bool
        A mark: a vertical line at every x, whatever y.
    dots : float
        Radius of a dot at every point, in pixels; 0 for none.
    axis : str
        Whether its values are those at the left or at the right.
    """

    title: str
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    color: str
    width: float = 1.6
    opacity: float = 1.0
    vertical: bool = False
    visible: bool = True
    dots: float = 0.0
    axis: Literal["left", "right"] = "left"


def draw_line(
    line: Line,
    left: PlotRange,
    right: PlotRange | None,
    size: tuple[int, int],
    ratio: float = 1.0,
) -> NDArray[np.uint8]:
    """Draw a line as a picture of the plot's size; empty where its axis is not there."""
    x, y = _place(line, left, right, size)
    return rasterize_line(x, y, width=line.width, size=size, ratio=ratio, dots=line.dots)


def _place(
    line: Line, left: PlotRange, right: PlotRange | None, size: tuple[int, int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the points of a line in pixels."""
    width, height = size
    if line.vertical:
        columns, _ = left.to_pixels(line.x, np.ones(len(line.x)), width, height)
        inside = columns[(columns >= 0) & (columns <= width)]
        x = np.column_stack([inside, inside, np.full(len(inside), np.nan)]).ravel()
        return x, np.tile([0.0, float(height), np.nan], len(inside))
    shown = right if line.axis == "right" else left
    if shown is None:
        return np.zeros(0), np.zeros(0)
    x, y = shown.to_pixels(line.x, line.y, width, height)
    if len(x) > 2 * width and np.isfinite(x).all() and np.isfinite(y).all():
        x, y = thin_by_pixel(x, y)
    return x, y


def build_line_colormap(color: str) -> Colormap:
    """Build the colormap of a line's picture: from nothing to its colour."""
    rgb = QColor(color).getRgbF()[:3]
    return Colormap([[*rgb, 0.0], [*rgb, 1.0]], name=color)
