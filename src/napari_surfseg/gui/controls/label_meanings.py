"""What each label value means: surface, background, or not annotated."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QComboBox, QFrame, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from napari_surfseg.gui.controls.basics import FieldError, NoWheelFilter, cut_entries, hint, note
from napari_surfseg.gui.controls.label_schemes import (
    LABEL_SCHEMES,
    name_scheme,
    suggest_meanings,
)
from napari_surfseg.gui.controls.number_boxes import WholeBox, with_error
from napari_surfseg.wording import format_percent

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["MeaningList", "MeaningRow", "MeaningsPanel"]

Color = tuple[float, float, float, float]

MEANINGS = (("foreground", "surface"), ("background", "background"), ("ignore", "not annotated"))
#: Wide enough for "not annotated" in napari's themes; the same in every row.
MEANING_PIXELS = 120
#: Below this share a count says more than a percentage.
SMALL_SHARE = 0.001
#: Values that get a row, the most frequent ones: objects can have thousands.
MAX_ROWS = 64


class MeaningRow(QWidget):
    """A label value, its colour, how much there is of it, and its meaning."""

    changed = Signal()

    def __init__(self, value: int, prefix: str = "") -> None:
        super().__init__()
        self.value = value
        self.swatch = QFrame()
        self.swatch.setFixedSize(14, 14)
        self.number = QLabel(str(value))
        self.number.setMinimumWidth(18)
        self.count = QLabel("")
        self.count.setObjectName(f"{prefix}label_{value}_count")
        self.count.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.meaning = QComboBox()
        self.meaning.setObjectName(f"{prefix}label_{value}_meaning")
        for meaning, title in MEANINGS:
            self.meaning.addItem(title, meaning)
        # Not by setFixedWidth: the theme has the last word on widths.
        self.meaning.setStyleSheet(f"min-width: {MEANING_PIXELS}px; max-width: {MEANING_PIXELS}px;")
        cut_entries(self.meaning)
        self.meaning.setMinimumWidth(92)
        hint(
            self.meaning,
            f"What the label value {value} means: surface, background, or not "
            "annotated (such voxels are neither learned from nor scored).",
        )
        self.meaning.currentIndexChanged.connect(self._on_meaning)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        for item, stretch in (
            (self.swatch, 0),
            (self.number, 0),
            (self.count, 1),
            (self.meaning, 0),
        ):
            layout.addWidget(item, stretch)

    def set_color(self, rgba: Color | None) -> None:
        """Show the layer's colour; clear where it draws nothing."""
        if rgba is None or rgba[3] == 0:
            style = "background: transparent; border: 1px dashed gray;"
        else:
            style = f"background: {QColor.fromRgbF(*rgba[:3]).name()}; border: none;"
        self.swatch.setStyleSheet(style)

    def set_count(self, count: int, total: int, *, in_voxels: bool) -> None:
        """Show how much there is of the value: a share, or voxels where that says more."""
        share = count / total if total else 0.0
        voxels = f"{count:,} {'voxel' if count == 1 else 'voxels'}"
        self.count.setText(voxels if in_voxels or share < SMALL_SHARE else format_percent(share))
        self.count.setToolTip(f"{voxels}, {format_percent(share)} of the volume")

    def set_meaning(self, meaning: str | None) -> None:
        """Show a meaning without saying that it changed."""
        self.meaning.blockSignals(True)
        self.meaning.setCurrentIndex(max(self.meaning.findData(meaning), 0))
        self.meaning.blockSignals(False)

    def _on_meaning(self, _index: int) -> None:
        self.changed.emit()


class MeaningList(QWidget):
    """A row for each label value.

    A row that is made stays and is only hidden while its value does not occur: new
    counts may come while one of its signals is under way.

    Parameters
    ----------
    prefix : str
        Of the rows' objectNames.
    swatches : bool
        Whether the rows show their colours.
    """

    changed = Signal()

    def __init__(self, prefix: str = "", *, swatches: bool = True) -> None:
        super().__init__()
        self._prefix = prefix
        self._swatches = swatches
        self._wheel = NoWheelFilter(self)
        self._made: dict[int, MeaningRow] = {}
        self._shown: list[int] = []
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(3)

    @property
    def rows(self) -> dict[int, MeaningRow]:
        """The rows on display, by value."""
        return {value: self._made[value] for value in self._shown}

    def set_values(self, values: Iterable[int]) -> None:
        """Show a row for each of these values."""
        self._shown = sorted(values)
        for value in self._shown:
            if value not in self._made:
                row = MeaningRow(value, self._prefix)
                row.swatch.setVisible(self._swatches)
                self._wheel.guard(row)
                row.changed.connect(self.changed)
                place = sum(other < value for other in self._made)
                self._made[value] = row
                self._layout.insertWidget(place, row)
        for value, row in self._made.items():
            row.setVisible(value in self._shown)

    def set_meanings(self, meanings: Mapping[int, str]) -> None:
        """Show what the values mean."""
        for value in self._shown:
            self._made[value].set_meaning(meanings.get(value))

    def meanings(self) -> dict[int, str]:
        """Value to meaning, as shown."""
        return {value: row.meaning.currentData() for value, row in self.rows.items()}


