"""A number that the checkpoint knows best, until a person sets another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QWidget

from napari_surfseg.gui.widgets import hint

if TYPE_CHECKING:
    from qtpy.QtWidgets import QDoubleSpinBox, QSpinBox

__all__ = ["TunedRow"]

ORIGIN = "from the checkpoint"


class TunedRow(QWidget):
    """A number beside a switch: off, it shows what the checkpoint holds; on, a person's own.

    Parameters
    ----------
    spin : QSpinBox or QDoubleSpinBox
        With its limits, unit and tooltip.
    name : str
        Of the switch.
    """

    def __init__(self, spin: QSpinBox | QDoubleSpinBox, name: str) -> None:
        super().__init__()
        self.spin = spin
        self.own = QCheckBox("set")
        self.own.setObjectName(name)
        hint(
            self.own,
            "Use this number instead of the one that was tuned on the validation data, which the "
            "checkpoint holds.",
        )
        self._suffix = spin.suffix()
        self._tuned: float | None = None
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(spin, 1)
        layout.addWidget(self.own)
        self.own.toggled.connect(lambda _on: self._show())
        self._show()

    def set_tuned(self, value: float | None) -> None:
        """Show what the checkpoint holds; None where it is not known yet."""
        self._tuned = value
        self._show()

    def value(self) -> float | None:
        """Return what a person set, or None for the checkpoint's."""
        return self.spin.value() if self.own.isChecked() else None

    def _show(self) -> None:
        own = self.own.isChecked()
        self.spin.setEnabled(own)
        known = self._tuned is not None
        self.spin.setSpecialValueText("" if own or known else ORIGIN)
        self.spin.setSuffix(self._suffix if own else f"{self._suffix} {ORIGIN}")
        if own:
            return
        if self._tuned is None:
            self.spin.setValue(self.spin.minimum())
        else:
            self.spin.setValue(type(self.spin.value())(self._tuned))
