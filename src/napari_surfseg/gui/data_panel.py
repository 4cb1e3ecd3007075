"""What to learn from: volumes with their labels, what is kept for validation, what values mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QColor
from qtpy.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_surfseg.gui.form import LABEL_SCHEMES, PairChoice
from napari_surfseg.gui.source_combo import SourceCombo
from napari_surfseg.gui.widgets import FieldError, cut_entries, hint, note
from napari_surfseg.runs.text import format_percent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Layer

__all__ = ["DataPanel", "MeaningRow", "PairRow"]

MEANINGS = (("foreground", "surface"), ("background", "background"), ("ignore", "not annotated"))


class PairRow(QFrame):
    """One volume and its labels."""

    changed = Signal()
    removed = Signal(object)

    def __init__(self, number: int) -> None:
        super().__init__()
        self.setObjectName(f"pair_{number}")
        self.image = SourceCombo(f"image_{number}", "volume")
        hint(
            self.image,
            "The volume to learn from: an image layer with three axes (Z, Y, X), or "
            "a file: zarr, OME-Zarr, TIFF, folder of slices, npy or mrc.",
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
        self.role.currentIndexChanged.connect(lambda _index: self.changed.emit())
        self.remove.clicked.connect(lambda: self.removed.emit(self))

    def choice(self) -> PairChoice:
        """Return what the row says."""
        return PairChoice(self.image.choice(), self.labels.choice(), self.role.currentData())


class MeaningRow(QWidget):
    """A label value, its colour, its share and its meaning."""

    changed = Signal()

    def __init__(self, value: int) -> None:
        super().__init__()
        self.value = value
        self.swatch = QFrame()
        self.swatch.setFixedSize(14, 14)
        self.number = QLabel(str(value))
        self.number.setMinimumWidth(28)
        self.count = QLabel("")
        self.count.setObjectName(f"label_{value}_count")
        self.count.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.meaning = QComboBox()
        self.meaning.setObjectName(f"label_{value}_meaning")
        for meaning, title in MEANINGS:
            self.meaning.addItem(title, meaning)
        hint(
            self.meaning,
            f"What the label value {value} means: surface, background, or not "
            "annotated (such voxels are neither learned from nor scored).",
        )
        self.meaning.currentIndexChanged.connect(lambda _index: self.changed.emit())
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        for item, stretch in (
            (self.swatch, 0),
            (self.number, 0),
            (self.count, 1),
            (self.meaning, 1),
        ):
            layout.addWidget(item, stretch)

    def set_color(self, rgba: tuple[float, float, float, float] | None) -> None:
        """Show the layer's colour; clear where it draws nothing."""
        if rgba is None or rgba[3] == 0:
            style = "background: transparent; border: 1px dashed gray;"
        else:
            style = f"background: {QColor.fromRgbF(*rgba[:3]).name()}; border: none;"
        self.swatch.setStyleSheet(style)


