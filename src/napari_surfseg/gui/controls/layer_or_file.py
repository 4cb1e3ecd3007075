"""Chooses a layer of the viewer, held by identity, or a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QComboBox, QFileDialog

from napari_surfseg.data.formats.registry import list_patterns
from napari_surfseg.gui.controls.basics import cut_entries
from napari_surfseg.gui.controls.source_choice import SourceChoice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Layer

__all__ = ["SourceCombo"]

FILE_FILTER = f"Volumes ({' '.join(list_patterns())});;All files (*)"


class SourceCombo(QComboBox):
    """Offers the layers it is given, by their present names, and files.

    What is chosen is the layer itself: it stays chosen under another name and at another place
    in the list. A layer that a person chose and that then leaves the viewer is not replaced by
    another one: nothing is chosen then, and :attr:`lost` says which it was.

    It is no layer widget of magicgui, which napari keeps up to date through ``reset_choices``:
    that finds the chosen layer again by its text (seen with magicgui 0.10), so that a renamed
    one is dropped, or, where the widget must have a value, replaced by the first of the list.

    Parameters
    ----------
    name : str
        Its objectName.
    what : str
        What is chosen, for sentences: ``"volume"``.
    files : bool
        Whether files can be chosen too.
    nothing : str
        What it means to choose nothing; by default that something is to be chosen.
    """

    chosen = Signal()

    def __init__(self, name: str, what: str, *, files: bool = True, nothing: str = "") -> None:
        super().__init__()
        self.setObjectName(name)
        self.what = what
        self._nothing = nothing
        self._files = files
        self._choice: SourceChoice | None = None
        self._layers: list[SourceChoice] = []
        self._is_manual = False
        self.lost = ""
        cut_entries(self)
        self.activated.connect(self._on_activated)
        self._fill()

    def choice(self) -> SourceChoice | None:
        """Return what is chosen, or None."""
        return self._choice

    @property
    def is_manual(self) -> bool:
        """Whether a person chose, so that a guess must not replace it."""
        return self._is_manual

    def confirm(self) -> None:
        """Take what is chosen for a person's own choice, as it was used."""
        self._is_manual = self._is_manual or self._choice is not None

    def set_layers(self, layers: Sequence[Layer]) -> None:
        """Offer these layers; a chosen one that is gone is let go."""
        self._layers = [SourceChoice.of_layer(layer) for layer in layers]
        choice = self._choice
        if choice is not None and choice.kind == "layer" and choice not in self._layers:
            self.lost = choice.name if self._is_manual else ""
            self._choice = None
        self._fill()

    def set_choice(self, choice: SourceChoice | None) -> None:
        """Choose without asking."""
        self._choice = choice
        self.lost = ""
        self._fill()

    def _fill(self) -> None:
        self.blockSignals(True)
        self.clear()
        self.addItem((not self.lost and self._nothing) or f"choose {self.what}…", None)
        for choice in self._layers:
            self.addItem(choice.name, choice)
        if self._choice is not None and self._choice.kind == "file":
            self.addItem(self._choice.name.rstrip("/").rpartition("/")[2], self._choice)
            self.setItemData(self.count() - 1, self._choice.name, Qt.ItemDataRole.ToolTipRole)
        if self._files:
            self.addItem("File…", "file")
            self.addItem("Folder (zarr, slices)…", "folder")
        place = 0
        for index in range(self.count()):
            if self._choice is not None and self.itemData(index) == self._choice:
                place = index
        self.setCurrentIndex(place)
        self.blockSignals(False)

    def _on_activated(self, index: int) -> None:
        data = self.itemData(index)
        if data in ("file", "folder"):
            path = self.ask_path(folder=data == "folder")
            if not path:
                self._fill()
                return
            self._choice = SourceChoice.of_file(path)
            self._fill()
        else:
            self._choice = data
        was_lost, self.lost = self.lost, ""
        self._is_manual = True
        if was_lost and self._nothing:
            self._fill()
        self.chosen.emit()

    def ask_path(self, *, folder: bool) -> str:
        """Ask the person for a file or folder."""
        if folder:
            return QFileDialog.getExistingDirectory(self, f"Choose {self.what}")
        return QFileDialog.getOpenFileName(self, f"Choose {self.what}", "", FILE_FILTER)[0]
