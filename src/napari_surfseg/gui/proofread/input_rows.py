"""The rows of the form of "Proofread": prediction, probabilities, labels and their meanings."""

from __future__ import annotations

from qtpy.QtWidgets import (
    QCheckBox,
    QHBoxLayout,
)

from napari_surfseg.gui.controls.basics import (
    FieldError,
    hint,
    labelled_rows,
    note,
)
from napari_surfseg.gui.controls.label_meanings import MeaningList
from napari_surfseg.gui.controls.layer_or_file import SourceCombo
from napari_surfseg.gui.controls.number_boxes import NumberBox

__all__ = ["InputRows"]


class InputRows:
    """The rows that say what is looked at, and what it is compared with."""

    def __init__(self) -> None:
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
        self.probabilities = SourceCombo("errors_probabilities", "probabilities", nothing="none")
        hint(
            self.probabilities,
            "What the prediction was cut out of (0 to 255, or 0 to 1), of the same shape: it says "
            "where the network was in doubt. The prediction alone has holes and loose ends.",
        )
        self.probabilities_error = FieldError("errors_probabilities")
        self.labels = SourceCombo("errors_labels", "labels", nothing="none: list doubtful places")
        hint(
            self.labels,
            "What the surface should be: a labels layer of the same shape or a file. The list then "
            "has the errors against them; without labels, the places that are in doubt.",
        )
        self.choosers = {
            "prediction": self.prediction,
            "probabilities": self.probabilities,
            "labels": self.labels,
        }
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
        form.addRow("Probability", self.probabilities)
        form.addRow(self.probabilities_error)
        form.addRow("Labels", self.labels)
        form.addRow(self.values)
        form.addRow(self.counting)
        form.addRow(self.labels_error)
        self.layout = form
        self.set_counting("")

    def set_label_values(self, counts: dict[int, int], meanings: dict[int, str]) -> None:
        """Show the values that occur in the labels, how often, and what they mean."""
        self.values.set_values(counts)
        self.values.set_meanings(meanings)
        total = sum(counts.values())
        for value, row in self.values.rows.items():
            row.set_count(counts[value], total, in_voxels=False)

    def set_counting(self, text: str) -> None:
        """Say that label values are being counted; empty hides the line."""
        self.counting.setText(text)
        self.counting.setVisible(bool(text))
