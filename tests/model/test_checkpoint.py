import json
import pickle
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from napari_surfseg.config import Experiment
from napari_surfseg.errors import CheckpointError, OutputError
from napari_surfseg.model.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from napari_surfseg.model.intensity import Intensity
from napari_surfseg.model.network import build_unet


@pytest.fixture
def checkpoint():
    experiment = Experiment(model={"preset": "tiny", "base_channels": 4, "multipliers": (1, 2)})
    torch.manual_seed(1)
    return Checkpoint(
        experiment=experiment,
        weights=build_unet(experiment.model).state_dict(),
        intensity=Intensity(0.0, 255.0, 0.4, 0.2),
        patch_size=(16, 32, 32),
        spacing=(1.0, 0.5, 0.5),
        threshold=0.37,
        epoch=3,
        step=30,
        metrics={"surface_dice": 0.9},
    )


def test_what_is_saved_comes_back(tmp_path, checkpoint):
    path = tmp_path / "best.pt"
    save_checkpoint(path, checkpoint)
    found = load_checkpoint(path)
    for name in ("experiment", "patch_size", "spacing", "threshold", "epoch", "step", "metrics"):
        assert getattr(found, name) == getattr(checkpoint, name)
    image = torch.randn(1, 1, 16, 16, 16)
    with torch.inference_mode():
        first, second = (c.build_model()(image) for c in (checkpoint, found))
    assert torch.equal(first, second)
    assert found.intensity.mean == 0.4
    summary = json.loads((tmp_path / "best.json").read_text())
    assert summary["threshold"] == 0.37
    assert summary["metrics"] == {"surface_dice": 0.9}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["best.json", "best.pt"]


class _Evil:
    def __reduce__(self):
        return (pytest.fail, ("the checkpoint was unpickled",))


def test_a_hostile_file_is_not_opened(tmp_path):
    for name, write in (
        ("torch.pt", lambda p: torch.save({"format": _Evil()}, p)),
        ("pickle.pt", lambda p: p.write_bytes(pickle.dumps(_Evil()))),
    ):
        path = tmp_path / name
        write(path)
        with pytest.raises(CheckpointError, match=name):
            load_checkpoint(path)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda v: v.update(format="other"), "is not a napari-surfseg checkpoint"),
        (lambda v: v.update(version=99), "update napari-surfseg"),
        (lambda v: v.pop("threshold"), "threshold"),
        (lambda v: v.update(patch_size=[1, 2]), "damaged"),
        (lambda v: v["experiment"].update(nonsense=1), "nonsense"),
        (lambda v: v["weights"].pop("refine.bias"), "lack refine.bias"),
        (lambda v: v["weights"].update(more=torch.zeros(1)), "stray more"),
        (lambda v: v["weights"].update({"refine.bias": torch.zeros(3)}), "shape"),
        (
            lambda v: v["weights"].update(
                {"refine.bias": torch.full_like(v["weights"]["refine.bias"], np.nan)}
            ),
            "NaN",
        ),
    ],
)
def test_what_does_not_fit_is_one_sentence(tmp_path, checkpoint, change, says):
    path = tmp_path / "best.pt"
    save_checkpoint(path, checkpoint)
    values = torch.load(path, weights_only=True)
    change(values)
    torch.save(values, path)
    with pytest.raises(CheckpointError, match=says) as caught:
        load_checkpoint(path)
    sentence = str(caught.value)
    assert "best.pt" in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence


def test_damaged_and_missing_files(tmp_path, checkpoint):
    path = tmp_path / "half.pt"
    save_checkpoint(path, checkpoint)
    path.write_bytes(path.read_bytes()[:1000])
    (tmp_path / "text.pt").write_text("hello")
    (tmp_path / "empty.pt").write_bytes(b"")
    for name in ("half.pt", "text.pt", "empty.pt", "missing.pt", "."):
        with pytest.raises(CheckpointError) as caught:
            load_checkpoint(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_a_failed_save_keeps_the_earlier_file(tmp_path, checkpoint, monkeypatch):
    path = tmp_path / "last.pt"
    save_checkpoint(path, checkpoint)
    before = path.read_bytes()

    def full_disk(values, target):
        target.write_bytes(b"half")
        raise RuntimeError("PytorchStreamWriter failed writing file")

    monkeypatch.setattr(torch, "save", full_disk)
    with pytest.raises(OutputError, match="failed writing file"):
        save_checkpoint(path, checkpoint)
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=1000))
    with pytest.raises(OutputError, match="disk is full"):
        save_checkpoint(path, checkpoint)
    assert path.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["last.json", "last.pt"]


def test_networks_from_before_the_refinement_are_named(tmp_path, checkpoint):
    weights = dict(checkpoint.weights)
    del weights["refine.weight"], weights["refine.bias"]
    weights["head.linear.bias"] = torch.zeros(8)
    path = tmp_path / "best.pt"
    save_checkpoint(path, replace(checkpoint, weights=weights))
    with pytest.raises(CheckpointError, match=r"earlier version.*checker board.*train again\.$"):
        load_checkpoint(path)
