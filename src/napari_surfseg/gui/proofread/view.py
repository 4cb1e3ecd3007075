"""The widgets of the dock "Proofread": what to compare, the scores and the list of errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QVBoxLayout

from napari_surfseg.gui.controls.basics import FieldError, note, push_button
from napari_surfseg.gui.controls.job_controls import JobControls
from napari_surfseg.gui.controls.job_page import JobPage
from napari_surfseg.gui.controls.source_choice import SourceChoice
from napari_surfseg.gui.proofread.error_list import ErrorList
from napari_surfseg.gui.proofread.input_rows import InputRows
from napari_surfseg.wording import describe_scores, format_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Layer

    from napari_surfseg.metrics.error_table import TopologyError

__all__ = ["ProofreadView", "describe_counts"]

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


class ProofreadView(JobPage):
    """Passive; what it offers is :class:`~.controller.ProofreadViewProtocol`."""

    compute_clicked = Signal()
    cancel_clicked = Signal()
    labels_chosen = Signal()
    error_chosen = Signal(int)
    """Carries the index in the whole list."""

    def __init__(self) -> None:
        compute = push_button(
            "compute_errors",
            "Compute",
            "Score the prediction and list where its topology is wrong, in a process of its own.",
        )
        cancel = push_button(
            "cancel_errors", "Cancel", "End the comparison; what was found before stays."
        )
        state = note("Choose a prediction and labels, then press Compute.")
        job = JobControls("errors", start=compute, cancel=cancel, state=state)
        super().__init__("proofread", job, FieldError("proofread"))
        compute.clicked.connect(self.compute_clicked)
        cancel.clicked.connect(self.cancel_clicked)
        self.inputs = InputRows()
        self.inputs.labels.chosen.connect(self.labels_chosen)
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
        self.list = ErrorList(self)
        self.list.chosen.connect(self.error_chosen)
        self.lay_out(
            "proofread_page",
            self.inputs.layout,
            work,
            self.list.line,
            stretched=self.list.table,
        )

    def set_layers(self, layers: Sequence[Layer]) -> None:
        """Offer these layers on both sides."""
        self.inputs.prediction.set_layers(layers)
        self.inputs.labels.set_layers(layers)

    def source(self, field: str) -> SourceChoice | None:
        """Return what is chosen as ``"prediction"`` or as ``"labels"``."""
        return self.inputs.choosers[field].choice()

    def suggest(self, field: str, layer: Layer) -> bool:
        """Choose a layer, unless something is chosen or a person has chosen; return whether."""
        chooser = self.inputs.choosers[field]
        if chooser.choice() is not None or chooser.is_manual:
            return False
        chooser.set_choice(SourceChoice.of_layer(layer))
        return True

    def threshold_value(self) -> float | None:
        """Return the probability above which a voxel is surface; None if there are only labels."""
        return self.inputs.threshold.value() if self.inputs.is_probability.isChecked() else None

    def set_label_values(self, counts: dict[int, int], meanings: dict[int, str]) -> None:
        """Show the values that occur in the labels, how often, and what they mean."""
        self.inputs.set_label_values(counts, meanings)

    def meanings(self) -> dict[int, str]:
        """Return the meaning of each label value, as shown."""
        return self.inputs.values.meanings()

    def set_counting(self, text: str) -> None:
        """Say that label values are being counted; empty hides the line."""
        self.inputs.set_counting(text)

    def set_result(
        self, scores: dict[str, float], errors: Sequence[TopologyError], state: str
    ) -> None:
        """Show what was found."""
        texts = describe_scores(scores, SHOWN_SCORES)
        self.scores.setText(", ".join([*(f"<b>{first}</b>" for first in texts[:1]), *texts[1:]]))
        self.counts.setText(describe_counts(scores))
        self.job.set_state(state)
        self.list.set_errors(errors)

    def show_error(self, message: str, field: str | None = None) -> None:
        """Show a sentence beside its field, ``"prediction"`` or ``"labels"``, or below them."""
        beside = {"prediction": self.inputs.prediction_error, "labels": self.inputs.labels_error}
        for place in (*beside.values(), self.error):
            place.set_message("")
        beside.get(field or "", self.error).set_message(message)
