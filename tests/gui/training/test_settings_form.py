"""Every setting of the configuration has a control, in words, with its sentence beside it."""

from dataclasses import replace

import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QWidget

from napari_surfseg.config import Experiment
from napari_surfseg.config_fields import describe_field, field_keys
from napari_surfseg.gui.controls.source_choice import PairChoice
from napari_surfseg.gui.training.form import TrainingForm, build_form_experiment
from napari_surfseg.gui.training.settings_form import SettingsForm
from napari_surfseg.gui.training.settings_table import (
    DATA_SETTINGS,
    NETWORK_SETTINGS,
    TRAINING_SETTINGS,
    choose_control,
    default_of,
)
from napari_surfseg.gui.training.view import TrainingView
from napari_surfseg.vocabulary import LOSS_TERMS

#: Settings with a control of their own, by its object name.
IN_FULL_VIEW = {
    "data.labels.background": "label_scheme",
    "data.labels.foreground": "label_scheme",
    "data.labels.ignore": "label_scheme",
    "data.labels.instances": "label_scheme",
    "data.labels.thickness": "label_thickness",
    "data.patch_size": "patch_size_z",
    "data.train.image": "image_0",
    "data.train.labels": "labels_0",
    "data.train.roi": "roi_0",
    "data.validation.fraction": "validation_fraction",
    "data.validation.image": "image_0",
    "data.validation.labels": "labels_0",
    "data.validation.roi": "roi_0",
    "experiment.name": "run_name",
    "model.arguments": "model_arguments",
    "model.network": "model_network",
    "model.preset": "model_preset",
    "model.start_from": "model_start_from",
    "preview.size": "live_box_z",
    "training.max_epochs": "training_length",
    "training.max_minutes": "training_length",
    "training.train_iterations_per_epoch": "steps_per_epoch",
    **{f"loss.{term}": f"{term}_weight" for term in LOSS_TERMS},
}
#: Settings that the window deliberately does not offer, and why.
NOT_OFFERED = {
    "data.phantom.shape": "the window has the scroll as a sample, which is a layer like others",
    "data.phantom.seed": "as above",
    "data.train.weight": "a column of a table",
    "data.validation.weight": "as above",
    "data.train.spacing": "the scale of the layer, or a column of a table",
    "data.validation.spacing": "as above",
}
ROWS = [
    setting
    for groups in (DATA_SETTINGS, NETWORK_SETTINGS, TRAINING_SETTINGS)
    for settings in groups.values()
    for setting in settings
]


@pytest.fixture
def view(qtbot):
    view = TrainingView()
    qtbot.addWidget(view)
    return view


def form_of(view):
    """Read the form as if dense labels had been chosen."""
    return replace(view.form(), meanings=TrainingForm().meanings)


def test_every_setting_has_a_control_or_a_reason(view):
    keys = set(field_keys())
    rows = {setting.key for setting in ROWS}
    assert len(rows) == len(ROWS)
    assert rows | set(IN_FULL_VIEW) | set(NOT_OFFERED) == keys
    assert not (rows & set(IN_FULL_VIEW)) | (rows & set(NOT_OFFERED))
    for key in rows:
        assert view.findChild(QWidget, key.replace(".", "_")) is not None, key
    for key, name in IN_FULL_VIEW.items():
        assert view.findChild(QWidget, name) is not None, key


def test_an_untouched_form_is_the_configuration_as_it_is(view):
    made = build_form_experiment(form_of(view), [{"image": "a", "labels": "b"}], [])
    plain = Experiment.model_validate({"data": {"train": [{"image": "a", "labels": "b"}]}})
    # Somebody is looking at a box, and the length is in minutes.
    preview = plain.preview.model_copy(update={"seconds": 5.0, "size": (32, 128, 128)})
    training = plain.training.model_copy(update={"max_minutes": 10.0})
    assert made == plain.model_copy(update={"preview": preview, "training": training})


def test_settings_of_the_own_networks_are_none_of_monais(view):
    first, dropout = view.control("model.base_channels"), view.control("model.dropout")
    view._form_of("model.base_channels").set_value("model.base_channels", 12)
    view.network.set_preset("monai")
    assert not first.isEnabled()
    assert not dropout.isEnabled()
    assert view.control("model.deep_supervision").isEnabled()
    view.network.network.setCurrentText("UNet")
    made = build_form_experiment(form_of(view), [{"image": "a", "labels": "b"}], [])
    assert (made.model.network, made.model.base_channels) == ("UNet", None)
    view.set_locked(True)
    assert not view.network.network.isEnabled()
    assert not view.network.arguments.isEnabled()
    view.set_locked(False)
    assert view.network.network.isEnabled()
    assert not first.isEnabled()
    view.network.set_preset("auto")
    assert first.isEnabled()
    made = build_form_experiment(form_of(view), [{"image": "a", "labels": "b"}], [])
    assert (made.model.network, made.model.base_channels) == (None, 12)


