"""What a run is put together from."""

import torch

from napari_surfseg.config_files import apply_overrides


def test_validation_and_previews_predict_as_the_run_says(tmp_path, training_run, experiment):
    experiment = apply_overrides(
        experiment, ["training.max_epochs=1", "inference.overlap=0.4", "inference.threshold=0.3"]
    )
    parts = training_run(tmp_path / "run", experiment).run().parts
    settings = parts.scoring.validator._settings
    assert settings.window == (16, 32, 32)
    assert settings.overlap == 0.4
    assert settings.device == torch.device("cpu")
    assert parts.scoring.validator.fixed_threshold == 0.3
    assert parts.previewer._settings.intensity == settings.intensity == parts.data.intensity


def test_without_validation_nothing_is_scored(tmp_path, training_run, experiment):
    experiment = apply_overrides(
        experiment, ["data.validation.fraction=0", "training.max_epochs=1"]
    )
    parts = training_run(tmp_path / "run", experiment).run().parts
    assert parts.scoring is None
    assert parts.stroke_start is None
    assert parts.threads is not None
