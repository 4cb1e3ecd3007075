"""What every prediction shares."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from tests.inference.conftest import PLAIN

from napari_surfseg.config import Experiment
from napari_surfseg.config_files import apply_overrides
from napari_surfseg.inference.settings import PredictionSettings

SETTINGS = PredictionSettings(PLAIN, window=(16, 16, 16))


def test_flips_are_chosen_by_size_where_they_are_left_open():
    auto = replace(SETTINGS, flips="auto")
    assert auto.with_flips_for((64, 64, 64)).flips is True
    assert auto.with_flips_for((1024, 1024, 1024)).flips is False
    assert replace(auto, device="cuda").with_flips_for((512, 512, 1024)).flips is True
    assert replace(SETTINGS, flips=True).with_flips_for((1024, 1024, 1024)).flips is True
    assert SETTINGS.with_flips_for((8, 8, 8)).flips is False


@pytest.mark.parametrize("device", ["cuda", "cuda:1", torch.device("cuda", 1)])
def test_the_type_of_a_device_is_its_name_without_a_number(device):
    assert replace(SETTINGS, device=device).device_type == "cuda"


def test_an_unknown_precision_is_refused():
    with pytest.raises(ValueError, match="'float32' or 'bf16', not 'fp16'"):
        replace(SETTINGS, precision="fp16")


@pytest.mark.parametrize(
    ("trained", "device", "expected"),
    [
        ("auto", "cpu", "float32"),
        ("bf16", "cpu", "float32"),
        ("float32", "cuda", "float32"),
        ("auto", "cuda", "bf16"),
        ("bf16", "cuda", "bf16"),
    ],
)
def test_the_precision_is_that_of_the_training(monkeypatch, trained, device, expected):
    monkeypatch.setattr("torch.cuda.get_device_capability", lambda *_: (9, 0))
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda *_: True)
    experiment = apply_overrides(Experiment(), [f"training.precision={trained}"])
    checkpoint = SimpleNamespace(experiment=experiment)
    settings = replace(SETTINGS, precision="auto", device=device)
    assert settings.with_precision_of(checkpoint).precision == expected
    own = replace(settings, precision="float32")
    assert own.with_precision_of(checkpoint) is own
