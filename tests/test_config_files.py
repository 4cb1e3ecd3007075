"""Reading, changing and writing experiments, and the presets that come with the package."""

from pathlib import Path

import pytest

from napari_surfseg.config import MODEL_PRESETS, Data, Experiment, Loss, Pair, ValidationSlab
from napari_surfseg.config_files import (
    apply_overrides,
    dump_experiment,
    load_experiment,
    load_preset,
    preset_names,
    resolve_paths,
)
from napari_surfseg.errors import ConfigError

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
def test_an_invalid_file_is_named(tmp_path, text, words):
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


# ---- presets


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


def test_an_unknown_preset():
    with pytest.raises(ConfigError, match=r"There is no preset 'huge'; there are demo, exp001"):
        load_preset("huge")