class MeaningsPanel(QWidget):
    """The ready-made meanings, and a row for each value. Passive."""

    changed = Signal()
    """A person changed a meaning."""
    shown = Signal()
    """Values or meanings on display are new, whoever set them."""

    def __init__(self) -> None:
        super().__init__()
        self.scheme = QComboBox()
        self.scheme.setObjectName("label_scheme")
        self.scheme.addItem("dense: 0 is background", "dense")
        self.scheme.addItem("strokes: 0 is not annotated", "strokes")
        self.scheme.addItem("as set below", "custom")
        self.scheme.addItem("objects: boundaries between values", "instances")
        hint(
            self.scheme,
            "Dense labels say something of every voxel. Strokes are painted on an "
            "empty layer: 1 on the surface, 2 beside it, and 0 was not painted. Objects (cells, "
            "neurons) have a value each, and the surface is where two of them meet.",
        )
        self.thickness = WholeBox("label_thickness", "The thickness", 1, 16, suffix=" vox")
        self.thickness.setValue(2)
        hint(
            self.thickness,
            "Of the boundaries between objects, across both sides (voxels of the finest axis, 1 "
            "to 16; 2 by default).",
        )
        self.thickness.setVisible(False)
        self.thickness.valueChanged.connect(self._on_thickness)
        self.scheme.activated.connect(self._on_scheme)
        self.counting = note("Choose labels to see their values.")
        self.counting.setObjectName("label_counts_note")
        self.values = MeaningList()
        self.error = FieldError("data_labels")
        self._counts: dict[int, int] = {}
        self._colors: dict[int, Color | None] = {}
        self._is_manual = False
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(5)
        for item in (
            self.scheme,
            with_error(self.thickness),
            self.counting,
            self.values,
            self.error,
        ):
            layout.addWidget(item)
        self.values.changed.connect(self._on_meaning)

    def set_values(
        self,
        counts: dict[int, int],
        meanings: dict[int, str],
        colors: Mapping[int, Color | None],
    ) -> None:
        """Show the values that occur, how often, in which colour, and what they mean."""
        self._counts, self._colors = dict(counts), dict(colors)
        self._show(meanings)

    def set_objects(self, counts: dict[int, int]) -> None:
        """Show that each value is an object of its own."""
        self._counts = dict(counts)
        self._show_objects()

    def _show_objects(self) -> None:
        self.scheme.setCurrentIndex(self.scheme.findData("instances"))
        self.thickness.setVisible(True)
        self.values.set_values(())
        self.shown.emit()

    @property
    def instances(self) -> int | None:
        """Thickness of the boundaries between objects; None where values have meanings."""
        return self.thickness.value() if self.scheme_name() == "instances" else None

    def _on_thickness(self) -> None:
        if self.instances is not None:
            self.changed.emit()

    def _show(self, meanings: dict[int, str]) -> None:
        self.thickness.setVisible(False)
        scheme = name_scheme(meanings)
        is_strokes = scheme == "strokes"
        # What strokes mean is settled before any is painted.
        values = {**dict.fromkeys(LABEL_SCHEMES["strokes"], 0), **self._counts}
        shown = values if is_strokes and self._counts else self._counts
        if len(shown) > MAX_ROWS:
            often = sorted(shown, key=lambda value: -shown[value])[:MAX_ROWS]
            shown = {value: shown[value] for value in often}
        self.values.set_values(shown)
        self.values.set_meanings({**(LABEL_SCHEMES["strokes"] if is_strokes else {}), **meanings})
        total = sum(self._counts.values())
        for value, row in self.values.rows.items():
            row.set_count(shown[value], total, in_voxels=is_strokes)
            if is_strokes and value == 0:
                row.count.setText("the rest")
            row.set_color(self._colors.get(value))
        self.scheme.setCurrentIndex(self.scheme.findData(scheme))
        self.shown.emit()

    @property
    def counts(self) -> dict[int, int]:
        """Voxels of each value, as last counted; empty before."""
        return dict(self._counts)

    @property
    def has_values(self) -> bool:
        """Whether any value is on display."""
        return bool(self.values.rows)

    def set_counting(self, text: str) -> None:
        """Say what the counting is up to, or what was assumed; empty hides the line."""
        self.counting.setText(text)
        self.counting.setVisible(bool(text))

    def set_error(self, message: str) -> None:
        """Show what is wrong with the labels, or with an empty sentence nothing."""
        self.error.set_message(message)

    def scheme_name(self) -> str:
        """Return ``"dense"``, ``"strokes"``, ``"custom"`` or ``"instances"``."""
        return str(self.scheme.currentData())

    def forget_choice(self) -> None:
        """Take the meanings for a guess again, as the labels are others."""
        self._is_manual = False

    @property
    def is_manual(self) -> bool:
        """Whether a person said what values mean, so that a guess must not replace it."""
        return self._is_manual

    def meanings(self) -> dict[int, str]:
        """Value to meaning; of strokes also what is not painted yet."""
        if self.instances is not None:
            return {}
        shown = self.values.meanings()
        if self.scheme.currentData() == "strokes":
            return {**LABEL_SCHEMES["strokes"], **shown}
        return shown

    def _on_meaning(self) -> None:
        self._is_manual = True
        self.scheme.setCurrentIndex(self.scheme.findData(name_scheme(self.values.meanings())))
        self.shown.emit()
        self.changed.emit()

    def _on_scheme(self, _index: int) -> None:
        chosen = self.scheme_name()
        scheme = LABEL_SCHEMES.get(chosen)
        if chosen == "instances":
            self._is_manual = True
            self._show_objects()
            self.changed.emit()
            return
        if scheme is None:
            if not self.has_values:  # objects had no rows
                self._show(suggest_meanings(sorted(self._counts)))
            return
        self._is_manual = True
        self._show({value: scheme.get(value, "ignore") for value in {*self._counts, *scheme}})
        self.set_counting("")
        self.changed.emit()
