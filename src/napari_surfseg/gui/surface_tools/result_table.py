"""The rows that a tool gave: sorted by a click on a heading, copied with Ctrl+C."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import (
    QAbstractItemView,
    QApplication,
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
)

from napari_surfseg.gui.controls.basics import hint
from napari_surfseg.surface_tools.results import write_heading
from napari_surfseg.wording import format_short

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qtpy.QtGui import QKeyEvent

    from napari_surfseg.surface_tools.results import Table

__all__ = ["ResultTable"]

#: Rows that are shown without scrolling; and columns that need no heading.
MAX_ROWS = 12
PAIR = 2

#: Columns that come last: a dock is narrow.
LAST = frozenset(
    {
        "voxels",
        "volume",
        "thickness_spread",
        "rim_length",
        "hole_rim_length",
        "cavities",
        "mean_curvature",
        "contact_area",
    }
)
#: From here on the digits behind the point do not count; from there on they are powers of ten.
THOUSAND, MILLIARD = 1e3, 1e9

VALUE = Qt.ItemDataRole.UserRole


class ResultTable(QTableWidget):
    """A table that is looked at; the whole of it, however many rows."""

    row_chosen = Signal(object)
    """A person chose a row; carries it as a dictionary."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("tool_table")
        hint(
            self,
            "What was measured. A click on a heading sorts by it, Ctrl+C copies what is chosen.",
        )
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self._numbers().setVisible(False)
        self._rows: Table = []
        self.itemSelectionChanged.connect(self._on_chosen)

    def show_rows(self, table: Table, units: Mapping[str, str]) -> None:
        """Show rows, with the units of their columns; none hides the table."""
        self.setSortingEnabled(False)
        self.clear()
        self._rows = table
        columns = sorted(table[0] if table else [], key=LAST.__contains__)
        self.setRowCount(len(table))
        self.setColumnCount(len(columns))
        for number, name in enumerate(columns):
            heading = write_heading(name, units).replace("_", " ")
            self.setHorizontalHeaderItem(number, QTableWidgetItem(heading))
        for number, row in enumerate(table):
            for column, name in enumerate(columns):
                self.setItem(number, column, _Cell(row[name], number))
        self._headings().setVisible(len(columns) > PAIR)
        self.setSortingEnabled(True)
        self._headings().setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        self.resizeColumnsToContents()
        self.resizeRowsToContents()
        self._fit_height()
        self.setVisible(bool(table))

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802  Qt's name
        """Copy on Ctrl+C, as a spreadsheet takes it."""
        if event is not None and event.matches(QKeySequence.StandardKey.Copy):
            self.copy()
            return
        super().keyPressEvent(event)

    def copy(self) -> None:
        """Copy the rows that are chosen, or all, with their headings."""
        chosen = sorted({index.row() for index in self.selectedIndexes()})
        names = sorted(self._rows[0] if self._rows else [], key=LAST.__contains__)
        lines = ["\t".join(names)]
        for row in chosen or range(self.rowCount()):
            cells = (self.item(row, column) for column in range(self.columnCount()))
            lines.append("\t".join(str(cell.data(VALUE)) for cell in cells if cell is not None))
        clipboard = QApplication.clipboard()
        if clipboard is not None:
            clipboard.setText("\n".join(lines))

    def _on_chosen(self) -> None:
        rows = {index.row() for index in self.selectedIndexes()}
        cell = self.item(min(rows), 0) if len(rows) == 1 else None
        if isinstance(cell, _Cell):
            self.row_chosen.emit(self._rows[cell.number])

    def _headings(self) -> QHeaderView:
        return _require(self.horizontalHeader())

    def _numbers(self) -> QHeaderView:
        return _require(self.verticalHeader())

    def _fit_height(self) -> None:
        shown = min(self.rowCount(), MAX_ROWS)
        height = sum(self.rowHeight(row) for row in range(shown)) + 2 * self.frameWidth()
        if self.columnCount() > PAIR:
            bar = self.horizontalScrollBar()
            height += self._headings().sizeHint().height() + (
                0 if bar is None else bar.sizeHint().height()
            )
        self.setFixedHeight(height)


class _Cell(QTableWidgetItem):
    """A value that is sorted as what it is, and shown short."""

    def __init__(self, value: float | int | str, number: int) -> None:
        super().__init__(_write(value))
        self.setData(VALUE, value)
        self.number = number
        if not isinstance(value, str):
            self.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)

    def __lt__(self, other: QTableWidgetItem) -> bool:
        mine, theirs = self.data(VALUE), other.data(VALUE)
        if isinstance(mine, str) or isinstance(theirs, str):
            return str(mine) < str(theirs)
        return bool(mine < theirs)


def _write(value: float | int | str) -> str:
    if not isinstance(value, float):
        return str(value)
    is_large = THOUSAND <= abs(value) < MILLIARD
    return f"{value:,.0f}" if is_large else format_short(value)


def _require(header: QHeaderView | None) -> QHeaderView:
    assert header is not None  # noqa: S101  a table has both
    return header
