"""What the brush paints: surface, background, or nothing; the legend of the strokes, too."""

from __future__ import annotations

from dataclasses import dataclass

from qtpy.QtCore import Signal
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QWidget

from napari_surfseg.gui.controls.basics import hint

__all__ = ["StrokeTool", "StrokeTools"]

SWATCH_PIXELS = 12


@dataclass(frozen=True)
class StrokeTool:
    """One button.

    Attributes
    ----------
    value : int
        The label value that is painted.
    color : tuple of float or None
        The layer's for it; None where it draws nothing.
    text, tip : str
        What the button says, and its tooltip.
    """

    value: int
    color: tuple[float, float, float, float] | None
    text: str
    tip: str


class StrokeTools(QWidget):
    """A button for each meaning. Passive."""

    chosen = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("stroke_tools")
        self._tools: dict[str, StrokeTool] = {}
        self.buttons: dict[str, QPushButton] = {}
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        for meaning, name in (
            ("foreground", "paint_surface"),
            ("background", "paint_background"),
            ("ignore", "paint_nothing"),
        ):
            button = QPushButton()
            button.setObjectName(name)
            button.setCheckable(True)
            hint(button, "Paint this meaning with the brush.")
            # The three of them are whole in the narrowest dock.
            button.setStyleSheet("font-size: 11px; padding: 3px 2px;")
            button.clicked.connect(self._on_clicked)
            self.buttons[meaning] = button
            layout.addWidget(button, 1)
        self.setVisible(False)

    def set_tools(self, tools: dict[str, StrokeTool], active: str | None) -> None:
        """Show what can be painted, by meaning, and which of it the brush paints now."""
        if tools != self._tools:
            self._tools = dict(tools)
            for meaning, button in self.buttons.items():
                tool = tools.get(meaning)
                button.setVisible(tool is not None)
                if tool is not None:
                    button.setText(tool.text)
                    button.setIcon(_swatch(tool.color))
                    hint(button, tool.tip)
        for meaning, button in self.buttons.items():
            button.setChecked(meaning == active)
        if self.isVisibleTo(self.parentWidget()) != bool(tools):
            self.setVisible(bool(tools))

    def _on_clicked(self, _checked: bool = False) -> None:
        sender = self.sender()
        for meaning, button in self.buttons.items():
            if button is sender and meaning in self._tools:
                self.chosen.emit(self._tools[meaning].value)


def _swatch(color: tuple[float, float, float, float] | None) -> QIcon:
    pixmap = QPixmap(SWATCH_PIXELS, SWATCH_PIXELS)
    if color is None or color[3] == 0:
        return QIcon()
    pixmap.fill(QColor.fromRgbF(*color[:3]))
    return QIcon(pixmap)
