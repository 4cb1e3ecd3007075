"""The page "Network": how large the network and its patches are, and what it starts from."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from napari_surfseg.config import MODEL_PRESETS, MONAI_NETWORKS
from napari_surfseg.gui.controls.basics import FieldError, hint, labelled_rows, note
from napari_surfseg.gui.controls.number_boxes import WholeBox, with_error
from napari_surfseg.gui.controls.text_fields import ValueField, read_mapping
from napari_surfseg.gui.training.settings_form import MoreSection
from napari_surfseg.gui.training.settings_table import (
    NETWORK_SETTINGS,
    default_of,
    describe_range,
    offered_range,
)
from napari_surfseg.gui.training.start_from_box import StartFromBox

__all__ = ["NetworkPage"]


class NetworkPage(QWidget):
    """Preset, start, patch size, and the finer settings behind "More". Passive."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.preset = QComboBox()
        self.preset.setObjectName("model_preset")
        self.preset.addItem("automatic", "auto")
        for name in MODEL_PRESETS:
            self.preset.addItem(name, name)
        self.preset.addItem("MONAI network", "monai")
        self.preset.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        hint(
            self.preset,
            "Size of the 3-D U-Net; automatic is tiny on a CPU and small on a GPU. Larger ones see "
            "more and take longer; exp001 is the reference experiment and wants a GPU. MONAI "
            "network takes one of another library, by its name and its arguments.",
        )
        self.start_from = StartFromBox()
        self.start_from.chosen.connect(self.changed)
        self.start_note = note("")
        self.start_note.setObjectName("start_from_note")
        self.start_error = FieldError("model_start_from")
        self._build_monai()
        self.patch_error = FieldError("data_patch_size")
        self.patch: list[WholeBox] = []
        patch_box = QWidget()
        patch_line = QHBoxLayout(patch_box)
        patch_line.setContentsMargins(0, 0, 0, 0)
        patch_line.setSpacing(4)
        low, high = offered_range("data.patch_size")
        edges = default_of("data.patch_size")
        for axis, edge in zip("zyx", edges, strict=True):
            spin = WholeBox(
                f"patch_size_{axis}", f"Patch along {axis.upper()}", int(low), int(high), step=8
            )
            spin.error = self.patch_error
            spin.setValue(edge)
            hint(
                spin,
                f"Edge of a training patch along {axis.upper()} "
                f"({describe_range('data.patch_size')}). Larger patches show more of a sheet and "
                "cost memory and time.",
            )
            spin.valueChanged.connect(self._on_changed)
            self.patch.append(spin)
            spin.setPrefix(f"{axis} ")
            spin.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
            patch_line.addWidget(spin, 1)
        self.preset.currentIndexChanged.connect(self._on_changed)
        self.estimate = QLabel("")
        self.estimate.setObjectName("model_estimate")
        self.estimate.setWordWrap(True)
        self.model_error = FieldError("model")
        form = labelled_rows(spacing=6)
        form.addRow("Size", self.preset)
        form.addRow(self.model_error)
        self._monai_rows: list[QWidget] = []
        for title, field in (("Network", self.network), ("Arguments", with_error(self.arguments))):
            label = QLabel(title)
            label.setToolTip(field.toolTip())
            form.addRow(label, field)
            self._monai_rows += [label, field]
        self._show_rows()
        form.addRow(QLabel("Start from"))
        form.addRow(self.start_from)
        form.addRow(self.start_note)
        form.addRow(self.start_error)
        form.addRow("Patch", patch_box)
        form.addRow(self.patch_error)
        form.addRow(self.estimate)
        form.addRow(
            note(
                "A patch must show a whole sheet and its neighbours. The memory is an estimate for "
                "one step of training; the network runs in a process of its own, so napari itself "
                "stays small."
            )
        )
        self.more = MoreSection("more_network", NETWORK_SETTINGS)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 6, 8, 4)
        layout.addLayout(form)
        layout.addWidget(self.more)
        layout.addStretch(1)

    def _build_monai(self) -> None:
        """Build the controls that are shown for a network of MONAI only."""
        self.network = QComboBox()
        self.network.setObjectName("model_network")
        self.network.addItems(MONAI_NETWORKS)
        self.network.setCurrentText("SegResNetDS")
        hint(self.network, "Which of MONAI's networks; each is described in MONAI's documentation.")
        self.arguments = ValueField(
            "model_arguments",
            read_mapping,
            placeholder="its own, or init_filters: 16, ...",
        )
        hint(
            self.arguments,
            "Arguments of the network's class, by MONAI's names: numbers, words and lists, such as "
            "init_filters: 16, blocks_down: [1, 2, 2]. Empty takes MONAI's own. Channels, "
            "dimensions and the size of the image are set by the program.",
        )
        self.network.currentIndexChanged.connect(self._on_changed)
        self.arguments.settled.connect(self.changed)

    @property
    def is_monai(self) -> bool:
        """Whether a network of MONAI is chosen."""
        return bool(self.preset.currentData() == "monai")

    def _on_changed(self, _value: int) -> None:
        self._show_rows()
        self.changed.emit()

    def _show_rows(self) -> None:
        for widget in self._monai_rows:
            widget.setVisible(self.is_monai)

    def values(self) -> dict[str, Any]:
        """Return the settings in full view, by configuration key."""
        return {
            "data.patch_size": [spin.value() for spin in self.patch],
            "model.preset": self.preset.currentData(),
            "model.start_from": self.start_from.value(),
            **self._monai_values(),
        }

    def _monai_values(self) -> dict[str, Any]:
        if not self.is_monai:
            return {}
        return {
            "model.network": self.network.currentText(),
            "model.arguments": self.arguments.value(),
        }

    def set_preset(self, preset: str) -> None:
        """Choose a network by the name of its preset."""
        self.preset.setCurrentIndex(max(self.preset.findData(preset), 0))

    def set_patch_step(self, divisor: int) -> None:
        """Let the arrows of the patch size move by what the network divides by."""
        for spin in self.patch:
            spin.setSingleStep(divisor)

    def errors(self) -> dict[str, FieldError]:
        """Return where sentences about a setting are shown, by the start of its key."""
        return {
            "data.patch_size": self.patch_error,
            "model": self.model_error,
            "model.start_from": self.start_error,
            "model.arguments": self.arguments.error,
            "model.network": self.arguments.error,
        }

    def lockable(self) -> list[QWidget]:
        """Return the controls in full view that are fixed for a run."""
        return [self.preset, self.network, self.arguments, self.start_from, *self.patch]
