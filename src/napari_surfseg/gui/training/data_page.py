"""The page "Data": volumes with their labels, what is kept for validation, what values mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_surfseg.gui.controls.basics import FieldError, NoWheelFilter, hint, note
from napari_surfseg.gui.controls.label_meanings import MeaningsPanel
from napari_surfseg.gui.controls.source_choice import SourceChoice
from napari_surfseg.gui.layers.chosen_volume import describe_lost
from napari_surfseg.gui.training.data_more import DataMore
from napari_surfseg.gui.training.first_look import FirstLook
from napari_surfseg.gui.training.many_pairs import ManyChoice, ManyPairs
from napari_surfseg.gui.training.pair_row import PairRow
from napari_surfseg.gui.training.validation_panel import ValidationPanel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Layer

    from napari_surfseg.gui.controls.source_choice import PairChoice

__all__ = ["DataPage"]


class DataPage(QWidget):
    """Pairs, validation and label meanings. Passive."""

    pairs_changed = Signal()
    validation_changed = Signal()
    meanings_changed = Signal()
    meanings_shown = Signal()
    """Label values or meanings on display are new, whoever set them."""
    draw_box_requested = Signal()
    paint_requested = Signal()
    many_changed = Signal()
    """Tables or patterns of pairs came or went."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("data_panel")
        self.rows: list[PairRow] = []
        self._layers: tuple[Sequence[Layer], Sequence[Layer]] = ((), ())
        self._made = 0
        self._wheel = NoWheelFilter(self)
        self.pairs_error = FieldError("data_train")
        self._pairs_layout = QVBoxLayout()
        self._pairs_layout.setSpacing(6)
        self.paint = QPushButton("Start painting")
        self.paint.setObjectName("start_painting")
        hint(
            self.paint,
            "Add a labels layer over the volume, in place, and paint on it: 1 on the surface, 2 on "
            "what is not surface; all the rest counts as not annotated. A dozen strokes will do "
            "for a start, and more can be painted while it trains.",
        )
        self.note = note("")
        self.note.setObjectName("painting_note")
        self.note.hide()
        self.add_button = QPushButton("Add another pair")
        self.add_button.setObjectName("add_pair")
        hint(self.add_button, "Add a volume and its labels to the list.")
        self.many = ManyPairs()
        self._many_labels: dict[ManyChoice, str] = {}
        self.first_look = FirstLook()
        self.validation = ValidationPanel()
        self.labels = MeaningsPanel()
        buttons = QHBoxLayout()
        buttons.setSpacing(6)
        buttons.addWidget(self.paint)
        buttons.addWidget(self.add_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 8, 4)
        layout.setSpacing(5)
        layout.addLayout(self._pairs_layout)
        layout.addWidget(self.pairs_error)
        layout.addWidget(self.first_look)
        layout.addLayout(buttons)
        layout.addWidget(self.many)
        layout.addWidget(self.note)
        layout.addWidget(_heading("Label meaning"))
        layout.addWidget(self.labels)
        layout.addWidget(_heading("Validation"))
        layout.addWidget(self.validation)
        self.more = DataMore()
        layout.addWidget(self.more)
        layout.addStretch(1)
        self.paint.clicked.connect(self.paint_requested)
        self.add_button.clicked.connect(self._on_add)
        self.many.changed.connect(self._on_many)
        self.validation.changed.connect(self.validation_changed)
        self.validation.draw_box_requested.connect(self.draw_box_requested)
        self.labels.changed.connect(self.meanings_changed)
        self.labels.shown.connect(self.meanings_shown)
        self.add_pair()

    # -- pairs ---------------------------------------------------------------------

    def add_pair(self) -> PairRow:
        """Add an empty row to the list."""
        row = PairRow(self._made)
        self._made += 1
        self.rows.append(row)
        self._wheel.guard(row)
        self._pairs_layout.addWidget(row)
        row.image.set_layers(self._layers[0])
        row.labels.set_layers(self._layers[1])
        row.changed.connect(self.pairs_changed)
        row.removed.connect(self.remove_pair)
        self._show_remove()
        self.more.set_num_pairs(len(self.rows))
        return row

    def remove_pair(self, row: PairRow) -> None:
        """Take a row off the list."""
        if row not in self.rows:
            return
        if len(self.rows) == 1:
            # The last stays, empty: a volume of the viewer may come again.
            row.clear()
            self.pairs_changed.emit()
            return
        self.more.remove_pair(self.rows.index(row))
        self.rows.remove(row)
        self._pairs_layout.removeWidget(row)
        row.changed.disconnect(self.pairs_changed)
        row.hide()
        row.deleteLater()
        self._show_remove()
        self.pairs_changed.emit()

    def _on_add(self, _checked: bool = False) -> None:
        self.add_pair()

    def _show_remove(self) -> None:
        several = len(self.rows) > 1
        for row in self.rows:
            row.remove.setVisible(several or bool(self.many.rows))
            row.role.setVisible(several)

    def _on_many(self) -> None:
        choices = self.many.choices()
        self._many_labels = {c: path for c, path in self._many_labels.items() if c in choices}
        if choices and not any(row.image.is_manual or row.labels.is_manual for row in self.rows):
            for row in self.rows:  # what was guessed is no longer wanted
                row.clear()
        self._show_remove()
        self.many_changed.emit()
        self.pairs_changed.emit()

    def many_choices(self) -> tuple[ManyChoice, ...]:
        """Return the tables and patterns of pairs."""
        return self.many.choices()

    def set_many_state(
        self, choice: ManyChoice, text: str, *, error: str = "", labels: str = ""
    ) -> None:
        """Say how many pairs a table or pattern holds, and which labels are the first of them."""
        self.many.set_state(choice, text, error)
        if labels and choice in self.many.choices():
            self._many_labels[choice] = labels
            self.pairs_changed.emit()

    def many_labels(self) -> tuple[SourceChoice, ...]:
        """Return the first labels of each table or pattern, whose values stand for the others."""
        return tuple(SourceChoice.of_file(path) for path in self._many_labels.values())

    def pairs(self) -> tuple[PairChoice, ...]:
        """Return what the list says."""
        return tuple(row.choice() for row in self.rows)

    def set_image(self, number: int, choice: SourceChoice | None) -> None:
        """Show a guess of a pair's volume, without :attr:`pairs_changed`."""
        self.rows[number].image.set_choice(choice)

    def set_labels(self, number: int, choice: SourceChoice | None) -> None:
        """Show a guess of a pair's labels, without :attr:`pairs_changed`."""
        self.rows[number].labels.set_choice(choice)

    def chosen_by_hand(self, number: int) -> tuple[bool, bool]:
        """Return whether a person chose a pair's volume and labels: no guess may replace them."""
        row = self.rows[number]
        return row.image.is_manual, row.labels.is_manual

    def choose(
        self, number: int, *, image: SourceChoice | None = None, labels: SourceChoice | None = None
    ) -> None:
        """Choose for a pair as if a person had, with :attr:`pairs_changed`; None leaves it."""
        row = self.rows[number]
        for combo, choice in ((row.image, image), (row.labels, labels)):
            if choice is not None:
                combo.set_choice(choice)
                combo.confirm()
        self.pairs_changed.emit()

    def set_layers(
        self, images: Sequence[Layer], labels: Sequence[Layer], shapes: Sequence[Layer]
    ) -> None:
        """Offer these layers."""
        self._layers = (images, labels)
        for row in self.rows:
            row.image.set_layers(images)
            row.labels.set_layers(labels)
        self.validation.box_layer.set_layers(shapes)

    def lost_layers(self) -> list[str]:
        """Return a sentence for each chosen layer that is gone from the viewer."""
        return [
            describe_lost(combo.lost, combo.what)
            for row in self.rows
            for combo in (row.image, row.labels)
            if combo.lost
        ]

    def confirm(self) -> None:
        """Take every choice for a person's own, as a run was started from it."""
        for row in self.rows:
            row.confirm()

    def say(self, text: str) -> None:
        """Say something about the pairs that is no error; empty hides it."""
        self.note.setText(text)
        self.note.setVisible(bool(text))

    def meanings(self) -> dict[int, str]:
        """Return what each label value means."""
        return self.labels.meanings()

    def set_validation_box(self, choice: SourceChoice) -> None:
        """Choose the layer whose rectangle is the validation box."""
        self.validation.box_layer.set_choice(choice)

    def set_pairs_error(self, message: str) -> None:
        """Show what is wrong with the pairs, or with an empty sentence nothing."""
        self.pairs_error.set_message(message)

    # -- errors and locks ----------------------------------------------------------

    def errors(self) -> dict[str, FieldError]:
        """Return where sentences about a setting are shown, by the start of its key."""
        return {
            "data.train": self.pairs_error,
            "data.validation": self.validation.error,
            "data.labels": self.labels.error,
        }

    def lockable(self) -> list[QWidget]:
        """Return the controls that are fixed for a run."""
        validation = self.validation
        found: list[QWidget] = [
            self.add_button,
            self.paint,
            self.first_look.find,
            validation.mode,
            validation.fraction,
            validation.box_layer,
            validation.draw_box,
            self.labels.scheme,
            self.labels.thickness,
        ]
        for row in self.rows:
            found += [row.image, row.labels, row.role, row.remove]
        found += [row.meaning for row in self.labels.values.rows.values()]
        found += [*self.more.rois, *self.many.lockable()]
        return found


def _heading(text: str) -> QLabel:
    label = QLabel(text)
    label.setStyleSheet("font-weight: bold;")
    return label
