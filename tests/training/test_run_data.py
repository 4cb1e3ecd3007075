"""The volumes of a run, and what is settled by looking at them."""

import pytest

from napari_surfseg import events
from napari_surfseg.config_files import apply_overrides
from napari_surfseg.model.checkpoint import load_checkpoint

pytestmark = pytest.mark.usefixtures("every_step_is_reported")


def test_a_patch_larger_than_the_volume_is_cut_down_and_said(tmp_path, training_run, experiment):
    experiment = apply_overrides(experiment, ["data.patch_size=[64,64,64]"])
    run = training_run(tmp_path / "run", experiment).run()
    (said,) = [n for n in run.of(events.DataChecked)[0].notes if "instead of" in n]
    assert said.endswith("are used instead of [64, 64, 64].")
    assert load_checkpoint(tmp_path / "run/checkpoints/last.pt").patch_size[:2] == (32, 32)
