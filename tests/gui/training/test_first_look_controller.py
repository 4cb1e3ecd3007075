import math

import numpy as np
import pytest
from napari.components import ViewerModel
from tests.gui.training.stand_ins import JobsInPlace, Pairs, mock_view

from napari_surfseg.errors import CancelledError, SurfsegError
from napari_surfseg.geometry import box_shape, contains_box, whole_box
from napari_surfseg.gui.controls.source_choice import PairChoice, SourceChoice
from napari_surfseg.gui.layers.metadata import kind_of
from napari_surfseg.gui.predict.prediction import Prediction
from napari_surfseg.gui.training import first_look_controller as module
from napari_surfseg.gui.training.first_look_controller import FirstLookController, choose_part
from napari_surfseg.gui.training.form import TrainingForm
from napari_surfseg.gui.training.protocols import TrainingViewProtocol

SHAPE = (40, 50, 60)


class Window:
    """A viewer with a volume, a view, and a prediction that needs no process."""

    def __init__(self, monkeypatch):
        self.viewer = ViewerModel()
        self.asked = []
        self.error = None
        self.view = mock_view(TrainingViewProtocol)
        self.look = self.view.data.first_look
        self.pairs = Pairs(self.view.data)
        self.settings = {}
        self.view.form.side_effect = lambda: TrainingForm(
            pairs=tuple(self.pairs.shown), settings=self.settings
        )
        monkeypatch.setattr(module, "run_prediction", self.predict)

    def predict(self, form, volume, process, box):
        self.asked.append((form, volume, box))
        if self.error is not None:
            raise self.error
        arrays = {"probabilities": np.full(box_shape(box), 200, np.uint8)}
        result = {
            "surface_fraction": 0.25, "warnings": ["Mind this."], "spacing": volume.spacing,
            "translate": volume.translate, "units": volume.units,
        }  # fmt: skip
        return Prediction(None, result, "part", arrays)

    def add_volume(self, shape=SHAPE, **options):
        layer = self.viewer.add_image(np.zeros(shape, np.uint8), name="scan", **options)
        self.pairs.shown = [PairChoice(SourceChoice.of_layer(layer), None)]
        return layer

    def open(self):
        self.controller = FirstLookController(self.viewer, self.view, JobsInPlace())
        return self.controller

    @property
    def offered(self):
        return self.look.offer.call_args.args[0]

    @property
    def said(self):
        return self.look.set_state.call_args.args[0]


@pytest.fixture
def window(monkeypatch, registry):
    registry.add()
    registry.add("sheets-thick")
    registry.add("sheets-far", url="https://example.org/net")
    window = Window(monkeypatch)
    yield window
    window.controller.close()


def test_it_is_offered_once_there_is_a_volume(window):
    window.open()
    assert window.offered is None
    window.add_volume()
    window.view.form_changed.emit()
    assert window.offered == "sheets-tiny"


@pytest.mark.parametrize(
    ("start_from", "network"),
    [("auto", "sheets-tiny"), ("none", "sheets-tiny"), ("sheets-thick", "sheets-thick"),
     ("/runs/first", "sheets-tiny"), ("sheets-far", None)],
)  # fmt: skip
def test_the_network_that_the_form_names_looks(window, start_from, network):
    window.settings = {"model.start_from": start_from}
    window.add_volume()
    window.open().find()
    assert window.offered == network
    assert [form.checkpoint for form, *_ in window.asked] == ([network] if network else [])


@pytest.mark.parametrize(
    "options",
    [{}, {"scale": (3, 2, 2), "translate": (10, -5, 7)}, {"rotate": (0, 0, 30)}],
)
def test_what_is_found_lies_over_the_volume_and_is_nobodys_label(window, options):
    source = window.add_volume(**options)
    brush = window.viewer.add_labels(np.zeros(SHAPE, np.uint8), name="strokes")
    window.open().find()
    found = window.viewer.layers["scan (found by sheets-tiny)"]
    assert [layer.name for layer in window.viewer.layers] == [source.name, found.name, "strokes"]
    assert kind_of(found) == "prediction"
    assert found.data.shape == SHAPE
    for corner in ((0, 0, 0), (39, 49, 59)):
        np.testing.assert_allclose(found.data_to_world(corner), source.data_to_world(corner))
    assert window.viewer.layers.selection.active is brush
    assert window.pairs.shown[0].labels is None
    assert "sheets-tiny found surface in 25.0 % of the volume" in window.said
    assert window.said.endswith("Mind this.")


def test_of_a_large_volume_what_is_seen_is_looked_at(window, monkeypatch):
    monkeypatch.setattr(module, "MAX_VOXELS", 20**3)
    source = window.add_volume(scale=(2, 1, 1))
    window.viewer.dims.set_point(0, 50)
    window.open().find()
    _form, volume, inside = window.asked[0]
    found = window.viewer.layers["scan (found by sheets-tiny)"]
    assert math.prod(found.data.shape) <= 20**3
    assert contains_box(whole_box(volume.shape), inside)
    assert volume.shape < SHAPE
    first = source.world_to_data(found.data_to_world((0, 0, 0)))
    last = source.world_to_data(found.data_to_world(np.array(found.data.shape) - 1))
    assert (first > 0).all() and (last < np.array(SHAPE) - 1).all()  # noqa: PT018
    assert first[0] < 25 < last[0]
    assert "voxels in view" in window.said


def test_a_file_is_looked_at_as_well(window, tmp_path):
    np.save(tmp_path / "walls.npy", np.zeros(SHAPE, np.uint8))
    window.pairs.shown = [PairChoice(SourceChoice.of_file(str(tmp_path / "walls.npy")), None)]
    window.open().find()
    assert window.viewer.layers[0].name == "walls (found by sheets-tiny)"


def test_a_second_look_replaces_the_first_and_a_run_hides_it(window):
    window.add_volume()
    controller = window.open()
    controller.find()
    controller.find()
    found = [layer for layer in window.viewer.layers if kind_of(layer) == "prediction"]
    assert len(found) == 1
    controller.hide()
    assert not found[0].visible


@pytest.mark.parametrize(
    ("error", "is_said"),
    [(CancelledError("The prediction was cancelled."), False),
     (SurfsegError("There is not enough memory."), True)],
)  # fmt: skip
def test_what_ends_it_leaves_no_layer(window, error, is_said):
    window.add_volume()
    window.error = error
    window.open().find()
    assert len(window.viewer.layers) == 1
    assert window.said == ""
    assert window.view.show_error.called == is_said


def test_a_volume_that_is_gone_is_named(window):
    layer = window.add_volume()
    window.open()
    window.viewer.layers.remove(layer)
    window.controller.find()
    assert "is gone from the viewer" in window.view.show_error.call_args.args[0]
    assert window.asked == []


@pytest.mark.parametrize("shape", [(10, 10, 10), (160, 160, 160), (1, 3000, 3000), (9, 900, 5000)])
@pytest.mark.parametrize("is_seen", [False, True])
def test_the_part_is_bounded_and_inside(shape, is_seen):
    seen = None
    if is_seen:
        low = tuple(edge // 4 for edge in shape)
        seen = low, tuple(edge // 2 + at + 1 for edge, at in zip(shape, low, strict=True))
    box = choose_part(shape, seen)
    size = box_shape(box)
    assert min(size) >= 1
    assert math.prod(size) <= module.MAX_VOXELS
    assert contains_box(whole_box(shape), box)
    if math.prod(shape) <= module.MAX_VOXELS:
        assert size == shape
    else:
        assert math.prod(size) > module.MAX_VOXELS / 2 or (seen and size == box_shape(seen))
