"""Networks of MONAI by the command line: trained, predicted with, resumed, started from, scored."""

import json

import numpy as np
import pytest
import torch
import yaml

from napari_surfseg.config import MONAI_NETWORKS
from napari_surfseg.config_files import load_experiment
from napari_surfseg.model.checkpoint import load_checkpoint

#: What a test run of each day takes; the others are as slow again.
QUICK = ("SegResNetDS", "UNETR")
PATCHES = {"FlexibleUNet": [32, 32, 64], "SwinUNETR": [32, 32, 64]}


@pytest.fixture
def train(surfseg, volumes, monkeypatch, tiny_monai):
    """Return a function that trains a network for three steps and returns the run's checkpoint."""
    from napari_surfseg.runs.report import page as report

    monkeypatch.setattr(report, "write_report", lambda run_dir: run_dir / "report.md")

    def run(name, *options, folder="run"):
        config = {
            "data": {
                "train": [{"image": "image.tif", "labels": "labels.tif"}],
                "patch_size": PATCHES.get(name, [16, 32, 32]),
            },
            "model": {"preset": "monai", "network": name, "arguments": tiny_monai[name]},
            "training": {"max_epochs": 1, "train_iterations_per_epoch": 3},
        }
        (volumes / "monai.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
        code, out, err = surfseg(
            "train", "monai.yaml", "--run-dir", folder, "--device", "cpu", *options
        )
        assert (code, err) == (0, ""), err
        assert f"{name} of MONAI" in (volumes / folder / "events.jsonl").read_text("utf-8")
        return volumes / folder / "checkpoints" / "best.pt", out

    return run


@pytest.mark.parametrize(
    "name",
    [
        name if name in QUICK else pytest.param(name, marks=pytest.mark.slow)
        for name in MONAI_NETWORKS
    ],
)
def test_a_network_is_trained_resumed_and_predicted_with(name, train, surfseg, read, volumes):
    best, _ = train(name)
    checkpoint = load_checkpoint(best)
    assert checkpoint.experiment.model.network == name
    assert all(torch.isfinite(tensor).all() for tensor in checkpoint.weights.values())
    summary = json.loads(best.with_suffix(".json").read_text(encoding="utf-8"))
    assert summary["model"] == f"{name} of MONAI"
    network = checkpoint.build_model()
    assert summary["num_parameters"] == sum(w.numel() for w in network.parameters())
    code, _, err = surfseg(
        "train", "run", "--resume", "--set", "training.max_epochs=2", "--device", "cpu"
    )
    assert (code, err) == (0, "")
    assert load_checkpoint(volumes / "run" / "checkpoints" / "last.pt").step == 6
    code, _, err = surfseg(
        "predict", "image.tif", "--checkpoint", best, "--output", "out.tif", "--probabilities"
    )
    assert code == 0, err
    found = read("out.tif")
    assert found.shape == (24, 40, 48)
    assert len(np.unique(found)) > 1
    code, out, _ = surfseg("evaluate", "out.tif", "labels.tif", "--json")
    assert code == 0
    assert json.loads(out)


def test_a_run_starts_from_a_network_of_monai(train, surfseg, volumes):
    first, _ = train("SegResNetDS", folder="first")
    slow = ("--set", "training.max_learning_rate=1.0e-12", "--set", f"model.start_from={first}")
    second, _ = train("SegResNetDS", *slow, folder="second")
    for name, tensor in load_checkpoint(first).weights.items():
        torch.testing.assert_close(load_checkpoint(second).weights[name], tensor, atol=1e-5, rtol=0)
    # An automatic size takes the network of the checkpoint, arguments and all.
    automatic = ("--set", "model={preset: auto}", "--set", f"model.start_from={first}")
    third, _ = train("SegResNetDS", *automatic, folder="third")
    model = load_checkpoint(third).experiment.model
    assert model.arguments == load_checkpoint(first).experiment.model.arguments
    assert load_experiment(volumes / "third" / "config.yaml").model.preset == "auto"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arguments": {"init_filterz": 3}}, "model.arguments.init_filterz is not an argument of"),
        ({"arguments": {"act": "os.system"}}, "act is 'os.system', but a text is a word"),
        ({"network": None}, "preset: monai needs network"),
        ({"network": "UNETR2"}, "model.network is 'UNETR2'"),
        ({"network": "UNet", "arguments": {"channels": [4, 8], "strides": [9]}}, "divisible by 9"),
        ({"deep_supervision": True, "network": "VNet", "arguments": None}, "no coarser outputs"),
    ],
)
def test_what_does_not_fit_is_one_sentence(changes, message, surfseg, volumes):
    config = {
        "data": {"train": [{"image": "image.tif", "labels": "labels.tif"}], "patch_size": [16] * 3},
        "model": {"preset": "monai", "network": "SegResNetDS", **changes},
    }
    (volumes / "monai.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    code, _, err = surfseg("train", "monai.yaml", "--run-dir", "run", "--device", "cpu")
    assert code == 2
    assert message in err
    assert err.count("\n") == 1
    assert "Traceback" not in err
