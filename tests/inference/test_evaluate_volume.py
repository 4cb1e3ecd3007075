"""A predicted volume against labels."""

import numpy as np
import pytest

from napari_surfseg.data.volume import ArrayVolume
from napari_surfseg.errors import DataError
from napari_surfseg.inference.evaluate_volume import EvaluationSettings, evaluate_volume


def labels():
    values = np.zeros((16, 20, 20), np.uint8)
    values[4:6] = values[10:12] = 1
    return values


def volume(values, name="scan"):
    return ArrayVolume(values, name=name)


def dice(pred, label, **settings):
    found = evaluate_volume(volume(pred), volume(label), EvaluationSettings(**settings))
    return found.scores["dice"]


def test_label_values_are_what_the_settings_say():
    label = labels()
    assert dice(label, label) == 1
    assert dice(label, label * 5, foreground=(5,)) == 1
    assert dice(label, label * 5, foreground=(4,)) < 1
    wrong = label.copy()
    wrong[8] = 1
    ignored = label.copy()
    ignored[8] = 9
    assert dice(wrong, label) < 1
    assert dice(wrong, ignored, foreground=(1,), ignore=(9,)) == 1


@pytest.mark.parametrize("scale", [np.float32(1), np.uint8(255)])
def test_probabilities_are_cut_at_the_threshold(scale):
    label = labels()
    probs = (label * 0.4 + 0.2) * scale
    probs = probs.astype(scale.dtype)
    assert dice(probs, label, threshold=0.4) == 1
    assert dice(probs, label, threshold=0.1) < 1


def test_what_looks_like_probabilities_is_a_warning():
    found = evaluate_volume(volume(labels() * np.float32(0.5), "probs"), volume(labels()))
    assert len(found.warnings) == 1
    assert "looks like probabilities" in found.warnings[0]


def test_only_a_box_is_compared():
    label, pred = labels(), labels()
    pred[:, :10] = 0
    assert dice(pred, label) < 1
    assert dice(pred, label, box=((0, 10, 0), (16, 20, 20))) == 1


def test_errors_are_listed_where_asked_and_stages_reported():
    pred = labels()
    pred[8, 4:6, 4:6] = 1
    stages = []
    found = evaluate_volume(
        volume(pred),
        volume(labels()),
        with_errors=True,
        report=lambda stage, share: stages.append(stage),
    )
    assert [error.name for error in found.errors] == ["extra component"]
    assert list(dict.fromkeys(stages)) == [
        "reading the prediction", "reading the labels", "scoring", "finding topology errors"
    ]  # fmt: skip
    assert evaluate_volume(volume(pred), volume(labels())).errors == []


@pytest.mark.parametrize(
    ("pred", "words"),
    [(np.zeros((2, 2, 2), np.uint8), "the same"), (np.full((16, 20, 20), np.nan), "NaN")],
)
def test_what_cannot_be_compared_is_an_error_in_a_sentence(pred, words):
    with pytest.raises(DataError, match=words):
        evaluate_volume(volume(pred), volume(labels()))


def test_voxels_of_different_sizes_and_notes_of_the_files_are_warnings():
    nanometres = ArrayVolume(labels(), name="a", spacing=(50, 8, 8), units="nm")
    micrometres = ArrayVolume(labels(), name="b", spacing=(0.05, 0.008, 0.008), units="um")
    assert evaluate_volume(nanometres, micrometres).warnings == []
    wrong = ArrayVolume(
        labels(), name="c", spacing=(50, 8, 8), units="um", notes=["Slice 5 is missing."]
    )
    found = evaluate_volume(nanometres, wrong).warnings
    assert found[0] == "Slice 5 is missing."
    assert "The voxels of a are 50 x 8 x 8 nm, those of c 50 x 8 x 8 µm" in found[1]
