"""The widgets of the dock "Topology errors": what to compare, the scores and the list of errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QModelIndex, Qt, Signal
from qtpy.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from napari_surfseg.gui.controls.basics import (
    NARROWEST,
    FieldError,
    NoWheelFilter,
    hint,
    labelled_rows,
    note,
    push_button,
    scrolled,
)
from napari_surfseg.gui.controls.job_controls import JobControls
from napari_surfseg.gui.controls.label_meanings import MeaningList
from napari_surfseg.gui.controls.layer_or_file import SourceCombo
from napari_surfseg.gui.controls.number_boxes import NumberBox
from napari_surfseg.gui.controls.question_dialog import ask_in_dialog
from napari_surfseg.gui.controls.source_choice import SourceChoice
from napari_surfseg.gui.controls.tab_order import TabOrder
from napari_surfseg.gui.topology.table_model import ErrorTable
from napari_surfseg.metrics.error_table import count_errors
from napari_surfseg.wording import describe_scores, format_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Layer

    from napari_surfseg.metrics.error_table import TopologyError

__all__ = ["TopologyView", "describe_counts"]

#: What the comparison is summed up by, the one that counts first.
SHOWN_SCORES = ("score", "surface_dice", "topo_score", "voi_score")
FEATURES = ("pieces", "tunnels", "cavities")
COUNTED = (("pred", "in the prediction"), ("label", "in the labels"), ("matched", "matched"))


def describe_counts(scores: dict[str, float]) -> str:
    """Write the counts of Betti matching as a small table, with a column for each dimension."""
    cell = "<td align='right' style='padding-left: 14px'>"
    rows = ["<tr><td></td>" + "".join(f"{cell}{title}</td>" for title in FEATURES) + "</tr>"]
    for kind, title in COUNTED:
        values = (scores.get(f"topo_{kind}_{dimension}") for dimension in range(len(FEATURES)))
        cells = "".join(f"{cell}{format_number(value, 0)}</td>" for value in values)
        rows.append(f"<tr><td>{title}</td>{cells}</tr>")
    return f"<table>{''.join(rows)}</table>"


class TopologyView(QWidget):
    """Passive; what it offers is :class:`~.controller.TopologyViewProtocol`."""

    compute_clicked = Signal()
    cancel_clicked = Signal()
    labels_chosen = Signal()
    error_chosen = Signal(int)
    """Carries the index in the whole list."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("topology_errors")
        self._errors: Sequence[TopologyError] = ()
        body = QWidget()
        inside = QVBoxLayout(body)
        inside.setContentsMargins(6, 4, 6, 4)
        inside.setSpacing(4)
        inside.addLayout(self._build_inputs())
        inside.addLayout(self._build_work())
        inside.addLayout(self._build_filter())
        inside.addWidget(self._build_table(), 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(scrolled(body, "topology_page"))
        self.setMinimumWidth(NARROWEST)
        TabOrder(self)
        self._wheel = NoWheelFilter(self)
        self._wheel.guard(self)
        self.set_busy(False)
        self._show_place()

    def _build_inputs(self) -> QFormLayout:
        self.prediction = SourceCombo("errors_prediction", "prediction")
        hint(
            self.prediction,
            "The predicted surface: a labels layer with three axes (Z, Y, X) or a file; every "
            "voxel that is not 0 is surface.",
        )
        self.prediction_error = FieldError("errors_prediction")
        self.is_probability = QCheckBox("probabilities above")
        self.is_probability.setObjectName("errors_is_probability")
        hint(
            self.is_probability,
            "The prediction holds probabilities (0 to 255, or 0 to 1) instead of surface.",
        )
        self.threshold = NumberBox("errors_threshold", "The threshold", 0.01, 0.99, step=0.05)
        self.threshold.error = self.prediction_error
        self.threshold.setValue(0.5)
        self.threshold.setEnabled(False)
        hint(self.threshold, "Probability above which a voxel is surface (0 to 1).")
        self.is_probability.toggled.connect(self.threshold.setEnabled)
        self.labels = SourceCombo("errors_labels", "labels")
        hint(
            self.labels,
            "What the surface should be: a labels layer of the same shape or a file.",
        )
        self.labels.chosen.connect(self.labels_chosen)
        self._choosers = {"prediction": self.prediction, "labels": self.labels}
        self.labels_error = FieldError("errors_labels")
        self.counting = note("")
        self.counting.setObjectName("errors_counts_note")
        # No colours: the layer shows them, and there is little space here.
        self.values = MeaningList("errors_", swatches=False)
        cut = QHBoxLayout()
        cut.addWidget(self.is_probability)
        cut.addWidget(self.threshold, 1)
        form = labelled_rows()
        form.addRow("Prediction", self.prediction)
        form.addRow("", cut)
        form.addRow(self.prediction_error)
        form.addRow("Labels", self.labels)
        form.addRow(self.values)
        form.addRow(self.counting)
        form.addRow(self.labels_error)
        self.set_counting("")
        return form

    def _build_work(self) -> QVBoxLayout:
        compute = push_button(
            "compute_errors",
            "Compute",
            "Score the prediction and list where its topology is wrong, in a process of its own.",
        )
        compute.clicked.connect(self.compute_clicked)
        cancel = push_button(
            "cancel_errors", "Cancel", "End the comparison; what was found before stays."
        )
        cancel.clicked.connect(self.cancel_clicked)
        state = note("Choose a prediction and labels, then press Compute.")
        self.job = JobControls("errors", start=compute, cancel=cancel, state=state)
        self.error = FieldError("topology")
        self.scores = note("")
        self.scores.setObjectName("errors_scores")
        self.scores.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.scores.setToolTip(
            "<qt>0.30 topology + 0.35 surface Dice + 0.35 VOI is the score; 1 is perfect. Surface "
            "Dice within 2 voxels; VOI is the variation of information of the pieces.</qt>"
        )
        self.counts = note("")
        self.counts.setObjectName("errors_counts")
        self.counts.setToolTip(
            "<qt>Connected pieces, tunnels (holes and bridges) and cavities, counted in the eight "
            "octants of the volume; matched are those that have a partner in the other.</qt>"
        )
        work = QVBoxLayout()
        work.setSpacing(4)
        work.addLayout(self.job.buttons)
        for item in (self.job.progress, self.error, self.job.state, self.scores, self.counts):
            work.addWidget(item)
        return work

    def _build_filter(self) -> QHBoxLayout:
        self.kind = QComboBox()
        self.kind.setObjectName("errors_kind")
        hint(
            self.kind,
            "Which errors are listed. An extra component, hole or bridge is in the prediction "
            "only, a missing or filled one in the labels only.",
        )
        self.kind.currentIndexChanged.connect(lambda _index: self._fill_table())
        self.previous = self._step_button("previous_error", "◀", "Go to the error above.", -1)
        self.next = self._step_button("next_error", "▶", "Go to the error below.", 1)
        self.place = QLabel("")
        self.place.setObjectName("errors_place")
        line = QHBoxLayout()
        line.addWidget(self.kind, 1)
        for item in (self.previous, self.place, self.next):
            line.addWidget(item)
        return line

    def _step_button(self, name: str, text: str, tip: str, step: int) -> QPushButton:
        button = push_button(name, text, tip)
        button.setMaximumWidth(36)
        button.clicked.connect(lambda: self.step(step))
        return button

    def _build_table(self) -> QTableView:
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
            "What is wrong, the largest first: kind, size (voxels) and place (voxels, Z, Y, X). "
            "Click a row to go there.",
        )
        self.table.selectionModel().currentRowChanged.connect(self._on_row)
        # Also the current row: the person may have moved the camera away from its error.
        self.table.clicked.connect(lambda index: self._on_row(index, None))
        return self.table

    # -- filling -------------------------------------------------------------------

    def set_layers(self, layers: Sequence[Layer]) -> None:
        """Offer these layers on both sides."""
        self.prediction.set_layers(layers)
        self.labels.set_layers(layers)

    def source(self, field: str) -> SourceChoice | None:
        """Return what is chosen as ``"prediction"`` or as ``"labels"``."""
        return self._choosers[field].choice()

    def suggest(self, field: str, layer: Layer) -> bool:
        """Choose a layer, unless something is chosen or a person has chosen; return whether."""
        chooser = self._choosers[field]
        if chooser.choice() is not None or chooser.is_manual:
            return False
        chooser.set_choice(SourceChoice.of_layer(layer))
        return True

    def threshold_value(self) -> float | None:
        """Return the probability above which a voxel is surface; None if there are only labels."""
        return self.threshold.value() if self.is_probability.isChecked() else None

    def set_label_values(self, counts: dict[int, int], meanings: dict[int, str]) -> None:
        """Show the values that occur in the labels, how often, and what they mean."""
        self.values.set_values(counts)
        self.values.set_meanings(meanings)
        total = sum(counts.values())
        for value, row in self.values.rows.items():
            row.set_count(counts[value], total, in_voxels=False)

    def meanings(self) -> dict[int, str]:
        """Return the meaning of each label value, as shown."""
        return self.values.meanings()

    def set_counting(self, text: str) -> None:
        """Say that label values are being counted; empty hides the line."""
        self.counting.setText(text)
        self.counting.setVisible(bool(text))

    def set_result(
        self, scores: dict[str, float], errors: Sequence[TopologyError], state: str
    ) -> None:
        """Show what was found."""
        self._errors = errors
        texts = describe_scores(scores, SHOWN_SCORES)
        self.scores.setText(", ".join([*(f"<b>{first}</b>" for first in texts[:1]), *texts[1:]]))
        self.counts.setText(describe_counts(scores))
        self.job.set_state(state)
        self.kind.blockSignals(True)
        self.kind.clear()
        self.kind.addItem(f"all errors ({len(errors):,})", None)
        for name, count in count_errors(errors).items():
            self.kind.addItem(f"{name} ({count:,})", name)
        self.kind.blockSignals(False)
        self._fill_table()

    def set_busy(self, busy: bool) -> None:
        """Switch between Compute and Cancel."""
        self.job.set_busy(busy)

    def set_state(self, text: str, share: float | None = None) -> None:
        """Say what is going on, and how much of it is done, 0 to 1."""
        self.job.set_state(text, share)

    def ask(self, question: str) -> bool:
        """Ask the person in a dialog."""
        return ask_in_dialog(question, self)

    def show_error(self, message: str, field: str | None = None) -> None:
        """Show a sentence beside its field, ``"prediction"`` or ``"labels"``, or below them."""
        beside = {"prediction": self.prediction_error, "labels": self.labels_error}
        for place in (*beside.values(), self.error):
            place.set_message("")
        beside.get(field or "", self.error).set_message(message)

    # -- the list ------------------------------------------------------------------

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
            self.error_chosen.emit(self.model.index_of(index.row()))

    def _show_place(self) -> None:
        row, count = self.table.currentIndex().row(), self.model.rowCount()
        self.place.setText(f"{row + 1:,} / {count:,}" if row >= 0 else f"{count:,}")
        self.previous.setEnabled(count > 0 and row > 0)
        self.next.setEnabled(count > 0 and row < count - 1)
