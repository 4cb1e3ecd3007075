"""A dialog that asks whether to go on."""

from __future__ import annotations

from qtpy.QtWidgets import QMessageBox, QWidget

__all__ = ["ask_in_dialog"]


def ask_in_dialog(text: str, parent: QWidget | None) -> bool:
    """Show a question over a widget and return the answer; Cancel is the default."""
    buttons = QMessageBox.StandardButton.Yes | QMessageBox.StandardButton.Cancel
    box = QMessageBox(QMessageBox.Icon.Question, "Surface segmentation", text, buttons, parent)
    box.setObjectName("copy_question")
    box.button(QMessageBox.StandardButton.Yes).setText("Go on")
    box.setDefaultButton(QMessageBox.StandardButton.Cancel)
    return bool(box.exec() == QMessageBox.StandardButton.Yes)
