from dataclasses import replace
from pathlib import Path

import pytest

from napari_surfseg.config import Model
from napari_surfseg.gui.training.start_from_note import (
    describe_file_start,
    describe_start,
    find_meant,
)
from napari_surfseg.runs.checkpoint_summary import CheckpointSummary

SUMMARY = CheckpointSummary(
    Path("best.pt"), name="first", model="tiny", epoch=3, metrics={"surface_dice": 0.934}
)


@pytest.mark.parametrize(
    ("model", "device", "meant", "said"),
    [
        ({}, "cpu", "sheets-tiny", "It finds sheets already"),
        ({"preset": "tiny"}, "cuda", "sheets-tiny", "learns yours from there"),
        ({"preset": "tiny", "dropout": 0.3}, "cpu", "sheets-tiny", "learns yours from there"),
        ({"preset": "tiny", "deep_supervision": True}, "cpu", "sheets-tiny", "learns yours"),
        ({}, "cuda", None, "choose sheets-tiny above to take what fits"),
        ({"preset": "small"}, "cpu", None, "No network of the package is built like this one"),
        ({"base_channels": 8}, "cpu", None, "No network of the package is built like this one"),
        ({"activation": "relu"}, "cpu", None, "No network of the package is built like this one"),
        ({"preset": "monai", "network": "BasicUNet"}, "cpu", None, "No network of the package"),
        ({"start_from": "none"}, "cpu", "sheets-tiny", "It begins knowing nothing"),
        ({"start_from": "sheets-tiny"}, "cuda", None, "It finds sheets already"),
        ({"start_from": "sheets-tiny", "preset": "small"}, "cpu", None, "only the layers that fit"),
        ({"start_from": "sheets-tiny", "preset": "tiny"}, "cpu", "sheets-tiny", "learns yours"),
        ({"start_from": "best.pt"}, "cpu", "sheets-tiny", ""),
    ],
)
def test_what_will_be_taken_is_said(registry, model, device, meant, said):
    registry.add()
    found = find_meant(Model(**model), device)
    assert (found.name if found else None) == meant
    sentence = describe_start(Model(**model), device)
    assert said in sentence
    assert bool(sentence) == bool(said)


def test_without_networks_every_start_is_from_scratch(registry):
    assert find_meant(Model(), "cpu") is None
    assert "knowing nothing" in describe_start(Model(), "cpu")


@pytest.mark.parametrize(
    ("preset", "said"),
    [("auto", "its weights are taken"), ("tiny", "its weights are taken"),
     ("small", "of another size")],
)  # fmt: skip
def test_a_file_is_described_by_its_summary(preset, said):
    sentence = describe_file_start(Model(preset=preset, start_from="best.pt"), SUMMARY)
    assert sentence.startswith("best.pt of first, network tiny, epoch 3, surface Dice 0.93: ")
    assert said in sentence


def test_a_file_without_a_summary_is_no_error():
    bare = replace(SUMMARY, model="")
    assert "that fit are taken" in describe_file_start(Model(start_from="best.pt"), bare)
