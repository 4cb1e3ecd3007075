"""What is settled before a volume is opened."""

import pytest

from napari_surfseg.config_files import apply_overrides
from napari_surfseg.errors import ConfigError

pytestmark = pytest.mark.usefixtures("every_step_is_reported")


def test_a_patch_that_does_not_fit_is_refused_at_once(tmp_path, training_run, experiment):
    experiment = apply_overrides(experiment, ["data.patch_size=[30,32,32]"])
    with pytest.raises(ConfigError, match="28 or 32"):
        training_run(tmp_path / "run", experiment)
