"""A button for each meaning that the brush can paint; also the legend of the strokes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QWidget

from napari_surfseg.gui.controls.basics import hint

if TYPE_CHECKING:
    from napari_surfseg.gui.strokes.brush import BrushButton

__all__ = ["BrushButtons"]

SWATCH_PIXELS = 12


class BrushButtons(QWidget):
    """Passive: :meth:`set_buttons` fills it, :attr:`chosen` carries the label value to paint."""

    chosen = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("stroke_tools")
        self._shown: dict[str, BrushButton] = {}
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

    def set_buttons(self, shown: dict[str, BrushButton], active: str | None) -> None:
        """Show what can be painted, by meaning, and which of it the brush paints now."""
        if shown != self._shown:
            self._shown = dict(shown)
            for meaning, button in self.buttons.items():
                look = shown.get(meaning)
                button.setVisible(look is not None)
                if look is not None:
                    button.setText(look.text)
                    button.setIcon(_swatch(look.color))
                    hint(button, look.tip)
        for meaning, button in self.buttons.items():
            button.setChecked(meaning == active)
        if self.isVisibleTo(self.parentWidget()) != bool(shown):
            self.setVisible(bool(shown))

    def _on_clicked(self, _checked: bool = False) -> None:
        sender = self.sender()
        for meaning, button in self.buttons.items():
            if button is sender and meaning in self._shown:
                self.chosen.emit(self._shown[meaning].value)


def _swatch(color: tuple[float, float, float, float] | None) -> QIcon:
    pixmap = QPixmap(SWATCH_PIXELS, SWATCH_PIXELS)
    if color is None or color[3] == 0:
        return QIcon()
    pixmap.fill(QColor.fromRgbF(*color[:3]))
    return QIcon(pixmap)
