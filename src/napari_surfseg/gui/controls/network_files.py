"""Names a trained network: typed, chosen among those of the package, or found as a file."""

from __future__ import annotations

from html import escape

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QLineEdit

from napari_surfseg.gui.controls.basics import cut_entries, hint
from napari_surfseg.networks.registry import list_networks

__all__ = ["NETWORK_FILES", "NetworkField"]

#: For a file dialog.
NETWORK_FILES = "Networks (*.pt *.safetensors);;All files (*)"


class NetworkField(QComboBox):
    """A line for a path or a name, with a list of the networks that come with the package.

    Parameters
    ----------
    name : str
        The objectName of its line; that of the list is ``NAME_list``.
    """

    chosen = Signal(str)
    """Carries the name of a network that a person took from the list."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._meaning = ""
        self.setObjectName(f"{name}_list")
        self.line = QLineEdit()
        self.line.setObjectName(name)
        self.setEditable(True)
        self.setLineEdit(self.line)
        self.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        cut_entries(self)
        for network in list_networks():
            self.addItem(network.heading, network.name)
        self.line.clear()
        self.activated.connect(self._on_activated)
        self.line.textChanged.connect(self._on_changed)

    def set_meaning(self, text: str) -> None:
        """Say what it is for, in the tooltip of the list and of the line."""
        self._meaning = text
        for part in (self, self.line):
            hint(part, text)

    def set_text(self, text: str) -> None:
        """Show a name from its beginning on, or a path with its end, which tells runs apart."""
        self.line.setText(text)
        if "/" not in text and "\\" not in text:
            self.line.setCursorPosition(0)

    def _on_changed(self, text: str) -> None:
        """Say in the tooltip what the line may be too narrow for."""
        hint(self.line, f"{escape(text)}: {self._meaning}" if text else self._meaning)

    def _on_activated(self, index: int) -> None:
        # The line holds what a person could have typed, not what stands in the list.
        name = self.itemData(index)
        if name:
            self.set_text(name)
            self.chosen.emit(name)
