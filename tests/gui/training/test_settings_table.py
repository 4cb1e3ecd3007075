"""The window adds names and words to the settings; all else is the configuration's."""

import pytest

from napari_surfseg.config_fields import describe_field
from napari_surfseg.gui.training.settings_form import SettingsForm
from napari_surfseg.gui.training.settings_table import (
    CHOICES,
    DATA_SETTINGS,
    LIVE_SETTINGS,
    NETWORK_SETTINGS,
    TRAINING_SETTINGS,
    WINDOW_DEFAULTS,
    choose_control,
    default_of,
    describe_range,
    describe_setting,
    offered_range,
)
from napari_surfseg.gui.training.view import TrainingView

ROWS = [
    setting
    for groups in (DATA_SETTINGS, NETWORK_SETTINGS, TRAINING_SETTINGS)
    for settings in groups.values()
    for setting in settings
]


def test_choices_are_those_of_the_configuration_in_words():
    choices = [setting.key for setting in ROWS if choose_control(setting) == "choice"]
    assert set(choices) == set(CHOICES)
    for key in choices:
        for value in describe_field(key).choices:
            words = [text for known, text in CHOICES[key].items()
                     if known == value and type(known) is type(value)]  # fmt: skip
            assert len(words) == 1, (key, value)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.key)
def test_a_control_has_the_limits_and_the_meaning_of_its_field(qtbot, row):
    form = SettingsForm((row,))
    qtbot.addWidget(form)
    control, field = form.controls[row.key], describe_field(row.key)
    tip = control.accessibleDescription()
    assert tip == describe_setting(row)
    assert "`" not in tip
    assert row.meaning or tip.startswith(field.meaning.removesuffix("."))
    # A meaning of its own has only what speaks of other keys or values of a file, or of the window.
    assert row.key in WINDOW_DEFAULTS or row.meaning != field.meaning
    assert ("while it runs" in tip) == (row.key in LIVE_SETTINGS)
    assert form.value(row.key) == default_of(row.key)
    if choose_control(row) == "number":
        low, high = field.offered
        is_optional = None in field.choices
        assert control.maximum() == high
        assert control.minimum() == low - (is_optional and int in field.types)
        assert f"{low:.10g} to {high:.10g}" in tip


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("data.patch_size", "8 to 1024 voxels; 64 by default"),
        ("model.dropout", "0 to below 1"),
        ("data.cache_gib", "0.1 to 1024 GiB; 2 by default"),
        ("preview.seconds", "0 to 3600 seconds; 5 by default"),
        ("data.void_value", ""),
    ],
)
def test_a_range_is_said_with_its_unit_and_default(key, said):
    assert describe_range(key) == said


def test_what_has_no_greatest_value_is_typed():
    with pytest.raises(ValueError, match=r"data\.validation\.gap"):
        offered_range("data.validation.gap")


def test_the_controls_in_full_view_have_the_limits_of_their_fields(qtbot):
    view = TrainingView()
    qtbot.addWidget(view)
    for control, key, scale in (
        (view.network.patch[0], "data.patch_size", 1),
        (view.training.length, "training.max_minutes", 1),
        (view.training.steps, "training.train_iterations_per_epoch", 1),
        (view.data.validation.fraction, "data.validation.fraction", 100),
        (view.run.box.spins[0], "preview.size", 1),
    ):
        low, high = offered_range(key)
        assert (control.minimum(), control.maximum()) == (scale * low, scale * high), key
