"""The package as notebooks use it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import napari_surfseg as surfseg
from napari_surfseg.errors import CheckpointError, ConfigError, DataError, RunError

PAGE = Path(__file__).parents[1] / "docs" / "python.md"


# So short a training finds surface nearly everywhere, which is said.
@pytest.mark.filterwarnings("ignore:.*is taken for surface")
def test_examples_of_the_documentation_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from napari_surfseg.cli.main import main

    monkeypatch.chdir(tmp_path)
    assert main(["phantom", "scroll", "--shape", "48,64,64"]) == 0
    namespace: dict[str, object] = {}
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 6
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), namespace)
    surfaces, on_disk = namespace["surfaces"], namespace["on_disk"]
    assert isinstance(surfaces, np.ndarray)
    assert isinstance(on_disk, surfseg.Volume)
    assert surfaces.shape == on_disk.shape == (48, 64, 64)
    assert set(np.unique(surfaces)) <= {0, 1}
    assert 0 < len(namespace["losses"]) <= 5  # type: ignore[arg-type]  # one event may stand for steps
    run = namespace["run"]
    assert isinstance(run, surfseg.Run)
    assert run.state.value == "completed"
    assert run.history.num_steps == 15
    assert set(run.checkpoints) == {"best", "newest"}


def test_import_is_light_and_names_are_there_for_completion() -> None:
    code = """
import sys
import napari_surfseg as surfseg
heavy = {"torch", "numpy", "zarr", "pydantic", "napari", "qtpy"} & set(sys.modules)
assert not heavy, heavy
assert {"open_volume", "train", "predict", "losses", "metrics"} <= set(dir(surfseg))
surfseg.open_volume, surfseg.train, surfseg.predict, surfseg.evaluate, surfseg.open_run
surfseg.metrics.compute_metrics
assert "torch" not in sys.modules
surfseg.losses.cldice
assert "torch" in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_arrays_are_scored_as_they_are() -> None:
    labels = np.zeros((8, 8, 8), np.uint8)
    labels[4] = 1
    assert surfseg.evaluate(labels, labels)["dice"] == 1.0
    shifted = np.roll(labels, 1, axis=0)
    assert surfseg.evaluate(shifted, labels)["dice"] == 0.0
    assert surfseg.evaluate(shifted, labels, tolerance=1.0)["surface_dice"] == 1.0
    with pytest.raises(DataError, match="the shape 8 x 8 x 8"):
        surfseg.evaluate(labels, labels[:4])


def test_bad_input_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no preset of that name"):
        surfseg.load_experiment("nonsense")
    with pytest.raises(ConfigError, match=r"training\.max_epochs"):
        surfseg.load_experiment({"training": {"max_epochs": -1}})
    with pytest.raises(RunError, match="does not exist"):
        surfseg.open_run(tmp_path / "nothing")
    with pytest.raises(CheckpointError, match="There is no checkpoint"):
        surfseg.predict(np.zeros((8, 8, 8), np.uint8), tmp_path / "best.pt")
    experiment = surfseg.load_experiment({})
    with pytest.raises(ConfigError, match=r"data\.train is empty|names no volumes"):
        surfseg.train(experiment, tmp_path / "run", device="cpu")
    with pytest.raises(ValueError, match="on_event"):
        surfseg.train(experiment, tmp_path / "run2", background=True, on_event=print)


def test_a_listener_that_fails_is_left_out(tmp_path: Path) -> None:
    from napari_surfseg import events
    from napari_surfseg.api import _Listener

    seen = []

    def fail_at_the_second(event: object) -> None:
        seen.append(event)
        if len(seen) == 2:
            raise KeyError("total")

    listener = _Listener(fail_at_the_second)
    happened = [events.WarningIssued(message=str(number)) for number in range(4)]
    listener.show_event(happened[0])
    with pytest.warns(UserWarning, match="on_event failed at WarningIssued with KeyError"):
        listener.show_event(happened[1])
    listener.show_event(happened[2])
    assert seen == happened[:2]
