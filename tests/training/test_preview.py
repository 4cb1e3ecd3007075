"""Live predictions of a training."""

import numpy as np
import pytest

from napari_surfseg import events
from napari_surfseg.config_files import apply_overrides

pytestmark = pytest.mark.usefixtures("every_step_is_reported")


def test_previews_lie_where_their_events_say(tmp_path, training_run, experiment, monkeypatch):
    monkeypatch.setattr("napari_surfseg.training.preview.FIRST_SECONDS", 0)
    monkeypatch.setattr("napari_surfseg.training.preview.TIME_SHARE", 1.0)
    experiment = apply_overrides(
        experiment, ["preview.seconds=0.001", "preview.size=[16,32,32]", "preview.keep=2"]
    )
    source = experiment.data.train[0].image
    look = events.SetPreview(image=source, center=(31, 0, 95))
    run = training_run(tmp_path / "run", experiment, {4: [look]}).run()
    previews = run.of(events.PreviewWritten)
    assert [event.index for event in previews] == list(range(len(previews)))
    last = previews[-1]
    assert last.origin == (16, 0, 64)
    for name in (last.probabilities, last.skeleton):
        array = np.load(tmp_path / "run" / name)
        assert array.dtype == np.uint8
        assert array.shape == last.shape == (16, 32, 32)
    assert len(list((tmp_path / "run" / "previews").glob("*_skeleton.npy"))) <= 2


def test_an_enormous_preview_is_refused(tmp_path, training_run, experiment, monkeypatch):
    monkeypatch.setattr("napari_surfseg.training.preview.MAX_VOXELS", 16**3)
    commands = [events.SetPreview(size=(10**6,) * 3), events.SetPreview(size=(16, 16, 16))]
    run = training_run(tmp_path / "run", experiment, {1: commands}).run()
    (refused,) = run.of(events.CommandRefused)
    assert "choose a smaller one" in refused.message
    assert [event.command for event in run.of(events.CommandApplied)] == ["SetPreview"]
