"""The numbers, titles and frame around a plot, painted by Qt."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from qtpy.QtCore import QPointF, QRectF, Qt
from qtpy.QtGui import QColor, QPainter

from napari_surfseg.gui.curves.plot_range import LEAST_TICKS, PlotRange, compute_ticks, format_ticks

__all__ = ["BOTTOM", "LEFT", "RIGHT", "TOP", "AxisTitles", "compute_value_ticks", "paint_axes"]

#: Pixels around the plot.
LEFT, RIGHT, TOP, BOTTOM = 56, 50, 6, 32
#: Between two numbers along the vertical axes.
TICK_PIXELS = 26
TITLE_PIXELS = 15
CENTERED = int(Qt.AlignmentFlag.AlignCenter)


@dataclass(frozen=True)
class AxisTitles:
    """What stands beside the axes.

    Attributes
    ----------
    left, right, bottom : str
        Titles.
    left_color, right_color : str
        Of the only curve of an axis, else empty: that of the other words.
    """

    left: str = "loss"
    right: str = ""
    bottom: str = "optimizer step"
    left_color: str = ""
    right_color: str = ""


def compute_value_ticks(shown: PlotRange, height: int) -> list[float]:
    """Return the values at which a vertical axis of this height has numbers."""
    most = max(height // TICK_PIXELS, LEAST_TICKS)
    return compute_ticks(shown.y0, shown.y1, most, log=shown.log)


def paint_axes(
    painter: QPainter,
    size: tuple[int, int],
    ink: QColor,
    left: PlotRange,
    right: PlotRange | None,
    titles: AxisTitles,
) -> None:
    """Paint everything around the plot.

    Parameters
    ----------
    painter : QPainter
        Of the widget or picture.
    size : tuple of int
        Its width and height, margins and all.
    ink : QColor
        Of the numbers, and of titles that have no colour of their own.
    left, right : PlotRange
        What the axes show; without a right one its title stands there alone.
    titles : AxisTitles
        Of the axes.
    """
    painter.setRenderHint(QPainter.RenderHint.TextAntialiasing)
    font = painter.font()
    font.setPointSizeF(max(font.pointSizeF() * 0.85, 7.0))
    painter.setFont(font)
    width, height = size[0] - LEFT - RIGHT, size[1] - TOP - BOTTOM
    faint = QColor(ink)
    faint.setAlpha(110)
    painter.setPen(faint)
    painter.drawRect(QRectF(LEFT - 1, TOP - 1, width + 1, height + 1))
    painter.setPen(ink)
    _paint_values(painter, left, LEFT - 1, -1, height)
    if right is not None:
        _paint_values(painter, right, LEFT + width, 1, height)
    _paint_steps(painter, left, width, height)
    middle = TOP + height / 2
    _paint_turned(painter, titles.left, 8, middle, height, titles.left_color or ink)
    x = size[0] - 8 if right is not None else LEFT + width + TITLE_PIXELS
    _paint_turned(painter, titles.right, x, middle, height, titles.right_color or ink)
    painter.setPen(ink)
    painter.drawText(
        QRectF(LEFT, size[1] - 15, width, 14),
        CENTERED | int(Qt.TextFlag.TextDontClip),
        titles.bottom,
    )


def _paint_values(
    painter: QPainter, shown: PlotRange, x: float, outwards: int, height: int
) -> None:
    ticks = compute_value_ticks(shown, height)
    alignment = Qt.AlignmentFlag.AlignRight if outwards < 0 else Qt.AlignmentFlag.AlignLeft
    for value, text in zip(ticks, format_ticks(ticks), strict=True):
        _, row = shown.to_pixels(np.zeros(1), np.asarray([value]), 1, height)
        y = TOP + float(row[0])
        painter.drawLine(QPointF(x, y), QPointF(x + 4 * outwards, y))
        left = x - 47 if outwards < 0 else x + 7
        painter.drawText(
            QRectF(left, y - 9, 40, 18), int(alignment | Qt.AlignmentFlag.AlignVCenter), text
        )


def _paint_steps(painter: QPainter, shown: PlotRange, width: int, height: int) -> None:
    for value in compute_ticks(shown.x0, shown.x1, max(width // 70, 2), least=2):
        column, _ = replace(shown, log=False).to_pixels(
            np.asarray([value]), np.ones(1), width, height
        )
        x = LEFT + float(column[0])
        painter.drawLine(QPointF(x, TOP + height + 1), QPointF(x, TOP + height + 5))
        painter.drawText(QRectF(x - 40, TOP + height + 4, 80, 14), CENTERED, f"{value:g}")


def _paint_turned(
    painter: QPainter, text: str, x: float, y: float, length: float, color: QColor | str
) -> None:
    """Paint words from the bottom to the top, about a place."""
    painter.save()
    painter.setPen(QColor(color))
    painter.translate(x, y)
    painter.rotate(-90)
    cut = painter.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, round(length) + 16)
    painter.drawText(
        QRectF(-length, -8, 2 * length, 16), CENTERED | int(Qt.TextFlag.TextDontClip), cut
    )
    painter.restore()
