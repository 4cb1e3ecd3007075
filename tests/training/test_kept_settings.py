"""What a person changed while a run went on, and what the configuration says when it is resumed."""

from dataclasses import replace

import pytest

from napari_surfseg.config import Experiment
from napari_surfseg.config_files import apply_overrides
from napari_surfseg.training.kept_settings import KeptSettings

THEN = apply_overrides(Experiment(), ["training.max_epochs=10"])
CHANGED = replace(
    KeptSettings.of(THEN),
    loss_weights={**THEN.loss.weights, "cldice": 0.25},
    max_epochs=20,
    foreground_shares=[[0, 0.5], [12, 1.0]],
    preview_size=[8, 8, 8],
    preview_seconds=3.0,
    preview_image="a.tif",
    preview_center=[1, 2, 3],
    rate_scale=0.5,
    is_paused=True,
    patch_size=[32, 32, 32],
    patches_at_once=1,
    largest_window=[16, 16, 32],
)


def test_what_was_changed_holds_as_long_as_the_configuration_stays():
    kept = KeptSettings.from_dict(CHANGED.as_dict())
    assert kept == CHANGED
    assert kept.updated(THEN, THEN) == CHANGED


@pytest.mark.parametrize(
    ("override", "names"),
    [
        ("loss.cldice=0.75", {"loss_weights"}),
        ("training.max_epochs=30", {"max_epochs"}),
        ("training.max_minutes=5", {"max_epochs", "max_minutes"}),
        ("data.foreground_share=0.75", {"foreground_shares"}),
        ("preview.size=[4,4,4]", {"preview_size"}),
        ("preview.seconds=9", {"preview_seconds"}),
        ("data.patch_size=[48,48,48]", {"patch_size", "patches_at_once", "largest_window"}),
        ("training.train_batch_size=2", {"patch_size", "patches_at_once", "largest_window"}),
    ],
)
def test_a_later_change_of_the_configuration_wins(override, names):
    now = apply_overrides(THEN, [override])
    updated, says = CHANGED.updated(THEN, now), KeptSettings.of(now)
    for name, value in vars(updated).items():
        assert value == getattr(says if name in names else CHANGED, name), name


def test_values_that_are_missing_or_of_another_kind_are_refused():
    values = CHANGED.as_dict()
    with pytest.raises(TypeError):
        KeptSettings.from_dict({**values, "stranger": 1})
    with pytest.raises(KeyError):
        KeptSettings.from_dict({**values, "loss_weights": {}})
    with pytest.raises((TypeError, ValueError)):
        KeptSettings.from_dict({**values, "foreground_shares": [["x", "y"]]})
    with pytest.raises((TypeError, ValueError)):
        KeptSettings.from_dict({**values, "patch_size": ["x"]})


def test_files_of_earlier_versions_hold_no_rung():
    values = CHANGED.as_dict()
    for name in ("patch_size", "patches_at_once", "largest_window"):
        del values[name]
    assert KeptSettings.from_dict(values).patches_at_once == 0
