"""The curves in the main viewer: one picture beside the volume.

A picture is the cheapest layer: a Shapes layer for every curve blocked the window for seconds,
mostly to compile its shaders.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image
from qtpy.QtGui import QColor, QImage, QPainter

from napari_surfseg.gui.curves.plot_axes import BOTTOM, LEFT, RIGHT, TOP, paint_axes
from napari_surfseg.gui.curves.plot_line import draw_line
from napari_surfseg.gui.curves.raster import read_gray_pixels
from napari_surfseg.gui.layers.metadata import kind_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari.components import ViewerModel
    from numpy.typing import NDArray

    from napari_surfseg.gui.curves.plot_axes import AxisTitles
    from napari_surfseg.gui.curves.plot_canvas import PlotCanvas
    from napari_surfseg.gui.curves.plot_line import Line
    from napari_surfseg.gui.curves.plot_range import PlotRange

__all__ = ["add_curves", "draw_picture"]

#: Width and height of the plot in the units that its letters and lines are measured in.
SIZE = (400, 220)
#: Pixels for each of these: the picture stays sharp when it is looked at closely.
RATIO = 3.0


def draw_picture(
    lines: Iterable[Line],
    left: PlotRange,
    right: PlotRange | None,
    titles: AxisTitles,
    ink: QColor,
) -> NDArray[np.uint8]:
    """Draw curves and their axes on a transparent ground: (height, width, 4) uint8, RGBA."""
    width, height = SIZE[0] + LEFT + RIGHT, SIZE[1] + TOP + BOTTOM
    image = QImage(round(width * RATIO), round(height * RATIO), QImage.Format.Format_Grayscale8)
    image.fill(0)
    painter = QPainter(image)
    painter.scale(RATIO, RATIO)
    plain = type(titles)(left=titles.left, right=titles.right, bottom=titles.bottom)
    paint_axes(painter, (width, height), QColor("white"), left, right, plain)
    painter.end()
    picture = np.zeros((image.height(), image.width(), 4), np.float32)
    _paint_over(picture, read_gray_pixels(image), ink, 1.0)
    top, first = round(TOP * RATIO), round(LEFT * RATIO)
    for line in lines:
        cover = draw_line(line, left, right, SIZE, RATIO)
        part = picture[top : top + cover.shape[0], first : first + cover.shape[1]]
        _paint_over(part, cover, QColor(line.color), line.opacity)
    return np.rint(picture * 255).astype(np.uint8)


def _paint_over(
    picture: NDArray[np.float32], cover: NDArray[np.uint8], color: QColor, opacity: float
) -> None:
    """Lay a colour over a picture (RGBA, 0 to 1), as thick as it covers each pixel."""
    share = cover[..., np.newaxis].astype(np.float32) / 255 * opacity
    alpha = picture[..., 3:] * (1 - share) + share
    before = picture[..., :3] * picture[..., 3:] * (1 - share)
    rgb = np.asarray(color.getRgbF()[:3], np.float32)
    picture[..., :3] = (before + rgb * share) / np.maximum(alpha, 1e-6)
    picture[..., 3:] = alpha


def add_curves(viewer: ViewerModel, run: str, lines: Iterable[Line], canvas: PlotCanvas) -> Image:
    """Add what a plot shows to a viewer, beside what is there, and leave the selection as it is.

    Parameters
    ----------
    viewer : ViewerModel
        Where the picture appears.
    run : str
        Goes into the layer's name.
    lines : iterable of Line
        The curves shown.
    canvas : PlotCanvas
        Whose range and titles are taken.
    """
    ink = canvas.palette().windowText().color()
    picture = draw_picture(lines, canvas.range, canvas.right_range, canvas.titles, ink)
    layer = Image(
        picture,
        rgb=True,
        name=f"curves [{run}]",
        blending="translucent",
        metadata={"surfseg": "curves", "run": run},
        **_find_place(viewer, picture.shape[1]),
    )
    layers = viewer.layers
    selected, active = list(layers.selection), layers.selection.active
    layers.append(layer)
    if selected:  # a brush that is in hand stays so
        layers.selection = selected
        layers.selection.active = active
    return layer


def _find_place(viewer: ViewerModel, columns: int) -> dict[str, Any]:
    """Return where a picture lies: beside the volumes, as wide as they are, below earlier ones."""
    known = [layer for layer in viewer.layers if layer.ndim >= 2]
    curves = [layer for layer in known if kind_of(layer) == "curves"]
    others = [layer for layer in known if layer not in curves]
    if not others:
        return {}
    extents = np.stack([layer.extent.world[:, -2:] for layer in others])
    (top, left), right = extents[:, 0].min(axis=0), extents[:, 1, 1].max()
    width = max(float(right - left), 1.0)
    below = [float(layer.extent.world[1, -2]) for layer in curves]
    return {
        "scale": (width / columns, width / columns),
        "translate": (
            max(below) + 0.05 * width if below else float(top),
            float(right) + 0.05 * width,
        ),
        # napari measures nothing where layers differ in their units.
        "units": others[0].units[-2:],
    }
