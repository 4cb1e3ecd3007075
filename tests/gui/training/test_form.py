from dataclasses import replace

import pytest

from napari_surfseg.errors import ConfigError
from napari_surfseg.gui.training.form import (
    TrainingForm,
    build_form_experiment,
    read_roi,
)

PAIR = [{"image": "a.tif", "labels": "b.tif"}]


def test_a_form_becomes_the_experiment_it_says():
    form = TrainingForm(
        name="sheets",
        meanings={0: "ignore", 1: "foreground", 2: "background"},
        loss_weights={"soft_dice": 0.6, "cldice": 0.4},
        settings={
            "data.patch_size": [32, 64, 64],
            "data.augmentation.noise": 0.1,
            "training.max_minutes": 3.0,
        },
        validation_fraction=0.25,
    )
    experiment = build_form_experiment(form, PAIR, [], spacing=(2.0, 1.0, 1.0))
    assert experiment.experiment.name == "sheets"
    assert experiment.data.labels.foreground == (1,)
    assert experiment.data.labels.background == (2,)
    assert experiment.data.labels.ignore == (0,)
    assert experiment.data.patch_size == (32, 64, 64)
    assert experiment.data.augmentation.noise == 0.1
    assert experiment.data.spacing == (2.0, 1.0, 1.0)
    assert experiment.data.validation.fraction == 0.25
    assert experiment.loss.weights["cldice"] == 0.4
    assert experiment.loss.weights["weighted_bce"] == 0.0
    assert experiment.training.max_minutes == 3.0


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"loss_weights": {}}, "loss"),
        ({"settings": {"training.max_minutes": -1}}, "training.max_minutes"),
        ({"name": ""}, "experiment.name"),
        ({"meanings": {0: "background"}}, "data.labels.foreground"),
        ({"validation_fraction": 0.95}, "data.validation.fraction"),
    ],
)
def test_what_is_wrong_names_its_field(change, field):
    with pytest.raises(ConfigError) as raised:
        build_form_experiment(replace(TrainingForm(), **change), PAIR, [])
    assert raised.value.field == field
    assert str(raised.value).endswith(".")


@pytest.mark.parametrize(
    ("meanings", "ignore"),
    [
        ({0: "background", 1: "foreground"}, (2,)),
        ({0: "background", 2: "foreground"}, ()),
        ({0: "ignore", 1: "foreground", 2: "background"}, (0,)),
        ({0: "background", 1: "foreground", 3: "ignore"}, (3,)),
    ],
)
def test_what_is_not_annotated_can_be_painted_later(meanings, ignore):
    form = TrainingForm(meanings=meanings)
    assert build_form_experiment(form, PAIR, []).data.labels.ignore == ignore


@pytest.mark.parametrize(("validation", "fraction"), [("automatic", 0.2), ("none", 0.0)])
def test_validation_can_be_left_out(validation, fraction):
    form = TrainingForm(validation=validation, validation_fraction=0.2)
    assert build_form_experiment(form, PAIR, []).data.validation.fraction == fraction


def test_a_gap_says_nothing_where_pairs_are_named():
    form = TrainingForm(settings={"data.validation.gap": 4})
    pair = {"image": "a", "labels": "b"}
    made = build_form_experiment(form, [pair], [pair])
    assert len(made.data.validation) == 1


def test_a_box_is_read_as_it_is_written():
    assert read_roi("0:64, 8:128,16:20") == ((0, 8, 16), (64, 128, 20))
    assert read_roi(" ") is None


def test_objects_become_boundaries():
    form = TrainingForm(meanings={}, instances=3)
    labels = build_form_experiment(form, PAIR, []).data.labels
    assert (labels.instances, labels.thickness) == ("boundaries", 3)
    assert (labels.foreground, labels.background, labels.ignore) == ((), (), ())
