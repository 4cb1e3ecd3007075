"""The legend of the loss curves: which curves are shown, in which colour, and their values."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QRectF, Qt, Signal
from qtpy.QtGui import QColor, QPainter
from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from napari_surfseg.gui.controls.basics import ElidedLabel, Section, hint
from napari_surfseg.vocabulary import SCORES, color_of, curve_keys, darken, find_entry, title_of

__all__ = ["MARKS", "CurveLegend", "line_color"]

#: Marks that are no curves: their title, colour and explanation.
MARKS = {
    "best": ("best so far", "#2fb344", "The newest best checkpoint, which best.pt holds."),
    "command": ("changes made", "#9aa0a6", "Moments at which a setting of the run was changed."),
}


def line_color(name: str, *, light: bool) -> str:
    """Return the colour of a curve or mark, darker on a light ground."""
    if name not in MARKS:
        return color_of(name, light=light)
    color = MARKS[name][1]
    return darken(color) if light else color


def explain(name: str) -> str:
    """Say what a curve or mark shows."""
    if name in MARKS:
        return MARKS[name][2]
    entry = find_entry(name)
    note = f" {entry.note}" if entry is not None else ""
    return f"The curve of {title_of(name)} (no unit).{note}"


class Swatch(QWidget):
    """A piece of a line, a dot or an upright stroke in a colour."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name
        self.color = line_color(name, light=False)
        self.setFixedSize(14, 12)

    def set_light(self, light: bool) -> None:
        """Take the colours for a light or a dark ground."""
        self.color = line_color(self._name, light=light)
        self.update()

    def paintEvent(self, event: Any) -> None:  # noqa: N802
        """Paint it as the plot does."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(self.color))
        if self._name == "best":
            painter.drawEllipse(QRectF(3, 2, 8, 8))
        elif self._name == "command":
            painter.drawRect(QRectF(6, 0, 1.5, 12))
        else:
            painter.drawRect(QRectF(0, 4.5, 14, 3))
        painter.end()


class LegendRow(QWidget):
    """A box to tick, a colour, a name and a value."""

    def __init__(self, name: str, *, ticked: bool) -> None:
        super().__init__()
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        title = MARKS[name][0] if name in MARKS else title_of(name)
        self.eye = QCheckBox()
        self.eye.setObjectName(f"show_{name}_curve")
        self.eye.setAccessibleName(title)
        self.eye.setChecked(ticked)
        hint(self.eye, f"{explain(name)} Tick to show it.")
        self.swatch = Swatch(name)
        self.value = ElidedLabel()
        self.value.setObjectName(f"{name}_curve_value")
        self.value.set_alignment(Qt.AlignmentFlag.AlignRight)
        self.value.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.value.setFixedWidth(52)
        layout.addWidget(self.eye)
        layout.addWidget(self.swatch)
        layout.addWidget(ElidedLabel(title), 1)
        layout.addWidget(self.value)


class Group(Section):
    """Rows that are folded away together, and their curves with them."""

    def __init__(self, title: str, name: str) -> None:
        super().__init__(title, name)
        self._title = title
        self.rows = QVBoxLayout(self.body)
        self.rows.setContentsMargins(8, 0, 0, 0)
        self.rows.setSpacing(0)
        hint(self.button, f"Unfold to show the curves of the {title.lower()} as well.")
        self.hide()

    @property
    def is_open(self) -> bool:
        """Whether the rows are in view."""
        return bool(self.button.isChecked())

    def count(self) -> None:
        """Show in the title how many rows there are."""
        number = self.rows.count()
        self.button.setText(f"{self._title} ({number})")
        self.setVisible(number > 0)


class CurveLegend(QWidget):
    """A row for each curve of the run; those of less interest are in groups. Passive."""

    changed = Signal()
    """Another choice of curves is to be shown."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.rows: dict[str, LegendRow] = {}
        self.main_score = "mean_dice"
        self._light = False
        self._choices: dict[str, bool] = {}
        self._first = QVBoxLayout()
        self._first.setSpacing(0)
        self.note = ElidedLabel()
        self.note.setObjectName("curves_note")
        self.note.hide()
        self.groups = {
            "loss": Group("Loss terms", "loss_term_curves"),
            "score": Group("Other scores", "other_score_curves"),
        }
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 4, 0)
        layout.setSpacing(0)
        layout.addLayout(self._first)
        layout.addWidget(self.note)
        for group in self.groups.values():
            group.button.toggled.connect(lambda _on: self.changed.emit())
            layout.addWidget(group)
        layout.addStretch(1)

    def clear(self) -> None:
        """Remove every row; a curve of the same name gets the tick that a person gave it."""
        for row in self.rows.values():
            row.setParent(None)
            row.deleteLater()
        self.rows.clear()
        for group in self.groups.values():
            group.count()
        self.set_note("")

    @property
    def _first_names(self) -> tuple[str, ...]:
        """Curves shown at once; the others are in groups that a person unfolds."""
        return ("total", self.main_score, *MARKS)

    def set_main_score(self, name: str) -> None:
        """Show this score at once, and move the earlier one into its group."""
        if name == self.main_score:
            return
        moved = [row for row in (name, self.main_score) if row in self.rows]
        self.main_score = name
        for each in moved:
            row = self.rows.pop(each)
            row.setParent(None)
            row.deleteLater()
            self.add(each)

    def add(self, name: str) -> None:
        """Add the row of a curve or mark, at its place, if it has none."""
        if name in self.rows:
            return
        row = LegendRow(name, ticked=self._is_ticked(name))
        row.swatch.set_light(self._light)
        row.eye.toggled.connect(lambda on: self._on_ticked(name, on))
        group = (
            None
            if name in self._first_names
            else self.groups["score" if name in SCORES else "loss"]
        )
        order = [*self._first_names, *curve_keys()]
        rank = order.index(name) if name in order else len(order)
        rows = self._first if group is None else group.rows
        beside = [known for known, other in self.rows.items() if rows.indexOf(other) >= 0]
        place = sum(1 for known in beside if known in order and order.index(known) < rank)
        rows.insertWidget(place, row)
        self.rows[name] = row
        if group is not None:
            group.count()

    def is_shown(self, name: str) -> bool:
        """Whether the curve of this name is to be drawn."""
        if name not in self.rows or not self._is_ticked(name):
            return False
        return (
            name in self._first_names or self.groups["score" if name in SCORES else "loss"].is_open
        )

    def set_value(self, name: str, text: str) -> None:
        """Write the value of a curve."""
        if name in self.rows:
            self.rows[name].value.set_text(text)

    def set_note(self, text: str) -> None:
        """Show a sentence about the scores, or with an empty text none."""
        self.note.set_text(text)
        self.note.setVisible(bool(text))

    def set_light(self, light: bool) -> None:
        """Take the colours for a light or a dark ground."""
        self._light = light
        for row in self.rows.values():
            row.swatch.set_light(light)

    def _on_ticked(self, name: str, on: bool) -> None:
        self._choices[name] = on
        self.changed.emit()

    def _is_ticked(self, name: str) -> bool:
        entry = find_entry(name)
        return self._choices.get(name, entry is None or entry.ticked)
