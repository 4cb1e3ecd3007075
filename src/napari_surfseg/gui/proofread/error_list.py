"""The list of places: which kind is listed, the table, and steps from row to row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QModelIndex, QObject, Signal
from qtpy.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QTableView,
    QWidget,
)

from napari_surfseg.gui.controls.basics import (
    hint,
    push_button,
)
from napari_surfseg.gui.proofread.listing import count_names
from napari_surfseg.gui.proofread.table_model import OPEN, ErrorTable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_surfseg.gui.proofread.listing import Listed, State

__all__ = ["ErrorList"]


class ErrorList(QObject):
    """The controls of the list; the dock lays them out.

    Parameters
    ----------
    parent : QWidget
        The dock.
    """

    chosen = Signal(int)
    """A person wants to see a place; carries its index in the whole list."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._errors: Sequence[Listed] = ()
        self.kind = QComboBox()
        self.kind.setObjectName("errors_kind")
        hint(
            self.kind,
            "Which places are listed. Against labels, an extra component, hole or bridge is in the "
            "prediction only, a missing or filled one in the labels only.",
        )
        self.kind.currentIndexChanged.connect(lambda _index: self._fill_table())
        self.previous = self._step_button("previous_error", "◀", "Go to the place above.", -1)
        self.next = self._step_button("next_error", "▶", "Go to the place below.", 1)
        self.place = QLabel("")
        self.place.setObjectName("errors_place")
        self.line = QHBoxLayout()
        self.line.addWidget(self.kind, 1)
        for item in (self.previous, self.place, self.next):
            self.line.addWidget(item)
        self.model = ErrorTable()
        self.table = QTableView()
        self.table.setObjectName("errors_table")
        self.table.setModel(self.model)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.table.setShowGrid(False)
        self.table.setWordWrap(False)
        self.table.verticalHeader().setVisible(False)
        # Rows of one height: measuring thousands of them would take seconds.
        self.table.verticalHeader().setDefaultSectionSize(22)
        header = self.table.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        for column, width in ((1, 54), (2, 94)):
            header.resizeSection(column, width)
        self.table.setMinimumHeight(140)
        hint(
            self.table,
            "What is wrong or in doubt, what matters most first: kind, size (voxels) and place "
            "(voxels, Z, Y, X); ✓ right, ✎ mended, ? unsure. Click a row to go there.",
        )
        self.table.selectionModel().currentRowChanged.connect(self._on_row)
        # Also the current row: the person may have moved the camera away from its error.
        self.table.clicked.connect(lambda index: self._on_row(index, None))
        self._show_place()

    def set_errors(self, errors: Sequence[Listed]) -> None:
        """List these places, all kinds of them."""
        self._errors = errors
        self.kind.blockSignals(True)
        self.kind.clear()
        self.kind.addItem(f"all ({len(errors):,})", None)
        self.kind.addItem("still open", OPEN)
        for name, count in count_names(errors).items():
            self.kind.addItem(f"{name} ({count:,})", name)
        self.kind.blockSignals(False)
        self._fill_table()

    def set_states(self, states: Sequence[State]) -> None:
        """Show what was decided at each place."""
        self.model.set_states(states)

    def set_keys(self, keys: Mapping[str, str]) -> None:
        """Say in the tooltips which key does the same."""
        for button, action, tip in (
            (self.previous, "previous", "Go to the place above."),
            (self.next, "next", "Go to the place below."),
        ):
            hint(button, f"{tip} Key: {keys[action]}." if action in keys else tip)

    def current(self) -> int | None:
        """Return the index of the chosen place in the whole list."""
        row = self.table.currentIndex().row()
        return self.model.index_of(row) if 0 <= row < self.model.rowCount() else None

    def select(self, index: int) -> None:
        """Go to a place of the whole list; to one that is not listed by listing all."""
        if self.model.row_of(index) is None:
            self.kind.setCurrentIndex(0)
        row = self.model.row_of(index)
        if row is not None:
            self._choose(row)

    def go_on(self, index: int) -> None:
        """Go to the next place that is not decided, after one of the whole list."""
        row = self.model.row_of(index)
        after = self.model.find_open(-1 if row is None else row)
        if after is not None:
            self._choose(after)
        else:
            self._show_place()

    def _choose(self, row: int) -> None:
        if row == self.table.currentIndex().row():
            self._on_row(self.table.currentIndex(), None)
        else:
            self.table.selectRow(row)

    def _step_button(self, name: str, text: str, tip: str, step: int) -> QPushButton:
        button = push_button(name, text, tip)
        button.setMaximumWidth(36)
        button.clicked.connect(lambda: self.step(step))
        return button

    def _fill_table(self) -> None:
        self.model.set_errors(self._errors, self.kind.currentData())
        self._show_place()

    def step(self, step: int) -> None:
        """Go to the row above or below; from nowhere to the first."""
        count = self.model.rowCount()
        if count == 0:
            return
        row = self.table.currentIndex().row()
        row = 0 if row < 0 else min(max(row + step, 0), count - 1)
        self.table.selectRow(row)

    def _on_row(self, index: QModelIndex, _before: QModelIndex | None) -> None:
        self._show_place()
        if index.isValid():
            self.chosen.emit(self.model.index_of(index.row()))

    def _show_place(self) -> None:
        row, count = self.table.currentIndex().row(), self.model.rowCount()
        self.place.setText(f"{row + 1:,} / {count:,}" if row >= 0 else f"{count:,}")
        self.previous.setEnabled(count > 0 and row > 0)
        self.next.setEnabled(count > 0 and row < count - 1)
