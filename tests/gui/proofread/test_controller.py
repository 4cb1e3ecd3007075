"""What "Proofread" does; a stand-in for the view, no window."""

from unittest.mock import Mock

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Labels

from napari_surfseg.errors import CancelledError, DataError
from napari_surfseg.gui.controls.source_choice import SourceChoice
from napari_surfseg.gui.proofread import controller as module
from napari_surfseg.gui.proofread.comparison import Comparison
from napari_surfseg.gui.proofread.controller import ProofreadController, ProofreadViewProtocol
from napari_surfseg.gui.proofread.finding import FoundPlaces

MEANINGS = {0: "background", 1: "foreground"}
PLACE = {"scale": (4, 2, 2), "units": ("um",) * 3, "axis_labels": ("z", "y", "x")}


@pytest.fixture
def chosen():
    """What a person, or the controller, has chosen on each side."""
    return {"prediction": None, "probabilities": None, "labels": None}


@pytest.fixture
def view(chosen):
    view = Mock(spec=ProofreadViewProtocol)

    def suggest(field, layer, newer=False):
        is_free = chosen[field] is None or newer
        if is_free:
            chosen[field] = SourceChoice.of_layer(layer)
        return is_free

    view.suggest.side_effect = suggest
    view.source.side_effect = lambda field: chosen[field]
    view.meanings.return_value = MEANINGS
    view.threshold_value.return_value = None
    view.current.return_value = None
    view.lost.return_value = ""
    return view


@pytest.fixture
def viewer(volumes):
    viewer = ViewerModel()
    viewer.add_labels(volumes[1], name="labels", translate=(100, 10, -30), **PLACE)
    viewer.add_labels(
        volumes[0], name="any name", metadata={"surfseg": "prediction", "part": "surface"}, **PLACE
    )
    viewer.add_labels(
        volumes[0], name="surface", metadata={"surfseg": "live", "part": "skeleton"}, **PLACE
    )
    return viewer


@pytest.fixture
def controller(viewer, view, session, jobs):
    controller = ProofreadController(viewer, view, session, jobs=jobs)
    yield controller
    controller.close()


@pytest.fixture
def compared(monkeypatch, errors):
    """What was compared, instead of in a process; ``error`` is raised if there is one."""
    calls = []

    def compare(volumes, meanings, threshold, process):
        if compare.error is not None:
            raise compare.error
        calls.append((volumes, meanings, threshold))
        return Comparison({"score": 0.5}, errors, ["Mind this."], (4.0, 2.0, 2.0))

    compare.error = None
    compare.calls = calls
    monkeypatch.setattr(module, "run_comparison", compare)
    return compare


def last(setter):
    """What the view shows, as it was set last."""
    return setter.call_args.args


def test_it_guesses_which_layer_is_which(controller, chosen, view):
    """By what the plugin wrote into the metadata, whatever the layers are called."""
    assert chosen["prediction"].name == "any name"
    assert chosen["labels"].name == "labels"
    counts, meanings = last(view.set_label_values)
    assert set(counts) == {0, 1}
    assert meanings == MEANINGS
    assert last(view.set_counting) == ("",)


def test_from_layers_to_marks(controller, view, viewer, compared, errors):
    finished = []
    controller.finished.connect(finished.append)
    controller.find()
    volumes, meanings, threshold = compared.calls[0]
    assert {field: volume.name for field, volume in volumes.items()} == {
        "prediction": "any name", "labels": "labels",
    }  # fmt: skip
    assert (meanings, threshold) == (MEANINGS, None)
    assert not controller.is_busy
    scores, shown, state = last(view.set_result)
    assert (scores, shown) == ({"score": 0.5}, errors)
    assert state.startswith(f"{len(errors)} errors, the largest first. Mind this. The labels")
    assert "voxels (Z, Y, X) beside the prediction 'any name'" in state
    assert len(finished) == 1
    controller.shown.adder.finish()
    assert set(controller.shown.layers) == {error.name for error in errors}
    controller.go_to(0)
    # The labels' place, not the prediction's, which lies elsewhere.
    np.testing.assert_allclose(
        viewer.dims.point, viewer.layers["labels"].data_to_world(errors[0].location)
    )
    controller.go_to(len(errors))  # no longer in the list


