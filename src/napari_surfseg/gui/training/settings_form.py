"""Rows of labelled controls for plain settings, made from a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QLabel, QVBoxLayout, QWidget

from napari_surfseg.config_fields import FieldDescription, describe_field
from napari_surfseg.config_files import build_experiment
from napari_surfseg.errors import ConfigError
from napari_surfseg.gui.controls.basics import FieldError, Section, hint, labelled_rows
from napari_surfseg.gui.controls.number_boxes import NumberBox, WholeBox, with_error
from napari_surfseg.gui.controls.text_fields import (
    NotesField,
    ValueField,
    read_number,
    read_numbers,
)
from napari_surfseg.gui.training.form import nest_settings
from napari_surfseg.gui.training.settings_table import (
    CHOICES,
    SUFFIXES,
    Setting,
    choose_control,
    default_of,
    describe_setting,
    offered_range,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["ChoiceBox", "MoreSection", "SettingsForm", "say_of_setting"]


#: Choices of more characters have a line to themselves.
LONG_WORDS = 34


class ChoiceBox(QComboBox):
    """One of a few values, each in words."""

    def __init__(self, name: str, words: Mapping[Any, str]) -> None:
        super().__init__()
        self.setObjectName(name)
        self.error = FieldError(name)
        for value, text in words.items():
            self.addItem(text, [value])  # in a list: Qt takes None for no data at all
        self.longest = max(map(len, words.values()))
        # The box may be cut, what it offers not.
        self.view().setMinimumWidth(self.view().sizeHintForColumn(0) + 24)

    def value(self) -> Any:
        """Read the value."""
        return self.currentData()[0]

    def set_value(self, value: Any) -> None:
        """Show a value."""
        values = [self.itemData(index)[0] for index in range(self.count())]
        # By type as well: 1 is no True.
        match = [v == value and type(v) is type(value) for v in values]
        self.setCurrentIndex(match.index(True) if True in match else 0)


def _reader(field: FieldDescription) -> Callable[[str], Any]:
    """Return what makes a value of the field of a typed text."""
    if str in field.types:
        return str
    return read_numbers if tuple in field.types else read_number


def say_of_setting(message: str, labels: Mapping[str, str]) -> str:
    """Replace the key of a setting in a sentence by its name in the window."""
    said = message.removeprefix("In the form, ")
    for key in sorted(labels, key=len, reverse=True):
        said = said.replace(key, labels[key])
    return said[:1].upper() + said[1:]


class SettingsForm(QWidget):
    """Rows of labelled controls, read and filled by dotted key.

    Parameters
    ----------
    settings : tuple of Setting
        The rows.
    """

    changed = Signal(str)
    """Carries the key whose value changed."""

    def __init__(self, settings: tuple[Setting, ...]) -> None:
        super().__init__()
        self.controls: dict[str, Any] = {}
        self._settings = {setting.key: setting for setting in settings}
        layout = labelled_rows(self, spacing=3)
        layout.setContentsMargins(8, 2, 2, 4)
        for setting in settings:
            control = self._build(setting)
            hint(control, describe_setting(setting))
            control.setAccessibleName(setting.label)
            self.controls[setting.key] = control
            label, cell = QLabel(setting.label), with_error(control)
            label.setToolTip(control.toolTip())
            if isinstance(control, ChoiceBox) and control.longest > LONG_WORDS:
                layout.addRow(label)
                layout.addRow(cell)
            else:
                layout.addRow(label, cell)
            self.set_value(setting.key, default_of(setting.key))

    @property
    def labels(self) -> dict[str, str]:
        """What each setting is called, by key."""
        return {key: setting.label for key, setting in self._settings.items()}

    def _build(self, setting: Setting) -> Any:
        key, name = setting.key, setting.key.replace(".", "_")
        field = describe_field(key)
        kind = choose_control(setting)
        if kind == "choice":
            words = {value: text for value, text in CHOICES[key].items() if value in field.choices}
            combo = ChoiceBox(name, words)
            combo.currentIndexChanged.connect(lambda _index: self.changed.emit(key))
            return combo
        if kind == "notes":
            notes = NotesField(name, setting.empty)
            notes.textChanged.connect(lambda: self.changed.emit(key))
            return notes
        if kind == "line":
            empty = "auto" if default_of(key) == "auto" else None
            line = ValueField(name, _reader(field), empty=empty, placeholder=setting.empty)
            line.settled.connect(lambda: self._on_settled(key))
            return line
        low, high = offered_range(key)
        suffix = SUFFIXES.get(field.unit, "")
        box: Any
        if int in field.types:
            box = WholeBox(name, setting.label, int(low), int(high), step=int(setting.step),
                           suffix=suffix)  # fmt: skip
        else:
            box = NumberBox(name, setting.label, low, high, step=setting.step,
                            decimals=setting.decimals, suffix=suffix)  # fmt: skip
        box.setSpecialValueText(setting.empty)
        box.valueChanged.connect(lambda _value: self.changed.emit(key))
        return box

    def _on_settled(self, key: str) -> None:
        """Say at once where the configuration would refuse a value."""
        try:
            build_experiment(nest_settings({key: self.value(key)}), source="the form")
        except ConfigError as error:
            self.controls[key].error.set_message(say_of_setting(str(error), self.labels))
            return
        self.changed.emit(key)

    def value(self, key: str) -> Any:
        """Read one setting, as the configuration wants it."""
        control, setting = self.controls[key], self._settings[key]
        if isinstance(control, NotesField):
            return control.toPlainText().strip()
        value = control.value()
        is_box = isinstance(control, NumberBox | WholeBox)
        if is_box and None in describe_field(key).choices and value == control.minimum():
            return None
        return round(value, setting.decimals) if isinstance(control, NumberBox) else value

    def values(self) -> dict[str, Any]:
        """Read all settings, by dotted key."""
        return {key: self.value(key) for key in self.controls}

    def set_value(self, key: str, value: Any) -> None:
        """Fill one setting, without :attr:`changed`."""
        control = self.controls[key]
        blocked = control.blockSignals(True)
        try:
            if isinstance(control, NotesField):
                control.setPlainText(str(value))
            elif isinstance(control, ChoiceBox | ValueField):
                control.set_value(value)
            else:
                control.setValue(control.minimum() if value is None else value)
        finally:
            control.blockSignals(blocked)


class MoreSection(Section):
    """The settings of a page that few need, folded away.

    Parameters
    ----------
    name : str
        Object name of the heading.
    groups : dict
        Rows by the heading above them.
    """

    changed = Signal(str)

    def __init__(self, name: str, groups: Mapping[str, tuple[Setting, ...]]) -> None:
        super().__init__("More", name)
        self.forms: list[SettingsForm] = []
        self.inside = QVBoxLayout(self.body)
        self.inside.setContentsMargins(0, 0, 0, 0)
        for title, settings in groups.items():
            heading = QLabel(title)
            heading.setStyleSheet("font-weight: bold;")
            form = SettingsForm(settings)
            form.changed.connect(self.changed)
            self.forms.append(form)
            self.inside.addWidget(heading)
            self.inside.addWidget(form)
