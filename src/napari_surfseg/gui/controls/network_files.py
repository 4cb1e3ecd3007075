"""Names a trained network: typed, chosen among those of the package, or found as a file."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QLineEdit

from napari_surfseg.gui.controls.basics import cut_entries
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

    def _on_activated(self, index: int) -> None:
        # The line holds what a person could have typed, not what stands in the list.
        name = self.itemData(index)
        if name:
            self.line.setText(name)
            self.chosen.emit(name)
