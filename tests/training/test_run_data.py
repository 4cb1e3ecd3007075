"""The volumes of a run, and what is settled by looking at them."""

from types import SimpleNamespace
from unittest.mock import Mock

import pytest

from napari_surfseg import events
from napari_surfseg.config import Experiment
from napari_surfseg.config_files import apply_overrides
from napari_surfseg.model.checkpoint import load_checkpoint
from napari_surfseg.training.run_data import NO_VALIDATION, _report

pytestmark = pytest.mark.usefixtures("every_step_is_reported")


def test_a_patch_larger_than_the_volume_is_cut_down_and_said(tmp_path, training_run, experiment):
    experiment = apply_overrides(experiment, ["data.patch_size=[64,64,64]"])
    run = training_run(tmp_path / "run", experiment).run()
    (said,) = [n for n in run.of(events.DataChecked)[0].notes if "instead of" in n]
    assert said.endswith("are used instead of [64, 64, 64].")
    assert load_checkpoint(tmp_path / "run/checkpoints/last.pt").patch_size[:2] == (32, 32)


def test_of_hundreds_of_volumes_not_hundreds_of_warnings():
    pairs = [SimpleNamespace(remarks=(), notes=(f"w{n}",), as_row=dict) for n in range(20)]
    data = SimpleNamespace(train=pairs, validation=[], pairs=pairs, experiment=Experiment())
    reporter = Mock()
    _report(data, ["a note"], [f"f{n}" for n in range(9)], reporter, resume=False)
    said = [call.args[0] for call in reporter.warn.call_args_list]
    assert said[:8] == [f"w{n}" for n in range(8)]
    assert said[8] == NO_VALIDATION
    assert said[9:17] == [f"f{n}" for n in range(8)]
    assert said[17:] == ["There are 13 more such warnings on volumes; the log has them."]
    (checked,) = (call.args[0] for call in reporter.report.call_args_list)
    assert checked.notes == ["a note", *(f"w{n}" for n in range(8, 20)), "f8"]
