"""A number that is the checkpoint's until a person sets another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QCheckBox, QGridLayout, QSizePolicy, QWidget

from napari_surfseg.gui.controls.basics import hint

if TYPE_CHECKING:
    from napari_surfseg.gui.controls.number_boxes import NumberBox, WholeBox

__all__ = ["TunedRow"]


class TunedRow(QWidget):
    """A number beside a switch: on, it is the checkpoint's; off, a person's own.

    Parameters
    ----------
    spin : WholeBox or NumberBox
        With its limits, unit and tooltip.
    name : str
        Of the switch.
    """

    def __init__(self, spin: WholeBox | NumberBox, name: str) -> None:
        super().__init__()
        self.spin = spin
        self.tuned = QCheckBox("network's")
        self.tuned.setObjectName(name)
        self.tuned.setChecked(True)
        hint(
            self.tuned,
            "From the checkpoint: the number that was tuned on the validation data, or the plain "
            "one where there was nothing to tune it on. "
            "Switch off to set one of your own.",
        )
        self._value: float | None = None
        # In the narrowest dock the words beside it need the space.
        spin.setButtonSymbols(spin.ButtonSymbols.NoButtons)
        spin.setStyleSheet("min-width: 44px; padding: 1px 4px;")  # napari's theme says 90
        spin.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setVerticalSpacing(1)
        layout.setColumnStretch(0, 1)
        layout.addWidget(spin, 0, 0)
        layout.addWidget(self.tuned, 0, 1)
        layout.addWidget(spin.error, 1, 0, 1, 2)
        self.tuned.toggled.connect(lambda _on: self._show())
        self._show()

    def set_tuned(self, value: float | None) -> None:
        """Show what the checkpoint holds; None where it is not known yet."""
        self._value = value
        self._show()

    def value(self) -> float | None:
        """Return what a person set, or None for the checkpoint's."""
        return None if self.tuned.isChecked() else self.spin.value()

    def _show(self) -> None:
        tuned = self.tuned.isChecked()
        self.spin.setEnabled(not tuned)
        self.spin.setSpecialValueText("–" if tuned and self._value is None else "")
        if not tuned:
            return
        known = self.spin.minimum() if self._value is None else self._value
        self.spin.setValue(type(self.spin.value())(known))
