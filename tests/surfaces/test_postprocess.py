"""The settings of post-processing: their limits, and that they survive a checkpoint."""

import pytest

from napari_surfseg.errors import ConfigError
from napari_surfseg.surfaces.postprocess import PostProcess


def test_settings_survive_the_checkpoint():
    settings = PostProcess(0.6, 0.3, 2, 0.1, 8, 100, 6, 1.5)
    assert PostProcess.from_dict(settings.as_dict()) == settings


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"threshold": 1.5}, "threshold"),
        ({"threshold": float("nan")}, "threshold"),
        ({"low_threshold": 0.7}, "must not be above threshold"),
        ({"closing_radius": -1}, "closing_radius"),
        ({"closing_radius": 99}, "between 0 and 16"),
        ({"min_voxels": 2.5}, "min_voxels"),
        ({"min_voxels": True}, "min_voxels"),
        ({"connectivity": 18}, "connectivity"),
        ({"smoothing": -1}, "smoothing"),
        ({"smoothing": "much"}, "smoothing"),
        ({"sharpening": 1}, "unknown"),
    ],
)
def test_bad_settings_are_refused_in_a_sentence(values, words):
    with pytest.raises(ConfigError) as caught:
        PostProcess.from_dict(values)
    assert words in str(caught.value)
    assert str(caught.value).endswith(".")
