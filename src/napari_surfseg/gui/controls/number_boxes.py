"""Numbers that a person types: one out of range is refused in a sentence, never changed in silence.

Qt's own boxes drop the keys that would leave the range: 999999 typed into one that ends at 64
becomes 9, and 0.5 typed into a whole number becomes 5.
"""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QLocale
from qtpy.QtGui import QValidator
from qtpy.QtWidgets import QDoubleSpinBox, QSpinBox, QVBoxLayout, QWidget

from napari_surfseg.gui.controls.basics import FieldError

__all__ = ["NumberBox", "WholeBox", "with_error"]

#: Of a box that is still being typed into.
UNFINISHED = frozenset({"", "-", "+"})


class _Refusing:
    """Takes any number while it is typed; when it is done, says why one cannot be taken.

    Attributes
    ----------
    label : str
        What the sentence calls the number.
    error : FieldError
        Shows the sentence; :func:`with_error` puts it below the box.
    """

    label: str
    error: FieldError

    def _set_up(self: Any, name: str, label: str, suffix: str, step: float) -> None:
        self.label = label
        self.setObjectName(name)
        self.setAccessibleName(label)
        self.setSuffix(suffix)
        self.setSingleStep(step)
        self.setKeyboardTracking(False)
        self.setLocale(QLocale.c())
        # napari's theme asks for more than three boxes have side by side in a narrow dock.
        self.setStyleSheet("min-width: 64px;")
        self.error = FieldError(name)
        self.valueChanged.connect(lambda _value: self.error.set_message(""))
        self.lineEdit().textEdited.connect(lambda _text: self.error.set_message(""))

    def _typed(self: Any, text: str) -> str:
        return text.removeprefix(self.prefix()).removesuffix(self.suffix()).strip()

    def validate(self: Any, text: str, position: int) -> Any:
        """Take what is a number, or the beginning of one."""
        text = text.replace(",", ".")
        state, text, position = super().validate(text, position)  # type: ignore[misc]
        if state == QValidator.State.Invalid:
            typed = self._typed(text)
            if typed in UNFINISHED or _read(typed) is not None:
                state = QValidator.State.Intermediate
        return state, text, position

    def fixup(self: Any, text: str) -> Any:
        """Say why a number that was typed cannot be taken; the box goes back to the one before."""
        typed = self._typed(text)
        number = _read(typed)
        if number is not None and self._can_hold(number):
            return self.prefix() + self.textFromValue(type(self.minimum())(number)) + self.suffix()
        if number is not None:
            self.error.set_message(self._refuse(typed, number))
            return text
        return super().fixup(text)  # type: ignore[misc]

    def _can_hold(self: Any, number: float) -> bool:
        decimals = 0 if isinstance(self.minimum(), int) else self.decimals()
        is_exact = round(number, decimals) == number
        return bool(is_exact and self.minimum() <= number <= self.maximum())

    def _refuse(self: Any, typed: str, number: float) -> str:
        low, high = self.minimum(), self.maximum()
        if low <= number <= high:
            reason = f"it must be a {'whole ' if isinstance(low, int) else ''}number"
            if not isinstance(low, int):
                reason += f" with at most {self.decimals()} decimals"
        else:
            reason = f"it must be from {low:g} to {high:g}{self.suffix()}"
        return f"{self.label} is {typed}, but {reason}; it stays {self._shown()}."

    def _shown(self: Any) -> str:
        special = self.specialValueText()
        if special and self.value() == self.minimum():
            return str(special)
        return f"{self.value():g}{self.suffix()}"


def _read(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


class WholeBox(_Refusing, QSpinBox):
    """A whole number.

    Parameters
    ----------
    name : str
        Object name.
    label : str
        What sentences call it.
    low, high, step : int
        Its range, and what the arrows add.
    suffix : str
        Its unit.
    """

    def __init__(
        self, name: str, label: str, low: int, high: int, *, step: int = 1, suffix: str = ""
    ) -> None:
        super().__init__()
        self.setRange(low, high)
        self._set_up(name, label, suffix, step)


class NumberBox(_Refusing, QDoubleSpinBox):
    """A number with decimals; parameters as for :class:`WholeBox`."""

    def __init__(
        self,
        name: str,
        label: str,
        low: float,
        high: float,
        *,
        step: float = 1,
        decimals: int = 2,
        suffix: str = "",
    ) -> None:
        super().__init__()
        self.setDecimals(decimals)
        self.setRange(low, high)
        self._set_up(name, label, suffix, step)


def with_error(control: Any) -> QWidget:
    """Return a control with its sentence below it."""
    cell = QWidget()
    column = QVBoxLayout(cell)
    column.setContentsMargins(0, 0, 0, 0)
    column.setSpacing(1)
    column.addWidget(control)
    column.addWidget(control.error)
    return cell
