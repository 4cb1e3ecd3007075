"""The widgets of the dock "Runs": the table, and what can be done with the selected runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QPointF, QSize, Qt, QUrl, Signal
from qtpy.QtGui import QColor, QDesktopServices, QPainter, QPen, QPolygonF
from qtpy.QtWidgets import (
    QAbstractItemView,
    QFileDialog,
    QGridLayout,
    QHBoxLayout,
    QHeaderView,
    QLineEdit,
    QStyledItemDelegate,
    QTableWidget,
    QTableWidgetItem,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_surfseg.gui.controls.basics import (
    NARROWEST,
    ElidedLabel,
    FieldError,
    hint,
    push_button,
)
from napari_surfseg.gui.controls.question_dialog import ask_in_dialog
from napari_surfseg.gui.controls.tab_order import TabOrder
from napari_surfseg.gui.run_table.share_row import ShareRow
from napari_surfseg.runs.folder import RunState
from napari_surfseg.wording import format_duration, format_short

if TYPE_CHECKING:
    from pathlib import Path

    from napari_surfseg.gui.run_table.run_list import RunRow
    from napari_surfseg.sharing.settings import ShareFormat, ShareSettings

__all__ = ["RunsView", "Sparkline"]

COLUMNS = ("Run", "State", "Done", "Surface Dice", "Loss")
CURVE_ROLE = Qt.ItemDataRole.UserRole + 1
PATH_ROLE = Qt.ItemDataRole.UserRole
CHECKPOINT_ROLE = Qt.ItemDataRole.UserRole + 2


class Sparkline(QStyledItemDelegate):
    """Draws a small curve in a cell, without axes: only its shape is of interest."""

    def paint(self, painter: QPainter, option: Any, index: Any) -> None:
        """Paint the cell."""
        super().paint(painter, option, index)
        values = index.data(CURVE_ROLE)
        if not values or len(values) < 2:
            return
        low, high = min(values), max(values)
        reach = (high - low) or 1.0
        rect = option.rect.adjusted(4, 4, -4, -4)
        points = [
            QPointF(
                rect.left() + place / (len(values) - 1) * rect.width(),
                rect.bottom() - (value - low) / reach * rect.height(),
            )
            for place, value in enumerate(values)
        ]
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(QColor("#e8a33d"), 1.5))
        painter.drawPolyline(QPolygonF(points))
        painter.restore()

    def sizeHint(self, option: Any, index: Any) -> QSize:  # noqa: N802
        """Wide enough to see a shape."""
        return QSize(70, super().sizeHint(option, index).height())


class RunsView(QWidget):
    """Passive; what it offers is :class:`~.controller.RunsViewProtocol`."""

    folder_changed = Signal(str)
    attach_clicked = Signal()
    resume_clicked = Signal()
    report_clicked = Signal()
    reveal_clicked = Signal()
    compare_clicked = Signal()
    share_clicked = Signal()
    cancel_share_clicked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("runs")
        self._titled: list[str] = []
        self.folder = QLineEdit()
        self.folder.setObjectName("runs_folder")
        hint(self.folder, "Folder whose runs are listed (path).")
        self.folder.editingFinished.connect(lambda: self.folder_changed.emit(self.folder.text()))
        self.browse = QToolButton()
        self.browse.setObjectName("choose_runs_folder")
        self.browse.setText("…")
        hint(self.browse, "Choose the folder.")
        self.browse.clicked.connect(self._on_browse)
        self.table = QTableWidget(0, len(COLUMNS))
        self.table.setObjectName("runs_table")
        self.table.setHorizontalHeaderLabels(COLUMNS)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.verticalHeader().setVisible(False)
        self.table.setShowGrid(False)
        self.table.setAlternatingRowColors(False)
        self.table.setItemDelegateForColumn(4, Sparkline(self.table))
        header = self.table.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        header.setMinimumSectionSize(40)
        hint(
            self.table,
            "The runs of the folder, the newest first. Select one, or two to compare. "
            "Done in per cent; surface Dice is that of best.pt; the curve is the total loss.",
        )
        self.table.itemSelectionChanged.connect(self._show_buttons)
        self.table.itemDoubleClicked.connect(lambda _item: self.attach_clicked.emit())
        self.message = ElidedLabel("")
        self.message.setObjectName("runs_message")
        self.error = FieldError("runs")
        self.attach = push_button(
            "attach_run",
            "Attach",
            "Show this run here: state, live layers, curves. It goes on as it was.",
        )
        self.resume = push_button(
            "resume_run", "Resume", "Go on with this run from its last checkpoint."
        )
        self.compare = push_button(
            "compare_runs",
            "Compare",
            "Draw the curves of two runs over each other; the second one thinner.",
        )
        self.report = push_button(
            "open_report", "Report", "Open the run's report, made now if there is none."
        )
        self.reveal = push_button(
            "reveal_folder", "Folder", "Show the run's folder in the file manager."
        )
        self.attach.clicked.connect(self.attach_clicked)
        self.resume.clicked.connect(self.resume_clicked)
        self.compare.clicked.connect(self.compare_clicked)
        self.report.clicked.connect(self.report_clicked)
        self.reveal.clicked.connect(self.reveal_clicked)
        self.sharing = ShareRow()
        self.sharing.share.clicked.connect(self.share_clicked)
        self.sharing.cancel.clicked.connect(self.cancel_share_clicked)
        top = QHBoxLayout()
        top.addWidget(self.folder, 1)
        top.addWidget(self.browse)
        buttons = QGridLayout()
        buttons.setSpacing(4)
        for place, button in enumerate(
            (self.attach, self.resume, self.compare, self.report, self.reveal)
        ):
            buttons.addWidget(button, place // 3, place % 3)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 4, 6, 4)
        layout.setSpacing(4)
        layout.addLayout(top)
        layout.addWidget(self.table, 1)
        layout.addWidget(self.message)
        layout.addWidget(self.error)
        layout.addLayout(buttons)
        layout.addWidget(self.sharing)
        TabOrder(self)
        self.setMinimumWidth(NARROWEST)
        self._show_buttons()

    def _on_browse(self) -> None:
        found = QFileDialog.getExistingDirectory(self, "Folder of runs", self.folder.text())
        if found:
            self.folder.setText(found)
            self.folder_changed.emit(found)

    def set_folder(self, folder: Path) -> None:
        """Show which folder is listed."""
        self.folder.setText(str(folder))

    def set_runs(self, rows: list[RunRow]) -> None:
        """Show runs; the selection stays with its runs."""
        selected = set(self.selected())
        self.table.blockSignals(True)
        self.table.setRowCount(len(rows))
        for number, row in enumerate(rows):
            self._fill(number, row)
        self.table.clearSelection()
        for number, row in enumerate(rows):
            if str(row.path) in selected:
                for column in range(len(COLUMNS)):
                    self.table.item(number, column).setSelected(True)
        self.table.blockSignals(False)
        self.message.set_text("" if rows else "There are no runs in this folder.")
        self._show_buttons()

    def _fill(self, number: int, row: RunRow) -> None:
        seen = row.snapshot
        score = seen.best_metrics.get("surface_dice")
        texts = (
            row.path.name,
            seen.state.value,
            f"{100 * seen.progress:.0f} %",
            format_short(score) if score is not None else "–",
            "",
        )
        details = seen.message or f"trained for {format_duration(seen.elapsed_seconds)}"
        for column, text in enumerate(texts):
            item = QTableWidgetItem(text)
            item.setData(PATH_ROLE, str(row.path))
            item.setData(CHECKPOINT_ROLE, row.has_checkpoint)
            item.setToolTip(f"<qt>{row.path.name}: {details}</qt>")
            if column in {2, 3}:
                item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            if column == len(COLUMNS) - 1:
                item.setData(CURVE_ROLE, list(row.curve))
            if column == 1 and seen.state in {RunState.FAILED, RunState.VANISHED}:
                item.setForeground(QColor("#e0564a"))
            self.table.setItem(number, column, item)

    def selected(self) -> list[str]:
        """Return the folders of the selected runs, from top to bottom."""
        return [str(item.data(PATH_ROLE)) for item in self._selected_items()]

    def _selected_items(self) -> list[QTableWidgetItem]:
        rows = sorted({index.row() for index in self.table.selectionModel().selectedRows()})
        return [self.table.item(row, 0) for row in rows]

    def share_format(self) -> ShareFormat:
        """Return as what the network is to be written."""
        return self.sharing.kind()

    def share_settings(self) -> ShareSettings:
        """Return what goes along with the network."""
        return self.sharing.settings()

    def set_share_settings(self, settings: ShareSettings) -> None:
        """Show what goes along."""
        self.sharing.set_settings(settings)

    def choose_output(self, suggested: Path) -> Path | None:
        """Let a person name what is written; None where they think better of it."""
        return self.sharing.choose_output(suggested)

    def set_busy(self, busy: bool) -> None:
        """Switch between Share and Cancel."""
        self.sharing.set_busy(busy)

    def set_state(self, text: str, share: float | None = None) -> None:
        """Say how far the export is."""
        self.sharing.set_state(text, share)

    def ask(self, question: str) -> bool:
        """Ask the person in a dialog."""
        return ask_in_dialog(question, self)

    def open_on_desktop(self, path: Path) -> bool:
        """Open a file or folder with the desktop's program for it; return whether there is one."""
        return bool(QDesktopServices.openUrl(QUrl.fromLocalFile(str(path))))

    def set_error(self, message: str) -> None:
        """Show a sentence, or with an empty one nothing."""
        self.error.set_message(message)

    def _show_buttons(self) -> None:
        chosen = self._selected_items()
        count = len(chosen)
        for button in (self.attach, self.resume, self.report, self.reveal):
            button.setEnabled(count == 1)
        self.compare.setEnabled(count == 2)
        paths = self.selected()
        if paths != self._titled:  # a title is one network's
            self._titled = paths
            self.sharing.title.clear()
        self.sharing.offer(count == 1 and bool(chosen[0].data(CHECKPOINT_ROLE)))
