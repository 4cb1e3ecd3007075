"""Starting from the weights of another network: what is taken, what is refused, what is kept."""

import re

import pytest
import torch

from napari_surfseg import events
from napari_surfseg.config import Experiment
from napari_surfseg.config_files import apply_overrides, build_experiment, dump_experiment
from napari_surfseg.errors import CheckpointError, ConfigError
from napari_surfseg.model.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from napari_surfseg.model.intensity import Intensity
from napari_surfseg.model.network import build_unet
from napari_surfseg.model.shipped_network import load_shipped
from napari_surfseg.runs.event_text import describe_event

BEST = "first/checkpoints/best.pt"
SMALL = "model={preset: tiny, base_channels: 4, multipliers: [1, 2]}"


@pytest.fixture
def experiment(experiment):
    """Let the weights stay as they are, and the grey values be those of a run's own."""
    return apply_overrides(
        experiment,
        [
            "training.max_epochs=1",
            "training.train_iterations_per_epoch=1",
            "training.max_learning_rate=1.0e-12",
        ],
    )


def save_network(folder, *overrides):
    """Save a network with weights of its own, as a run would."""
    torch.manual_seed(3)
    experiment = apply_overrides(Experiment(), [SMALL, *overrides])
    weights = build_unet(experiment.model, device="cpu").state_dict()
    checkpoint = Checkpoint(
        experiment=experiment,
        weights={name: tensor + 0.125 for name, tensor in weights.items()},
        intensity=Intensity(1000.0, 2000.0, 0.1, 0.9),
        patch_size=(16, 32, 32),
        spacing=(1.0, 1.0, 1.0),
    )
    (folder / "checkpoints").mkdir(parents=True)
    save_checkpoint(folder / "checkpoints" / "best.pt", checkpoint)
    return checkpoint


@pytest.fixture
def train(training_run):
    """Train with some settings changed; return the run."""

    def run(folder, experiment, *overrides, resume=False):
        changed = apply_overrides(experiment, list(overrides))
        return training_run(folder, changed, resume=resume).run()

    return run


def assert_alike(weights, expected):
    for name, tensor in expected.items():
        torch.testing.assert_close(weights[name], tensor, rtol=0, atol=1e-6)


def test_the_weights_of_a_run_are_taken_and_its_grey_values_are_not(tmp_path, train, experiment):
    first = save_network(tmp_path / "first")
    train(tmp_path / "second", experiment, f"model.start_from={tmp_path}/{BEST}")
    last = load_checkpoint(tmp_path / "second" / "checkpoints" / "last.pt")
    assert_alike(last.weights, first.weights)
    assert_alike(last.training["weights"], first.weights)
    assert last.intensity.high < 256
    assert last.experiment.model.start_from == f"{tmp_path}/{BEST}"


def test_resuming_keeps_what_was_learned_since(tmp_path, train, experiment):
    save_network(tmp_path / "first")
    overrides = (f"model.start_from={tmp_path}/{BEST}", "training.max_learning_rate=0.01")
    train(tmp_path / "second", experiment, *overrides)
    path = tmp_path / "second" / "checkpoints" / "last.pt"
    learned = load_checkpoint(path).training["weights"]
    (tmp_path / "first" / "checkpoints" / "best.pt").unlink()
    slow = (overrides[0], "training.max_learning_rate=1.0e-12", "training.max_epochs=2")
    run = train(tmp_path / "second", experiment, *slow, resume=True)
    assert isinstance(run.events[-1], events.RunCompleted)
    assert_alike(load_checkpoint(path).training["weights"], learned)


def test_auto_takes_the_other_network_and_a_resumed_run_keeps_it(tmp_path, train, experiment):
    first = save_network(tmp_path / "first", "model.base_channels=6")
    auto = f"model={{preset: auto, start_from: {tmp_path}/{BEST}}}"
    train(tmp_path / "second", experiment, auto)
    last = load_checkpoint(tmp_path / "second" / "checkpoints" / "last.pt")
    assert last.experiment.model.base_channels == 6
    assert_alike(last.weights, first.weights)
    train(tmp_path / "second", experiment, auto, "training.max_epochs=2", resume=True)


def test_heads_that_the_other_network_lacks_stay_fresh(tmp_path, train, experiment):
    first = save_network(tmp_path / "first", "model.multipliers=[1,2,2]")
    overrides = [
        f"model.start_from={tmp_path}/{BEST}",
        "model.multipliers=[1,2,2]",
        "model.deep_supervision=true",
    ]
    train(tmp_path / "second", experiment, *overrides)
    last = load_checkpoint(tmp_path / "second" / "checkpoints" / "last.pt")
    assert_alike(last.weights, first.weights)
    assert len(last.weights) > len(first.weights)


