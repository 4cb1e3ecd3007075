"""What is refused, and the sentence that says so."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_surfseg.config import Experiment
from napari_surfseg.config_files import apply_overrides, build_experiment
from napari_surfseg.errors import ConfigError


def refused(assignment, experiment=None):
    with pytest.raises(ConfigError) as caught:
        apply_overrides(experiment or Experiment(), [assignment])
    sentence = str(caught.value)
    assert sentence.endswith(".")
    assert "\n" not in sentence
    for leak in (
        "constrained",
        "literal[",
        "pydantic",
        "Value error",
        "Input should",
        "ValidationSlab",
    ):
        assert leak not in sentence
    return sentence, caught.value.field


def refusal_of(function, *arguments):
    """Return why a call was refused; a full stop if it was not."""
    try:
        function(*arguments)
    except ConfigError as error:
        return str(error)
    return "."


@pytest.mark.parametrize(
    ("assignment", "field", "sentence"),
    [
        (
            "data.patch_size=[1,2]",
            "data.patch_size",
            "In --set, data.patch_size is [1, 2], but it must be a list of 3 values (Z, Y, X).",
        ),
        (
            "data.patch_size=64",
            "data.patch_size",
            "In --set, data.patch_size is 64, but it must be a list of 3 values (Z, Y, X).",
        ),
        (
            "data.patch_size=[0,64,64]",
            "data.patch_size.0",
            "In --set, data.patch_size.0 is 0, but it must be above 0.",
        ),
        (
            "training.workers=-1",
            "training.workers",
            "In --set, training.workers is -1, but it must be at least 0 or 'auto'.",
        ),
        (
            "training.workers=lots",
            "training.workers",
            "In --set, training.workers is 'lots', but it must be a whole number or 'auto'.",
        ),
        (
            "training.max_epochs=1.5",
            "training.max_epochs",
            "In --set, training.max_epochs is 1.5, but it must be a whole number.",
        ),
        (
            "training.max_minutes=.inf",
            "training.max_minutes",
            "In --set, training.max_minutes is inf, but it must be a finite number.",
        ),
        (
            "model.preset=huge",
            "model.preset",
            "In --set, model.preset is 'huge', but it must be 'auto', 'tiny', 'small', 'base', "
            "'exp001', 'monai' or 'nnunet'.",
        ),
        (
            "loss.cldice=yes",
            "loss.cldice",
            "In --set, loss.cldice is True: it takes no true or false.",
        ),
        (
            "experiment.name=",
            "experiment.name",
            "In --set, experiment.name is empty, but it must be a text.",
        ),
        (
            "training=5",
            "training",
            "In --set, training is 5, but it must be a mapping of settings.",
        ),
        (
            "data.train=[{image: a}]",
            "data.train.0.labels",
            "In --set, data.train.0.labels is missing.",
        ),
        (
            "data.train=a.tif",
            "data.train",
            "In --set, data.train is 'a.tif'; it must be a list of pairs, a table (a file that "
            "ends in .csv or .tsv), or a pattern such as {image: 'images/*.tif', labels: "
            "'labels/{name}.tif'}.",
        ),
        (
            "data.validation=[]",
            "data.validation",
            "In --set, data.validation is []: a list of validation pairs must not be empty.",
        ),
        (
            "data.validation.fraction=2",
            "data.validation.fraction",
            "In --set, data.validation.fraction is 2, but it must be below 0.9.",
        ),
        (
            "traning.max_epochs=3",
            "traning",
            "There is no setting 'traning'; did you mean training? (allowed: experiment, data, "
            "model, loss, training, postprocess, inference, preview).",
        ),
        (
            "data.validation={fractoin: 0.1}",
            "data.validation.fractoin",
            "There is no setting 'fractoin' in data.validation; did you mean fraction? (allowed: "
            "fraction, gap).",
        ),
        (
            "data.train=[{image: a, labels: b, mask: c}]",
            "data.train.0.mask",
            "There is no setting 'mask' in data.train.0 (allowed: image, labels, roi, "
            "weight, spacing).",
        ),
        (
            "training.max_epochs",
            None,
            "The override 'training.max_epochs' must have the form KEY=VALUE, for example "
            "training.max_epochs=3.",
        ),
        (
            "training.max_epochs=[1",
            None,
            "The value of the override 'training.max_epochs=[1' is not valid YAML.",
        ),
    ],
)
def test_an_error_is_one_sentence_about_its_key(assignment, field, sentence):
    assert refused(assignment) == (sentence, field)


@given(st.text(max_size=40))
def test_no_override_escapes_as_anything_but_a_sentence(text):
    sentence = refusal_of(apply_overrides, Experiment(), [text])
    assert sentence.endswith(".")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["data", "train", "image", "labels", "loss", "cldice", "x"]),
                inner,
                max_size=3,
            )
        ),
        max_leaves=8,
    ).filter(lambda value: isinstance(value, dict))
)
def test_no_values_escape_as_anything_but_a_sentence(values):
    sentence = refusal_of(build_experiment, values)
    assert sentence.endswith(".")
    # What was found may be quoted with its line ends; the sentence has none of its own.
    assert "\n" not in re.sub(r"'[^']*'|\"[^\"]*\"", "", sentence)