def test_what_is_wrong_with_the_network_is_said_beside_its_control_until_it_is_right(view):
    view.network.set_preset("monai")
    view.set_network_error("model.arguments has depth, which UNet does not.", "model.arguments")
    assert view.network.arguments.error.text() == "Arguments has depth, which UNet does not."
    view.set_network_error("VNet has no model.deep_supervision.", "model.deep_supervision")
    assert view.network.arguments.error.text() == ""
    error = view.control("model.deep_supervision").error
    assert error.text() == "VNet has no Deep supervision."
    view.set_network_error("")
    assert error.text() == ""


def test_what_is_set_reaches_the_configuration(view):
    for key, value in {
        "data.spacing": [4.0, 2.0, 2.0],
        "data.void_value": 0,
        "data.validation.gap": 0,
        "data.augmentation.symmetries": "axial",
        "model.base_channels": 12,
        "model.multipliers": [1, 2, 4],
        "model.blocks_per_stage": 3,
        "model.dropout": 0,
        "model.activation": "relu",
        "model.deep_supervision": False,
        "training.learning_rate": 3e-5,
        "training.max_learning_rate": 1e-3,
        "training.ema_decay": 0,
        "training.workers": 0,
        "training.tuning_share": 0.0,
        "inference.threshold": 0.4,
        "experiment.notes": "two lines\nof text",
    }.items():
        view._form_of(key).set_value(key, value)
        assert view.setting(key) == value
    made = build_form_experiment(
        form_of(view), [{"image": "a", "labels": "b"}], [], spacing=(1.0, 1.0, 1.0)
    )
    assert made.data.spacing == (4.0, 2.0, 2.0)
    assert made.data.void_value == 0
    assert made.data.validation.gap == 0
    assert made.data.augmentation.symmetries == "axial"
    assert (made.model.base_channels, made.model.multipliers) == (12, (1, 2, 4))
    assert (made.model.dropout, made.model.activation) == (0, "relu")
    assert made.model.deep_supervision is False
    assert (made.training.learning_rate, made.training.ema_decay) == (3e-5, 0)
    assert made.training.workers == 0
    assert made.inference.threshold == 0.4
    assert made.experiment.notes == "two lines\nof text"


def test_the_layers_spacing_holds_where_none_is_set(view):
    made = build_form_experiment(
        form_of(view), [{"image": "a", "labels": "b"}], [], spacing=(2.0, 1.0, 1.0)
    )
    assert made.data.spacing == (2.0, 1.0, 1.0)


def type_into(control, text):
    control.setFocus()
    control.selectAll()
    QTest.keyClick(control, Qt.Key.Key_Backspace)
    QTest.keyClicks(control, text)
    QTest.keyClick(control, Qt.Key.Key_Return)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.key)
def test_a_number_out_of_range_is_refused_in_a_sentence(qtbot, row):
    field = describe_field(row.key)
    if not field.types & {int, float}:
        return
    form = SettingsForm((row,))
    qtbot.addWidget(form)
    form.show()
    control = form.controls[row.key]
    before = default_of(row.key)
    low = "-5" if row.key == "data.void_value" else "-1000000"
    for text in (low, "99999999999"):
        type_into(control, text)
        if row.key in {"data.void_value", "data.validation.gap", "training.max_learning_rate",
                       "training.learning_rate"} and text != "-1000000":  # fmt: skip
            continue  # they have no greatest value
        assert text in control.error.text() or "[" in control.error.text(), (row.key, text)
        assert control.error.text().endswith(".")
        assert row.label in control.error.text()
        if choose_control(row) == "number":
            assert form.value(row.key) == before
    assert control.error.isVisibleTo(form) == bool(control.error.text())


def test_a_sentence_is_shown_beside_its_control_and_unfolded(view, qtbot):
    view.show()
    view.show_error("In the form, model.dropout is 7, but it must be below 1.", "model.dropout")
    error = view.control("model.dropout").error
    assert error.text() == "Dropout is 7, but it must be below 1."
    assert error.isVisible()
    assert view.tabs.currentIndex() == 1
    view.clear_errors()
    view.show_error("The box is too large.", "data.train.0.roi")
    assert view.data.more.rois[0].error.isVisible()
    assert not error.isVisible()
    assert view.form().pairs == (PairChoice(None, None, roi=""),)
