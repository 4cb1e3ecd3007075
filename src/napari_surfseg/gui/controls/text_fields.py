"""Settings that a person types or leaves empty: empty is the default."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QLineEdit, QPlainTextEdit

from napari_surfseg.gui.controls.basics import FieldError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["NotesField", "ValueField", "read_mapping", "read_number", "read_numbers"]


def read_number(text: str) -> Any:
    """Read a number; what is none comes back as it is, for the configuration to refuse."""
    text = text.strip()
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text.replace(",", "."))
    except ValueError:
        return text


def read_numbers(text: str) -> Any:
    """Read numbers between commas or spaces; what is none comes back as it is."""
    numbers = [read_number(part) for part in text.replace(",", " ").split()]
    return text.strip() if any(isinstance(number, str) for number in numbers) else numbers


def read_mapping(text: str) -> Any:
    """Read ``name: value, name: [1, 2]``, as YAML has it; what is none comes back as it is."""
    text = text.strip()
    try:
        found = yaml.safe_load(text if text.startswith("{") else f"{{{text}}}")
    except yaml.YAMLError:
        return text
    return found if isinstance(found, dict) else text


class ValueField(QLineEdit):
    """A line of text that stands for a value.

    Parameters
    ----------
    name : str
        Object name.
    read : callable
        Turns the text into the value.
    empty : object
        The value of an empty line.
    placeholder : str
        Says what an empty line means.
    """

    settled = Signal()
    """A person has finished typing something else."""

    def __init__(
        self,
        name: str,
        read: Callable[[str], Any] = read_number,
        *,
        empty: Any = None,
        placeholder: str = "",
    ) -> None:
        super().__init__()
        self.setObjectName(name)
        self.setPlaceholderText(placeholder)
        self.error = FieldError(name)
        self._read = read
        self._empty = empty
        self._before = ""
        self.editingFinished.connect(self._on_finished)
        self.textEdited.connect(lambda _text: self.error.set_message(""))

    def value(self) -> Any:
        """Read the value."""
        text = self.text().strip()
        return self._read(text) if text else self._empty

    def set_value(self, value: Any) -> None:
        """Show a value."""
        if value is None or value == self._empty:
            text = ""
        elif isinstance(value, list | tuple):
            text = ", ".join(map(str, value))
        else:
            text = str(value)
        self.setText(text)
        self._before = text

    def _on_finished(self) -> None:
        if self.text() != self._before:
            self._before = self.text()
            self.settled.emit()


class NotesField(QPlainTextEdit):
    """A few lines of text."""

    def __init__(self, name: str, placeholder: str = "") -> None:
        super().__init__()
        self.setObjectName(name)
        self.setPlaceholderText(placeholder)
        self.setTabChangesFocus(True)
        # napari's theme gives it neither frame nor ground.
        self.setStyleSheet("border: 1px solid palette(mid); border-radius: 2px;")
        self.setFixedHeight(3 * self.fontMetrics().lineSpacing() + 12)
        self.error = FieldError(name)
