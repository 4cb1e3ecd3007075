"""The widgets of the dock "Proofread": what to look at, the list of places, and the mends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import QShortcut, QVBoxLayout

from napari_surfseg.gui.controls.basics import FieldError, note, push_button
from napari_surfseg.gui.controls.job_controls import JobControls
from napari_surfseg.gui.controls.job_page import JobPage
from napari_surfseg.gui.controls.source_choice import SourceChoice
from napari_surfseg.gui.proofread.error_list import ErrorList
from napari_surfseg.gui.proofread.input_rows import InputRows
from napari_surfseg.gui.proofread.mend_panel import MendPanel
from napari_surfseg.wording import describe_scores, format_number

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari.layers import Layer

    from napari_surfseg.gui.proofread.listing import Listed, State

__all__ = ["ProofreadView", "describe_counts"]

#: What the comparison is summed up by, the one that counts first.
SHOWN_SCORES = ("score", "surface_dice", "topo_score", "voi_score")
FEATURES = ("pieces", "tunnels", "cavities")
COUNTED = (("pred", "in the prediction"), ("label", "in the labels"), ("matched", "matched"))


def describe_counts(scores: Mapping[str, float]) -> str:
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

    find_clicked = Signal()
    cancel_clicked = Signal()
    labels_chosen = Signal()
    error_chosen = Signal(int)
    """Carries the index in the whole list."""
    action_clicked = Signal(str)
    """Carries what is to be done at the place."""
    teach_clicked = Signal()

    def __init__(self) -> None:
        find = push_button(
            "find_places",
            "Find places",
            "List where the prediction is wrong against the labels, or without labels where it is "
            "in doubt; in a process of its own.",
        )
        cancel = push_button(
            "cancel_errors", "Cancel", "End the search; what was found before stays."
        )
        state = note("Choose a prediction, then press Find places.")
        job = JobControls("errors", start=find, cancel=cancel, state=state)
        super().__init__("proofread", job, FieldError("proofread"))
        find.clicked.connect(self.find_clicked)
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
        self.panel = MendPanel(self)
        self.panel.clicked.connect(self.action_clicked)
        self.panel.teach_clicked.connect(self.teach_clicked)
        self.lay_out(
            "proofread_page",
            self.inputs.layout,
            work,
            self.list.line,
            self.panel.body,
            stretched=self.list.table,
        )

    def set_layers(self, layers: Sequence[Layer]) -> None:
        """Offer these labels layers as the prediction and as labels."""
        self.inputs.prediction.set_layers(layers)
        self.inputs.labels.set_layers(layers)

    def set_images(self, layers: Sequence[Layer]) -> None:
        """Offer these images as the probabilities."""
        self.inputs.probabilities.set_layers(layers)

    def source(self, field: str) -> SourceChoice | None:
        """Return what is chosen as ``"prediction"``, ``"probabilities"`` or ``"labels"``."""
        return self.inputs.choosers[field].choice()

    def lost(self, field: str) -> str:
        """Return the name of the layer that a person chose and that is gone; else ``""``."""
        return self.inputs.choosers[field].lost

    def suggest(self, field: str, layer: Layer, *, newer: bool = False) -> bool:
        """Choose a layer, unless a person has chosen or one is that is no less new."""
        chooser = self.inputs.choosers[field]
        choice = SourceChoice.of_layer(layer)
        if chooser.is_manual or chooser.choice() == choice:
            return False
        if chooser.choice() is not None and not newer:
            return False
        chooser.set_choice(choice)
        return True

    def choose(self, field: str, layer: Layer | None) -> None:
        """Choose a layer as if a person had; None leaves the field to suggestions, and empty."""
        chooser = self.inputs.choosers[field]
        chooser.set_choice(None if layer is None else SourceChoice.of_layer(layer))
        chooser.confirm()

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

    def set_result(self, scores: Mapping[str, float], places: Sequence[Listed], state: str) -> None:
        """Show what was found; without labels there are no scores."""
        texts = describe_scores(scores, SHOWN_SCORES) if scores else []
        self.scores.setText(", ".join([*(f"<b>{first}</b>" for first in texts[:1]), *texts[1:]]))
        self.counts.setText(describe_counts(scores) if scores else "")
        for line in (self.scores, self.counts):
            line.setVisible(bool(scores))
        self.job.set_state(state)
        self.list.set_errors(places)
        self.panel.body.setVisible(bool(places))
        self.panel.set_message("")

    def set_states(self, states: Sequence[State]) -> None:
        """Show what was decided at each place."""
        self.list.set_states(states)
        decided = sum(map(bool, states))
        self.panel.progress.setText(f"{decided:,} of {len(states):,} decided")

    def current(self) -> int | None:
        """Return the index of the place that is shown, in the whole list."""
        return self.list.current()

    def select(self, index: int) -> None:
        """Go to a place of the whole list."""
        self.list.select(index)

    def go_on(self, index: int) -> None:
        """Go to the next open place after one of the whole list; from the last to the first."""
        self.list.go_on(index)

    def step(self, step: int) -> None:
        """Go to the row above or below."""
        self.list.step(step)

    def set_can_mend(self, *, place: bool, undo: bool, teach: bool, labels: bool) -> None:
        """Say which buttons can be pressed."""
        self.panel.set_enabled(place=place, undo=undo, teach=teach, labels=labels)

    def set_can_copy(self, can: bool) -> None:
        """Offer to make a copy that can be mended, or not."""
        self.panel.copy.setVisible(can)

    def set_mend_message(self, text: str) -> None:
        """Say what came of it; empty hides the line."""
        self.panel.set_message(text)

    def set_keys(self, keys: Mapping[str, str]) -> None:
        """Say which key does what, and let the same keys work while the dock has the focus."""
        self.list.set_keys(keys)
        self.panel.set_keys(keys)
        for action, key in keys.items():
            shortcut = QShortcut(QKeySequence(key.replace("-", "+")), self)
            shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            shortcut.activated.connect(lambda action=action: self.action_clicked.emit(action))

    def show_error(self, message: str, field: str | None = None) -> None:
        """Show a sentence beside its field, or below them."""
        beside = {
            "prediction": self.inputs.prediction_error,
            "probabilities": self.inputs.probabilities_error,
            "labels": self.inputs.labels_error,
        }
        for place in (*beside.values(), self.error):
            place.set_message("")
        beside.get(field or "", self.error).set_message(message)
