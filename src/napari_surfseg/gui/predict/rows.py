"""The rows of the form of "Predict surfaces": network, volume and options."""

from __future__ import annotations

from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QLineEdit,
    QToolButton,
)

from napari_surfseg.gui.controls.basics import (
    hint,
    note,
    push_button,
)
from napari_surfseg.gui.controls.layer_or_file import SourceCombo
from napari_surfseg.gui.controls.network_files import NetworkField
from napari_surfseg.gui.controls.number_boxes import NumberBox, WholeBox, with_error
from napari_surfseg.gui.controls.tuned_number import TunedRow

__all__ = ["InputRows", "OptionRows"]


class InputRows:
    """The rows that say which network predicts and which volume."""

    def __init__(self, form: QFormLayout) -> None:
        self.network = NetworkField("checkpoint")
        self.checkpoint = self.network.line
        self.checkpoint.setPlaceholderText("a network, a checkpoint or a run folder")
        self.network.set_meaning(
            "A network that comes with the package (name, in the list), a checkpoint (best.pt, "
            "last.pt) or a run folder, which stands for its best.pt (path)."
        )
        self.browse = QToolButton()
        self.browse.setObjectName("choose_checkpoint")
        self.browse.setText("…")
        hint(self.browse, "Choose a checkpoint file.")
        self.use_current = push_button(
            "use_current_run",
            "Take the current run's",
            "Take the best checkpoint of the run that is shown in Surface training.",
        )
        self.weights = QComboBox()
        self.weights.setObjectName("weights")
        hint(
            self.weights,
            "Which of a run's two checkpoints to use: the one that scored best on the validation "
            "data (best.pt), or the newest (last.pt).",
        )
        self.set_weights({})
        self.summary = note("")
        self.summary.setObjectName("checkpoint_summary")
        line = QHBoxLayout()
        line.addWidget(self.network, 1)
        line.addWidget(self.browse)
        self.source = SourceCombo("predict_volume", "volume")
        hint(
            self.source,
            "The volume to find surfaces in: an image layer with three axes (Z, Y, X) or a file.",
        )
        form.addRow("Network", line)
        # A row of its own: beside the name, a narrow dock would cut both.
        form.addRow(self.use_current)
        form.addRow(self.weights)
        form.addRow(self.summary)
        form.addRow("Volume", self.source)

    def set_weights(self, titles: dict[str, str]) -> None:
        """Offer a run's ``"best"`` and ``"newest"`` weights, with what is known of each."""
        chosen = self.weights.currentData()
        self.weights.blockSignals(True)
        self.weights.clear()
        for key in ("best", "newest"):
            if key in titles or not titles:
                title = f": {titles[key]}" if key in titles else " weights"
                self.weights.addItem(f"{key}{title}", key)
        self.weights.setCurrentIndex(max(self.weights.findData(chosen), 0))
        self.weights.setEnabled(len(titles) > 1)
        self.weights.blockSignals(False)


class OptionRows:
    """The rows that say how to predict and what to make of it."""

    def __init__(self, form: QFormLayout) -> None:
        self.threshold = NumberBox("threshold", "The threshold", 0.01, 0.99, step=0.05)
        hint(
            self.threshold,
            "Probability above which a voxel is surface (0 to 1). One of your own also leaves out "
            "the clean-up (smoothing, plugged holes) that was tuned with the checkpoint's.",
        )
        self.threshold_row = TunedRow(self.threshold, "threshold_from_checkpoint")
        self.min_voxels = WholeBox(
            "min_component_size", "The smallest piece", 0, 10_000_000, step=50, suffix=" vox"
        )
        hint(
            self.min_voxels,
            "Leave out connected pieces smaller than this (voxels, 0 to 10 million); 0 keeps all.",
        )
        self.min_voxels_row = TunedRow(self.min_voxels, "min_component_size_from_checkpoint")
        self.overlap = WholeBox("window_overlap", "The overlap", 0, 90, step=5, suffix=" %")
        self.overlap.setValue(25)
        hint(
            self.overlap,
            "Share of a window that its neighbour sees again (per cent, 0 to 90; 25 by default). "
            "More is smoother and slower.",
        )
        self.flips = QComboBox()
        self.flips.setObjectName("flips")
        for title, wanted in (("automatic", "auto"), ("on", True), ("off", False)):
            self.flips.addItem(title, wanted)
        hint(
            self.flips,
            "Average over the eight flips of the volume: eight times slower, a better surface. "
            "Automatic does it where it takes no more than about two minutes.",
        )
        self.device = QComboBox()
        self.device.setObjectName("predict_device")
        for title, key in (("automatic", "auto"), ("CPU", "cpu"), ("GPU (CUDA)", "cuda")):
            self.device.addItem(title, key)
        hint(self.device, "Where the network runs. Automatic takes a GPU where PyTorch finds one.")
        self.sheets = QCheckBox("one label a connected sheet")
        self.sheets.setObjectName("label_sheets")
        self.sheets.setChecked(True)
        hint(
            self.sheets,
            "Give each connected sheet a label and colour of its own, the largest "
            "first; otherwise all surface is label 1.",
        )
        self.skeleton = QCheckBox("skeleton")
        self.skeleton.setObjectName("make_skeleton")
        self.skeleton.setChecked(True)
        hint(self.skeleton, "Also add the middle of the sheets, about one voxel thick, as labels.")
        self.mesh = QCheckBox("mesh")
        self.mesh.setObjectName("make_mesh")
        self.mesh.setChecked(True)
        hint(self.mesh, "Also add the surface as triangles; save it as PLY, OBJ or STL.")
        self.folder = QLineEdit()
        self.folder.setObjectName("predictions_folder")
        hint(self.folder, "Folder in which each prediction gets a folder of its own (path).")
        form.addRow("Threshold", self.threshold_row)
        form.addRow("Smallest piece", self.min_voxels_row)
        form.addRow("Overlap", with_error(self.overlap))
        form.addRow("Flips", self.flips)
        form.addRow("Device", self.device)
        form.addRow("Labels", self.sheets)
        form.addRow("Also make", self.skeleton)
        form.addRow("", self.mesh)
        form.addRow("Results in", self.folder)
