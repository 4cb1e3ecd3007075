"""A predicted volume against labels."""

import numpy as np
import pytest

from napari_surfseg.config import Labels
from napari_surfseg.data.instances import compute_boundaries
from napari_surfseg.data.volume import ArrayVolume
from napari_surfseg.errors import DataError, LabelError
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


def cells():
    """Give twelve cubes of a value each, which fill the volume."""
    values = np.zeros((16, 24, 24), np.uint16)
    for number, (z, y, x) in enumerate(np.ndindex(2, 3, 3), 1):
        values[8 * z : 8 * z + 8, 8 * y : 8 * y + 8, 8 * x : 8 * x + 8] = number
    return values


def test_nothing_is_scored_where_nothing_is_annotated():
    nothing = np.full((8, 8, 8), 2, np.uint8)
    with pytest.raises(LabelError, match="truth has no annotated voxels"):
        evaluate_volume(volume(nothing * 0), volume(nothing, "truth"))
    label = labels()
    label[:4] = 2
    with pytest.raises(LabelError, match="no annotated voxels"):
        evaluate_volume(
            volume(labels()),
            volume(label),
            EvaluationSettings(box=((0, 0, 0), (3, 20, 20))),
        )


def test_labels_without_surface_or_background_are_said():
    label = labels()
    empty = evaluate_volume(volume(label), volume(label * 0))
    assert "holds no surface" in empty.warnings[0]
    both = evaluate_volume(volume(label), volume(2 - label))
    assert "such as --foreground 2 --ignore none" in both.warnings[0]


def test_cells_are_scored_by_their_boundaries():
    values = cells()
    walls = compute_boundaries(values, Labels(instances="boundaries"))
    with pytest.raises(LabelError, match="use --instances to score"):
        evaluate_volume(volume(walls), volume(values))
    assert dice(walls, values, instances=2) == 1
    assert dice(walls, values, instances=4) < 1
    # Sheets of a value each are surface.
    sheets = np.zeros((40, 20, 20), np.uint16)
    for number in range(1, 12):
        sheets[3 * number] = number
    assert dice(sheets != 0, sheets) == 1
