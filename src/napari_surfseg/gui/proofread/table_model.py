"""The rows of the table of topology errors, all or those of one kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QAbstractTableModel, QModelIndex, Qt
from qtpy.QtGui import QColor

from napari_surfseg.gui.proofread.layers import ERROR_COLORS
from napari_surfseg.wording import format_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_surfseg.metrics.error_table import TopologyError

__all__ = ["ErrorTable"]

COLUMNS = ("Error", "Voxels", "Z, Y, X")


class ErrorTable(QAbstractTableModel):
    """The errors of one name, or all; each row knows its index in the whole list."""

    def __init__(self) -> None:
        super().__init__()
        self.errors: Sequence[TopologyError] = ()
        self._rows: list[int] = []

    def set_errors(self, errors: Sequence[TopologyError], name: str | None = None) -> None:
        """Show these, or those of a name."""
        self.beginResetModel()
        self.errors = errors
        self._rows = [i for i, e in enumerate(errors) if name is None or e.name == name]
        self.endResetModel()

    def index_of(self, row: int) -> int:
        """Return which error of the whole list a row shows."""
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
        error = self.errors[self._rows[index.row()]]
        if role == Qt.ItemDataRole.DisplayRole:
            return (
                error.name,
                f"{error.size:,}",
                ", ".join(map(str, error.location)),
            )[index.column()]
        if role == Qt.ItemDataRole.ToolTipRole:
            return f"{error.name}, within {format_size(error.extent)} voxels"
        if role == Qt.ItemDataRole.DecorationRole and index.column() == 0:
            return QColor(ERROR_COLORS[error.name])
        if role == Qt.ItemDataRole.TextAlignmentRole and index.column() > 0:
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        return None
