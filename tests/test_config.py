import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_surfseg.config import (
    LOSS_TERMS,
    MODEL_PRESETS,
    Data,
    Experiment,
    Loss,
    Pair,
    ValidationSlab,
    apply_overrides,
    build_experiment,
    dump_experiment,
    load_experiment,
    load_preset,
    preset_names,
    resolve_paths,
)
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


# ---- what is refused, and how it is said


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
            "In --set, model.preset is 'huge', but it must be 'auto', 'tiny', 'small', 'base' or "
            "'exp001'.",
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
            "In --set, data.train is 'a.tif', but it must be a list.",
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
            "model, loss, training, inference, preview).",
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
            "There is no setting 'mask' in data.train.0 (allowed: image, labels, roi).",
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
def test_a_fault_is_one_sentence_about_its_key(assignment, field, sentence):
    assert refused(assignment) == (sentence, field)


def test_values_with_two_meanings():
    sentence, field = refused("data.labels.ignore=[1]")
    assert "value 1 is listed as foreground and as ignore" in sentence
    assert field == "data.labels"


def test_a_loss_of_nothing():
    none = "{" + ", ".join(f"{term}: 0" for term in LOSS_TERMS) + "}"
    assert "at least one loss weight must be above 0" in refused(f"loss={none}")[0]


def test_a_box_that_is_none():
    sentence, field = refused("data.train=[{image: a, labels: b, roi: [[0,1],[5,2],[0,3]]}]")
    assert "each axis needs 0 <= start < stop" in sentence
    assert field == "data.train.0.roi"


# ---- files


