"""The chooser "Start from": a network of the package, nothing, a recent run, or a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QComboBox, QFileDialog

from napari_surfseg.gui.controls.basics import cut_entries, hint
from napari_surfseg.gui.controls.network_files import NETWORK_FILES
from napari_surfseg.networks.registry import AUTO, FRESH, is_network_name, list_networks
from napari_surfseg.runs.event_text import name_network

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["StartFromBox"]

#: Entries that ask for a path.
FILE, FOLDER = "a file", "a folder"


class StartFromBox(QComboBox):
    """Shows what a new run starts from, whatever ``model.start_from`` calls it.

    ``auto`` is shown as what it means for the chosen size, so that nobody has to know the word.
    """

    chosen = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("model_start_from")
        hint(
            self,
            "What the network knows before its first step: a network that comes with the package, "
            "nothing, or one of your own runs or files (of a run its best.pt). The grey values are "
            "those of your volumes in any case.",
        )
        self._value = AUTO
        self._meant: str | None = None
        self._recent: list[tuple[str, str]] = []
        cut_entries(self)
        self.activated.connect(self._on_activated)
        self._fill()

    def value(self) -> str:
        """Return the value of ``model.start_from``."""
        return self._value

    def set_value(self, value: str) -> None:
        """Show a value of ``model.start_from``, without :attr:`chosen`."""
        self._value = value
        self._fill()

    def set_meaning(self, name: str | None) -> None:
        """Say which network ``auto`` means now; None where it means fresh weights."""
        if name != self._meant:
            self._meant = name
            self._fill()

    def set_recent(self, runs: Sequence[tuple[str, str]]) -> None:
        """Offer these runs: the folder and the name of each, the newest first."""
        if list(runs) != self._recent:
            self._recent = list(runs)
            self._fill()

    def _shown(self) -> str:
        """Return the value under which the present one stands in the list."""
        return (self._meant or FRESH) if self._value == AUTO else self._value

    def _fill(self) -> None:
        shown = self._shown()
        self.clear()
        for network in list_networks():
            # Short, as the box is narrow; what it finds stands below it.
            self.addItem(network.name, network.name)
            self._add_tip(network.heading)
        self.addItem("From scratch", FRESH)
        recent = dict(self._recent)
        is_path = shown != FRESH and not is_network_name(shown)
        if is_path and shown not in recent:
            self._add_path(shown, name_network(shown))
        for path, name in recent.items():
            self._add_path(path, name)
        self.addItem("A network file…", FILE)
        self.addItem("A run's folder…", FOLDER)
        self.setCurrentIndex(max(self.findData(shown), 0))
        # The box may be cut, what it offers not.
        self.view().setMinimumWidth(self.view().sizeHintForColumn(0) + 24)

    def _add_path(self, path: str, name: str) -> None:
        self.addItem(name, path)
        self._add_tip(path)

    def _add_tip(self, text: str) -> None:
        self.setItemData(self.count() - 1, text, Qt.ItemDataRole.ToolTipRole)

    def _on_activated(self, index: int) -> None:
        value = self.itemData(index)
        if value in (FILE, FOLDER):
            value = self.ask_path(folder=value == FOLDER)
        if value and value != self._shown():
            self._value = value
            self._fill()
            self.chosen.emit()
        else:
            self._fill()

    def ask_path(self, *, folder: bool) -> str:
        """Ask the person for a file or folder; empty where there is none."""
        title = "Start from"
        if folder:
            return QFileDialog.getExistingDirectory(self, title)
        return QFileDialog.getOpenFileName(self, title, "", NETWORK_FILES)[0]