@pytest.mark.parametrize(
    ("override", "setting", "said"),
    [
        ("model.base_channels=8", "model.base_channels", "is 4, but .* has 8, .* set it"),
        ("model={preset: tiny}", "model.base_channels", "has the preset's own, .* leave it out"),
        ("model={preset: small}", "model.preset", "is tiny, but .* has small, .* model.preset to"),
    ],
)  # fmt: skip
def test_a_network_of_which_nothing_fits_is_refused_by_its_setting(
    tmp_path, train, experiment, override, setting, said
):
    save_network(tmp_path / "first", override)
    with pytest.raises(ConfigError, match=said) as refused:
        train(tmp_path / "second", experiment, f"model.start_from={tmp_path}/{BEST}")
    assert refused.value.field == setting
    assert str(refused.value).startswith(f"{setting} is ")


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("model.multipliers=[1,3]",
         r"^\d\d(\.\d)? % .* of another size \(model\.multipliers is \[1, 3\] there and"),
        (SMALL.replace("}", ", blocks_per_stage: 2}"),
         r"^100 % .* \(model\.blocks_per_stage is 2 there and the preset's own here\)\."),
        (SMALL.replace("}", ", activation: mish}"),
         "trained with the activation mish, this network has leakyrelu"),
    ],
)  # fmt: skip
def test_of_another_size_what_fits_is_taken_and_said(tmp_path, train, experiment, override, said):
    first = save_network(tmp_path / "first", override)
    run = train(tmp_path / "second", experiment, f"model.start_from={tmp_path}/{BEST}")
    (taken,) = run.of(events.WeightsLoaded)
    assert re.search(said, taken.note)
    assert taken.source == f"{tmp_path}/{BEST}"
    assert 0 < taken.num_taken <= taken.num_parameters
    last = load_checkpoint(tmp_path / "second" / "checkpoints" / "last.pt")
    fitting = {
        name: tensor
        for name, tensor in first.weights.items()
        if name in last.weights and last.weights[name].shape == tensor.shape
    }
    assert sum(tensor.numel() for tensor in fitting.values()) == taken.num_taken
    assert_alike(last.weights, fitting)


def test_what_fits_wholly_is_said_without_a_note(tmp_path, train, experiment):
    save_network(tmp_path / "first")
    run = train(tmp_path / "second", experiment, f"model.start_from={tmp_path}/{BEST}")
    (taken,) = run.of(events.WeightsLoaded)
    assert (taken.note, taken.num_taken) == ("", taken.num_parameters)
    assert describe_event(taken) == [f"    starts from {tmp_path}/{BEST}"]


# -- networks that come with the package -----------------------------------------------


@pytest.mark.parametrize("start", ["auto", "sheets-tiny"])
def test_a_network_of_the_package_is_the_start(tmp_path, train, experiment, registry, start):
    registry.add()
    overrides = ("model={preset: auto}", f"model.start_from={start}")
    run = train(tmp_path / "second", experiment, *overrides)
    (taken,) = run.of(events.WeightsLoaded)
    assert taken.source == "sheets-tiny"
    last = load_checkpoint(tmp_path / "second" / "checkpoints" / "last.pt")
    assert_alike(last.weights, load_shipped().weights)
    assert last.experiment.model.start_from == "sheets-tiny"
    assert last.experiment.model.preset == "tiny"
    assert last.intensity is not None
    train(tmp_path / "second", experiment, *overrides, "training.max_epochs=2", resume=True)


@pytest.mark.parametrize(
    "model",
    [
        "{preset: tiny, start_from: none}",
        "{preset: tiny, start_from: null}",  # what configurations of earlier versions hold
        SMALL.partition("=")[2],  # of another width
        "{preset: tiny, blocks_per_stage: 2}",  # in part is not by default
        "{preset: tiny, activation: mish}",
    ],
)
def test_without_one_that_fits_weights_are_fresh(tmp_path, train, experiment, registry, model):
    registry.add()
    run = train(tmp_path / "second", experiment, f"model={model}")
    assert run.of(events.WeightsLoaded) == []
    last = load_checkpoint(tmp_path / "second" / "checkpoints" / "last.pt")
    assert last.experiment.model.start_from == "none"


def test_one_that_was_not_fetched_is_no_default(tmp_path, train, experiment, registry):
    registry.add(url="http://127.0.0.1:9/sheets-tiny.safetensors")
    run = train(tmp_path / "second", experiment, "model={preset: tiny}")
    assert run.of(events.WeightsLoaded) == []


def test_one_that_is_damaged_is_refused_by_the_setting(tmp_path, train, experiment, registry):
    registry.add().write_bytes(b"damaged")
    with pytest.raises(CheckpointError, match=r"model\.start_from.*is damaged") as refused:
        train(tmp_path / "second", experiment, "model={preset: tiny}")
    assert refused.value.field == "model.start_from"


@pytest.mark.parametrize("content", [None, b"something else"])
def test_what_is_no_checkpoint_is_refused_by_the_setting(tmp_path, train, experiment, content):
    path = tmp_path / "other.pt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"model\.start_from.*other\.pt") as refused:
        train(tmp_path / "second", experiment, f"model.start_from={path}")
    assert refused.value.field == "model.start_from"


def test_it_is_written_down():
    experiment = build_experiment({"model": {"start_from": "/runs/first"}})
    assert "start_from: /runs/first" in dump_experiment(experiment)


@pytest.mark.parametrize(
    ("overrides", "is_first"),
    [
        (("model.start_from=sheets-tiny",), True),
        (("model.start_from=none",), False),
        (("model.start_from=sheets-tiny", "preview.seconds=0"), False),
        # Of another size: what was taken finds nothing by itself.
        (("model.start_from=sheets-tiny", "model.blocks_per_stage=2"), False),
    ],
)
def test_what_a_start_finds_is_shown_before_the_first_step(
    tmp_path, train, experiment, registry, overrides, is_first
):
    registry.add(model={"preset": "tiny", "base_channels": 4, "multipliers": [1, 2]})
    run = train(tmp_path / "run", experiment, SMALL, "preview.seconds=600", *overrides)
    kinds = [
        type(event)
        for event in run.events
        if isinstance(event, events.PreviewWritten | events.StepFinished)
    ]
    assert (kinds[0] is events.PreviewWritten) == is_first
