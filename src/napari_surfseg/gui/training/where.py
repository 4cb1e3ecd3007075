"""The choice of the machine that trains: this computer, or what a launcher reaches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QComboBox

from napari_surfseg.gui.controls.basics import cut_entries, hint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_surfseg.gui.training.launcher_choice import LauncherChoice

__all__ = ["WhereBox"]

HERE = "this computer"


class WhereBox(QComboBox):
    """Passive: :meth:`set_launchers` fills it, :attr:`opened` says that a person looks at it."""

    opened = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("where")
        self.addItem(HERE, "")
        cut_entries(self)
        hint(
            self,
            "Which machine trains: this computer, or another one that sees the runs folder and the "
            "volumes, through ssh or the queue of a cluster. Each is a small file: “surfseg "
            "launchers --example slurm” makes one (also ssh, lsf, sge).",
        )

    def showPopup(self) -> None:  # noqa: N802
        """Show the choices, and say so: files may have come since."""
        self.opened.emit()
        super().showPopup()

    def set_launchers(self, choices: Sequence[LauncherChoice]) -> None:
        """Offer these besides this computer; what is not valid is shown, with why."""
        chosen = self.name()
        self.blockSignals(True)
        while self.count() > 1:
            self.removeItem(1)
        for choice in choices:
            said = f"{choice.name}: not valid" if choice.error else choice.title
            self.addItem(said, choice.name)
            index = self.count() - 1
            tip = choice.error or f"Train with the launcher {choice.name}."
            self.setItemData(index, f"<qt>{tip}</qt>", Qt.ItemDataRole.ToolTipRole)
            if choice.error:
                # The role that disables an entry, in PyQt as in PySide.
                self.setItemData(index, 0, Qt.ItemDataRole.UserRole - 1)
        self.choose(chosen)
        self.blockSignals(False)

    def choose(self, name: str) -> None:
        """Choose a launcher by its name; this computer where there is none of that name."""
        self.setCurrentIndex(max(self.findData(name), 0))

    def name(self) -> str:
        """Return the name of the launcher; empty for this computer."""
        return str(self.currentData() or "")
