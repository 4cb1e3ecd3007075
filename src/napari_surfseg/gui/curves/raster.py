"""A line as a picture: what an Image layer of the plot shows.

Of all the ways to change a napari layer every second, new pixels for an Image layer are the
cheapest by far: a Surface, Vectors or Shapes layer compiles its shaders with every change
(see ``benchmarks/gui.py``). Qt also draws smoother lines than triangles would be.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QPointF, Qt
from qtpy.QtGui import QColor, QImage, QPainter, QPen, QPolygonF

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["rasterize_line", "read_gray_pixels"]


def rasterize_line(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    *,
    width: float,
    size: tuple[int, int],
    ratio: float = 1.0,
    dots: float = 0.0,
) -> NDArray[np.uint8]:
    """Draw a line of constant width, with smooth edges.

    Parameters
    ----------
    x, y : arrays of shape (N,)
        Columns and rows of its points, from the left and upper edge; one that is
        not finite breaks the line. A point between two breaks is a dot.
    width : float
        Of the line, in the same unit.
    size : tuple of int
        Width and height of the picture, in the same unit.
    ratio : float
        Pixels a unit: 2 on a screen of double resolution.
    dots : float
        Radius of a dot at every point, in the same unit; 0 for none.

    Returns
    -------
    array of shape (height * ratio, width * ratio)
        uint8: how much of each pixel the line covers, 0 to 255.
    """
    columns, rows = (max(round(edge * ratio), 1) for edge in size)
    image = QImage(columns, rows, QImage.Format.Format_Grayscale8)
    image.fill(0)
    painter = QPainter(image)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.scale(ratio, ratio)
    # Qt draws lines of one pixel ten times faster than thicker ones, where a curve is noisy. So a
    # thicker line is several of them, at most a pixel apart.
    pen = QPen(QColor(255, 255, 255), 1.0)
    pen.setCosmetic(True)
    painter.setPen(pen)
    thickness = width * ratio
    copies = math.ceil(thickness)
    spread = (thickness - 1) / 2 / ratio
    shifts = np.linspace(-spread, spread, copies) if copies > 1 else np.zeros(1)
    # Far outside, Qt's arithmetic would overflow.
    y = np.clip(y, -size[1], 2.0 * size[1])
    x = np.clip(x, -size[0], 2.0 * size[0])
    for first, last in _find_runs(np.isfinite(x) & np.isfinite(y)):
        points = [QPointF(a, b) for a, b in zip(x[first:last], y[first:last], strict=True)]
        polygon = QPolygonF(points)
        for shift in shifts:
            moved = polygon.translated(0.0, float(shift))
            if len(points) == 1:
                painter.drawPoint(moved[0])
            else:
                painter.drawPolyline(moved)
    if dots > 0:
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(255, 255, 255))
        for a, b in zip(x, y, strict=True):
            if math.isfinite(a) and math.isfinite(b):
                painter.drawEllipse(QPointF(a, b), dots, dots)
    painter.end()
    return read_gray_pixels(image)


def _find_runs(finite: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First and last + 1 of every run of finite points."""
    edges = np.flatnonzero(np.diff(np.r_[False, finite, False].astype(np.int8)))
    return [(int(first), int(last)) for first, last in edges.reshape(-1, 2)]


def read_gray_pixels(image: QImage) -> NDArray[np.uint8]:
    """Return the pixels of an image of format Grayscale8."""
    bits: Any = image.constBits()
    if hasattr(bits, "setsize"):  # PyQt gives a pointer, PySide a buffer
        bits.setsize(image.sizeInBytes())
    rows = np.frombuffer(bits, np.uint8).reshape(image.height(), image.bytesPerLine())
    return rows[:, : image.width()].copy()
