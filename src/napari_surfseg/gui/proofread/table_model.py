"""The rows of the table of places, all, those that are open, or those of one kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QAbstractTableModel, QModelIndex, Qt
from qtpy.QtGui import QColor

from napari_surfseg.gui.proofread.layers import ERROR_COLORS
from napari_surfseg.wording import format_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_surfseg.gui.proofread.listing import Listed, State

__all__ = ["OPEN", "ErrorTable"]

COLUMNS = ("Place", "Voxels", "Z, Y, X")
#: Stands for every kind, in the list of kinds: what is not decided yet.
OPEN = "open"
#: Before the name of a place that is decided, and what it says in the tooltip.
STATES: dict[State, tuple[str, str]] = {
    "": ("", ""),
    "right": ("✓ ", "It is right as it is."),
    "mended": ("✎ ", "It is mended."),
    "unsure": ("? ", "It is marked as unsure."),
}
FADED = "#8a8a8a"


class ErrorTable(QAbstractTableModel):
    """The places of one name, or all; each row knows its index in the whole list."""

    def __init__(self) -> None:
        super().__init__()
        self.errors: Sequence[Listed] = ()
        self.states: Sequence[State] = ()
        self._rows: list[int] = []

    def set_errors(self, errors: Sequence[Listed], name: str | None = None) -> None:
        """Show these, or those of a name; ``"open"`` for those that are not decided."""
        self.beginResetModel()
        if errors is not self.errors:
            self.states = [""] * len(errors)
        self.errors = errors
        self._rows = [
            i
            for i, e in enumerate(errors)
            if name is None or e.name == name or (name == OPEN and not self.states[i])
        ]
        self.endResetModel()

    def set_states(self, states: Sequence[State]) -> None:
        """Show what was decided at each place; a row stays where it is."""
        if len(states) != len(self.errors) or list(states) == list(self.states):
            return
        self.states = list(states)
        if self._rows:
            last = self.index(len(self._rows) - 1, len(COLUMNS) - 1)
            self.dataChanged.emit(self.index(0, 0), last)

    def row_of(self, index: int) -> int | None:
        """Return the row of a place of the whole list; None where it is not among these."""
        return self._rows.index(index) if index in self._rows else None

    def find_open(self, row: int) -> int | None:
        """Find the next row below that is not decided; from the last on to the first."""
        count = len(self._rows)
        for step in range(1, count + 1):
            other = (row + step) % count
            if not self.states[self._rows[other]]:
                return other
        return None

    def index_of(self, row: int) -> int:
        """Return which place of the whole list a row shows."""
        return self._rows[row]

    def rowCount(self, parent: QModelIndex | None = None) -> int:  # noqa: N802
        """Count the rows."""
        return 0 if parent is not None and parent.isValid() else len(self._rows)

    def columnCount(self, parent: QModelIndex | None = None) -> int:  # noqa: N802
        """Count the columns."""
        return 0 if parent is not None and parent.isValid() else len(COLUMNS)

    def headerData(  # noqa: N802
        self,
        section: int,
        orientation: Qt.Orientation,
        role: int = Qt.ItemDataRole.DisplayRole,
    ) -> Any:
        """Name a column."""
        if role == Qt.ItemDataRole.DisplayRole and orientation == Qt.Orientation.Horizontal:
            return COLUMNS[section]
        return None

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return a cell's text, colour or alignment."""
        place = self._rows[index.row()]
        error, (mark, said) = self.errors[place], STATES[self.states[place]]
        if role == Qt.ItemDataRole.DisplayRole:
            return (
                f"{mark}{error.name}",
                f"{error.size:,}",
                ", ".join(map(str, error.location)),
            )[index.column()]
        if role == Qt.ItemDataRole.ToolTipRole:
            reason = getattr(error, "reason", "")
            within = f"{error.name}, within {format_size(error.extent)} voxels"
            return "\n".join(filter(None, [within, reason, said]))
        if role == Qt.ItemDataRole.DecorationRole and index.column() == 0:
            return QColor(FADED if mark else ERROR_COLORS[error.name])
        if role == Qt.ItemDataRole.ForegroundRole and mark:
            return QColor(FADED)
        if role == Qt.ItemDataRole.TextAlignmentRole and index.column() > 0:
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        return None
