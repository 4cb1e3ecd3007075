"""Three numbers for the size of a box in voxels."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from napari_surfseg.gui.controls.basics import FieldError, hint
from napari_surfseg.gui.controls.number_boxes import WholeBox

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_surfseg.geometry import Size3

__all__ = ["USUAL_SIZE", "BoxSize"]

#: Voxels predicted live unless a person says otherwise: the slices around the one on screen, a
#: quarter of the time of a cube of the same width.
USUAL_SIZE = (32, 128, 128)


class BoxSize(QWidget):
    """Z, Y and X voxels side by side, narrow enough for the narrowest dock.

    Parameters
    ----------
    name : str
        Begins the object names: ``NAME_z``, ``NAME_y``, ``NAME_x``.
    size : sequence of int
        At first.
    limits : (int, int)
        Least and greatest edge.
    """

    changed = Signal(object)
    """Carries the size that a person chose."""

    def __init__(self, name: str, size: Sequence[int], limits: tuple[int, int]) -> None:
        super().__init__()
        self.error = FieldError(name)
        self._limits = limits
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(1)
        layout = QHBoxLayout()
        layout.setSpacing(4)
        column.addLayout(layout)
        column.addWidget(self.error)
        self.spins: list[WholeBox] = []
        for axis in "zyx":
            label = f"The live box along {axis.upper()}"
            spin = WholeBox(f"{name}_{axis}", label, *limits, step=16)
            spin.error = self.error
            spin.setPrefix(f"{axis} ")
            # Without arrows, which keys and the wheel replace, three fit into 200 px.
            spin.setButtonSymbols(WholeBox.ButtonSymbols.NoButtons)
            spin.setStyleSheet("min-width: 44px; padding: 1px 4px;")  # napari's theme says 90
            spin.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
            spin.valueChanged.connect(self._on_changed)
            self.spins.append(spin)
            layout.addWidget(spin, 1)
        self.set_size(size)

    def size_voxels(self) -> Size3:
        """Return Z, Y, X voxels."""
        z, y, x = (spin.value() for spin in self.spins)
        return z, y, x

    def set_size(self, size: Sequence[int]) -> None:
        """Show a size, without :attr:`changed`."""
        for spin, value in zip(self.spins, size, strict=True):
            spin.blockSignals(True)
            spin.setValue(int(value))
            spin.blockSignals(False)
        self._hint()

    def _on_changed(self, _value: int) -> None:
        self._hint()
        self.changed.emit(self.size_voxels())

    def _hint(self) -> None:
        voxels = math.prod(self.size_voxels())
        times = voxels / math.prod(USUAL_SIZE)
        low, high = self._limits
        for axis, spin in zip("ZYX", self.spins, strict=True):
            hint(
                spin,
                f"Size of the live box along {axis} (voxels, {low} to {high}). Together "
                f"{voxels / 1e6:.2g} million voxels: a prediction takes {times:.2g} times as long "
                "as of the usual 32 × 128 × 128, and comes as much less often, since previews get "
                "at most a twentieth of the time.",
            )
