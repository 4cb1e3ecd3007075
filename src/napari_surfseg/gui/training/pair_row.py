"""One volume and its labels, in the list of what to learn from."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QFrame, QGridLayout, QHBoxLayout, QLabel, QToolButton

from napari_surfseg.gui.controls.basics import cut_entries, hint
from napari_surfseg.gui.controls.layer_or_file import SourceCombo
from napari_surfseg.gui.controls.source_choice import PairChoice

__all__ = ["PairRow"]


class PairRow(QFrame):
    """Two choices, and what the pair is for.

    Parameters
    ----------
    number : int
        Part of the objectNames; never used twice.
    """

    changed = Signal()
    removed = Signal(object)

    def __init__(self, number: int) -> None:
        super().__init__()
        self.setObjectName(f"pair_{number}")
        self.image = SourceCombo(f"image_{number}", "volume")
        hint(
            self.image,
            "The volume to learn from: an image layer with three axes (Z, Y, X), or "
            "a file: zarr, OME-Zarr, TIFF, folder of slices, npy, mrc, HDF5, NIfTI or NRRD.",
        )
        self.labels = SourceCombo(f"labels_{number}", "labels")
        hint(
            self.labels,
            "The labels that mark the surface in this volume: a labels layer of the "
            "same shape, or a file. Painted layers are copied into the run folder.",
        )
        self.role = QComboBox()
        self.role.setObjectName(f"role_{number}")
        self.role.addItem("training", "train")
        self.role.addItem("validation", "validation")
        cut_entries(self.role)
        hint(self.role, "Train on this pair, or only score on it.")
        self.remove = QToolButton()
        self.remove.setObjectName(f"remove_pair_{number}")
        self.remove.setText("✕")
        hint(self.remove, "Take this pair off the list; the layers stay.")
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 2, 0, 2)
        layout.setHorizontalSpacing(6)
        layout.setVerticalSpacing(3)
        # Lines of their own, so that both choices end at the same edge while role and remove hide.
        for row, (title, choice, button) in enumerate(
            (("Volume", self.image, self.remove), ("Labels", self.labels, self.role))
        ):
            line = QHBoxLayout()
            line.addWidget(choice, 1)
            line.addWidget(button)
            layout.addWidget(QLabel(title), row, 0)
            layout.addLayout(line, row, 1)
        layout.setColumnStretch(1, 1)
        self.image.chosen.connect(self.changed)
        self.labels.chosen.connect(self.changed)
        self.role.activated.connect(self._on_role)
        self.remove.clicked.connect(self._on_remove)

    def choice(self) -> PairChoice:
        """Return what the row says."""
        return PairChoice(self.image.choice(), self.labels.choice(), self.role.currentData())

    def clear(self) -> None:
        """Choose nothing."""
        self.image.set_choice(None)
        self.labels.set_choice(None)

    def confirm(self) -> None:
        """Take both choices for a person's own."""
        self.image.confirm()
        self.labels.confirm()

    def _on_role(self, _index: int) -> None:
        self.changed.emit()

    def _on_remove(self, _checked: bool = False) -> None:
        self.removed.emit(self)