def write(tmp_path, text):
    path = tmp_path / "experiment.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("data: [", "is not valid YAML at line 1, column 8: "),
        ("- a\n- b\n", "holds a list; it must be a mapping with the sections experiment, data"),
        (
            "training: {max_epochs: 3, max_epochs: 4}",
            "at line 1, column 27: the key max_epochs is given twice",
        ),
        ("trainin: {}", "There is no setting 'trainin'; did you mean training?"),
        ("training: {max_epochs: 0}", "experiment.yaml, training.max_epochs is 0"),
        ("? [a, b]\n: c\n", "is not"),
        ("a: !!python/object/apply:os.system [ls]", "is not valid YAML"),
    ],
)
def test_a_faulty_file_is_named(tmp_path, text, words):
    with pytest.raises(ConfigError, match=r"\.$") as caught:
        load_experiment(write(tmp_path, text))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(ConfigError, match="There is no configuration file"):
        load_experiment(tmp_path / "nowhere.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_experiment(tmp_path / "binary.yaml")


def test_an_empty_file_is_all_defaults(tmp_path):
    assert load_experiment(write(tmp_path, "")) == Experiment()


def test_paths_are_taken_from_the_files_folder(tmp_path):
    path = write(
        tmp_path,
        """
data:
  train: {image: a.tif, labels: deep/b.zarr::1}
  validation: [{image: /abs/c.tif, labels: "https://example.org/d.zarr"}]
""",
    )
    data = load_experiment(path).data
    assert data.train[0].image == str((tmp_path / "a.tif").resolve())
    assert data.train[0].labels == str((tmp_path / "deep" / "b.zarr").resolve()) + "::1"
    assert data.validation[0].image == str(Path("/abs/c.tif").resolve())
    assert data.validation[0].labels == "https://example.org/d.zarr"


def test_the_network_to_start_from_is_taken_from_the_files_folder(tmp_path):
    path = write(tmp_path, "model: {start_from: runs/first}")
    found = load_experiment(path).model.start_from
    assert found == str((tmp_path / "runs" / "first").resolve())


def test_a_section_that_was_set_can_be_changed_further():
    overrides = ["model={preset: tiny}", "model.blocks_per_stage=2", "data.augmentation={noise: 0}"]
    found = apply_overrides(Experiment(), [*overrides, "data.augmentation.affine=0.5"])
    assert (found.model.preset, found.model.blocks_per_stage) == ("tiny", 2)
    assert (found.data.augmentation.noise, found.data.augmentation.affine) == (0, 0.5)


def test_resolving_twice_changes_nothing(tmp_path):
    experiment = Experiment(
        data=Data(train=(Pair(image="a.tif", labels="b.tif"),)), model={"start_from": "run"}
    )
    once = resolve_paths(experiment, tmp_path)
    assert resolve_paths(once, tmp_path / "elsewhere") == once


def test_what_is_written_reads_back_equal(tmp_path):
    experiment = apply_overrides(
        Experiment(),
        [
            "data.train=[{image: /a.tif, labels: /b.tif, roi: [[0, 5], [1, 6], [2, 7]]}]",
            "data.validation=[{image: /c.tif, labels: /d.tif}]",
            "data.spacing=[0.5, 0.25, 0.25]",
            "training.learning_rate=3e-4",
            "experiment.notes='two\n\nlines: with \"quotes\"'",
            "model.multipliers=[1, 2, 4]",
        ],
    )
    path = write(tmp_path, dump_experiment(experiment))
    assert load_experiment(path) == experiment


# ---- overrides


def test_overrides_apply_in_order_and_in_depth():
    experiment = apply_overrides(
        Experiment(),
        [
            "training.max_epochs=3",
            "training.max_epochs=7",
            "data.augmentation.noise=0",
            "data.validation.gap=4",
            "training.max_minutes=null",
            "data.patch_size=[32,64,64]",
        ],
    )
    assert experiment.training.max_epochs == 7
    assert experiment.data.augmentation.noise == 0
    assert experiment.data.validation == ValidationSlab(fraction=0.15, gap=4)
    assert experiment.data.patch_size == (32, 64, 64)
    assert Experiment().training.max_epochs is None  # the original is as it was


def test_a_slab_and_pairs_replace_each_other():
    pairs = apply_overrides(Experiment(), ["data.validation=[{image: a, labels: b}]"])
    assert pairs.data.validation == (Pair(image="a", labels="b"),)
    slab = apply_overrides(pairs, ["data.validation.fraction=0.3"])
    assert slab.data.validation == ValidationSlab(fraction=0.3)


def test_brackets_may_be_left_out():
    experiment = apply_overrides(
        Experiment(), ["data.train={image: a, labels: b}", "data.labels.foreground=255"]
    )
    assert experiment.data.train == (Pair(image="a", labels="b"),)
    assert experiment.data.labels.foreground == (255,)


def test_null_means_auto_for_learning_rates():
    values = {"training": {"learning_rate": None, "max_learning_rate": None}}
    assert build_experiment(values).training.learning_rate == "auto"


@given(st.floats(min_value=0, max_value=1e6), st.sampled_from(LOSS_TERMS))
def test_any_weight_from_nothing_up_is_taken(weight, term):
    assert apply_overrides(Experiment(), [f"loss.{term}={weight!r}"]).loss.weights[term] == weight


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


# ---- presets


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


def test_the_reference_experiment():
    preset = load_preset("exp001_3d_unet_topology_full")
    assert preset.model.preset == "exp001"
    assert preset.data.patch_size == (72, 136, 136)
    assert preset.data.foreground_share == 0.65
    training = preset.training
    assert (training.max_epochs, training.train_iterations_per_epoch) == (32, 10)
    assert (training.train_batch_size, training.workers) == (1, 2)
    assert (training.learning_rate, training.max_learning_rate) == (3e-4, 6e-4)
    assert (training.gradient_clip, training.ema_decay) == (0.8, 0.998)
    assert preset.loss == Loss()


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_brings_its_own_data(name):
    preset = load_preset(name)
    assert preset.data.train == ()
    assert preset.data.phantom is not None
    assert all(
        p >= e for p, e in zip(preset.data.phantom.shape, preset.data.patch_size, strict=True)
    )
    assert preset.model.preset in ("auto", *MODEL_PRESETS)


def test_a_preset_that_is_none():
    with pytest.raises(ConfigError, match=r"There is no preset 'huge'; there are demo, exp001"):
        load_preset("huge")
