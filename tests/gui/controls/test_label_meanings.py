"""What the form makes of labels: their meanings, settled before anything is painted."""

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_surfseg.config_files import load_experiment
from napari_surfseg.gui.training.controller import TrainingController

SHAPE = (20, 40, 40)

STROKES = {0: "ignore", 1: "foreground", 2: "background"}


@pytest.fixture
def viewer():
    viewer = ViewerModel()
    viewer.add_image(
        np.random.default_rng(0).integers(0, 255, SHAPE).astype(np.uint8),
        name="scan",
        scale=(3, 2, 2),
        translate=(5, 6, 7),
        rotate=[[1, 0, 0], [0, 0.8, -0.6], [0, 0.6, 0.8]],
        units=("nm",) * 3,
        axis_labels=("z", "y", "x"),
    )
    return viewer


@pytest.fixture
def controller(viewer, view, session, jobs, tmp_path):
    controller = TrainingController(
        viewer,
        view,
        session,
        ask=lambda *_: True,
        launch=lambda *_a, **_o: 1,
        jobs=jobs,
        runs_folder=tmp_path,
    )
    yield controller
    controller.close()


def paint(layer, value, y):
    layer.data_setitem((np.full(6, 10), np.full(6, y), np.arange(10, 16)), value)


def test_the_meaning_of_strokes_is_settled_before_any_is_painted(
    controller, view, viewer, tmp_path
):
    view.data.paint.click()
    controller.form._recount.timeout.emit()  # a layer that is drawn again may have been painted on
    controller.form._recount.stop()
    controller.start()
    assert view.data.labels.error.text().startswith("No voxel is labelled as surface yet")
    assert not (tmp_path / "surfaces").exists()
    paint(viewer.layers[-1], 1, 5)
    controller.form._recount.timeout.emit()
    controller.form._recount.stop()
    controller.start()
    assert view.data.labels.error.text().startswith("No voxel is labelled as background yet")
    paint(viewer.layers[-1], 2, 9)
    controller.start()  # what was painted just now is not counted yet
    labels = load_experiment(tmp_path / "surfaces" / "config.yaml").data.labels
    assert (labels.foreground, labels.background, labels.ignore) == ((1,), (2,), (0,))


def test_choosing_strokes_before_painting_makes_2_background(controller, view, viewer):
    layer = viewer.add_labels(np.zeros(SHAPE, np.uint8), name="by hand")
    assert view.data.labels.meanings() == STROKES
    assert "Nothing is painted yet" in view.data.labels.counting.text()
    scheme = view.data.labels.scheme
    scheme.setCurrentIndex(scheme.findData("strokes"))
    scheme.activated.emit(scheme.currentIndex())
    for value, y in ((2, 5), (1, 9)):
        paint(layer, value, y)
        controller.form._recount.timeout.emit()
        assert view.data.labels.meanings() == STROKES
    assert view.data.labels.values.rows[2].count.text() == "6 voxels"


def test_strokes_stay_strokes_however_much_is_painted(controller, view, viewer):
    layer = viewer.add_labels(np.zeros(SHAPE, np.uint8), name="by hand")
    layer.data[5:9] = 1
    layer.data[10:14] = 2
    controller.form._recount.timeout.emit()
    assert view.data.labels.meanings() == STROKES


def test_what_a_person_said_of_a_value_stays(controller, view, viewer):
    layer = viewer.add_labels(np.zeros(SHAPE, np.uint8), name="by hand")
    row = view.data.labels.values.rows[2]
    row.meaning.setCurrentIndex(row.meaning.findData("ignore"))
    paint(layer, 1, 9)
    paint(layer, 2, 5)
    controller.form._recount.timeout.emit()
    assert view.data.labels.meanings()[2] == "ignore"


def test_many_values_are_preselected_as_objects(controller, view, viewer):
    labels = view.data.labels
    viewer.add_labels(np.arange(np.prod(SHAPE)).reshape(SHAPE) // 200, name="cells")
    assert labels.scheme_name() == "instances"
    assert labels.instances == 2
    assert "taken for objects" in labels.counting.text()
    assert not labels.values.rows
    labels.thickness.setValue(4)
    assert view.form().instances == 4
    assert view.form().meanings == {}
    labels.scheme.setCurrentIndex(labels.scheme.findData("dense"))
    labels.scheme.activated.emit(labels.scheme.currentIndex())
    assert view.form().instances is None
    assert 0 < len(labels.values.rows) <= 64
