"""Live predictions of a training."""

import errno

import numpy as np
import pytest

from napari_surfseg import events
from napari_surfseg.config_files import apply_overrides
from napari_surfseg.errors import DataError, OutputError

pytestmark = pytest.mark.usefixtures("every_step_is_reported")


def test_previews_lie_where_their_events_say(tmp_path, training_run, experiment, monkeypatch):
    monkeypatch.setattr("napari_surfseg.training.preview.FIRST_SECONDS", 0)
    monkeypatch.setattr("napari_surfseg.training.preview.TIME_SHARE", 1.0)
    monkeypatch.setattr("napari_surfseg.training.live_places.FIRST_SECONDS", 0)
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
    listed = [event.places for event in previews if event.places is not None]
    assert listed  # of the first; the search for doubtful places has a small share of the time
    assert len(list((tmp_path / "run" / "previews").glob("*.csv"))) <= 2


def test_looking_for_doubtful_places_changes_no_loss(
    tmp_path, training_run, experiment, monkeypatch
):
    losses = []
    for seconds in (0.0, 0.001):
        for name in ("preview.FIRST_SECONDS", "live_places.FIRST_SECONDS"):
            monkeypatch.setattr(f"napari_surfseg.training.{name}", 0)
        seen = apply_overrides(experiment, [f"preview.seconds={seconds}"])
        run = training_run(tmp_path / str(seconds), seen).run()
        losses.append([event.total for event in run.of(events.StepFinished)])
        found = [event.places for event in run.of(events.PreviewWritten)]
        assert any(found) == (seconds > 0)
    assert losses[0] == losses[1]
    assert len(losses[0]) > 1


def test_an_enormous_preview_is_refused(tmp_path, training_run, experiment, monkeypatch):
    monkeypatch.setattr("napari_surfseg.training.preview.MAX_VOXELS", 16**3)
    commands = [events.SetPreview(size=(10**6,) * 3), events.SetPreview(size=(16, 16, 16))]
    run = training_run(tmp_path / "run", experiment, {1: commands}).run()
    (refused,) = run.of(events.CommandRefused)
    assert "choose a smaller one" in refused.message
    assert [event.command for event in run.of(events.CommandApplied)] == ["SetPreview"]


@pytest.mark.parametrize(
    "error",
    [
        OutputError("The disk is full."),
        PermissionError(errno.EACCES, "The process cannot access the file"),
        DataError("image.npy cannot be read."),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_preview_that_cannot_be_made_is_one_warning(
    tmp_path, training_run, experiment, monkeypatch, error
):
    def refuse(*_):
        raise error

    for name in ("FIRST_SECONDS", "FAILED_SECONDS"):
        monkeypatch.setattr(f"napari_surfseg.training.preview.{name}", 0)
    monkeypatch.setattr("napari_surfseg.training.preview.Previewer._write_array", refuse)
    experiment = apply_overrides(experiment, ["preview.seconds=0.001"])
    run = training_run(tmp_path / "run", experiment).run()
    assert isinstance(run.events[-1], events.RunCompleted)
    assert not run.of(events.PreviewWritten)
    found = [event.message for event in run.of(events.WarningIssued) if "preview" in event.message]
    assert found == [f"The live preview could not be made: {error}"]


def test_an_old_preview_that_is_held_open_stays(tmp_path, training_run, experiment, monkeypatch):
    """As on Windows while a viewer has it open."""

    def refuse(path, **_):
        raise PermissionError(errno.EACCES, "The process cannot access the file")

    monkeypatch.setattr("napari_surfseg.training.preview.FIRST_SECONDS", 0)
    monkeypatch.setattr("napari_surfseg.training.preview.TIME_SHARE", 1.0)
    monkeypatch.setattr("napari_surfseg.files.RETRY_SECONDS", ())
    monkeypatch.setattr("pathlib.Path.unlink", refuse)
    experiment = apply_overrides(experiment, ["preview.seconds=0.001", "preview.keep=1"])
    run = training_run(tmp_path / "run", experiment).run()
    assert isinstance(run.events[-1], events.RunCompleted)
    kept = list((tmp_path / "run" / "previews").glob("*_skeleton.npy"))
    assert len(kept) == len(run.of(events.PreviewWritten)) > 1
