"""What fills the form from the viewer's layers, on a mock of the view: no window, no screen."""

from dataclasses import replace
from unittest.mock import Mock

import numpy as np
import pytest
from napari.components import ViewerModel
from tests.gui.training.stand_ins import JobsInPlace, Pairs, mock_view

from napari_surfseg.errors import ConfigError, DataError
from napari_surfseg.gui.controls.source_choice import SourceChoice
from napari_surfseg.gui.training import form_controller
from napari_surfseg.gui.training.form import TrainingForm
from napari_surfseg.gui.training.form_controller import FormController
from napari_surfseg.gui.training.network_facts import NetworkFacts
from napari_surfseg.gui.training.protocols import TrainingViewProtocol
from napari_surfseg.process_memory import GpuMemory

SHAPE = (8, 16, 16)


@pytest.fixture
def viewer():
    viewer = ViewerModel()
    viewer.add_image(np.zeros(SHAPE, np.uint8), name="scan")
    labels = np.zeros(SHAPE, np.uint8)
    labels[4] = 1
    viewer.add_labels(labels, name="sheet")
    return viewer


@pytest.fixture
def view():
    view = mock_view(TrainingViewProtocol)
    view.data.labels.configure_mock(is_manual=False, has_values=False, counts={})
    return view


@pytest.fixture
def pairs(view, tmp_path):
    pairs = Pairs(view.data)
    settings = {"data.patch_size": [32, 32, 32], "model.preset": "tiny"}
    form = TrainingForm(settings=settings, folder=str(tmp_path))
    view.form.side_effect = lambda: replace(form, pairs=tuple(pairs.shown))
    return pairs


@pytest.fixture
def controller(viewer, view, pairs):
    controller = FormController(viewer, view, JobsInPlace())
    yield controller
    controller.close()


def chosen(pairs):
    (pair,) = pairs.shown
    return [choice.name if choice is not None else None for choice in (pair.image, pair.labels)]


def test_layers_that_fit_are_guessed_and_their_labels_counted(controller, view, viewer, pairs):
    assert chosen(pairs) == ["scan", "sheet"]
    counts, meanings, colors = view.data.labels.set_values.call_args.args
    assert counts == {0: 7 * 256, 1: 256}
    assert meanings == {0: "background", 1: "foreground"}
    assert colors[0] is None
    images, labels, shapes = view.data.set_layers.call_args.args
    assert (images, labels, shapes) == ([viewer.layers["scan"]], [viewer.layers["sheet"]], [])


def test_a_guess_follows_the_volume_until_a_person_chooses(controller, view, viewer, pairs):
    viewer.add_image(np.zeros((4, 4, 4), np.uint8), name="small")
    viewer.add_labels(np.zeros((4, 4, 4), np.uint8), name="small sheet")
    assert chosen(pairs) == ["scan", "sheet"]
    pairs.change(0, image=SourceChoice.of_layer(viewer.layers["small"]))
    view.data.pairs_changed.emit()
    assert chosen(pairs) == ["small", "small sheet"]
    pairs.by_hand = (True, True)
    pairs.change(0, image=SourceChoice.of_layer(viewer.layers["scan"]))
    view.data.pairs_changed.emit()
    assert chosen(pairs) == ["scan", "small sheet"]


def test_what_a_network_found_is_offered_but_never_guessed(view, pairs):
    viewer = ViewerModel()
    found = {"surfseg": "prediction"}
    viewer.add_image(np.zeros(SHAPE, np.uint8), name="found", metadata=found)
    viewer.add_labels(np.zeros(SHAPE, np.uint8), name="found surface", metadata=found)
    controller = FormController(viewer, view, JobsInPlace())
    assert chosen(pairs) == [None, None]
    viewer.add_image(np.zeros(SHAPE, np.uint8), name="scan")
    assert chosen(pairs) == ["scan", None]
    images, labels, _shapes = view.data.set_layers.call_args.args
    assert [len(images), len(labels)] == [2, 1]
    controller.close()


def test_painted_labels_are_counted_again(controller, view, viewer):
    sheet = viewer.layers["sheet"]
    sheet.data_setitem((np.array([0]), np.array([0]), np.array([0])), 2)
    controller._recount.timeout.emit()
    counts = view.data.labels.set_values.call_args.args[0]
    assert counts == {0: 7 * 256 - 1, 1: 256, 2: 1}


