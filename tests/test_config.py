import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from napari_surfseg.config import (
    Data,
    Experiment,
    Labels,
    Loss,
    Pair,
    Training,
)
from napari_surfseg.config_files import build_experiment
from napari_surfseg.errors import ConfigError
from napari_surfseg.vocabulary import LOSS_TERMS


def test_weights_are_those_of_the_reference():
    assert Loss().weights == {
        "weighted_bce": 0.35,
        "soft_dice": 0.35,
        "cldice": 0.10,
        "morph_skeleton": 0.08,
        "surface_distance": 0.07,
        "toploss_simple": 0.05,
        "skeleton_recall": 0.0,
    }


def test_values_with_two_meanings():
    with pytest.raises(ValidationError, match="value 1 is listed as foreground and as ignore"):
        Labels(ignore=(1,))


def test_a_loss_of_nothing():
    with pytest.raises(ValidationError, match="at least one loss weight must be above 0"):
        Loss(**dict.fromkeys(LOSS_TERMS, 0))


def test_a_box_that_ends_before_it_starts():
    with pytest.raises(ValidationError, match="each axis needs 0 <= start < stop"):
        Pair(image="a", labels="b", roi=((0, 1), (5, 2), (0, 3)))


def test_brackets_may_be_left_out():
    data = Data.model_validate(
        {"train": {"image": "a", "labels": "b"}, "labels": {"foreground": 255}}
    )
    assert data.train == (Pair(image="a", labels="b"),)
    assert data.labels.foreground == (255,)


def test_null_means_auto_for_learning_rates():
    training = Training.model_validate({"learning_rate": None, "max_learning_rate": None})
    assert (training.learning_rate, training.max_learning_rate) == ("auto", "auto")


@given(st.floats(min_value=0, max_value=1e6), st.sampled_from(list(LOSS_TERMS)))
def test_any_weight_from_nothing_up_is_taken(weight, term):
    other = "soft_dice" if term == "weighted_bce" else "weighted_bce"
    assert Loss(**{other: 1.0, term: weight}).weights[term] == weight


@pytest.mark.parametrize("section", [Experiment, *Experiment().model_dump()], ids=str)
def test_sections_are_frozen_and_strict(section):
    model = Experiment() if section is Experiment else getattr(Experiment(), section)
    name = next(iter(type(model).model_fields))
    with pytest.raises(ValidationError, match="frozen"):
        setattr(model, name, None)
    with pytest.raises(ValidationError, match="Extra inputs"):
        type(model).model_validate({"no_such_key": 1})


@pytest.mark.parametrize("value", ["auto", "none", 16, 2.5, [8, 4, 4]])
def test_voxels_are_resampled_to_a_word_or_a_size(value):
    found = Data(resample=value).resample
    assert found == (value if isinstance(value, str) else tuple(value)
                     if isinstance(value, list) else (value,) * 3)  # fmt: skip
    assert Data.model_validate(Data(resample=value).model_dump(mode="json")).resample == found


@pytest.mark.parametrize("value", [[8], -1, 0, [0, 1, 1], [1, 2, float("inf")], None, "maybe"])
def test_no_voxel_size_is_one_sentence(value):
    with pytest.raises(ConfigError, match=r"data\.resample.* auto, none or a voxel size: Z, Y, X"):
        build_experiment({"data": {"resample": value}})
