"""The choice of post-processing at the end of a run, and the progress that it reports."""

from napari_surfseg import events
from napari_surfseg.config_files import apply_overrides
from napari_surfseg.model.checkpoint import load_checkpoint
from napari_surfseg.training import tuning
from napari_surfseg.training.tuning import PREDICTING, TuningProgress


def test_every_stage_is_reported_when_it_begins(monkeypatch):
    moment = [0.0]
    monkeypatch.setattr(tuning.time, "perf_counter", lambda: moment[0])
    reported = []
    progress = TuningProgress(reported.append, with_threshold=False)
    progress.begin()
    progress(0, 4, "start")
    for done, name in ((1, "component size"), (2, "component size"), (3, "closing")):
        moment[0] += 0.1
        progress(done, 4, name)
    moment[0] += 0.3
    progress(4, 5, "closing")
    progress(4, 4, "done")
    assert [(event.stage, event.num_stages, event.name) for event in reported] == [
        (1, 5, PREDICTING),
        (2, 5, "component size"),
        (4, 5, "closing"),
        (4, 5, "closing"),
        (4, 5, "closing"),
    ]


def test_the_post_processing_is_chosen_on_the_validation_data(tmp_path, training_run, experiment):
    experiment = apply_overrides(experiment, ["training.tuning_share=1"])
    run = training_run(tmp_path / "run", experiment).run()
    (tuned,) = run.of(events.PostprocessTuned)
    best = load_checkpoint(tmp_path / "run" / "checkpoints" / "best.pt")
    assert best.postprocess == tuned.settings
    assert tuned.score_after >= tuned.score_before
    assert tuned.steps[0]["name"] == "start"
    reported = run.of(events.TuningProgressed)
    assert reported[0].done == 0
    assert [event.done for event in reported] == sorted(event.done for event in reported)
    assert 0 < reported[-1].done <= reported[-1].total  # the share of the time may end it
    assert [(event.stage, event.num_stages) for event in reported[:2]] == [(1, 9), (2, 9)]
    assert reported[0].name == "predicting the validation data"
    assert [event.stage for event in reported] == sorted(event.stage for event in reported)
    untuned = apply_overrides(experiment, ["training.tuning_share=0"])
    assert not training_run(tmp_path / "plain", untuned).run().of(events.PostprocessTuned)
    assert load_checkpoint(tmp_path / "plain" / "checkpoints" / "best.pt").postprocess is None


def test_too_little_validation_data_leaves_the_threshold(tmp_path, training_run, experiment):
    experiment = apply_overrides(
        experiment, ["training.tuning_share=1", "data.validation.fraction=0.07"]
    )
    run = training_run(tmp_path / "run", experiment).run()
    assert not run.of(events.PostprocessTuned)
    assert load_checkpoint(tmp_path / "run" / "checkpoints" / "best.pt").postprocess is None


def test_a_threshold_that_a_person_set_is_not_moved(tmp_path, training_run, experiment):
    experiment = apply_overrides(
        experiment, ["training.tuning_share=1", "inference.threshold=0.35"]
    )
    (tuned,) = training_run(tmp_path / "run", experiment).run().of(events.PostprocessTuned)
    assert tuned.settings["threshold"] == 0.35
    assert tuned.settings["low_threshold"] is None
    assert not {step["name"] for step in tuned.steps} & {
        "threshold",
        "smoothing",
        "smoothing along sheets",
        "hysteresis",
    }
