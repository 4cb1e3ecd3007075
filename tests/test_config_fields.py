"""What the fields of the configuration say about themselves."""

from typing import Annotated

import pytest
from pydantic import BaseModel, Field

from napari_surfseg.config import Experiment, Pair, ValidationSlab
from napari_surfseg.config_fields import describe_field, field_keys, models_in


def test_every_setting_says_what_it_means():
    keys = list(field_keys())
    assert {"training.max_epochs", "data.train.roi", "data.validation.gap"} <= set(keys)
    for key in keys:
        if key.startswith("loss."):  # described in the class's docstring
            continue
        meaning = describe_field(key).meaning
        assert meaning[:1].isupper() or meaning.startswith(("`", "zarr", "AdamW")), key
        assert meaning.endswith("."), key


def test_offered_ranges_lie_within_the_limits():
    for key in field_keys():
        field = describe_field(key)
        low, high = field.offered
        if field.low is not None:
            assert low is not None, key
            assert low >= field.low, key
        if field.high is not None:
            assert high is not None, key
            assert high <= field.high, key


@pytest.mark.parametrize(
    ("key", "limits", "unit"),
    [
        ("inference.overlap", "0 to 0.9", ""),
        ("inference.threshold", "above 0, below 1", ""),
        ("data.validation.fraction", "0 to below 0.9", ""),
        ("training.validation_share", "above 0, at most 1", ""),
        ("training.max_epochs", "above 0", "epochs"),
        ("training.workers", "0 to 256", "threads"),
        ("data.validation.gap", "at least 0", "voxels"),
        ("data.patch_size", "above 0", "voxels"),
        ("data.cache_gib", "above 0", "GiB"),
        ("experiment.notes", "", ""),
    ],
)
def test_limits_and_units(key, limits, unit):
    field = describe_field(key)
    assert (field.limits, field.unit) == (limits, unit)


def test_a_range_that_a_control_offers():
    assert describe_field("training.train_batch_size").offered == (1, 64)
    assert describe_field("data.foreground_share").offered == (0, 1)
    assert describe_field("data.validation.gap").offered == (0, None)


def test_choices_and_defaults():
    precision = describe_field("training.precision")
    assert precision.choices == ("auto", "float32", "bf16")
    assert precision.default == "auto"
    assert describe_field("model.deep_supervision").choices == (True, False, None)
    assert describe_field("training.max_epochs").choices == (None,)


def test_limits_of_another_model():
    class Inner(BaseModel):
        size: Annotated[int, Field(le=5)] | None = None

    class Outer(BaseModel):
        inner: Inner = Inner()

    field = describe_field("inner.size", Outer)
    assert (field.low, field.high, field.limits) == (None, 5, "at most 5")
    assert list(field_keys(Outer)) == ["inner.size"]


@pytest.mark.parametrize("key", ["training.max_epoch", "loss.nothing.more", "nowhere"])
def test_an_unknown_key(key):
    with pytest.raises(KeyError):
        describe_field(key)


def test_the_models_of_alternatives_are_found():
    validation = Experiment.model_fields["data"].annotation.model_fields["validation"]
    assert list(models_in(validation.annotation)) == [ValidationSlab, Pair]


def test_types_leave_out_what_can_be_listed():
    assert describe_field("training.workers").types == {int}
    assert describe_field("model.multipliers").types == {int, tuple}
    assert describe_field("model.start_from").types == {str}
    assert describe_field("inference.flips").types == set()
