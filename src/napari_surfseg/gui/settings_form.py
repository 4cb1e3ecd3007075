"""Controls for plain settings, made from a table: one row a configuration key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QLineEdit,
    QSpinBox,
    QWidget,
)

from napari_surfseg.config import Experiment
from napari_surfseg.gui.widgets import hint, labelled_rows

__all__ = ["ADVANCED_SETTINGS", "Setting", "SettingsForm", "default_of"]


@dataclass(frozen=True)
class Setting:
    """One row.

    Attributes
    ----------
    key : str
        Dotted configuration key.
    label : str
        What stands before the control.
    tip : str
        What it does, with its unit.
    kind : str
        ``int``, ``float``, ``bool``, ``choice``, ``auto_float`` (a number or
        "automatic"), ``optional_float`` or ``optional_int`` (a number or "off").
    low, high, step : float
        Range of a number.
    choices : tuple of str
        Of a ``choice``.
    """

    key: str
    label: str
    tip: str
    kind: str
    low: float = 0
    high: float = 1
    step: float = 1
    decimals: int = 2
    suffix: str = ""
    choices: tuple[str, ...] = ()


ADVANCED_SETTINGS: dict[str, tuple[Setting, ...]] = {
    "Optimizer": (
        Setting("training.train_batch_size", "Batch size", "Patches in a step (patches).",
                "int", 1, 64),
        Setting("training.accumulate", "Accumulate", "Batches whose gradients are added before the "
                "weights change (batches).", "int", 1, 64),
        Setting("training.max_learning_rate", "Learning rate", "Peak of AdamW's one-cycle rate "
                " (no unit). Automatic suits the network's size.",
                "auto_float", 0, 0.1, 0.0001, 5),
        Setting("training.weight_decay", "Weight decay", "AdamW's decoupled decay (no unit).",
                "float", 0, 1, 0.001, 4),
        Setting("training.gradient_clip", "Gradient clip", "Greatest norm of the gradient (no "
                "unit); 0 is off.", "optional_float", 0, 100, 0.1, 2),
        Setting("training.precision", "Precision", "Number format of the network's activations; "
                "automatic measures whether bf16 pays on this device.", "choice",
                choices=("auto", "float32", "bf16")),
        Setting("experiment.seed", "Seed", "Seeds weights, sampling and augmentation (a whole "
                "number).", "int", 0, 2**31 - 1),
    ),
    "Sampling and augmentation": (
        Setting("data.foreground_share", "On surface", "Share of the patches whose centre lies on "
                "the surface (0 to 1).", "float", 0, 1, 0.05),
        Setting("data.augmentation.symmetries", "Flips and turns", "Vary patches by flips and "
                "quarter turns; automatic leaves out those that would exchange two sides of the "
                "surface that look different.", "choice",
                choices=("auto", "axial", "axial_y", "axial_x")),
        Setting("data.augmentation.intensity", "Contrast", "Strength of contrast, brightness and "
                "gamma changes (0 none to 1).", "float", 0, 1, 0.05),
        Setting("data.augmentation.noise", "Noise", "Greatest standard deviation of added noise "
                "(share of the intensity range, 0 to 1).", "float", 0, 1, 0.01),
        Setting("data.augmentation.affine", "Rotate, scale", "Probability that a patch is rotated, "
                "scaled and sheared (0 to 1).", "float", 0, 1, 0.05),
        Setting("data.augmentation.elastic", "Bend", "Probability that a patch is bent (0 to 1).",
                "float", 0, 1, 0.05),
        Setting("data.cache_gib", "Cache", "Memory for decoded chunks of the volumes (GiB).",
                "float", 0.1, 1024, 0.5, 1, " GiB"),
    ),
    "Loss details": (
        Setting("loss.pos_weight", "Surface weight", "Weight of a surface voxel against a "
                "background voxel in weighted BCE (no unit).", "float", 0.1, 100, 0.1),
        Setting("loss.skeleton_iterations", "Skeleton depth", "Erosions of the soft skeleton: half "
                "the greatest sheet thickness (voxels).", "int", 1, 32),
        Setting("loss.tolerance", "Tolerance", "Distance within which a surface counts as found, "
                "in the surface distance loss and the scores (voxels of the finest axis).",
                "float", 0.5, 100, 0.5, 1, " vox"),
        Setting("loss.euler_window", "Topology window", "Edge of the windows in which the topology "
                "loss counts (voxels).", "int", 2, 128),
        Setting("loss.interval", "Evaluate every", "Evaluate the terms other than BCE and Dice "
                "every so many steps (steps).", "int", 1, 100),
    ),
    "Validation and preview": (
        Setting("training.best_by", "Best by", "Validation score that decides which weights are "
                "kept as best.pt.", "choice", choices=("surface_dice", "score")),
        Setting("training.validation_share", "Validation time", "Greatest share of the time "
                "spent on validation (0 to 1).", "float", 0.01, 1, 0.05),
        Setting("training.early_stopping", "Early stopping", "Stop after so many scored epochs "
                "without a better score (epochs); 0 is off.", "optional_int", 0, 1000),
        Setting("preview.seconds", "Preview every", "Time between live predictions (seconds); 0 "
                "turns them off.", "float", 0, 3600, 1, 1, " s"),
        Setting("preview.keep", "Previews kept", "Earlier previews kept for looking back "
                "(previews).", "int", 1, 1000),
    ),
}  # fmt: skip


#: Where the window differs from a run without one: somebody is looking.
WINDOW_DEFAULTS: dict[str, Any] = {"preview.seconds": 5.0}


def default_of(key: str) -> Any:
    """Value of a setting in a form that was not touched."""
    if key in WINDOW_DEFAULTS:
        return WINDOW_DEFAULTS[key]
    node: Any = Experiment()
    for part in key.split("."):
        node = getattr(node, part)
    return node


class SettingsForm(QWidget):
    """Rows of labelled controls, read and filled by dotted key.

    Parameters
    ----------
    settings : tuple of Setting
        The rows.
    """

    changed = Signal(str)
    """Carries the key whose value changed."""

    def __init__(self, settings: tuple[Setting, ...]) -> None:
        super().__init__()
        self.controls: dict[str, QWidget] = {}
        self._settings = {setting.key: setting for setting in settings}
        layout = labelled_rows(self, spacing=3)
        layout.setContentsMargins(8, 2, 2, 4)
        for setting in settings:
            control = self._build(setting)
            control.setObjectName(setting.key.replace(".", "_"))
            hint(control, setting.tip)
            self.controls[setting.key] = control
            layout.addRow(setting.label, control)
            layout.labelForField(control).setToolTip(control.toolTip())
            self.set_value(setting.key, default_of(setting.key))

    def _build(self, setting: Setting) -> QWidget:
        key = setting.key
        if setting.kind == "bool":
            box = QCheckBox()
            box.toggled.connect(lambda _on: self.changed.emit(key))
            return box
        if setting.kind == "choice":
            combo = QComboBox()
            for choice in setting.choices:
                combo.addItem({"auto": "automatic"}.get(choice, choice.replace("_", " ")), choice)
            combo.currentIndexChanged.connect(lambda _index: self.changed.emit(key))
            return combo
        if setting.kind in {"int", "optional_int"}:
            spin = QSpinBox()
            spin.setRange(int(setting.low), int(setting.high))
            spin.setSingleStep(int(setting.step))
        else:
            spin = QDoubleSpinBox()
            spin.setDecimals(setting.decimals)
            spin.setRange(setting.low, setting.high)
            spin.setSingleStep(setting.step)
        spin.setSuffix(setting.suffix)
        spin.setKeyboardTracking(False)
        if setting.kind.startswith("optional"):
            spin.setSpecialValueText("off")
        if setting.kind == "auto_float":
            spin.setSpecialValueText("automatic")
        spin.valueChanged.connect(lambda _value: self.changed.emit(key))
        return spin

    def value(self, key: str) -> Any:
        """Read one setting, as the configuration wants it."""
        control, setting = self.controls[key], self._settings[key]
        if isinstance(control, QCheckBox):
            return control.isChecked()
        if isinstance(control, QComboBox):
            return control.currentData()
        if isinstance(control, QLineEdit):
            return control.text()
        value = control.value()
        if value == control.minimum() and setting.kind.startswith("optional"):
            return None
        if value == control.minimum() and setting.kind == "auto_float":
            return "auto"
        return round(value, setting.decimals) if isinstance(value, float) else value

    def values(self) -> dict[str, Any]:
        """Read all settings, by dotted key."""
        return {key: self.value(key) for key in self.controls}

    def set_value(self, key: str, value: Any) -> None:
        """Fill one setting, without telling that it changed."""
        control = self.controls[key]
        blocked = control.blockSignals(True)
        try:
            if isinstance(control, QCheckBox):
                control.setChecked(bool(value))
            elif isinstance(control, QComboBox):
                control.setCurrentIndex(max(control.findData(value), 0))
            elif value is None or value == "auto":
                control.setValue(control.minimum())
            else:
                control.setValue(value)
        finally:
            control.blockSignals(blocked)
