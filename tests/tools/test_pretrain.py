"""The tool that trains the shipped networks: its stream of volumes, and a short run of it."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from napari_surfseg.model.checkpoint import load_checkpoint

ROOT = Path(__file__).parents[2]
TOOL = ROOT / "tools" / "pretrain"
SHAPE = (48, 48, 48)
KINDS = ("tissue", "walls", "membranes", "sheets", "roll")


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(TOOL))
    return importlib.import_module


@pytest.mark.parametrize("kind", KINDS)
def test_every_volume_has_surfaces_and_contrast_and_can_be_made_again(load: Any, kind: str) -> None:
    stream = load("stream").Stream(3, SHAPE, {kind: 1.0})
    for number in (0, 3):
        pair = stream.make(number)
        assert pair.image.dtype == pair.labels.dtype == np.uint8
        assert pair.image.shape == pair.labels.shape == SHAPE
        assert set(np.unique(pair.labels)) <= {0, 1, 2}
        assert pair.image.std() > 3
        if kind != "roll":
            assert 0.003 < (pair.labels == 1).mean() <= 0.4
    again = load("stream").Stream(3, SHAPE, {kind: 1.0}).make(3)
    assert np.array_equal(again.image, pair.image)
    assert np.array_equal(again.labels, pair.labels)


def test_surfaces_are_dark_before_they_are_disturbed(load: Any) -> None:
    scenes, appearance = load("scenes"), load("appearance")
    for kind, make in scenes.SCENES.items():
        differences = []
        for seed in range(3):
            rng = np.random.default_rng(seed)
            scene = make(rng, SHAPE)
            image = appearance.paint(rng, scene)
            on, off = image[scene.distance < 0.8], image[scene.distance > 6]
            if on.size and off.size:
                differences.append(float(off.mean() - on.mean()))
        assert np.median(differences) > 0.3, kind


def test_distances_of_cells_are_in_voxels(load: Any) -> None:
    """Across the wall between two cells the distance falls to 0 and rises again, by 1 a voxel."""
    fields = load("fields")
    x = np.broadcast_to(np.arange(24.0), (24, 24, 24))
    ramps = np.stack([3 * x, 3 * (23 - x)]).astype(np.float32)
    owner, distance = fields.compete(ramps)
    assert set(np.unique(owner)) == {1, 2}
    assert np.allclose(distance[:, :, 2:-2], np.abs(x - 11.5)[:, :, 2:-2], atol=1e-3)


def test_noise_has_the_size_that_is_asked_for(load: Any) -> None:
    rng = np.random.default_rng(0)
    for scale in (2.0, 8.0):
        noise = load("fields").smooth_noise(rng, (64, 64, 64), scale)
        assert noise.mean() == pytest.approx(0, abs=1e-4)
        assert noise.std() == pytest.approx(1, abs=1e-3)
        apart = int(3 * scale)
        near = np.mean(noise[:-1] * noise[1:])
        far = np.mean(noise[:-apart] * noise[apart:])
        assert near > 0.6 > 0.25 > far


def test_batches_are_normalised_by_the_whole_volume(load: Any) -> None:
    stream, draw = load("stream"), load("draw")
    rng = np.random.default_rng(2)
    image = rng.integers(90, 160, SHAPE).astype(np.uint8)
    image[:24] //= 2
    pair = stream.VolumePair("test", image, (image > 100).astype(np.uint8))
    settings = draw.DrawSettings(
        patches=((1, 48, 48, 48),), inverted=0.5, noise=0.0, blurred=0.0, misjudged=0.0
    )
    for seed in range(6):
        images, labels = draw.draw_batch(np.random.default_rng(seed), [pair], settings)
        assert images.shape == labels.shape == (1, 1, *SHAPE)
        assert float(images.mean()) == pytest.approx(0, abs=1e-3)
        assert float(images.std()) == pytest.approx(1, abs=1e-2)
        assert int(labels.sum()) == int(pair.labels.sum())


def test_settings_need_an_end(load: Any, tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text(yaml.safe_dump({"name": "a", "model": {}, "shares": {"walls": 1}}))
    with pytest.raises(SystemExit, match="give minutes or steps"):
        load("train").read_settings(path, [])


def test_the_recorded_settings_are_read(load: Any) -> None:
    settings = load("train").read_settings(TOOL / "surfaces-tiny.yaml", ["recorded=[]"])
    assert settings.name == "surfaces-tiny"
    assert sum(settings.shares.values()) == pytest.approx(1)


def test_a_killed_run_goes_on_as_if_it_had_not_been(load: Any, tmp_path: Path) -> None:
    train = load("train")
    settings = train.Settings(
        "test", {"preset": "tiny"}, {"walls": 0.5, "sheets": 0.5}, volume=(32, 32, 32), pool=3,
        refresh=0.4, steps=6, save_minutes=0.0,
        draw=load("draw").DrawSettings(patches=((1, 32, 32, 32), (2, 32, 16, 32))),
    )  # fmt: skip

    class Killed(train.Pretraining):  # type: ignore[misc,name-defined]
        def _take_step(self, rate: float) -> dict[str, float]:
            if self._step == 4:
                raise KeyboardInterrupt
            return dict(super()._take_step(rate))

    folders = tmp_path / "killed", tmp_path / "whole"
    for folder in folders:
        folder.mkdir()
    with pytest.raises(KeyboardInterrupt):
        Killed(settings, folders[0]).run()
    for folder in folders:
        train.Pretraining(settings, folder).run()
    found = [load_checkpoint(folder / "network.pt").weights for folder in folders]
    for name, tensor in found[0].items():
        assert torch.equal(tensor, found[1][name]), name


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_a_short_run_learns_and_goes_on_after_an_end(tmp_path: Path) -> None:
    """A few hundred steps on synthetic cells are enough to find the walls of others."""
    command = [
        sys.executable, str(TOOL / "train.py"), str(TOOL / "surfaces-tiny.yaml"), str(tmp_path),
        "--set", "recorded=[]", "--set", "pool=12", "--set", "minutes=null",
        "--set", "ema_decay=0.98", "--set", "volume=[64, 64, 64]",
        "--set", "shares={walls: 0.6, tissue: 0.4}",
        "--set", "draw={patches: [[1, 48, 48, 48]]}",
    ]  # fmt: skip
    for steps in (100, 600):
        subprocess.run([*command, "--set", f"steps={steps}"], check=True, timeout=600)
        state = torch.load(tmp_path / "state.pt", weights_only=True)
        assert state["step"] == steps
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import numpy as np\n"
        "from stream import Stream; from score import predict, score\n"
        "from napari_surfseg.model.checkpoint import load_checkpoint\n"
        "network = load_checkpoint(sys.argv[2]).build_model()\n"
        "pairs = [Stream(99, (64, 64, 64), {'walls': 1.0}).make(n) for n in range(5)]\n"
        "rows = [score(predict(network, p.image), p.labels) for p in pairs]\n"
        "print(max(np.median(rows, axis=0)[:, 0]))\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", code, str(TOOL), str(tmp_path / "network.pt")],
        check=True, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert float(found.stdout.split()[-1]) > 0.7