def test_other_labels_make_the_meanings_a_guess_again(controller, view, viewer, pairs):
    view.data.labels.forget_choice.reset_mock()
    view.form_changed.emit()
    view.data.labels.forget_choice.assert_not_called()
    pairs.change(0, labels=None)
    view.form_changed.emit()
    view.data.labels.forget_choice.assert_called_once_with()
    view.data.labels.set_values.assert_called_with({}, {}, {})


def test_a_file_that_cannot_be_read_is_said_beside_the_labels(controller, view, pairs, tmp_path):
    pairs.change(0, labels=SourceChoice.of_file(str(tmp_path / "none.tif")))
    view.form_changed.emit()
    assert "none.tif" in view.data.labels.set_error.call_args.args[0]


def test_the_network_is_described_or_its_patch_refused(controller, view, pairs):
    assert "million parameters" in view.set_estimate.call_args.args[0]
    view.set_patch_error.assert_called_with("")
    form = replace(view.form(), settings={"data.patch_size": [33] * 3, "model.preset": "tiny"})
    view.form.side_effect = lambda: form
    view.form_changed.emit()
    view.set_estimate.assert_called_with("")
    assert "divisible by" in view.set_patch_error.call_args.args[0]


def test_a_network_of_monai_is_asked_and_then_described_or_refused(
    controller, view, pairs, monkeypatch
):
    settings = {"model.preset": "monai", "model.network": "UNet", "data.patch_size": [32] * 3}
    form = replace(view.form(), settings=settings)
    view.form.side_effect = lambda: form
    find = Mock(return_value=None)
    monkeypatch.setattr(controller._questions, "find", find)
    view.form_changed.emit()
    view.set_estimate.assert_called_with("Asking what UNet needs…")
    find.return_value = NetworkFacts(divisor=16, num_parameters=1000, step_bytes=1 << 30)
    controller._questions.answered.emit()
    assert "about 1 GiB of memory for training" in view.set_estimate.call_args.args[0]
    view.set_patch_step.assert_called_with(16)
    view.set_network_error.assert_called_with("")
    find.side_effect = ConfigError("UNet has no argument depth.", field="model.arguments")
    view.form_changed.emit()
    view.set_estimate.assert_called_with("")
    view.set_patch_error.assert_called_with("")
    view.set_network_error.assert_called_with("UNet has no argument depth.", "model.arguments")


def test_the_memory_is_that_of_the_gpu_once_it_is_known(controller, view, monkeypatch):
    asked = []
    monkeypatch.setattr(form_controller, "ask_gpu_memory", lambda: asked.append(1))
    view.form_changed.emit()
    assert asked
    assert "on the CPU" in view.set_estimate.call_args.args[0]
    gpu = GpuMemory("A100", 1 << 20)
    monkeypatch.setattr(form_controller, "read_gpu_memory", lambda: gpu)
    controller._gpu_timer.timeout.emit()
    said = view.set_estimate.call_args.args[0]
    assert "on the GPU (A100)" in said
    assert "1 MiB are free on the GPU" in said
    view.set_estimate.reset_mock()
    controller._gpu_timer.timeout.emit()  # nothing new
    view.set_estimate.assert_not_called()


def test_the_validation_box_is_drawn_over_the_volume(controller, view, viewer, pairs):
    view.data.draw_box_requested.emit()
    (choice,) = view.data.set_validation_box.call_args.args
    assert choice.layer is viewer.layers["validation box"]
    assert viewer.layers["validation box"].mode == "select"


def test_a_box_needs_a_volume_to_be_drawn_on(controller, view, viewer, pairs):
    pairs.change(0, image=None)
    view.data.draw_box_requested.emit()
    assert view.show_error.call_args.args[1] == "data.validation"
    assert "validation box" not in viewer.layers


def test_no_plan_is_made_with_a_layer_that_is_gone(controller, view):
    view.data.lost_layers.return_value = ["The layer 'scan' is gone."]
    with pytest.raises(DataError, match="'scan' is gone") as raised:
        controller.make_plan()
    assert raised.value.field == "data.train"


def test_a_closed_controller_follows_no_layers(controller, view, viewer):
    controller.close()
    view.data.set_layers.reset_mock()
    viewer.add_image(np.zeros((4, 4, 4), np.uint8))
    view.data.set_layers.assert_not_called()