class DataPanel(QWidget):
    """Pairs, validation and label meanings. Passive."""

    pairs_changed = Signal()
    validation_changed = Signal()
    meanings_changed = Signal()
    draw_box_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("data_panel")
        self.rows: list[PairRow] = []
        self.meaning_rows: dict[int, MeaningRow] = {}
        self._layers: tuple[Sequence[Layer], Sequence[Layer]] = ((), ())
        self._made = 0
        self._build()
        self.add_pair()

    def _build(self) -> None:
        self.pairs_error = FieldError("data_train")
        self._pairs_layout = QVBoxLayout()
        self._pairs_layout.setSpacing(6)
        self.add_button = QPushButton("Add another pair")
        self.add_button.setObjectName("add_pair")
        hint(self.add_button, "Add a volume and its labels to the list.")
        self.add_button.clicked.connect(lambda: self.add_pair())

        self.validation_mode = QComboBox()
        self.validation_mode.setObjectName("validation_mode")
        self.validation_mode.addItem("end of each volume", "slab")
        self.validation_mode.addItem("a drawn box", "box")
        self.validation_mode.addItem("pairs for validation", "pairs")
        hint(
            self.validation_mode,
            "What the network is scored on while it learns. It is never "
            "trained on, and a gap of voxels keeps the two apart.",
        )
        self.fraction = QDoubleSpinBox()
        self.fraction.setObjectName("validation_fraction")
        self.fraction.setRange(5, 80)
        self.fraction.setDecimals(0)
        self.fraction.setSingleStep(5)
        self.fraction.setValue(15)
        self.fraction.setSuffix(" %")
        hint(
            self.fraction,
            "Share of each volume's longest axis kept for validation, at its end (per cent).",
        )
        self.box_layer = SourceCombo("validation_box_layer", "Shapes layer", files=False)
        hint(
            self.box_layer,
            "Shapes layer whose first rectangle is the validation box, over all "
            "slices of the axis it is drawn across. Training uses the largest part beside it.",
        )
        self.draw_box = QPushButton("Draw")
        self.draw_box.setObjectName("draw_validation_box")
        hint(self.draw_box, "Add a Shapes layer with a rectangle to move and resize.")
        self.draw_box.clicked.connect(self.draw_box_requested)
        self.validation_error = FieldError("data_validation")

        self.scheme = QComboBox()
        self.scheme.setObjectName("label_scheme")
        self.scheme.addItem("dense: 0 is background", "dense")
        self.scheme.addItem("strokes: 0 is not annotated", "strokes")
        self.scheme.addItem("as set below", "custom")
        hint(
            self.scheme,
            "Dense labels say something of every voxel. Strokes are painted on an "
            "empty layer: 1 on the surface, 2 beside it, and 0 was not painted.",
        )
        self.scheme.activated.connect(self._on_scheme)
        self.counting = note("Choose labels to see their values.")
        self.counting.setObjectName("label_counts_note")
        self._meanings_layout = QVBoxLayout()
        self._meanings_layout.setSpacing(3)
        self.labels_error = FieldError("data_labels")

        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 8, 4)
        layout.setSpacing(5)
        layout.addWidget(self.pairs_error)
        layout.addLayout(self._pairs_layout)
        layout.addWidget(self.add_button)
        layout.addWidget(_heading("Validation"))
        validation = QGridLayout()
        validation.setHorizontalSpacing(6)
        validation.addWidget(self.validation_mode, 0, 0)
        validation.addWidget(self.fraction, 0, 1)
        validation.addWidget(self.box_layer, 1, 0)
        validation.addWidget(self.draw_box, 1, 1)
        validation.setColumnStretch(0, 1)
        layout.addLayout(validation)
        layout.addWidget(self.validation_error)
        layout.addWidget(_heading("Label meaning"))
        layout.addWidget(self.scheme)
        layout.addWidget(self.counting)
        layout.addLayout(self._meanings_layout)
        layout.addWidget(self.labels_error)
        layout.addStretch(1)
        self.validation_mode.currentIndexChanged.connect(lambda _index: self._on_mode())
        self.fraction.valueChanged.connect(lambda _value: self.validation_changed.emit())
        self.box_layer.chosen.connect(self.validation_changed)
        self._on_mode()

    # -- pairs ---------------------------------------------------------------------

    def add_pair(self, choice: PairChoice | None = None) -> PairRow:
        """Add a row to the list."""
        row = PairRow(self._made)
        self._made += 1
        self.rows.append(row)
        self._pairs_layout.addWidget(row)
        row.image.set_layers(self._layers[0])
        row.labels.set_layers(self._layers[1])
        if choice is not None:
            row.image.set_choice(choice.image)
            row.labels.set_choice(choice.labels)
            row.role.setCurrentIndex(max(row.role.findData(choice.role), 0))
        row.changed.connect(self.pairs_changed)
        row.removed.connect(self.remove_pair)
        self._show_remove()
        return row

    def remove_pair(self, row: PairRow) -> None:
        """Take a row off the list."""
        if len(self.rows) == 1:
            return
        self.rows.remove(row)
        self._pairs_layout.removeWidget(row)
        row.hide()
        row.deleteLater()
        self._show_remove()
        self.pairs_changed.emit()

    def _show_remove(self) -> None:
        several = len(self.rows) > 1
        for row in self.rows:
            row.remove.setVisible(several)
            row.role.setVisible(several)

    def pairs(self) -> tuple[PairChoice, ...]:
        """Return what the list says."""
        return tuple(row.choice() for row in self.rows)

    def set_layers(
        self, images: Sequence[Layer], labels: Sequence[Layer], shapes: Sequence[Layer]
    ) -> None:
        """Offer these layers."""
        self._layers = (images, labels)
        for row in self.rows:
            row.image.set_layers(images)
            row.labels.set_layers(labels)
        self.box_layer.set_layers(shapes)

    def lost_layers(self) -> list[str]:
        """Return a sentence for each chosen layer that is gone from the viewer."""
        return [
            f"The layer {combo.lost!r} is gone from the viewer; choose another {combo.what}."
            if combo is row.image
            else f"The layer {combo.lost!r} is gone from the viewer; choose other labels."
            for row in self.rows
            for combo in (row.image, row.labels)
            if combo.lost
        ]

    def confirm(self) -> None:
        """Take every choice for a person's own, as a run was started from it."""
        for row in self.rows:
            row.image.confirm()
            row.labels.confirm()

    # -- validation ----------------------------------------------------------------

    def _on_mode(self) -> None:
        mode = self.validation_mode.currentData()
        self.fraction.setVisible(mode == "slab")
        self.box_layer.setVisible(mode == "box")
        self.draw_box.setVisible(mode == "box")
        self.validation_changed.emit()

    # -- meanings ------------------------------------------------------------------

    def set_label_values(
        self,
        counts: dict[int, int],
        meanings: dict[int, str],
        colors: dict[int, tuple[float, float, float, float]],
    ) -> None:
        """Show the values that occur, how often, in which colour, and what they mean."""
        for value, row in list(self.meaning_rows.items()):
            if value not in counts:
                self._meanings_layout.removeWidget(row)
                row.hide()
                row.deleteLater()
                del self.meaning_rows[value]
        total = sum(counts.values())
        for place, (value, count) in enumerate(sorted(counts.items())):
            if value not in self.meaning_rows:
                made = MeaningRow(value)
                made.changed.connect(self._on_meaning)
                self.meaning_rows[value] = made
                self._meanings_layout.insertWidget(place, made)
            row = self.meaning_rows[value]
            row.count.setText(format_percent(count / total))
            row.count.setToolTip(f"{count:,} voxels")
            row.set_color(colors.get(value))
            row.meaning.blockSignals(True)
            row.meaning.setCurrentIndex(max(row.meaning.findData(meanings.get(value)), 0))
            row.meaning.blockSignals(False)
        self._show_scheme()

    def set_counting(self, text: str) -> None:
        """Say what the counting of label values is up to; empty hides the line."""
        self.counting.setText(text)
        self.counting.setVisible(bool(text))

    def meanings(self) -> dict[int, str]:
        """Value to meaning, as shown."""
        return {value: row.meaning.currentData() for value, row in self.meaning_rows.items()}

    def _on_meaning(self) -> None:
        self._show_scheme()
        self.meanings_changed.emit()

    def _on_scheme(self, _index: int) -> None:
        scheme = LABEL_SCHEMES.get(self.scheme.currentData())
        if scheme is None:
            return
        for value, row in self.meaning_rows.items():
            row.meaning.blockSignals(True)
            meaning = scheme.get(value, "ignore")
            row.meaning.setCurrentIndex(max(row.meaning.findData(meaning), 0))
            row.meaning.blockSignals(False)
        self.meanings_changed.emit()

    def _show_scheme(self) -> None:
        meanings = self.meanings()
        for name, scheme in LABEL_SCHEMES.items():
            if meanings and all(scheme.get(v, "ignore") == m for v, m in meanings.items()):
                self.scheme.setCurrentIndex(self.scheme.findData(name))
                return
        self.scheme.setCurrentIndex(self.scheme.findData("custom"))

    def errors(self) -> dict[str, FieldError]:
        """Where sentences about data are shown, by the start of the key."""
        return {
            "data.train": self.pairs_error,
            "data.validation": self.validation_error,
            "data.labels": self.labels_error,
        }

    def lockable(self) -> list[QWidget]:
        """Return the controls that are fixed for a run."""
        found: list[QWidget] = [
            self.add_button,
            self.validation_mode,
            self.fraction,
            self.box_layer,
            self.draw_box,
            self.scheme,
        ]
        for row in self.rows:
            found += [row.image, row.labels, row.role, row.remove]
        found += [row.meaning for row in self.meaning_rows.values()]
        return found


def _heading(text: str) -> QLabel:
    label = QLabel(text)
    label.setStyleSheet("font-weight: bold;")
    return label