@pytest.mark.parametrize(
    ("count", "state"),
    [
        (0, "No topology error: every feature has its partner."),
        (1, "1 error, the largest first."),
        (2, "2 errors; the 1 largest are shown."),
    ],
)
def test_the_number_of_errors_is_said(controller, view, errors, monkeypatch, count, state):
    monkeypatch.setattr(module, "MAX_SHOWN", 1)
    controller.show(Comparison({}, errors[:count], [], (1.0, 1.0, 1.0)))
    assert last(view.set_result)[2] == state


def test_errors_are_shown_beside_their_side(controller, view, viewer, chosen, compared):
    chosen["prediction"] = None
    controller.find()
    assert last(view.show_error) == ("Choose a prediction: a layer or a file.", "prediction")
    chosen["prediction"] = SourceChoice.of_layer(Labels(np.ones((3, 4, 5), np.uint8)))
    controller.find()
    gone, field = last(view.show_error)
    assert field == "prediction"
    assert gone.endswith("is gone from the viewer; choose another prediction.")
    chosen["prediction"] = SourceChoice.of_file("surface.tif")
    view.meanings.return_value = {0: "background", 1: "background"}
    controller.find()
    assert last(view.show_error)[0].startswith("No label value means surface")
    view.meanings.return_value = {}
    controller.find()
    assert last(view.show_error) == ("The label values are not known yet.", "labels")
    chosen["labels"] = SourceChoice.of_file("gone.tif")
    controller.count_labels()
    message, field = last(view.show_error)
    assert "gone.tif" in message
    assert field == "labels"
    assert last(view.set_counting) == ("",)
    assert compared.calls == []
    assert not controller.is_busy


@pytest.mark.parametrize(
    "error",
    [DataError("Not this one.", field="labels"), CancelledError("The comparison was cancelled.")],
)
def test_a_comparison_that_fails_is_shown(controller, view, compared, error):
    compared.error = error
    controller.find()
    assert last(view.set_state) == ("Nothing was compared.",)
    assert last(view.show_error) == (str(error), error.field)
    assert not controller.is_busy


def test_a_prediction_is_proofread_at_one_press(controller, view, viewer, chosen, monkeypatch):
    """Its probabilities with its threshold, and no labels, whatever was chosen before."""
    searched = []

    def search(prediction, probabilities, threshold, _process):
        searched.append((prediction.name, probabilities.name, threshold))
        return FoundPlaces([], (1.0, 1.0, 1.0), ["Mind that."])

    def choose(field, layer):
        chosen[field] = None if layer is None else SourceChoice.of_layer(layer)

    monkeypatch.setattr(module, "run_search", search)
    view.choose.side_effect = choose
    about = {"surfseg": "prediction", "folder": "/made/here", "threshold": 0.43}
    shape = viewer.layers["labels"].data.shape
    viewer.add_image(np.zeros(shape, np.uint8), metadata={**about, "part": "probability"}, name="p")
    viewer.add_labels(np.zeros(shape, np.uint8), metadata={**about, "part": "surface"}, name="s")
    controller.proofread("/made/elsewhere")
    assert searched == []
    controller.proofread("/made/here")
    assert searched == [("s", "p", 0.43)]
    scores, places, state = last(view.set_result)
    assert (scores, list(places), state) == ({}, [], "No doubtful place was found. Mind that.")


def test_the_first_place_of_a_new_list_is_shown(controller, view, viewer, compared, errors):
    """A key decides about the chosen place, so that it must be in sight."""
    view.current.return_value = 0
    viewer.dims.set_point(0, 0.0)
    controller.find()
    controller.shown.adder.finish()
    place = errors[0].location
    source = viewer.layers["labels"]
    np.testing.assert_allclose(viewer.dims.point[0], source.data_to_world(place)[0])
